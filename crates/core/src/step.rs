//! The whole vocabulary of the operator: what it can be told to do, and what can come of it.

use k8s_openapi::jiff::Timestamp;

use crate::endpoint::Endpoint;
use crate::iam::{Failure, KeyList, UserFacts};
use crate::key::KeyId;
use crate::login::Login;
use crate::reason::Reason;
use crate::record::Record;
use crate::secret::SecretFacts;
use crate::source::{Problem, SourceFacts};

/// One thing to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the target Secret live and whole.
    ReadSecret,
    /// Read the Secret that the access key comes from.
    ReadSource,
    /// `GetUser`.
    ReadUser,
    /// `ListUsers` under our path: is the user there?
    FindUser,
    /// `ListAccessKeys`.
    ListKeys,
    /// `GetAccessKeyLastUsed`.
    ReadLastUsed(KeyId),
    /// `CreateUser`, with path, tags and boundary.
    CreateUser,
    /// `PutUserPermissionsBoundary`.
    PutBoundary,
    /// `TagUser` with the tags that the user should have.
    TagUser,
    /// `TagUser` with the mark of a user that was let go on purpose.
    TagReleased,
    /// `PutUserPolicy`.
    PutPolicy,
    /// `CreateAccessKey`: exactly one attempt.
    MintKey,
    /// `UpdateAccessKey` to Inactive.
    DeactivateKey(KeyId),
    /// `DeleteAccessKey`.
    DeleteKey(KeyId),
    /// `DetachUserPolicy` of a quarantine policy that AWS attached.
    DetachPolicy(String),
    /// `DeleteUserPolicy`.
    DeletePolicy,
    /// `DeleteUser`.
    DeleteUser,
    /// Put the finalizer on the object and record the account, in one conditional write.
    AddFinalizer {
        /// Account to record, 12 digits.
        account: String,
    },
    /// Take the finalizer off.
    RemoveFinalizer,
    /// Write the target Secret.
    WriteSecret(SecretWrite),
    /// Log in with a key at an SMTP endpoint and out again; no mail is sent.
    ProbeLogin(Probe),
    /// The minted key does not log in at a place: it will not be published.
    Reject {
        /// The key.
        key: KeyId,
        /// Region, host and port.
        place: String,
    },
    /// What an unclear outcome may have left behind has been looked for: the memo may drop it.
    Forget,
    /// Stay in the pass until then.
    Pause {
        /// When to go on.
        until: Timestamp,
        /// Reason, for the status.
        reason: Reason,
        /// What is waited for, for the status.
        message: String,
    },
    /// The pass is over.
    End(End),
}

impl Step {
    /// True for calls to IAM that need the user to be there.
    pub fn needs_user(&self) -> bool {
        matches!(
            self,
            Self::ReadUser
                | Self::ListKeys
                | Self::PutBoundary
                | Self::TagUser
                | Self::TagReleased
                | Self::PutPolicy
                | Self::MintKey
                | Self::DeactivateKey(_)
                | Self::DeleteKey(_)
                | Self::DetachPolicy(_)
                | Self::DeletePolicy
                | Self::DeleteUser
        )
    }
}

/// A login to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The key: the one minted in this pass, or the published one.
    pub key: KeyId,
    /// Where.
    pub endpoint: Endpoint,
}

/// A write of the target Secret. Every one is conditional (rule R2): on absence, or on the version
/// that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretWrite {
    /// Create it without data: the fence where there is no Secret.
    Placeholder(Record),
    /// Create it with the minted key's data.
    Create(Record),
    /// Write this attempt's nonce into the record: the fence where there is a Secret.
    Fence(Record),
    /// Replace the data by the minted key's.
    Publish(Record),
    /// Create it, or replace its data, with the source's key.
    Derive(Record),
    /// Write the record and nothing else.
    Annotate(Record),
    /// Restore owner, labels and annotations and, if asked, render the data again with the
    /// password that is found in them.
    Repair {
        /// The record to write.
        record: Record,
        /// True if the data are rendered again.
        render: bool,
    },
    /// Remove every tie to the operator.
    Release,
}

/// How a pass ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything is as it should be until then.
    Done {
        /// When something falls due.
        wake_at: Option<Timestamp>,
    },
    /// Not yet, and nobody has to act.
    Wait {
        /// When to look again; backing off if `None`.
        until: Option<Timestamp>,
        /// Reason.
        reason: Reason,
        /// What is waited for.
        message: String,
    },
    /// Somebody has to act. Looked at again now and then.
    Blocked {
        /// Reason.
        reason: Reason,
        /// What is wrong, what is allowed, what to do.
        message: String,
    },
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It was done.
    Done,
    /// The Secret as read, or as the API server returned it after a write.
    Secret(Box<SecretFacts>),
    /// There is no Secret.
    NoSecret,
    /// The key that the source holds, or why it holds none.
    Source(Result<Box<SourceFacts>, Problem>),
    /// The user.
    User(UserFacts),
    /// Whether the user is listed under our path.
    Listed(bool),
    /// The user's keys.
    Keys(KeyList),
    /// When a key was last used.
    LastUsed(Option<Timestamp>),
    /// A key was made.
    Minted(KeyId),
    /// How an SMTP endpoint answered a login.
    Login(Login),
    /// IAM said no, or nothing.
    Iam(Failure),
    /// The API server said no, or nothing.
    Cluster(Refusal),
}

/// Why a call to the API server did not succeed. All kinds but [`Refusal::Unclear`] are clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The version is not the one that was read.
    Conflict,
    /// An object of that name exists.
    Exists,
    /// No such object.
    NotFound,
    /// RBAC denies it.
    Denied {
        /// Verb and resource, such as `update secrets`.
        right: &'static str,
    },
    /// The namespace is being deleted.
    NamespaceTerminating,
    /// Too many requests. Certainly not executed.
    Throttled,
    /// Any other clear no: quota, admission, validation, by its machine-readable reason.
    Refused {
        /// `reason` of the API server's status, a word.
        code: String,
    },
    /// No answer, or a server error: it may have been done.
    Unclear,
}
