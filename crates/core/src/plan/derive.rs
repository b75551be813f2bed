//! A credential that is derived from somebody else's access key: read the source, write the Secret,
//! log in. IAM is never asked, and no key is made, changed or deleted.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use crate::desired::{Derived, Desired};
use crate::key::KeyId;
use crate::reason::Reason;
use crate::record::Record;
use crate::region::RegionName;
use crate::secret::SecretFacts;
use crate::source::{Problem, Source, SourceFacts};
use crate::step::{End, SecretWrite, Step};
use crate::time::seconds;
use crate::world::{SourceView, World};

use super::view::{View, holds_all, is_any_lost};
use super::{attempt, blocked, faults, login, repair, secret};

/// What a check looks at.
struct Scene<'a> {
    view: View<'a>,
    source: &'a Source,
}

/// What is known of the source.
enum Known<'a> {
    /// It wasn't looked at yet, or was changed since.
    Unlooked,
    /// It holds this key.
    Key(&'a SourceFacts),
    /// It holds none that can be used.
    Problem(&'a Problem),
}

/// The checks, in order.
const CHECKS: [fn(&Scene) -> Option<Step>; 10] = [
    |scene| faults::ending(&scene.view),
    |scene| attempt::contended(&scene.view),
    |scene| secret::looked_at(&scene.view),
    |scene| secret::not_foreign(&scene.view),
    looked_at,
    doubted,
    |scene| repair::owner(&scene.view),
    derived,
    repaired,
    usable,
];

/// The next step for a credential that is derived from somebody else's access key.
pub fn next(derived: &Derived, world: &World, now: Timestamp) -> Step {
    let view = View { desired: &derived.desired, world, now };
    let scene = Scene { view, source: &derived.source };
    let step = CHECKS.iter().find_map(|check| check(&scene)).or_else(|| login::verified(&scene.view));
    step.unwrap_or_else(|| Step::End(End::Done { wake_at: login::due_at(&scene.view) }))
}

/// There is no user to deal with: a finalizer that somebody put on the object goes.
pub fn teardown(world: &World) -> Step {
    if world.object.finalizer { Step::RemoveFinalizer } else { Step::End(End::Done { wake_at: None }) }
}

/// True if the Secret, as known, holds a derived credential that matches the spec.
pub fn derives(desired: &Desired, world: &World) -> bool {
    let Some(facts) = world.secret() else { return false };
    facts.record.is_derivation() && holds_all(desired, facts)
}

impl<'a> Scene<'a> {
    fn known(&self) -> Known<'a> {
        match &self.view.world.source {
            SourceView::Read(Ok(facts)) => Known::Key(facts),
            SourceView::Read(Err(problem)) => Known::Problem(problem),
            SourceView::Cached(version) => self.remembered(version).map_or(Known::Unlooked, Known::Key),
            SourceView::Unlooked => Known::Unlooked,
        }
    }

    /// What an earlier pass read of the source at this version, in the Regions that are wanted now.
    fn remembered(&self, version: &str) -> Option<&'a SourceFacts> {
        let facts = self.view.world.memo.source.as_deref()?;
        let same = facts.version == version && facts.from == *self.source;
        (same && self.digests(facts).is_some()).then_some(facts)
    }

    /// The digests of the source's passwords for the wanted Regions, if every one is known.
    fn digests(&self, key: &SourceFacts) -> Option<BTreeMap<String, String>> {
        let digest = |region: &RegionName| {
            let (region, digest) = key.digests.get_key_value(region.as_str())?;
            Some((region.clone(), digest.clone()))
        };
        self.view.desired.endpoints.regions().map(digest).collect()
    }

    /// True if the record says that the Secret holds the source's key.
    fn publishes(&self, facts: &SecretFacts, key: &SourceFacts) -> bool {
        let recorded = &facts.record.password_digests;
        let mut regions = self.view.desired.endpoints.regions().map(RegionName::as_str);
        facts.published() == Some(&key.id)
            && regions.all(|region| recorded.get(region) == key.digests.get(region))
    }

    /// The record as it should be.
    fn record(&self, key: &KeyId, issued_at: Timestamp, digests: BTreeMap<String, String>) -> Record {
        let desired = self.view.desired;
        let rendering = desired.rendering(key);
        Record {
            uid: Some(desired.identity.owner.uid.clone()),
            source: Some(self.source.name.clone()),
            key: Some(key.clone()),
            issued_at: Some(issued_at),
            data_hash: rendering.hash(&digests),
            rendered_keys: Some(rendering.keys()),
            password_digests: digests,
            rendered_labels: repair::names(&desired.labels),
            rendered_annotations: repair::names(&desired.annotations),
            ..Record::default()
        }
    }

    /// Since when the Secret has held its present credential. Nobody can have written it later than now.
    fn since(&self, facts: &SecretFacts) -> Timestamp {
        let recorded = facts.record.issued_at.filter(|at| *at <= self.view.now);
        recorded.unwrap_or_else(|| seconds(self.view.now))
    }
}

/// The source is read once, and again when the watch shows another version of it or shows none.
fn looked_at(scene: &Scene) -> Option<Step> {
    matches!(scene.known(), Known::Unlooked).then_some(Step::ReadSource)
}

/// A Secret that somebody else wrote, or that may be given back to us, is read live and whole.
fn doubted(scene: &Scene) -> Option<Step> {
    let facts = scene.view.secret()?;
    (facts.content.is_none() && !scene.view.is_vouched(facts)).then_some(Step::ReadSecret)
}

/// The Secret holds the source's key, or is made or written to hold it.
fn derived(scene: &Scene) -> Option<Step> {
    let Known::Key(key) = scene.known() else { return None };
    let facts = scene.view.secret();
    let published = facts.is_some_and(|facts| scene.publishes(facts, key));
    if published && !facts.is_some_and(|facts| is_any_lost(scene.view.desired, facts)) {
        return None;
    }
    if facts.is_some_and(|facts| facts.content.is_none()) {
        return Some(Step::ReadSecret);
    }
    if !matches!(scene.view.world.source, SourceView::Read(Ok(_))) {
        return Some(Step::ReadSource);
    }
    if wrote(scene) {
        return Some(attempt::altered());
    }
    let now = seconds(scene.view.now);
    let since = facts.filter(|_| published).map_or(now, |facts| scene.since(facts));
    let write = SecretWrite::Derive(scene.record(&key.id, since, scene.digests(key)?));
    Some(fixed(scene).unwrap_or(Step::WriteSecret(write)))
}

fn wrote(scene: &Scene) -> bool {
    let is_write = |step: &Step| matches!(step, Step::WriteSecret(SecretWrite::Derive(_)));
    scene.view.world.did.iter().any(is_write)
}

/// The data of an immutable Secret can't be changed.
fn fixed(scene: &Scene) -> Option<Step> {
    let immutable = scene.view.live()?.content.as_ref()?.immutable;
    let message = || {
        format!(
            "Secret {} is immutable, so neither key nor host can be changed: delete it, it is made again from Secret {}",
            scene.view.desired.identity.secret_path(),
            scene.source.name
        )
    };
    immutable.then(|| blocked(Reason::SecretImmutable, message()))
}

/// What else is not as it should be is restored around the passwords that the data hold, also while
/// the source can't be used.
fn repaired(scene: &Scene) -> Option<Step> {
    let (view, facts) = (&scene.view, scene.view.secret()?);
    let digests = view.desired.all_digests_in(&facts.record)?;
    let mut wanted = scene.record(facts.published()?, scene.since(facts), digests);
    if matches!(scene.known(), Known::Problem(_)) {
        // The key that is published came from elsewhere, if it is recorded so.
        wanted.source = facts.record.source.clone().or(wanted.source);
    }
    let render = !repair::is_rendered(facts, &wanted);
    if !render && repair::is_dressed(view, facts) {
        return (wanted != facts.record).then_some(Step::WriteSecret(SecretWrite::Annotate(wanted)));
    }
    if facts.content.is_none() {
        return Some(Step::ReadSecret);
    }
    if render && is_any_lost(view.desired, facts) {
        return None;
    }
    let unchangeable = if render { fixed(scene) } else { None };
    Some(unchangeable.unwrap_or(Step::WriteSecret(SecretWrite::Repair { record: wanted, render })))
}

/// The source can't be used: told, and nothing is taken away.
fn usable(scene: &Scene) -> Option<Step> {
    let Known::Problem(problem) = scene.known() else { return None };
    let namespace = &scene.view.desired.identity.owner.namespace;
    Some(blocked(problem.reason(), problem.message(namespace, scene.source)))
}
