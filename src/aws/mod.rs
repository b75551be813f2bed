//! AWS as the operator meets it: one verb per IAM call, and who the caller is.
//!
//! Owns the calls, the translation of AWS's answers into the core's words, and the pace of calling.
//! It must not branch on what a credential is or needs, and it never repeats a call whose outcome
//! is unclear: the only thing repeated here is a call that IAM throttled, which was not executed.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use k8s_openapi::jiff::Timestamp;
use ses_smtp_core::iam::{Failure, KeyList, UserFacts, UserSpec};
use ses_smtp_core::inventory::{CredentialReport, NamePage, ReportState, UserPage};
use ses_smtp_core::key::KeyId;
use ses_smtp_core::password::SecretAccessKey;

mod accounts;
mod action;
mod assume;
mod audit;
mod caller;
mod client;
mod details;
mod errors;
mod limiter;
mod login;
mod pace;
#[cfg(any(test, feature = "scaled-time"))]
pub mod readers;
mod reply;
mod report;
mod session;
mod smtp;
mod steady;
#[cfg(test)]
mod tests;
mod transport;

pub use accounts::Accounts;
pub use action::Action;
pub use assume::ASSUME_ROLE;
pub use audit::{Subject, TARGET as AUDIT_TARGET, on_behalf_of};
pub use caller::{Unidentified, identify};
pub use client::Client;
pub use limiter::Limited;
pub use login::{LoginProbe, ProbeError, SmtpProbe, SmtpServer};
pub use pace::Limits;
pub use reply::{CallRecorder, DENIED, THROTTLED};
pub use session::{SENSITIVE_BODIES, Session, reveals_bodies};

/// Most pages of a list of users that are read. Of IAM's full pages a hundredth would do; a list that
/// goes on is not IAM's.
pub const MAX_USER_PAGES: usize = 1000;

/// The answer to a call, on its way.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// A key as `CreateAccessKey` shows it, once.
#[derive(Debug)]
pub struct MintedKey {
    /// Id.
    pub id: KeyId,
    /// Secret half; wiped on drop.
    pub secret: SecretAccessKey,
    /// When IAM made it, by IAM's clock.
    pub created: Timestamp,
    /// IAM's clock when it answered: the reply's `Date` header, else `created`.
    pub server_time: Timestamp,
}

/// Whether `UpdateAccessKey` makes a key work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The key works.
    Active,
    /// The key does not work.
    Inactive,
}

/// IAM, one verb per API call.
///
/// Every call on a key names its user, because IAM takes the caller's own user when none is named
/// (rule S4). All failures are [`Failure`]; [`Failure::Unclear`] alone means that the call may have
/// been carried out.
pub trait Iam: Send + Sync + 'static {
    /// `CreateUser`, with path, tags and boundary in the one call.
    fn create_user<'a>(&'a self, user: &'a UserSpec) -> Reply<'a, ()>;

    /// `GetUser`.
    fn get_user<'a>(&'a self, user: &'a str) -> Reply<'a, UserFacts>;

    /// `PutUserPolicy`: replaces the whole inline policy.
    fn put_user_policy<'a>(&'a self, user: &'a str, policy: &'a str, document: &'a str) -> Reply<'a, ()>;

    /// `TagUser`: adds and replaces tags.
    fn tag_user<'a>(&'a self, user: &'a str, tags: &'a BTreeMap<String, String>) -> Reply<'a, ()>;

    /// `PutUserPermissionsBoundary`.
    fn put_user_permissions_boundary<'a>(&'a self, user: &'a str, boundary: &'a str) -> Reply<'a, ()>;

    /// `ListAccessKeys`, all pages, at most 100 keys.
    fn list_access_keys<'a>(&'a self, user: &'a str) -> Reply<'a, KeyList>;

    /// `CreateAccessKey`, in exactly one attempt (rule R5).
    fn create_access_key<'a>(&'a self, user: &'a str) -> Reply<'a, MintedKey>;

    /// `GetAccessKeyLastUsed`; `None` when IAM has seen no use. The call itself knows no user.
    fn get_access_key_last_used<'a>(&'a self, user: &'a str, key: &'a KeyId) -> Reply<'a, Option<Timestamp>>;

    /// `UpdateAccessKey`.
    fn update_access_key<'a>(&'a self, user: &'a str, key: &'a KeyId, to: Activity) -> Reply<'a, ()>;

    /// `DeleteAccessKey`.
    fn delete_access_key<'a>(&'a self, user: &'a str, key: &'a KeyId) -> Reply<'a, ()>;

    /// `DeleteUserPolicy`.
    fn delete_user_policy<'a>(&'a self, user: &'a str, policy: &'a str) -> Reply<'a, ()>;

    /// `DeleteUser`.
    fn delete_user<'a>(&'a self, user: &'a str) -> Reply<'a, ()>;

    /// `DetachUserPolicy` of a managed policy, by its ARN.
    fn detach_user_policy<'a>(&'a self, user: &'a str, policy_arn: &'a str) -> Reply<'a, ()>;

    /// `ListUsers` under `path`: the one page that begins at `marker`, or the first.
    fn list_users<'a>(&'a self, path: &'a str, marker: Option<&'a str>) -> Reply<'a, NamePage>;

    /// `GetAccountAuthorizationDetails` of users: the one page that begins at `marker`, or the first.
    /// A page may come back short, or empty, with more to follow.
    fn get_account_authorization_details<'a>(&'a self, marker: Option<&'a str>) -> Reply<'a, UserPage>;

    /// `GenerateCredentialReport`: has a report made, unless there is one that is young enough.
    fn generate_credential_report(&self) -> Reply<'_, ReportState>;

    /// `GetCredentialReport`. [`Failure::Absent`] if there is none or it has expired,
    /// [`Failure::Busy`] while it is being made.
    fn get_credential_report(&self) -> Reply<'_, CredentialReport>;
}
