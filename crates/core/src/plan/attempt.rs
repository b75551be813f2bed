//! Replacing the published key, or issuing the first: protocol steps 1 to 8.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::key::KeyId;
use crate::reason::Reason;
use crate::record::{Previous, Record};
use crate::region::RegionName;
use crate::secret::SecretFacts;
use crate::step::{SecretWrite, Step};
use crate::time::{after, seconds};
use crate::world::{Basis, Publish, SecretView};

use super::keys::{self, Slot};
use super::mutant::{Mutant, is};
use super::view::{Need, View};
use super::{login, repair, retire, user, wait};

/// How often a conditional write is tried again after it was refused as outdated.
pub const MAX_CONFLICTS: u32 = 3;

/// The steps of an attempt, in order.
const STEPS: [fn(&View, Need) -> Option<Step>; 9] =
    [held_back, ready, up_to_date, old_enough, room, fenced, slot_freed, minted, login::proven];

/// Issues a key if one is needed.
pub fn replace_key(view: &View) -> Option<Step> {
    let need = view.need()?;
    if view.world.attempt.publish == Publish::Landed {
        return Some(altered());
    }
    let step = STEPS.iter().find_map(|step| step(view, need)).unwrap_or_else(|| publish(view, need));
    // A rotation that has to wait is no reason to leave everything else as it is.
    let waits = matches!(step, Step::End(_)) && need.is_rotation() && view.world.attempt.fence.is_none();
    let meanwhile = if waits { beside(view) } else { None };
    Some(meanwhile.unwrap_or(step))
}

/// What can be done while a rotation waits.
fn beside(view: &View) -> Option<Step> {
    user::up_to_date(view).or_else(|| repair::secret(view))
}

/// What was just done in vain is not done again at once.
fn held_back(view: &View, need: Need) -> Option<Step> {
    not_too_often(view, need).or_else(|| login::held_back(view, need))
}

/// The pause after the `count`-th time in a row: doubling, up to a cap.
pub fn backoff(view: &View, count: u32) -> SignedDuration {
    let durations = &view.desired.identity.durations;
    let doubled = 2_i32.saturating_pow(count.saturating_sub(1).min(10));
    durations.loss_backoff.saturating_mul(doubled).min(durations.loss_backoff_cap)
}

/// A password that is lost again and again is replaced at once the first time, then more and more
/// slowly: somebody or something is fighting us.
fn not_too_often(view: &View, need: Need) -> Option<Step> {
    let (count, last) = view.world.memo.losses?;
    let next = after(last, backoff(view, count));
    let begun = view.world.attempt.fence.is_some() || view.world.attempt.minted.is_some();
    let message = format!(
        "the password was lost {count} times in a short while (Secret deleted or edited), so the next key is issued later: find out who \
         does it"
    );
    (!begun && !need.is_rotation() && view.now < next)
        .then(|| wait(Reason::Provisioning, Some(next), message))
}

fn ready(view: &View, _: Need) -> Option<Step> {
    user::ready(view).or_else(|| fenced_first(view)).or_else(|| keys::listed(view))
}

/// What the protocol forbids: a fence before the list.
pub fn fenced_first(view: &View) -> Option<Step> {
    let wrong = is(Mutant::ListsAfterFence) && view.world.attempt.fence.is_none();
    (wrong && view.secret().is_some()).then(|| fence(view))
}

fn up_to_date(view: &View, _: Need) -> Option<Step> {
    user::up_to_date(view)
}

fn old_enough(view: &View, need: Need) -> Option<Step> {
    if view.world.attempt.fence.is_some() { None } else { keys::old_enough(view, Some(need)) }
}

/// No key is made, and no fence placed, unless there is or can be room for it (S1).
fn room(view: &View, need: Need) -> Option<Step> {
    if view.world.attempt.minted.is_some() {
        return None;
    }
    match keys::slot(view, need) {
        Slot::Free | Slot::Give(_) => None,
        Slot::Ask(step) => Some(step),
        Slot::Full(until) => retire::previous_key(view).or_else(|| Some(no_slot(view, until))),
    }
}

fn no_slot(view: &View, until: Option<Timestamp>) -> Step {
    let named = |key: Option<&KeyId>| key.map(ToString::to_string).unwrap_or_default();
    let missing: Vec<&str> = view.missing_regions().into_iter().map(RegionName::as_str).collect();
    let not_served = if missing.is_empty() {
        String::new()
    } else {
        format!(
            "; not served until then: {}, and the data of the Secret stay as they are",
            missing.join(", ")
        )
    };
    let message = format!(
        "IAM user {} holds two access keys, as many as IAM allows, and both may be in use: {} is published, and the one \
         before it, {}, stays usable until {}{not_served}. If nothing uses that one any more, delete it in IAM to go on sooner",
        view.desired.identity.user.name,
        named(view.published()),
        named(view.previous().map(|previous| &previous.key)),
        until.map(|at| at.to_string()).unwrap_or_default()
    );
    wait(Reason::WaitingForKeySlot, until.filter(|at| *at > view.now), message)
}

/// Nothing is deleted and nothing minted before the fence stands (R1, R4).
fn fenced(view: &View, _: Need) -> Option<Step> {
    let attempt = &view.world.attempt;
    if attempt.fence.is_some() {
        return None;
    }
    match &view.world.secret {
        SecretView::Absent { .. } if is(Mutant::NoPlaceholder) => None,
        SecretView::Absent { .. } => placeholder(view),
        _ if is(Mutant::NoFence) => None,
        _ => Some(fence(view)),
    }
}

/// A user made in this very pass has no key that a late Secret could name, so its first Secret is
/// created whole and pods never mount an empty one.
fn placeholder(view: &View) -> Option<Step> {
    let listing = view.keys().filter(|_| !view.is_fresh())?;
    // A Secret may have come and gone since an older list, and have named a key that is not in it.
    if view.now > after(listing.at, publish_window(view)) {
        return Some(outdated());
    }
    if view.world.absent_after < view.world.listings.len() {
        return Some(Step::ReadSecret);
    }
    let record = Record {
        uid: Some(view.desired.identity.owner.uid.clone()),
        user_name: Some(view.desired.identity.user.name.clone()),
        attempt: Some(view.world.attempt.nonce.clone()),
        found_keys: listing.list.keys.iter().map(|key| key.id.clone()).collect(),
        ..Record::default()
    };
    Some(Step::WriteSecret(SecretWrite::Placeholder(record)))
}

/// The fence where there is a Secret. Refused as outdated, it is placed again only while the keys
/// that the plan was made of are still the same.
pub fn fence(view: &View) -> Step {
    let attempt = &view.world.attempt;
    let Some(facts) = view.live() else { return Step::ReadSecret };
    let moved = attempt.basis.as_ref().is_some_and(|basis| *basis != Basis::of(facts));
    let moved = moved && !is(Mutant::KeepsOldPlan);
    if moved || attempt.conflicts > MAX_CONFLICTS {
        return outdated();
    }
    let record = Record {
        attempt: Some(attempt.nonce.clone()),
        found_keys: found_keys(view, facts),
        ..facts.record.clone()
    };
    Step::WriteSecret(SecretWrite::Fence(record))
}

/// A Secret that names no key and is no placeholder was stripped: any key may be the one that it
/// named, so all count as found, as if a placeholder were placed now.
fn found_keys(view: &View, facts: &SecretFacts) -> Vec<KeyId> {
    match view.keys() {
        Some(listing) if facts.published().is_none() && facts.record.attempt.is_none() => {
            listing.list.keys.iter().map(|key| key.id.clone()).collect()
        }
        _ => facts.record.found_keys.clone(),
    }
}

/// The plan was made of facts that no longer hold.
pub fn outdated() -> Step {
    wait(Reason::Provisioning, None, "the Secret changed meanwhile: starting over".to_owned())
}

/// What was published is not what the Secret holds: one key a pass is enough.
pub fn altered() -> Step {
    let message = "an admission rule or another manager changed the Secret in the very moment of writing it: starting over";
    wait(Reason::Provisioning, None, message.to_owned())
}

/// Ends a pass that is refused as outdated again and again (liveness L3), or that took too long to
/// take the user that it made for untouched.
pub fn contended(view: &View) -> Option<Step> {
    let contended = view.world.attempt.conflicts > MAX_CONFLICTS;
    (contended || view.outlived_freshness()).then(outdated)
}

/// Only what is needed for a free slot goes before the mint; the rest after the publish.
fn slot_freed(view: &View, need: Need) -> Option<Step> {
    if view.world.attempt.minted.is_some() {
        return None;
    }
    keys::listed_again(view).or_else(|| match keys::slot(view, need) {
        Slot::Give(key) => Some(Step::DeleteKey(key)),
        _ => None,
    })
}

fn minted(view: &View, _: Need) -> Option<Step> {
    view.world.attempt.minted.is_none().then_some(Step::MintKey)
}

/// True if the minted key waits on purpose, which lifts the limit on its age.
pub fn may_wait(view: &View) -> bool {
    view.need().is_some_and(Need::is_rotation)
}

/// How old a minted key may be when it is published without a wait on purpose.
pub fn publish_window(view: &View) -> SignedDuration {
    view.desired.identity.durations.publish_window
}

/// Protocol step 8. Digests and data are filled in by the pass, which alone holds the password.
fn publish(view: &View, need: Need) -> Step {
    let attempt = &view.world.attempt;
    let minted = attempt.minted.as_ref();
    let record = Record {
        key: minted.map(|minted| minted.id.clone()),
        issued_at: minted.map(|minted| seconds(minted.at)),
        previous: Some(superseded(view, need)),
        rotation_trigger: Some(view.desired.rotation.trigger.clone()),
        quarantined_at: view.quarantined_since().map(seconds),
        attempt: (!keys::orphans(view).is_empty()).then(|| attempt.nonce.clone()),
        found_keys: Vec::new(),
        ..repair::current(view)
    };
    let created = matches!(view.world.secret, SecretView::Absent { .. });
    Step::WriteSecret(if created { SecretWrite::Create(record) } else { SecretWrite::Publish(record) })
}

/// What becomes the previous key: the replaced one if it still exists, or the one that was found
/// while no Secret named any, for pods may still use it; else the old previous key with its dates.
fn superseded(view: &View, need: Need) -> Option<Previous> {
    let since_now = |key: &KeyId| Previous::as_of(view.now, key);
    let listing = view.keys().filter(|_| !view.is_fresh())?;
    let minted = view.world.attempt.minted.as_ref().map(|minted| &minted.id);
    let orphans = keys::orphans(view);
    if need.is_unpublished() {
        let mut found =
            listing.list.keys.iter().filter(|key| Some(&key.id) != minted && !orphans.contains(key));
        return found.next().map(|key| since_now(&key.id));
    }
    let published = view.published().filter(|key| listing.get(key).is_some());
    published.map(since_now).or_else(|| view.previous().cloned())
}
