//! A minted key that will not be published: deleted by its maker, and by nobody else.

use crate::step::Step;
use crate::time::after;
use crate::world::Publish;

use super::attempt::{self, MAX_CONFLICTS};
use super::faults;
use super::view::View;

/// Deletes our own unpublished key after a *clear* refusal, or before any publish was sent (R3).
/// After an unclear publish nothing is deleted: the next pass reads what the Secret names.
pub fn unpublished_key(view: &View) -> Option<Step> {
    let minted = view.world.attempt.minted.as_ref()?;
    if minted.discarded {
        return Some(faults::ending(view).unwrap_or_else(attempt::outdated));
    }
    let discard = match view.world.attempt.publish {
        Publish::Landed | Publish::Unclear => false,
        Publish::Refused => true,
        Publish::NotSent => is_too_old(view) || fence_fell(view) || failed(view),
    };
    // A failed deletion is not tried again in this pass: the key is an orphan for a later one.
    let tried = matches!(&view.world.failed, Some((Step::DeleteKey(id), _)) if *id == minted.id);
    (discard && !tried).then(|| Step::DeleteKey(minted.id.clone()))
}

/// A Secret naming this key could land when others already count it as never published.
fn is_too_old(view: &View) -> bool {
    let Some(minted) = view.world.attempt.minted.as_ref() else { return false };
    view.now > after(minted.at, attempt::publish_window(view)) && !attempt::may_wait(view)
}

/// Somebody else's attempt replaced ours, or the published key moved (S6).
fn fence_fell(view: &View) -> bool {
    let attempt = &view.world.attempt;
    let (Some(fence), Some(facts)) = (&attempt.fence, view.secret()) else { return false };
    let ours = facts.record.attempt.as_ref() == Some(&attempt.nonce);
    !ours || facts.published() != fence.published.as_ref() || attempt.conflicts > MAX_CONFLICTS
}

/// The pass failed between mint and publish, before a publish was sent; or it is to end, and the key
/// would still have to wait. What can be published at once still is.
fn failed(view: &View) -> bool {
    view.world.failed.is_some() || view.world.ending && attempt::may_wait(view)
}
