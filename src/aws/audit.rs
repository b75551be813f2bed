//! The audit log: one line for each call that changes something at AWS, whatever came of it.
//!
//! Owns the fields of a line, and for whom calls are made. It sees no body, no message and no secret.

use std::future::Future;

use ses_smtp_core::key::KeyId;

/// The target of the lines.
pub const TARGET: &str = "audit";

/// The object that calls are made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

tokio::task_local! {
    static SUBJECT: Subject;
}

/// Runs `work`; the audit lines of its calls name `subject`. Beside the calls' own arguments, because no
/// call is to depend on it.
pub async fn on_behalf_of<F: Future>(subject: Subject, work: F) -> F::Output {
    SUBJECT.scope(subject, work).await
}

/// One call, as it is told.
pub(super) struct Line<'a> {
    pub(super) action: &'static str,
    pub(super) account: &'a str,
    pub(super) user: &'a str,
    pub(super) key: Option<&'a KeyId>,
    pub(super) outcome: &'static str,
    pub(super) error_code: Option<&'a str>,
    pub(super) request_id: Option<&'a str>,
}

impl Line<'_> {
    /// Writes the line. What isn't known is left out.
    pub(super) fn write(&self) {
        let subject = SUBJECT.try_with(Subject::clone).ok();
        let subject = subject.as_ref();
        tracing::info!(
            target: TARGET,
            action = self.action,
            account = self.account,
            user = self.user,
            access_key_id = self.key.map(KeyId::as_str),
            namespace = subject.map(|subject| subject.namespace.as_str()),
            name = subject.map(|subject| subject.name.as_str()),
            uid = subject.map(|subject| subject.uid.as_str()),
            outcome = self.outcome,
            error_code = self.error_code,
            request_id = self.request_id,
            "IAM call"
        );
    }
}
