//! The Secret's own shape: record, owner, labels, annotations and the data around the password.

use std::collections::BTreeMap;

use crate::iam::{KEYS_PER_USER, ListedKey};
use crate::key::KeyId;
use crate::record::{Previous, Record};
use crate::secret::SecretFacts;
use crate::step::{SecretWrite, Step};
use crate::time::{CLOCKS, after, seconds};

use super::keys;
use super::view::View;

/// An owner reference that was removed is given back before anything else is written (S4).
pub fn owner(view: &View) -> Option<Step> {
    let facts = view.live()?;
    let record = || Record {
        rendered_labels: names(&view.desired.labels),
        rendered_annotations: names(&view.desired.annotations),
        adopt: false,
        ..before(view, facts)
    };
    (!facts.is_controlled_by(&view.desired.identity.owner.uid))
        .then(|| Step::WriteSecret(SecretWrite::Repair { record: record(), render: false }))
}

/// What is kept of the record. One of another object tells of a user and of keys that aren't ours, so
/// only what is to leave the data is kept: the key that the data name is then found to be none of
/// our user's, and replaced.
fn before(view: &View, facts: &SecretFacts) -> Record {
    let uid = &view.desired.identity.owner.uid;
    if facts.record.uid.as_ref() == Some(uid) {
        return facts.record.clone();
    }
    let rendered_keys = facts.record.rendered_keys.clone();
    Record { uid: Some(uid.clone()), rendered_keys, ..Record::default() }
}

/// A record that says nothing about the previous key was stripped: any other key of the user may
/// be the one that pods use, so it is recorded as previous, as of now, before anything else. The
/// same list dates a published key whose date was stripped. A published key recorded as its own
/// predecessor is no predecessor, and what was recorded ahead of time happens now or hasn't yet.
pub fn history(view: &View) -> Option<Step> {
    let facts = view.live()?;
    let published = facts.published()?;
    let itself = facts.record.previous_key().is_some_and(|previous| previous.key == *published);
    let forgotten = forgotten(view, facts, published);
    let sound = !itself && !view.is_ahead_of_time() && forgotten.is_none() && !is_misdated(view, facts);
    if facts.record.previous.is_some() && facts.record.issued_at.is_some() && sound {
        return None;
    }
    let listed = keys::listed(view);
    if listed.is_some() {
        return listed;
    }
    let previous = match unnamed(view, published) {
        Ok(key) => key.map(|key| Previous::as_of(view.now, &key)),
        Err(key) => return Some(Step::ReadLastUsed(key)),
    };
    let issued = view.keys().and_then(|listing| listing.get(published)).map(|key| seconds(key.created));
    let forgotten = forgotten.map(|key| Previous::as_of(view.now, key));
    let known = |previous: Option<Previous>| {
        previous.map(|previous| until_now(view, previous)).or_else(|| forgotten.clone())
    };
    let record = Record {
        key: Some(published.clone()),
        issued_at: facts.record.issued_at.filter(|_| !is_misdated(view, facts)).or(issued),
        previous: facts.record.previous.clone().filter(|_| !itself).map(known).or(Some(previous)),
        ..facts.record.clone()
    };
    (record != facts.record).then_some(Step::WriteSecret(SecretWrite::Annotate(record)))
}

/// The key besides the published one that pods may use. There are two if the data name a key that is
/// none of our user's, as a Secret from a backup does: then the one that is used more.
fn unnamed(view: &View, published: &KeyId) -> Result<Option<KeyId>, KeyId> {
    let listed = view.keys().map(|listing| listing.list.keys.clone()).unwrap_or_default();
    let others: Vec<ListedKey> = listed.into_iter().filter(|key| key.id != *published).collect();
    if others.len() < KEYS_PER_USER {
        return Ok(others.into_iter().next().map(|key| key.id));
    }
    let victim = keys::less_used(view, &others)?.map(|key| &key.id);
    Ok(others.iter().find(|key| Some(&key.id) != victim).map(|key| key.id.clone()))
}

/// A key that this process saw the Secret name, that still exists, and that the record now says
/// nothing of: it was struck out by somebody, and pods may still use it.
fn forgotten<'a>(view: &View<'a>, facts: &SecretFacts, published: &KeyId) -> Option<&'a KeyId> {
    if facts.record.previous != Some(None) || view.world.attempt.minted.is_some() {
        return None;
    }
    let seen = |key: &&ListedKey| key.id != *published && view.world.memo.seen.contains(&key.id);
    Some(&view.keys()?.list.keys.iter().find(seen)?.id)
}

/// The published key is said to be younger than IAM says, by more than clocks may differ; or younger
/// than can be.
fn is_misdated(view: &View, facts: &SecretFacts) -> bool {
    let Some(issued) = facts.record.issued_at else { return false };
    let listed = facts.published().and_then(|key| view.keys()?.get(key));
    issued > view.now || listed.is_some_and(|key| issued > after(key.created, CLOCKS))
}

fn until_now(view: &View, previous: Previous) -> Previous {
    Previous {
        superseded_at: previous.superseded_at.min(seconds(view.now)),
        deactivated_at: previous.deactivated_at.filter(|at| *at <= view.now),
        ..previous
    }
}

/// What the record remembers of labels or annotations from the spec.
pub fn names(map: &BTreeMap<String, String>) -> Vec<String> {
    map.keys().cloned().collect()
}

/// The record as it should be, with everything that doesn't depend on the key.
pub fn current(view: &View) -> Record {
    let (desired, record) = (view.desired, view.record());
    Record {
        uid: Some(desired.identity.owner.uid.clone()),
        user_name: Some(desired.identity.user.name.clone()),
        adopt: false,
        source: None,
        policy_hash: Some(desired.policy.hash.clone()),
        tags_hash: Some(desired.identity.tags_hash.clone()),
        boundary: Some(desired.boundary()),
        rendered_labels: names(&desired.labels),
        rendered_annotations: names(&desired.annotations),
        ..record
    }
}

/// The record as it should be for the key that is published.
fn wanted(view: &View) -> Option<Record> {
    let key = view.published()?;
    let created = view.keys().and_then(|listing| listing.get(key)).map(|key| seconds(key.created));
    let record = current(view);
    let data = data(view, key)?;
    Some(Record {
        key: Some(key.clone()),
        issued_at: record.issued_at.or(created),
        quarantined_at: record.quarantined_at.filter(|_| !view.world.memo.suspicion.lifted),
        rotation_trigger: record.rotation_trigger.or_else(|| Some(view.desired.rotation.trigger.clone())),
        previous: record.previous.or(Some(None)),
        data_hash: data.data_hash,
        rendered_keys: data.rendered_keys,
        password_digests: data.password_digests,
        ..record
    })
}

/// What the record is to say of the data. While a password is missing they stay as they are until a new key
/// comes, so that what the spec no longer asks for goes only when what it asks for is there. Data that
/// somebody edited are made of the passwords at hand, if that of the first Region is among them.
fn data(view: &View, key: &KeyId) -> Option<Record> {
    let (facts, held) = (view.secret()?, view.held()?);
    let intact = facts.content.is_none() || facts.is_consistent();
    let pending = intact && !view.missing_regions().is_empty();
    if pending || !can_render(view, &held) {
        let recorded = view.record();
        return (!recorded.password_digests.is_empty()).then_some(recorded);
    }
    let rendering = view.desired.layout_for(&held).render(key);
    let data_hash = rendering.hash(&held.password_digests);
    Some(Record { data_hash, rendered_keys: Some(rendering.keys()), ..held })
}

/// True if the password of the first Region is at hand.
fn can_render(view: &View, held: &Record) -> bool {
    held.password_digests.contains_key(view.desired.endpoints.primary.region.as_str())
}

/// Owner, labels and annotations from the spec are on the Secret, and none that left the spec.
pub fn is_dressed(view: &View, facts: &SecretFacts) -> bool {
    let desired = view.desired;
    let has = |map: &BTreeMap<String, String>, want: &BTreeMap<String, String>| {
        want.iter().all(|(key, value)| map.get(key) == Some(value))
    };
    let left =
        |before: &[String], now: &BTreeMap<String, String>| before.iter().any(|key| !now.contains_key(key));
    facts.is_controlled_by(&desired.identity.owner.uid)
        && has(&facts.labels, &desired.all_labels())
        && has(&facts.annotations, &desired.annotations)
        && !left(&facts.record.rendered_labels, &desired.labels)
        && !left(&facts.record.rendered_annotations, &desired.annotations)
}

/// The data are what the record says, and the record what the spec asks for.
pub fn is_rendered(facts: &SecretFacts, wanted: &Record) -> bool {
    let as_recorded = facts.content.is_none() || facts.is_consistent();
    as_recorded
        && facts.record.data_hash == wanted.data_hash
        && facts.record.rendered_keys == wanted.rendered_keys
}

/// True if the data aren't so and can be.
fn needs_rendering(view: &View, facts: &SecretFacts, wanted: &Record) -> bool {
    !is_rendered(facts, wanted) && view.held().is_some_and(|held| can_render(view, &held))
}

/// True if the Secret needs a write that takes a live read.
pub fn is_due(view: &View) -> bool {
    let (Some(facts), Some(wanted)) = (view.secret(), wanted(view)) else { return false };
    !is_dressed(view, facts) || needs_rendering(view, facts, &wanted)
}

/// Restores what is not as it should be; the password is found again by its digest.
pub fn secret(view: &View) -> Option<Step> {
    let (facts, wanted) = (view.secret()?, wanted(view)?);
    let render = needs_rendering(view, facts, &wanted);
    if render || !is_dressed(view, facts) {
        let record = wanted;
        return Some(Step::WriteSecret(SecretWrite::Repair { record, render }));
    }
    let record = Record { attempt: facts.record.attempt.clone(), ..wanted };
    (record != facts.record).then_some(Step::WriteSecret(SecretWrite::Annotate(record)))
}
