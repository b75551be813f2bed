//! Lists of keys: when one is needed, when it may be trusted, and what its keys are to us.

use k8s_openapi::jiff::Timestamp;

use crate::iam::{KEYS_PER_USER, KeyStatus, ListedKey};
use crate::key::KeyId;
use crate::reason::Reason;
use crate::step::Step;
use crate::time::after;
use crate::world::{Listing, Publish};

use super::mutant::{Mutant, is};
use super::view::{Need, View};
use super::{blocked, pause, retire, user, wait};

/// The user is ours and its keys are listed, late enough after whatever an earlier pass did to be trusted.
pub fn listed(view: &View) -> Option<Step> {
    if view.is_fresh() {
        return None;
    }
    let user = user::ready(view);
    if user.is_some() {
        return user;
    }
    let settled = after(view.world.began, view.desired.identity.durations.settle);
    match view.keys() {
        None if view.now >= settled || needs_no_settling(view) || is(Mutant::UnsettledList) => {
            Some(Step::ListKeys)
        }
        None => Some(pause(settled, "waiting until IAM shows every key there may be")),
        Some(listing) => published_shown(view, listing.at),
    }
}

/// The replacement of a key that a believed Secret names: nothing was left
/// behind that a list could miss.
fn needs_no_settling(view: &View) -> bool {
    let trusted = view.need().is_none_or(Need::trusts_the_secret);
    trusted && view.is_believed() && !view.world.memo.is_dirty()
}

/// A list without the published key is asked for again before anything is built on it (R6).
fn published_shown(view: &View, at: Timestamp) -> Option<Step> {
    let key = view.published()?;
    // A key that this very pass published is younger than the list, and needs no proof.
    let landed = view.world.attempt.publish == Publish::Landed;
    if landed || view.list_proves_user() || view.is_gone(key) {
        return None;
    }
    Some(list_again(view, at, "IAM does not show the published key; looking again before it is replaced"))
}

/// Another list, a settle time after the one of `at`: one alone proves no absence (R6).
pub fn list_again(view: &View, at: Timestamp, message: &str) -> Step {
    let again = after(at, view.desired.identity.durations.settle);
    if view.now >= again { Step::ListKeys } else { pause(again, message) }
}

/// Keys that nobody uses and nobody will: neither published nor previous nor found where pods may
/// still have them, and never the one that the Secret named at our fence (R1).
pub fn orphans<'a>(view: &View<'a>) -> Vec<&'a ListedKey> {
    let Some(listing) = fenced_list(view) else { return Vec::new() };
    listing.list.keys.iter().filter(|key| is_orphan(view, key)).collect()
}

/// The latest list, or the latest that was taken before the fence (R1).
fn fenced_list<'a>(view: &View<'a>) -> Option<&'a Listing> {
    match &view.world.attempt.fence {
        None => view.keys(),
        Some(_) if is(Mutant::ListsAfterFence) || is(Mutant::ListsAgain) => view.keys(),
        Some(fence) => view.world.listings.iter().take(fence.listings).next_back(),
    }
}

/// What rule R1 forbids: a list that is younger than the fence.
pub fn listed_again(view: &View) -> Option<Step> {
    let fence = view.world.attempt.fence.as_ref()?;
    (is(Mutant::ListsAgain) && view.world.listings.len() == fence.listings).then_some(Step::ListKeys)
}

fn is_orphan(view: &View, key: &ListedKey) -> bool {
    let attempt = &view.world.attempt;
    let at_fence = attempt.fence.as_ref().and_then(|fence| fence.published.as_ref());
    let minted = attempt.minted.as_ref().map(|minted| &minted.id);
    let Some(facts) = view.secret() else { return false };
    match facts.published() {
        None => was_never_published(view, key),
        Some(published) => {
            let previous = facts.record.previous_key().map(|previous| &previous.key);
            let published = Some(published).filter(|_| !is(Mutant::DeletesPublished));
            let at_fence = at_fence.filter(|_| !is(Mutant::DeletesPublished));
            ![published, previous, at_fence, minted].contains(&Some(&key.id))
        }
    }
}

/// Beside a placeholder: a key that was not found when it was placed and is younger than it. An
/// older one counts as found, for the placeholder may have landed late. A Secret without an attempt
/// is no placeholder but one that was stripped, and may have named any key.
fn was_never_published(view: &View, key: &ListedKey) -> bool {
    let Some(facts) = view.secret().filter(|facts| facts.record.attempt.is_some()) else { return false };
    let found = facts.record.found_keys.contains(&key.id);
    let younger = facts.created.is_some_and(|created| key.created > created);
    !found && (younger || is(Mutant::FoundOnly))
}

/// Protocol step 4b: no fence is placed while a key that may be deleted behind it is so young that
/// a Secret naming it could still be on its way.
pub fn old_enough(view: &View, need: Option<Need>) -> Option<Step> {
    let listing = view.keys()?;
    let least = view.desired.identity.durations.unseen_key_age;
    let deletable = match need {
        Some(need) if need.is_unpublished() => listing.list.keys.iter().collect(),
        Some(need) => [orphans(view), giving_way(view, need)].concat(),
        None => orphans(view),
    };
    let unseen = deletable.into_iter().filter(|key| !view.world.memo.seen.contains(&key.id));
    let unseen = unseen.filter(|_| !is(Mutant::YoungKeys));
    let unseen = unseen.filter(|_| !is(Mutant::YoungKeysBesideSecret) || view.secret().is_none());
    let left = unseen.map(|key| least.saturating_sub(listing.age(key, view.now))).max()?;
    let message = || "an access key was found that no Secret names; waiting until a Secret naming it can no longer land";
    left.is_positive().then(|| wait(Reason::Provisioning, Some(after(view.now, left)), message().to_owned()))
}

/// The key that gives up its slot, if one has to.
fn giving_way<'a>(view: &View<'a>, need: Need) -> Vec<&'a ListedKey> {
    match slot(view, need) {
        Slot::Give(id) => view.keys().and_then(|listing| listing.get(&id)).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Whether another key can be made.
pub enum Slot {
    /// Yes.
    Free,
    /// Once this key is gone.
    Give(KeyId),
    /// Not known before this is done.
    Ask(Step),
    /// Not before then.
    Full(Option<Timestamp>),
}

/// Whether the user can hold another key (S1), and which gives up its place if not.
pub fn slot(view: &View, need: Need) -> Slot {
    let keys = view.keys().map(|listing| listing.list.keys.as_slice()).unwrap_or_default();
    if keys.len() > KEYS_PER_USER {
        return Slot::Ask(too_many(view, keys));
    }
    if keys.len() < KEYS_PER_USER {
        return Slot::Free;
    }
    match orphans(view).first() {
        Some(orphan) => Slot::Give(orphan.id.clone()),
        None if need.is_unpublished() => match less_used(view, keys) {
            Ok(victim) => victim.map_or(Slot::Free, |key| Slot::Give(key.id.clone())),
            Err(key) => Slot::Ask(Step::ReadLastUsed(key)),
        },
        None => other(view, need),
    }
}

fn too_many(view: &View, keys: &[ListedKey]) -> Step {
    let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    let message = format!(
        "IAM user {} holds {} access keys, IAM allows {KEYS_PER_USER}: {}. Delete those that nothing uses",
        view.desired.identity.user.name,
        keys.len(),
        ids.join(", ")
    );
    blocked(Reason::KeyQuotaExceeded, message)
}

/// Of keys that no Secret names: the one that was never used goes, else the oldest. Not known before it is
/// asked when the key in the error was last used.
pub fn less_used<'a>(view: &View, keys: &'a [ListedKey]) -> Result<Option<&'a ListedKey>, KeyId> {
    let unknown = keys.iter().find(|key| !view.world.last_used.contains_key(&key.id));
    if let Some(key) = unknown {
        return Err(key.id.clone());
    }
    let used = |key: &&ListedKey| view.world.last_used.get(&key.id).is_some_and(Option::is_some);
    Ok(keys.iter().min_by_key(|key| (used(key), key.created)))
}

/// The published and the previous key: a published one that a person made Inactive gives way; else
/// the previous one does if it is in soak already, or if the published password is lost anyway (S3);
/// else it is waited for.
fn other(view: &View, need: Need) -> Slot {
    let Some(previous) = view.previous() else { return Slot::Full(None) };
    let is_inactive = |key: &KeyId| {
        view.keys().and_then(|listing| listing.get(key)).is_some_and(|key| key.status == KeyStatus::Inactive)
    };
    if let Some(published) = view.published().filter(|key| is_inactive(key)) {
        return Slot::Give(published.clone());
    }
    let ends = retire::overlap_ends(view, previous);
    // The recorded date alone could be forged.
    let soaking = previous.deactivated_at.is_some() && is_inactive(&previous.key) && view.now >= ends;
    if soaking || !need.is_rotation() { Slot::Give(previous.key.clone()) } else { Slot::Full(Some(ends)) }
}
