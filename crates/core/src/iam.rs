//! The words in which IAM answers: users, keys and failures, as the decisions need them.
//!
//! Owns no decision. The adapter in the operator translates AWS's replies into these types, tests
//! and models make them up.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::jiff::Timestamp;

use crate::key::KeyId;
use crate::region::Partition;

/// How long the operator takes IAM to lag behind itself. No bound is published; reports speak of
/// 5 to 15 seconds.
pub const SETTLE_SECONDS: i64 = 15;
/// Access keys that a user can hold, Inactive ones counted. IAM's quota, which can't be raised.
pub const KEYS_PER_USER: usize = 2;

/// The right that it takes to work in another account.
pub const ASSUME_ROLE: &str = "sts:AssumeRole";

/// Code of a refusal that is the operator's own: it has no AWS credentials, so nothing was sent.
pub const NO_CREDENTIALS: &str = "NoCredentials";
/// Codes by which AWS says that it doesn't take the credentials that a call was signed with.
pub const SESSION_LOST: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId"];

/// A user as `CreateUser` asks for it; everything that proves ownership is in that one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    /// User name, 1 to 64 characters.
    pub name: String,
    /// Path, with a slash at both ends.
    pub path: String,
    /// Tags; at most 50.
    pub tags: BTreeMap<String, String>,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
}

/// A user as `GetUser` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFacts {
    /// Stable id (`AIDA...`); another one after the user was deleted and made again.
    pub user_id: String,
    /// ARN.
    pub arn: String,
    /// Path.
    pub path: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
}

/// Whether a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// Works.
    Active,
    /// Does not work, and can be made to work again.
    Inactive,
    /// A state that this program doesn't know.
    Other,
}

/// A key as `ListAccessKeys` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// Id.
    pub id: KeyId,
    /// Status.
    pub status: KeyStatus,
    /// When IAM made it, by IAM's clock.
    pub created: Timestamp,
}

/// A reply of `ListAccessKeys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyList {
    /// All keys of the user.
    pub keys: Vec<ListedKey>,
    /// IAM's clock when it answered (the reply's `Date` header), against which ages are counted.
    pub server_time: Timestamp,
}

/// Whom the operator's AWS credentials belong to, as `GetCallerIdentity` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// 12-digit account id.
    pub account: String,
    /// Partition.
    pub partition: Partition,
}

/// What keeps a user from being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// Access keys.
    AccessKeys,
    /// Inline policies.
    InlinePolicies,
    /// Attached managed policies.
    AttachedPolicies,
    /// A console password.
    LoginProfile,
    /// Membership in groups.
    Groups,
    /// Anything else: certificates, SSH keys, service-specific credentials, MFA devices.
    Other,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessKeys => "access keys",
            Self::InlinePolicies => "inline policies",
            Self::AttachedPolicies => "attached managed policies",
            Self::LoginProfile => "a console password",
            Self::Groups => "group memberships",
            Self::Other => "certificates, SSH keys, service-specific credentials or MFA devices",
        })
    }
}

/// Why a call did not succeed. Every kind but [`Failure::Unclear`] is a clear "nothing was done".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `EntityAlreadyExists`.
    Exists,
    /// `NoSuchEntity`.
    Absent,
    /// `LimitExceeded`.
    Limit,
    /// `DeleteConflict`.
    Conflict(Blocker),
    /// `AccessDenied`: the right that is missing.
    Denied {
        /// Action such as `iam:CreateUser`.
        action: &'static str,
        /// The user or key that the call was about.
        resource: String,
    },
    /// `ConcurrentModification`, `EntityTemporarilyUnmodifiable`: later.
    Busy,
    /// Throttled until the pass ran out of time. Certainly not executed.
    Throttled,
    /// Any other clear refusal, by its error code.
    Refused {
        /// AWS's error code, cut to letters and digits.
        code: String,
    },
    /// No answer, half an answer or a server error: it may have been done, and may still be.
    Unclear,
}
