//! The IAM user: that it exists, is ours, and carries the policy, tags and boundary it should.

use crate::iam::KeyStatus;
use crate::identity::{Ownership, tags_hold};
use crate::reason::Reason;
use crate::step::Step;
use crate::time::after;
use crate::world::UserView;

use super::view::View;
use super::{blocked, keys, pause};

/// The user exists and is proved to be ours (S4), as far as the next call needs it.
pub fn ready(view: &View) -> Option<Step> {
    match &view.world.user {
        UserView::Fresh { .. } => None,
        UserView::Exists => Some(Step::ReadUser),
        UserView::Elsewhere => Some(foreign(view)),
        UserView::Found(_) => not_ours(view),
        UserView::Missing { first, last } => {
            let settled = after(*first, view.desired.identity.durations.settle);
            Some(missing(*last >= settled, view.now >= settled, settled))
        }
        UserView::Unlooked => unlooked(view),
    }
}

/// Absence is believed from two reads a settle time apart (R6).
fn missing(believed: bool, due: bool, settled: k8s_openapi::jiff::Timestamp) -> Step {
    match (believed, due) {
        (true, _) => Step::CreateUser,
        (false, true) => Step::ReadUser,
        (false, false) => pause(settled, "IAM shows no such user; looking again before it is made anew"),
    }
}

/// A Secret that names a key says that the user exists: the list is asked, which proves it too.
fn unlooked(view: &View) -> Option<Step> {
    match (view.published(), view.keys()) {
        (None, _) => Some(Step::CreateUser),
        (Some(_), None) => None,
        (Some(_), Some(_)) => (!view.list_proves_user()).then_some(Step::ReadUser),
    }
}

fn not_ours(view: &View) -> Option<Step> {
    let user = &view.desired.identity.user;
    match view.ownership()? {
        Ownership::Ours => None,
        Ownership::OtherInstall => Some(blocked(
            Reason::OwnershipContested,
            format!(
                "IAM user {} was made for this object by another installation that uses cluster id {}: \
                 give each cluster an id of its own",
                user.name,
                user.tags.get(crate::names::tag::CLUSTER).map(String::as_str).unwrap_or_default()
            ),
        )),
        Ownership::Foreign => Some(foreign(view)),
    }
}

fn foreign(view: &View) -> Step {
    let user = &view.desired.identity.user;
    blocked(
        Reason::UserNotOwned,
        format!(
            "IAM user {} exists and its path or its tags ses-smtp.dev/cluster and ses-smtp.dev/uid are not this \
             object's: it is left untouched. Delete or rename it, or restore path {} and tags",
            user.name, user.path
        ),
    )
}

/// Boundary, tags and policy are what they should be. The boundary comes first: without it the
/// operator has no right to put a policy.
pub fn up_to_date(view: &View) -> Option<Step> {
    boundary(view).or_else(|| tags(view)).or_else(|| policy(view))
}

/// A published key that a person made Inactive may be part of an incident response: it is reported,
/// not replaced. Once found, IAM is asked in every pass until the key is Active again or gone. All
/// that can be repaired without it was repaired before.
pub fn deactivated(view: &View) -> Option<Step> {
    let key = view.published()?;
    let suspect = view.world.memo.inactive.as_ref() == Some(key) && view.need().is_none();
    if let Some(step) = keys::listed(view).filter(|_| suspect) {
        return Some(step);
    }
    let listed = view.keys()?.get(key)?;
    let message = || {
        format!(
            "access key {key} of IAM user {} was made Inactive outside the operator: make it Active again, or delete it to have it replaced",
            view.desired.identity.user.name
        )
    };
    (listed.status == KeyStatus::Inactive && view.need().is_none())
        .then(|| blocked(Reason::KeyDeactivated, message()))
}

fn boundary(view: &View) -> Option<Step> {
    let wanted = view.desired.identity.user.boundary.as_ref()?;
    let recorded = view.recorded(|record| record.boundary.as_ref());
    let holds = match view.user() {
        Some(facts) => facts.boundary.as_ref() == Some(wanted),
        None => !view.is_fresh() && recorded == Some(wanted),
    };
    if view.world.applied.boundary || holds {
        return None;
    }
    proved_by_read(view).or(Some(Step::PutBoundary))
}

fn tags(view: &View) -> Option<Step> {
    let identity = &view.desired.identity;
    let holds = match view.user() {
        Some(facts) => tags_hold(&identity.user, facts),
        None => view.recorded(|record| record.tags_hash.as_ref()) == Some(&identity.tags_hash),
    };
    if view.world.applied.tags || holds {
        return None;
    }
    proved(view).or(Some(Step::TagUser))
}

fn policy(view: &View) -> Option<Step> {
    let recorded = view.recorded(|record| record.policy_hash.as_ref());
    let doubted = view.is_fresh() || view.world.memo.suspicion.policy;
    let holds = !doubted && recorded == Some(&view.desired.policy.hash);
    if view.world.applied.policy || holds {
        return None;
    }
    proved(view).or(Some(Step::PutPolicy))
}

/// For policy and tags a believed Secret is proof enough of the user.
fn proved(view: &View) -> Option<Step> {
    match view.world.user {
        UserView::Unlooked if view.is_believed() || view.list_proves_user() => None,
        _ => proved_by_read(view),
    }
}

fn proved_by_read(view: &View) -> Option<Step> {
    match view.world.user {
        UserView::Unlooked => Some(Step::ReadUser),
        _ => ready(view),
    }
}
