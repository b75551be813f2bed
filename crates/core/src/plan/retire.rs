//! Retiring the previous key: protocol steps 10 and 11.

use k8s_openapi::jiff::Timestamp;

use crate::iam::KeyStatus;
use crate::key::KeyId;
use crate::record::{Previous, Record};
use crate::step::{SecretWrite, Step};
use crate::time::{after, seconds};

use super::keys;
use super::mutant::{Mutant, is};
use super::view::View;

/// When the previous key's next change is due.
pub fn due_at(view: &View) -> Option<Timestamp> {
    let previous = view.previous()?;
    let overlap_ends = overlap_ends(view, previous);
    Some(match previous.deactivated_at {
        None => overlap_ends,
        // A forged date doesn't shorten the overlap.
        Some(at) => after(at, view.desired.identity.durations.soak).max(overlap_ends),
    })
}

/// When the previous key has been usable beside its successor for long enough.
pub fn overlap_ends(view: &View, previous: &Previous) -> Timestamp {
    after(since(view, previous), view.desired.identity.durations.overlap)
}

/// Since when the previous key is superseded: the recorded time, but not before IAM made the
/// successor, for anybody may edit the record and nobody IAM's date (S3).
fn since(view: &View, previous: &Previous) -> Timestamp {
    let successor = view.published().and_then(|key| view.keys()?.get(key));
    successor.map_or(previous.superseded_at, |key| key.created.max(previous.superseded_at))
}

/// True if something is due for the previous key.
pub fn is_due(view: &View) -> bool {
    due_at(view).is_some_and(|at| view.now >= at)
}

/// Deactivates the previous key after the overlap and deletes it after the soak, each after a live
/// read of the Secret and a list that shows its successor Active.
pub fn previous_key(view: &View) -> Option<Step> {
    let previous = view.previous()?;
    if !is_due(view) {
        return None;
    }
    if view.live().is_none() {
        return Some(Step::ReadSecret);
    }
    unlisted(view, previous).or_else(|| keys::listed(view)).or_else(|| retire(view, previous))
}

/// What the protocol forbids: step 10 without a list.
fn unlisted(view: &View, previous: &Previous) -> Option<Step> {
    let deactivate = Step::DeactivateKey(previous.key.clone());
    let wrong = is(Mutant::RetiresUnlisted) && !view.world.did.contains(&deactivate);
    (wrong && previous.deactivated_at.is_none()).then_some(deactivate)
}

fn retire(view: &View, previous: &Previous) -> Option<Step> {
    // The list may have moved the date.
    if !is_due(view) || !successor_works(view, &previous.key) {
        return None;
    }
    let Some(key) = view.keys()?.get(&previous.key) else { return Some(vanished(view, previous)) };
    let by_us = view.world.did.contains(&Step::DeactivateKey(key.id.clone()));
    Some(match (key.status, previous.deactivated_at) {
        (KeyStatus::Inactive, None) if !by_us && is(Mutant::DeletesUndated) => {
            Step::DeleteKey(key.id.clone())
        }
        (KeyStatus::Inactive, Some(_)) if !by_us => Step::DeleteKey(key.id.clone()),
        (KeyStatus::Inactive, _) => noted(view, Some(deactivated_now(view, previous))),
        // Also a key that somebody made Active again, or whose recorded date was forged: the soak
        // begins anew.
        (KeyStatus::Active | KeyStatus::Other, _) => Step::DeactivateKey(key.id.clone()),
    })
}

fn successor_works(view: &View, previous: &KeyId) -> bool {
    let successor = view.published().filter(|key| *key != previous);
    let listed = successor.and_then(|key| view.keys()?.get(key));
    listed.is_some_and(|key| key.status == KeyStatus::Active)
}

/// The previous key is gone: deleted by this pass, or shown by no list (R6).
fn vanished(view: &View, previous: &Previous) -> Step {
    let deleted = view.world.teardown.deleted.contains(&previous.key);
    if deleted || view.is_missing_twice(&previous.key) {
        return noted(view, None);
    }
    let listed_at = view.keys().map_or(view.now, |listing| listing.at);
    keys::list_again(view, listed_at, "looking again for the previous access key")
}

fn deactivated_now(view: &View, previous: &Previous) -> Previous {
    Previous { deactivated_at: Some(seconds(view.now)), ..previous.clone() }
}

fn noted(view: &View, previous: Option<Previous>) -> Step {
    let record = Record { previous: Some(previous), ..view.record() };
    Step::WriteSecret(SecretWrite::Annotate(record))
}
