//! IAM's errors: code, HTTP status and message. One home for every text the double answers with.

use std::borrow::Cow;

/// An error as IAM reports it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// IAM's error code, such as `NoSuchEntity`.
    pub code: Cow<'static, str>,
    /// The text for people.
    pub message: String,
}

impl ApiError {
    /// Any error, for injected faults.
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    pub(crate) fn no_such_user(name: &str) -> Self {
        Self::no_such_entity(format!("The user with name {name} cannot be found."))
    }

    pub(crate) fn no_such_key(id: &str) -> Self {
        Self::no_such_entity(format!("The Access Key with id {id} cannot be found."))
    }

    pub(crate) fn no_such_policy_arn(arn: &str) -> Self {
        Self::no_such_entity(format!("Policy {arn} does not exist or is not attachable."))
    }

    pub(crate) fn no_such_entity(message: impl Into<String>) -> Self {
        Self::new(404, "NoSuchEntity", message)
    }

    pub(crate) fn exists(kind: &str, name: &str) -> Self {
        Self::new(409, "EntityAlreadyExists", format!("{kind} with name {name} already exists."))
    }

    pub(crate) fn quota(what: &str, limit: usize) -> Self {
        Self::limit(format!("Cannot exceed quota for {what}: {limit}"))
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(409, "LimitExceeded", message)
    }

    pub(crate) fn delete_conflict(what: &str) -> Self {
        Self::new(409, "DeleteConflict", format!("Cannot delete entity, must {what} first."))
    }

    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidInput", message)
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    /// A value that breaks a constraint of the service model.
    pub(crate) fn constraint(value: &str, field: &str, constraint: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must {constraint}"
        ))
    }

    pub(crate) fn malformed_policy(message: impl Into<String>) -> Self {
        Self::new(400, "MalformedPolicyDocument", message)
    }

    pub(crate) fn report_missing() -> Self {
        Self::new(410, "ReportNotPresent", "No report exists. Use GenerateCredentialReport to make one.")
    }

    pub(crate) fn report_in_progress() -> Self {
        Self::new(404, "ReportInProgress", "The credential report is still being generated.")
    }

    pub(crate) fn report_expired() -> Self {
        Self::new(410, "ReportExpired", "The most recent report has expired. Use GenerateCredentialReport.")
    }

    pub(crate) fn access_denied(caller: &str, action: &str, resource: &str) -> Self {
        let message = format!(
            "User: {caller} is not authorized to perform: {action} on resource: {resource} \
             because no identity-based policy allows the {action} action"
        );
        Self::new(403, "AccessDenied", message)
    }

    pub(crate) fn throttled() -> Self {
        Self::new(400, "Throttling", "Rate exceeded")
    }

    /// Whose fault the error is, as the `Type` element says.
    pub(crate) fn fault_side(&self) -> &'static str {
        if self.status >= 500 { "Receiver" } else { "Sender" }
    }
}
