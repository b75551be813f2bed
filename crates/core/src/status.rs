//! What is reported: conditions, status fields and events, from what is known and how a pass ended.
//!
//! Owns every sentence that `kubectl get`, `describe` and an event show. The status is computed
//! anew each time and never read as an input; only times, and what logins with the same key have
//! shown, are carried over.

mod login;
mod note;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::api::{PreviousKeyStatus, SesSmtpCredentialStatus};
use crate::desired::{Desired, Goal, Identity};
use crate::plan::{deletes_at, derives, is_trusted, serves};
use crate::reason::{Kind, Reason};
use crate::record::{Previous, Record};
use crate::step::End;
use crate::time::seconds;
use crate::world::World;

pub use login::reported_logins;
pub use note::{Note, note};

/// Longest message of a condition.
const MAX_MESSAGE: usize = 32_768;

/// How the pass ended, in the words of conditions.
struct Verdict {
    ready: bool,
    reason: Reason,
    message: String,
    suspended: bool,
}

/// The status after a pass. `before` lends its transition times and nothing else.
pub fn compute(
    goal: &Goal,
    world: &World,
    end: &End,
    generation: Option<i64>,
    before: &SesSmtpCredentialStatus,
    now: Timestamp,
) -> SesSmtpCredentialStatus {
    let verdict = verdict(goal, world, end, now);
    let fields = fields(goal, world);
    let endpoints = login::endpoints(goal, world, before, now);
    let logins = login::condition(goal, &endpoints);
    SesSmtpCredentialStatus {
        observed_generation: generation,
        conditions: conditions(&verdict, logins, generation, &before.conditions, now),
        endpoints,
        ..fields
    }
}

/// True if the two differ in more than times of transition.
pub fn differs(a: &SesSmtpCredentialStatus, b: &SesSmtpCredentialStatus) -> bool {
    timeless(a) != timeless(b)
}

fn timeless(status: &SesSmtpCredentialStatus) -> SesSmtpCredentialStatus {
    let mut status = status.clone();
    for login in status.endpoints.iter_mut().filter_map(|endpoint| endpoint.login.as_mut()) {
        login.time = Time(Timestamp::UNIX_EPOCH);
    }
    for condition in &mut status.conditions {
        condition.last_transition_time = Time(Timestamp::UNIX_EPOCH);
    }
    status
}

/// The record of the Secret, if it is this object's.
fn ours<'a>(identity: &Identity, world: &'a World) -> Option<&'a Record> {
    let facts = world.secret().filter(|facts| facts.is_controlled_by(&identity.owner.uid))?;
    Some(&facts.record)
}

fn verdict(goal: &Goal, world: &World, end: &End, now: Timestamp) -> Verdict {
    let ready = match goal {
        Goal::Serve(desired) => serves(desired, world) && is_trusted(desired, world, now),
        Goal::Derive(derived) => derives(&derived.desired, world) && is_trusted(&derived.desired, world, now),
        Goal::Suspended(identity) => ours(identity, world).is_some_and(|record| is_whole(identity, record)),
        Goal::Teardown(_) | Goal::Invalid(..) => false,
    };
    let suspended = matches!(goal, Goal::Suspended(_));
    let (reason, message) = match end {
        End::Done { .. } => done(goal, ready),
        End::Wait { reason, message, .. } | End::Blocked { reason, message } => (*reason, message.clone()),
    };
    let reason = if matches!(goal, Goal::Teardown(_)) && reason.kind() == Kind::Progress {
        Reason::Deleting
    } else {
        reason
    };
    Verdict { ready, reason, message: message + &kept(goal, world), suspended }
}

/// What a spec that can't be served means for a credential that is there.
fn kept(goal: &Goal, world: &World) -> String {
    let Goal::Invalid(identity, _) = goal else { return String::new() };
    let there = ours(identity, world).is_some_and(|record| record.key.is_some());
    if !there {
        return String::new();
    }
    format!(
        ". Until then the credential in Secret {} stays as it is: it works on, and is neither changed nor rotated",
        identity.secret_name
    )
}

fn is_whole(identity: &Identity, record: &Record) -> bool {
    if identity.derives { record.is_derivation() } else { record.is_complete() }
}

fn done(goal: &Goal, ready: bool) -> (Reason, String) {
    let identity = goal.identity();
    match goal.desired() {
        Some(desired) => (Reason::Provisioned, provisioned(desired)),
        _ if ready => (Reason::Provisioned, format!("Secret {} holds a credential", identity.secret_name)),
        _ => (Reason::Provisioning, "nothing has been provisioned yet: set spec.suspend to false".to_owned()),
    }
}

fn provisioned(desired: &Desired) -> String {
    format!(
        "Secret {} holds a credential for {} at {}",
        desired.identity.secret_name,
        desired.endpoints.region_list(),
        desired.endpoints.host_list()
    )
}

/// A problem that isn't the spec's doesn't unmake a credential that works: Ready stays, and the
/// problem shows in Stalled or Reconciling.
fn conditions(
    verdict: &Verdict,
    logins: Option<Condition>,
    generation: Option<i64>,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let kind = verdict.reason.kind();
    let (ready_reason, ready_message) = if verdict.ready && kind != Kind::Good {
        (Reason::Provisioned.as_str(), "the Secret holds a credential that matches the spec")
    } else {
        (verdict.reason.as_str(), verdict.message.as_str())
    };
    let mut conditions = vec![condition("Ready", holds(verdict.ready), ready_reason, ready_message)];
    if verdict.suspended {
        conditions.push(condition(
            "Suspended",
            "True",
            "Suspended",
            "spec.suspend is true: nothing is changed until it is false",
        ));
    } else if kind == Kind::Blocked {
        conditions.push(condition("Stalled", "True", verdict.reason.as_str(), &verdict.message));
    } else if kind == Kind::Progress {
        conditions.push(condition("Reconciling", "True", verdict.reason.as_str(), &verdict.message));
    }
    conditions.extend(logins);
    for condition in &mut conditions {
        condition.observed_generation = generation;
        condition.last_transition_time = Time(since(condition, before).unwrap_or(seconds(now)));
    }
    conditions
}

fn holds(holds: bool) -> &'static str {
    if holds { "True" } else { "False" }
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.chars().take(MAX_MESSAGE).collect(),
        observed_generation: None,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

fn since(condition: &Condition, before: &[Condition]) -> Option<Timestamp> {
    let same = |old: &&Condition| old.type_ == condition.type_ && old.status == condition.status;
    before.iter().find(same).map(|old| old.last_transition_time.0)
}

fn fields(goal: &Goal, world: &World) -> SesSmtpCredentialStatus {
    let identity = goal.identity();
    let known = ours(identity, world).filter(|record| record.key.is_some());
    // Of somebody else's key neither the user is known nor when it was issued.
    let own = known.filter(|_| !identity.derives);
    let issued = own.and_then(|record| record.issued_at);
    SesSmtpCredentialStatus {
        user_name: own.map(|_| identity.user.name.clone()),
        user_arn: own.map(|_| identity.user_arn.clone()),
        access_key_id: known.and_then(|record| record.key.as_ref()).map(ToString::to_string),
        issued_at: issued.map(Time),
        next_rotation_at: issued.and_then(|issued| next_rotation(goal, issued)).map(Time),
        previous_key: own.and_then(Record::previous_key).map(|previous| previous_key(goal, world, previous)),
        secret_name: Some(identity.secret_name.clone()),
        ..SesSmtpCredentialStatus::default()
    }
}

fn next_rotation(goal: &Goal, issued: Timestamp) -> Option<Timestamp> {
    let Goal::Serve(desired) = goal else { return None };
    desired.rotation.due_at(issued).map(seconds)
}

fn previous_key(goal: &Goal, world: &World, previous: &Previous) -> PreviousKeyStatus {
    PreviousKeyStatus {
        access_key_id: previous.key.to_string(),
        superseded_at: Time(previous.superseded_at),
        state: if previous.deactivated_at.is_some() { "Inactive" } else { "Active" }.to_owned(),
        delete_at: Time(seconds(deletes_at(goal.identity(), world, previous))),
    }
}

#[cfg(test)]
mod tests;
