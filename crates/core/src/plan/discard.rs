//! A minted key that will not be published: deleted by its maker, and by nobody else.

use crate::key::KeyId;
use crate::step::Step;
use crate::time::after;
use crate::world::{Publish, SecretView};

use super::attempt::{self, MAX_CONFLICTS};
use super::mutant::{Mutant, is};
use super::view::View;
use super::{faults, login};

/// Deletes our own unpublished key after a *clear* refusal, or before any publish was sent (R3).
/// After an unclear publish nothing is deleted: the next pass reads what the Secret names.
pub fn unpublished_key(view: &View) -> Option<Step> {
    let minted = view.world.attempt.minted.as_ref()?;
    if minted.discarded {
        let refused = || login::rejected(view).map(|rejected| login::refusal(view, rejected));
        return Some(faults::ending(view).or_else(refused).unwrap_or_else(attempt::outdated));
    }
    let discard = match view.world.attempt.publish {
        Publish::Unclear if is(Mutant::DeletesAfterUnclear) => true,
        Publish::Landed | Publish::Unclear => false,
        Publish::Refused => true,
        Publish::NotSent => {
            is_too_old(view)
                || fence_fell(view)
                || failed(view)
                || is_unwanted(view)
                || view.outlived_freshness()
                || login::rejected(view).is_some()
        }
    };
    (discard && !was_tried(view, &minted.id)).then(|| Step::DeleteKey(minted.id.clone()))
}

/// Whatever ends a pass, it does not leave a key behind that no publish was sent for (R3).
pub fn before_end(view: &View, step: Step) -> Step {
    let left = view.world.attempt.minted.as_ref().filter(|minted| !minted.discarded);
    match (left, &step) {
        (Some(minted), Step::End(_))
            if view.world.attempt.publish == Publish::NotSent && !was_tried(view, &minted.id) =>
        {
            Step::DeleteKey(minted.id.clone())
        }
        _ => step,
    }
}

/// A failed deletion is not tried again in this pass: the key is an orphan for a later one.
fn was_tried(view: &View, minted: &KeyId) -> bool {
    matches!(&view.world.failed, Some((Step::DeleteKey(id), _)) if id == minted)
}

/// The reason for a new key went away while it was made.
fn is_unwanted(view: &View) -> bool {
    view.secret().is_some() && view.need().is_none()
}

/// A Secret naming this key could land when others already count it as never published.
fn is_too_old(view: &View) -> bool {
    let Some(minted) = view.world.attempt.minted.as_ref() else { return false };
    // Whether it waits on purpose is known again once the Secret was read again.
    let known = !matches!(view.world.secret, SecretView::Unlooked);
    known && view.now > after(minted.at, attempt::publish_window(view)) && !attempt::may_wait(view)
}

/// Somebody else's attempt replaced ours, the published key moved, or the Secret is gone (S6).
fn fence_fell(view: &View) -> bool {
    let attempt = &view.world.attempt;
    let Some(fence) = &attempt.fence else { return false };
    let Some(facts) = view.secret() else { return matches!(view.world.secret, SecretView::Absent { .. }) };
    let ours = facts.record.attempt.as_ref() == Some(&attempt.nonce) || is(Mutant::RetriesBlindly);
    !ours || facts.published() != fence.published.as_ref() || attempt.conflicts > MAX_CONFLICTS
}

/// The pass failed between mint and publish, before a publish was sent; or it is to end, and the key
/// would still have to wait. What can be published at once still is.
fn failed(view: &View) -> bool {
    view.world.failed.is_some() || view.world.ending && attempt::may_wait(view)
}
