//! Translates what the SDK reports into the core's [`Failure`].
//!
//! Owns the reading of error codes. The line that matters runs between "certainly not done" and
//! "unclear": whatever is not a well-formed refusal by the service is unclear.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use http_body_util::LengthLimitError;
use ses_smtp_core::iam::{ASSUME_ROLE, Blocker, Failure, NO_CREDENTIALS};

use super::Action;
use crate::causes::{causes, is_of};

/// The longest error code that is passed on.
const MAX_CODE: usize = 64;
/// The code given when the SDK could not build the request.
const NOT_SENT: &str = "RequestNotBuilt";
/// The code given to a call that was not sent because this process doesn't hold the lease.
const NOT_LEADING: &str = "NotLeading";
/// The code given when STS gave no usable answer to the wish for a role's session.
const NO_SESSION: &str = "NoAnswerFromSts";

/// What kept a call from being answered, for the log: nothing of what a reply said, since any reply may
/// hold a secret. `None` where the service answered.
pub(super) fn hindrance<E>(error: &SdkError<E, HttpResponse>) -> Option<String>
where
    E: Error + 'static,
{
    match error {
        SdkError::DispatchFailure(failure) => failure.as_connector_error().map(|error| causes(error)),
        SdkError::TimeoutError(_) => Some("no whole answer in time".to_owned()),
        SdkError::ResponseError(_) if is_of::<LengthLimitError>(error) => {
            Some("the answer is longer than any of IAM's: not read to its end".to_owned())
        }
        SdkError::ResponseError(_) => Some("the answer can't be read".to_owned()),
        _ => None,
    }
}

/// The failure of a call of `action` on `resource` (a user's name).
pub(super) fn failure<E>(action: Action, resource: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => not_sent(),
        SdkError::DispatchFailure(_) if lacks_credentials(error) => refused(NO_CREDENTIALS),
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let said = service.err();
            answered(action, resource, status, said.code(), said.message().unwrap_or_default())
        }
        _ => Failure::Unclear,
    }
}

/// The code that AWS gave, or the one for a call that was not sent; for the audit log.
pub(super) fn code<E>(error: &SdkError<E, HttpResponse>) -> Option<String>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => Some(NOT_SENT.to_owned()),
        SdkError::DispatchFailure(_) if lacks_credentials(error) => Some(NO_CREDENTIALS.to_owned()),
        SdkError::ServiceError(service) => service.err().code().map(plain),
        _ => None,
    }
}

/// The failure that an answer with `status`, error `code` and `message` stands for.
fn answered(action: Action, resource: &str, status: u16, code: Option<&str>, message: &str) -> Failure {
    if status == 429 {
        return Failure::Throttled;
    }
    match code {
        Some("Throttling" | "ThrottlingException" | "RequestLimitExceeded") => Failure::Throttled,
        // A server error may come after the effect, and without a code it isn't IAM's answer.
        None => Failure::Unclear,
        Some(_) if !(400..500).contains(&status) => Failure::Unclear,
        Some("EntityAlreadyExists") => Failure::Exists,
        Some("NoSuchEntity" | "ReportNotPresent" | "ReportExpired") => Failure::Absent,
        Some("LimitExceeded") => Failure::Limit,
        Some("DeleteConflict") => Failure::Conflict(blocker(message)),
        Some("ConcurrentModification" | "EntityTemporarilyUnmodifiable" | "ReportInProgress") => {
            Failure::Busy
        }
        Some("AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation") => {
            Failure::Denied { action: denied_right(action, message), resource: resource.to_owned() }
        }
        Some(code) => refused(code),
    }
}

/// The failure of an `AssumeRole`: clear in any case, since nothing was asked of IAM.
pub(super) fn not_assumed<E>(role: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    // What is read is the same for every service; only the right that a denial is about differs.
    match failure(Action::GetUser, role, error) {
        Failure::Denied { resource, .. } => Failure::Denied { action: ASSUME_ROLE, resource },
        Failure::Throttled => Failure::Throttled,
        Failure::Refused { code } => Failure::Refused { code },
        _ => no_session(),
    }
}

/// The failure of a call that this process may not send: it doesn't hold the lease.
pub(super) fn not_leading() -> Failure {
    refused(NOT_LEADING)
}

/// The failure where no session of a role could be begun, for no reason that AWS gives.
pub(super) fn no_session() -> Failure {
    refused(NO_SESSION)
}

/// The failure of a call that could not be put together.
pub(super) fn not_sent() -> Failure {
    refused(NOT_SENT)
}

fn refused(code: &str) -> Failure {
    Failure::Refused { code: plain(code) }
}

/// A code, without anything that isn't one's.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).take(MAX_CODE).collect()
}

/// What IAM's `DeleteConflict` complains about. The kind is told in the message only.
fn blocker(message: &str) -> Blocker {
    let message = message.to_ascii_lowercase();
    let names = |word| message.contains(word);
    if names("access key") {
        Blocker::AccessKeys
    } else if names("login profile") {
        Blocker::LoginProfile
    } else if names("group") {
        Blocker::Groups
    } else if names("detach") || names("attached polic") {
        Blocker::AttachedPolicies
    } else if names("polic") {
        Blocker::InlinePolicies
    } else {
        Blocker::Other
    }
}

/// The right that the denial names, if it is one that the operator knows: `CreateUser` with tags is
/// also denied for want of `iam:TagUser`.
fn denied_right(action: Action, message: &str) -> &'static str {
    let named = |right: &&str| message.split_whitespace().any(|word| word == *right);
    Action::ALL.map(Action::right).iter().find(|right| named(right)).copied().unwrap_or(action.right())
}

/// True if the SDK gave up while it looked for credentials, before anything was sent.
pub(super) fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    is_of::<CredentialsError>(error)
}
