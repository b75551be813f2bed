//! What the account-wide reads of IAM show: every user at once, and every key slot.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use crate::iam::UserFacts;

/// A user as `GetAccountAuthorizationDetails` shows it. It shows no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Name.
    pub name: String,
    /// Path, tags, boundary and ids.
    pub facts: UserFacts,
    /// When it was made.
    pub created: Timestamp,
    /// Inline policies by name, each document as JSON text (not percent-encoded).
    pub inline: BTreeMap<String, String>,
    /// ARNs of attached managed policies.
    pub attached: Vec<String>,
    /// Names of the groups that it is in.
    pub groups: Vec<String>,
}

/// A page of users. It may be empty with more to follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserPage {
    /// The users.
    pub users: Vec<UserRow>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<String>,
}

/// A page of names of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePage {
    /// The names.
    pub names: Vec<String>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<String>,
}

/// Whether a credential report can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportState {
    /// It is being made.
    InProgress,
    /// It can be fetched.
    Complete,
}

/// The account's credential report. IAM makes one every four hours at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialReport {
    /// When it was made: what happened since isn't in it.
    pub generated: Timestamp,
    /// The keys of each user, by user name; none for a user without keys. The account's root is left out.
    pub users: BTreeMap<String, Vec<KeySlot>>,
}

/// A key of a user. The report shows no ids. By AWS's page a key that is Inactive may be missing: the
/// time of the first slot is given for "an active access key".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySlot {
    /// True if it is Active.
    pub active: bool,
    /// When it was made (`last_rotated`).
    pub created: Timestamp,
}
