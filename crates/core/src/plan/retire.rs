//! Retiring the previous key: protocol steps 10 and 11.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::desired::Identity;
use crate::iam::KeyStatus;
use crate::key::KeyId;
use crate::record::{Previous, Record};
use crate::step::{SecretWrite, Step};
use crate::time::{CLOCKS, after, seconds};

use crate::world::{Publish, World};

use super::keys;
use super::mutant::{Mutant, is};
use super::view::View;

/// A previous key that is still used stays for so many overlaps at most.
const MAX_OVERLAPS: i32 = 3;

/// When the previous key's next change is due.
pub fn due_at(view: &View) -> Option<Timestamp> {
    let previous = view.previous()?;
    if view.is_revoked(&previous.key) {
        return Some(previous.superseded_at);
    }
    let overlap_ends = overlap_ends(view, previous);
    let due = match previous.deactivated_at {
        None => overlap_ends,
        // A forged date doesn't shorten the overlap.
        Some(at) => after(at, view.desired.identity.durations.soak).max(overlap_ends),
    };
    Some(after(due, ahead_of_iam(view)))
}

/// How far our clock has jumped ahead of IAM's, as the list shows, if clocks don't differ that much by
/// themselves: the time that an overlap and a soak have not had yet (S3).
fn ahead_of_iam(view: &View) -> SignedDuration {
    let ahead = view.keys().map(|listing| listing.at.duration_since(listing.list.server_time));
    ahead.filter(|ahead| *ahead > CLOCKS).unwrap_or_default()
}

/// When the previous key has been usable beside its successor for long enough: an overlap after it
/// was superseded, or after its last use if somebody still uses it.
pub fn overlap_ends(view: &View, previous: &Previous) -> Timestamp {
    let overlap = view.desired.identity.durations.overlap;
    let regular = after(since(view, previous), overlap);
    let unused = used_late(&view.desired.identity, view.world, previous).map(|used| after(used, overlap));
    unused.map_or(regular, |unused| regular.max(unused.min(longest(view, previous))))
}

/// When even a key that is still used goes.
fn longest(view: &View, previous: &Previous) -> Timestamp {
    after(since(view, previous), view.desired.identity.durations.overlap.saturating_mul(MAX_OVERLAPS))
}

/// When the previous key was last used, if that was so late that whoever used it doesn't follow the
/// Secret: a volume shows the new one within a minute or two.
fn used_late(identity: &Identity, world: &World, previous: &Previous) -> Option<Timestamp> {
    let (key, used) = world.memo.last_used.as_ref()?;
    let followed = after(previous.superseded_at, identity.durations.refresh);
    (*key == previous.key && *used > followed).then_some(*used)
}

/// When the previous key was last used, if this pass found that somebody still uses it.
pub fn still_in_use<'a>(identity: &Identity, world: &'a World) -> Option<(&'a KeyId, Timestamp)> {
    let previous = world.secret()?.record.previous_key()?;
    let asked = world.last_used.contains_key(&previous.key) && previous.deactivated_at.is_none();
    let used = used_late(identity, world, previous).filter(|_| asked)?;
    Some((&previous.key, used))
}

/// When the previous key will be deleted, as far as is known.
pub fn deletes_at(identity: &Identity, world: &World, previous: &Previous) -> Timestamp {
    let durations = &identity.durations;
    let used = used_late(identity, world, previous).unwrap_or(previous.superseded_at);
    let inactive = previous.deactivated_at.unwrap_or_else(|| after(used, durations.overlap));
    after(inactive, durations.soak)
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
    if !is_due(view) || view.is_revoked(&previous.key) {
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
    // The list may have moved the date, or shown that it isn't due by IAM's clock.
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
        (KeyStatus::Active | KeyStatus::Other, _) => unless_used(view, previous),
    })
}

/// The last-used brake: a key that somebody still uses stays longer, though not for ever.
fn unless_used(view: &View, previous: &Previous) -> Step {
    let longest = after(longest(view, previous), ahead_of_iam(view));
    if view.now >= longest || view.world.last_used.contains_key(&previous.key) {
        return Step::DeactivateKey(previous.key.clone());
    }
    Step::ReadLastUsed(previous.key.clone())
}

/// A previous key that is known to be leaked goes at once, whatever uses it: the one exception to
/// overlap and soak (S3).
pub fn revoked(view: &View) -> Option<Step> {
    let previous = view.previous()?;
    let attempt = &view.world.attempt;
    // An attempt that is under way has its own use for the list.
    let begun = attempt.publish != Publish::Landed && (attempt.fence.is_some() || attempt.minted.is_some());
    if begun || !view.is_revoked(&previous.key) || view.published() == Some(&previous.key) {
        return None;
    }
    if view.live().is_none() {
        return Some(Step::ReadSecret);
    }
    keys::listed(view).or_else(|| match view.keys()?.get(&previous.key) {
        Some(key) => Some(Step::DeleteKey(key.id.clone())),
        None => Some(vanished(view, previous)),
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
