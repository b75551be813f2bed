//! The account that a credential lives in (invariant S10), and the finalizer that goes with it.

use crate::desired::Identity;
use crate::identity::Ownership;
use crate::names::{AWS_ACCOUNT, ROLE_ARN};
use crate::reason::Reason;
use crate::step::Step;
use crate::world::{ObjectFacts, UserView};

use super::blocked;
use super::view::View;

/// Finalizer and account stand on the object, and the account is the one that we work in.
pub fn recorded(view: &View) -> Option<Step> {
    let identity = &view.desired.identity;
    let object = &view.world.object;
    let place = Step::AddFinalizer { account: identity.account.clone() };
    match object {
        ObjectFacts { account: Some(account), .. } if *account != identity.account => {
            Some(mismatch(account, identity))
        }
        ObjectFacts { account: Some(_), finalizer: true, .. } => None,
        ObjectFacts { account: None, finalizer: true, .. } => Some(recorded_again(view, place)),
        ObjectFacts { finalizer: false, .. } => Some(place),
    }
}

/// The record was stripped while the finalizer stayed: only a user of ours in this account proves
/// that this is the right one.
fn recorded_again(view: &View, place: Step) -> Step {
    match (&view.world.user, view.ownership()) {
        (UserView::Unlooked, _) => Step::ReadUser,
        (_, Some(Ownership::Ours)) => place,
        _ => unknown(&view.desired.identity.account),
    }
}

/// The account is another one: the operator's credentials changed, or the namespace's role.
pub fn mismatch(recorded: &str, identity: &Identity) -> Step {
    let (namespace, ours) = (&identity.owner.namespace, &identity.account);
    let message = match &identity.role {
        None => format!(
            "the IAM user is in AWS account {recorded}, the operator's credentials are of account {ours}, so nothing \
             is done: give it credentials of {recorded}, or let annotation {ROLE_ARN} of namespace {namespace} \
             name the role in account {recorded} again"
        ),
        Some(role) => format!(
            "the IAM user is in AWS account {recorded}, namespace {namespace} works in account {ours} by role {}, \
             so nothing is done: let annotation {ROLE_ARN} of the namespace name the role in account {recorded} \
             again, or remove it if {recorded} is the operator's own account",
            role.arn
        ),
    };
    blocked(Reason::AccountMismatch, message)
}

/// Nobody knows which account it was.
pub fn unknown(ours: &str) -> Step {
    let message = format!(
        "the annotation {AWS_ACCOUNT} was removed and account {ours} has no user of this object: set it to \
         the 12-digit id of the account that the user is in"
    );
    blocked(Reason::AccountMismatch, message)
}
