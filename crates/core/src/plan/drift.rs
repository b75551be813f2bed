//! What a look at the whole account found amiss, looked into with the calls of a pass.
//!
//! The sweep only raises suspicion: what it saw is minutes old and proves nothing. Every repair
//! follows a read of this pass (S4).

use crate::step::Step;
use crate::world::UserView;

use super::view::View;
use super::{keys, user};

/// The user is read, and made again if it is gone. What is wrong with its tags, boundary or policy
/// is then found by the ordinary checks.
pub fn user_looked_at(view: &View) -> Option<Step> {
    if !view.world.memo.suspicion.user {
        return None;
    }
    match view.world.user {
        UserView::Unlooked => Some(Step::ReadUser),
        _ => user::ready(view),
    }
}

/// AWS's quarantine is lifted once no key is left that it was about.
pub fn released(view: &View) -> Option<Step> {
    let quarantine = view.world.memo.suspicion.quarantine.as_ref()?;
    let left = view.previous().is_some_and(|previous| view.is_revoked(&previous.key));
    if view.need().is_some() || left {
        return None;
    }
    // By IAM's own dates, for the record's can be forged: the list may tell of a need after all.
    keys::listed(view).or_else(|| Some(Step::DetachPolicy(quarantine.policy.clone())))
}
