//! Failures that end a pass, each with its reason, and the lag of IAM behind our own calls.

use k8s_openapi::jiff::SignedDuration;

use crate::desired::Identity;
use crate::iam::{ASSUME_ROLE, Failure, NO_CREDENTIALS, SESSION_LOST};
use crate::reason::Reason;
use crate::step::{End, Refusal, Step};
use crate::time::after;
use crate::world::{Failed, Publish, World};

use super::view::View;
use super::{blocked, pause, wait};

/// What becomes of everything that nobody has to mend.
pub const AGAIN: &str = "it is tried again by itself";

/// How often a call is repeated because IAM doesn't know a user that it has just made.
const MAX_LAG: u32 = 5;

/// Ends the pass if a step failed for good, or if the pass has to end and holds no key that could
/// still be published.
pub fn ending(view: &View) -> Option<Step> {
    end(&view.desired.identity, view.world)
}

/// The end that a failure means, or that time is up.
pub fn end(identity: &Identity, world: &World) -> Option<Step> {
    let Some((step, failed)) = world.failed.as_ref() else { return out_of_time(world) };
    if is_about_user(failed) && step.needs_user() && world.listed.is_none() {
        return Some(Step::FindUser);
    }
    Some(match failed {
        Failed::Iam(failure) => of_iam(identity, step, failure),
        Failed::Cluster(refusal) => of_cluster(identity, refusal),
    })
}

/// A denial that may only mean that there is no such user. Without a session nothing was asked.
fn is_about_user(failed: &Failed) -> bool {
    matches!(failed, Failed::Iam(Failure::Denied { action, .. }) if *action != ASSUME_ROLE)
}

fn out_of_time(world: &World) -> Option<Step> {
    let holds_key = world.attempt.minted.is_some() && world.attempt.publish == Publish::NotSent;
    let message = || "the pass was cut short: it goes on in the next".to_owned();
    (world.ending && !holds_key).then(|| wait(Reason::Provisioning, None, message()))
}

fn of_iam(identity: &Identity, step: &Step, failure: &Failure) -> Step {
    let user = &identity.user.name;
    let later = |reason, message: String| wait(reason, None, message);
    match failure {
        Failure::Denied { action: ASSUME_ROLE, resource } => no_session(identity, resource),
        Failure::Denied { action, resource } => blocked(
            Reason::AccessDenied,
            format!(
                "AWS denies the operator {action} on {resource}: grant it in account {}",
                identity.account
            ),
        ),
        Failure::Limit => limit(identity, step),
        Failure::Throttled => {
            later(Reason::Throttled, format!("AWS throttles the operator's IAM calls: {AGAIN}"))
        }
        Failure::Busy => later(Reason::AwsUnavailable, format!("IAM is busy with user {user}: {AGAIN}")),
        Failure::Absent => absent(identity, step),
        Failure::Refused { code } => later(Reason::AwsUnavailable, refused(user, code)),
        Failure::Unclear => later(
            Reason::AwsUnavailable,
            format!(
                "IAM gave no clear answer to a call for user {user}: {AGAIN}; if it lasts, look at the AWS status page \
                 and the network path"
            ),
        ),
        Failure::Exists | Failure::Conflict(_) => {
            later(Reason::Provisioning, format!("IAM user {user} changed meanwhile: starting over"))
        }
    }
}

fn no_session(identity: &Identity, role: &str) -> Step {
    let external_id = identity.role.as_ref().map(|role| role.external_id.as_str()).unwrap_or_default();
    let message = format!(
        "AWS denies the operator {ASSUME_ROLE} on {role}: the role's trust policy has to allow it to the \
         operator's role with the condition that sts:ExternalId is {external_id}, and the operator's own \
         policy has to allow it on this role"
    );
    blocked(Reason::AccessDenied, message)
}

fn absent(identity: &Identity, step: &Step) -> Step {
    if !matches!(step, Step::CreateUser | Step::PutBoundary) {
        let message = format!("IAM knows user {} and doesn't, by turns: {AGAIN}", identity.user.name);
        return wait(Reason::AwsUnavailable, None, message);
    }
    let boundary = identity.user.boundary.clone().unwrap_or_default();
    let message = format!(
        "the permissions boundary {boundary} does not exist: create it, or set the operator's \
         --permissions-boundary-name to a policy that exists"
    );
    blocked(Reason::BoundaryMissing, message)
}

fn limit(identity: &Identity, step: &Step) -> Step {
    let user = &identity.user.name;
    match step {
        Step::CreateUser => blocked(
            Reason::AccountLimitExceeded,
            format!(
                "account {} holds as many IAM users as it may, so user {user} can't be made: delete users that \
                 nothing needs, or raise the quota",
                identity.account
            ),
        ),
        Step::PutPolicy => blocked(
            Reason::PolicyTooLarge,
            format!(
                "IAM refuses the policy of user {user} as too large: list fewer or shorter entries in spec.policy"
            ),
        ),
        Step::MintKey => blocked(
            Reason::KeyQuotaExceeded,
            format!("IAM refuses another access key for user {user}: delete those that nothing uses"),
        ),
        _ => wait(Reason::AwsUnavailable, None, refused(user, "LimitExceeded")),
    }
}

fn refused(user: &str, code: &str) -> String {
    if code == NO_CREDENTIALS {
        return format!(
            "the operator has no AWS credentials at present, so nothing was asked of IAM for user {user}: {AGAIN}; \
             if it lasts, the operator's log says what was tried: look at its role's trust policy and at the token \
             that its pod is given"
        );
    }
    if SESSION_LOST.contains(&code) {
        return format!(
            "AWS doesn't take the operator's credentials ({code}), so nothing was done for user {user}: {AGAIN}; if \
             it lasts, give the operator others and restart it"
        );
    }
    format!("IAM refused a call for user {user} with code {code}: {AGAIN}; if it lasts, look the code up")
}

fn of_cluster(identity: &Identity, refusal: &Refusal) -> Step {
    let secret = identity.secret_path();
    match refusal {
        Refusal::Denied { right } => blocked(
            Reason::AccessDenied,
            format!(
                "Kubernetes denies the operator `{right}` in namespace {}: grant it",
                identity.owner.namespace
            ),
        ),
        Refusal::NamespaceTerminating => blocked(
            Reason::SecretRefused,
            format!(
                "namespace {} is being deleted, so Secret {secret} can't be made: nothing is to be done, this object \
                 goes with it",
                identity.owner.namespace
            ),
        ),
        Refusal::Refused { code } => blocked(
            Reason::SecretRefused,
            format!("the API server refused Secret {secret} ({code}): look at quotas and admission rules"),
        ),
        Refusal::Throttled => {
            wait(Reason::Throttled, None, format!("the API server asks to slow down: {AGAIN}"))
        }
        Refusal::Unclear => wait(
            Reason::ApiServerUnavailable,
            None,
            format!("the API server gave no clear answer: {AGAIN}; if it lasts, look at the control plane"),
        ),
        Refusal::NotFound => Step::End(End::Done { wake_at: None }),
        Refusal::Conflict | Refusal::Exists => {
            wait(Reason::Provisioning, None, "an object changed meanwhile: starting over".to_owned())
        }
    }
}

/// IAM may not know for a while a user that it has just made: the call is repeated after a pause.
pub fn lagging(view: &View) -> Option<Step> {
    let (count, last) = view.world.lag?;
    if count > MAX_LAG {
        let message = format!("IAM does not know the user that it has just made: {AGAIN}");
        return Some(wait(Reason::AwsUnavailable, None, message));
    }
    let settle = view.desired.identity.durations.settle;
    let until = after(last, settle.checked_div(3).unwrap_or(SignedDuration::ZERO));
    (view.now < until).then(|| pause(until, "waiting until IAM knows the new user"))
}
