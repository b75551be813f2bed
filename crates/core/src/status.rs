//! What is reported: conditions, status fields and events, from what is known and how a pass ended.
//!
//! Owns every sentence that `kubectl get`, `describe` and an event show. The status is computed
//! anew each time and never read as an input; only transition times are carried over.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::api::{EndpointStatus, PreviousKeyStatus, SesSmtpCredentialStatus};
use crate::desired::{Desired, Goal, Identity};
use crate::plan::serves;
use crate::reason::{Kind, Reason};
use crate::record::{Previous, Record};
use crate::step::{End, Step};
use crate::time::{after, seconds};
use crate::world::World;

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
    let verdict = verdict(goal, world, end);
    let record = ours(goal.identity(), world);
    SesSmtpCredentialStatus {
        observed_generation: generation,
        conditions: conditions(&verdict, generation, &before.conditions, now),
        endpoints: endpoints(goal, record),
        ..fields(goal.identity(), record)
    }
}

/// True if the two differ in more than times of transition.
pub fn differs(a: &SesSmtpCredentialStatus, b: &SesSmtpCredentialStatus) -> bool {
    timeless(a) != timeless(b)
}

fn timeless(status: &SesSmtpCredentialStatus) -> SesSmtpCredentialStatus {
    let mut status = status.clone();
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

fn verdict(goal: &Goal, world: &World, end: &End) -> Verdict {
    let ready = match goal {
        Goal::Serve(desired) => serves(desired, world),
        Goal::Suspended(identity) => ours(identity, world).is_some_and(Record::is_complete),
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
    Verdict { ready, reason, message, suspended }
}

fn done(goal: &Goal, ready: bool) -> (Reason, String) {
    let identity = goal.identity();
    match goal {
        Goal::Serve(desired) => (Reason::Provisioned, provisioned(desired)),
        _ if ready => (Reason::Provisioned, format!("Secret {} holds a credential", identity.secret_name)),
        _ => (Reason::Provisioning, "nothing has been provisioned yet".to_owned()),
    }
}

fn provisioned(desired: &Desired) -> String {
    format!(
        "Secret {} holds a credential for {} at {}:{}",
        desired.identity.secret_name, desired.region, desired.host, desired.port
    )
}

/// A problem that isn't the spec's doesn't unmake a credential that works: Ready stays, and the
/// problem shows in Stalled or Reconciling.
fn conditions(
    verdict: &Verdict,
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
    let mut conditions = vec![condition("Ready", verdict.ready, ready_reason, ready_message)];
    if verdict.suspended {
        conditions.push(condition(
            "Suspended",
            true,
            "Suspended",
            "spec.suspend is true: nothing is changed",
        ));
    } else if kind == Kind::Blocked {
        conditions.push(condition("Stalled", true, verdict.reason.as_str(), &verdict.message));
    } else if kind == Kind::Progress {
        conditions.push(condition("Reconciling", true, verdict.reason.as_str(), &verdict.message));
    }
    for condition in &mut conditions {
        condition.observed_generation = generation;
        condition.last_transition_time = Time(since(condition, before).unwrap_or(seconds(now)));
    }
    conditions
}

fn condition(type_: &str, holds: bool, reason: &str, message: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
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

fn fields(identity: &Identity, record: Option<&Record>) -> SesSmtpCredentialStatus {
    let known = record.filter(|record| record.key.is_some());
    SesSmtpCredentialStatus {
        user_name: known.map(|_| identity.user.name.clone()),
        user_arn: known.map(|_| identity.user_arn.clone()),
        access_key_id: known.and_then(|record| record.key.as_ref()).map(ToString::to_string),
        issued_at: known.and_then(|record| record.issued_at).map(Time),
        previous_key: known.and_then(Record::previous_key).map(|previous| previous_key(identity, previous)),
        secret_name: Some(identity.secret_name.clone()),
        ..SesSmtpCredentialStatus::default()
    }
}

fn previous_key(identity: &Identity, previous: &Previous) -> PreviousKeyStatus {
    let durations = &identity.durations;
    let inactive =
        previous.deactivated_at.unwrap_or_else(|| after(previous.superseded_at, durations.overlap));
    PreviousKeyStatus {
        access_key_id: previous.key.to_string(),
        superseded_at: Time(previous.superseded_at),
        state: if previous.deactivated_at.is_some() { "Inactive" } else { "Active" }.to_owned(),
        delete_at: Time(after(inactive, durations.soak)),
    }
}

fn endpoints(goal: &Goal, record: Option<&Record>) -> Vec<EndpointStatus> {
    let Goal::Serve(desired) = goal else { return Vec::new() };
    let served = record.is_some_and(|record| record.password_digests.contains_key(desired.region.as_str()));
    let endpoint = EndpointStatus {
        region: desired.region.to_string(),
        host: desired.host.clone(),
        port: i32::from(desired.port),
    };
    if served { vec![endpoint] } else { Vec::new() }
}

/// An event: at most one per pass, and only when something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// True for a Warning.
    pub warning: bool,
    /// Reason, a word.
    pub reason: &'static str,
    /// What was being done, a word.
    pub action: &'static str,
    /// What happened, at most 1,024 bytes.
    pub text: String,
}

/// Longest note of an event.
const MAX_NOTE: usize = 1_024;

/// The event that a pass gives rise to: a Warning when a blocking reason appears, else a summary of
/// what was done, if anything was.
pub fn note(goal: &Goal, world: &World, end: &End, before: &SesSmtpCredentialStatus) -> Option<Note> {
    let note = match end {
        End::Blocked { reason, message } => return stalled(*reason, message, before),
        End::Done { .. } | End::Wait { .. } => summary(goal.identity(), world)?,
    };
    Some(note)
}

fn stalled(reason: Reason, message: &str, before: &SesSmtpCredentialStatus) -> Option<Note> {
    let known = before.conditions.iter().any(|old| old.type_ == "Stalled" && old.reason == reason.as_str());
    let text = message.chars().scan(0, fits).collect();
    (!known).then_some(Note { warning: true, reason: reason.as_str(), action: "Reconcile", text })
}

/// Cuts at the last character that is within the limit in bytes.
fn fits(length: &mut usize, next: char) -> Option<char> {
    *length += next.len_utf8();
    (*length <= MAX_NOTE).then_some(next)
}

fn summary(identity: &Identity, world: &World) -> Option<Note> {
    let did = |wanted: fn(&Step) -> bool| world.did.iter().any(wanted);
    let key = ours(identity, world).and_then(|record| record.key.as_ref()).map(ToString::to_string);
    let (key, user, secret) = (key.unwrap_or_default(), &identity.user.name, &identity.secret_name);
    let published = did(|step| matches!(step, Step::WriteSecret(write) if is_publish(write)));
    let (reason, action, text) = if published && did(|step| *step == Step::CreateUser) {
        (
            "Provisioned",
            "Provision",
            format!("IAM user {user} with access key {key}; credential in Secret {secret}"),
        )
    } else if published {
        (
            "KeyReplaced",
            "Replace",
            format!("access key {key} is in Secret {secret}; {}", previous_note(identity, world)),
        )
    } else if did(|step| matches!(step, Step::DeactivateKey(_))) {
        (
            "KeyDeactivated",
            "Retire",
            format!(
                "the previous access key of IAM user {user} was made Inactive; it is deleted after a soak"
            ),
        )
    } else if did(|step| matches!(step, Step::DeleteKey(_))) {
        (
            "KeyDeleted",
            "Retire",
            format!("an access key of IAM user {user} that is no longer in use was deleted"),
        )
    } else if did(|step| matches!(step, Step::WriteSecret(crate::step::SecretWrite::Repair { .. }))) {
        ("SecretRepaired", "Repair", format!("Secret {secret} was brought back to what the spec asks for"))
    } else if did(|step| *step == Step::PutPolicy) {
        ("PolicyUpdated", "Update", format!("the sending policy of IAM user {user} was updated"))
    } else {
        return None;
    };
    Some(Note { warning: false, reason, action, text })
}

fn is_publish(write: &crate::step::SecretWrite) -> bool {
    matches!(write, crate::step::SecretWrite::Create(_) | crate::step::SecretWrite::Publish(_))
}

fn previous_note(identity: &Identity, world: &World) -> String {
    let previous = ours(identity, world).and_then(Record::previous_key);
    previous.map_or_else(
        || "no earlier key is left".to_owned(),
        |previous| {
            let until = after(previous.superseded_at, identity.durations.overlap);
            format!(
                "the earlier key {} works until {until}: pods that mount the Secret as a volume follow by themselves, \
                 pods that read it as environment variables or by subPath must restart by then",
                previous.key
            )
        },
    )
}

#[cfg(test)]
mod tests;
