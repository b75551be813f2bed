//! The parts of a world that only a pass under way has: its attempt, its teardown, its memory.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use crate::iam::Blocker;
use crate::key::KeyId;
use crate::secret::SecretFacts;

/// What this pass has put in force in IAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Policy.
    pub policy: bool,
    /// Tags.
    pub tags: bool,
    /// Boundary.
    pub boundary: bool,
}

/// What became of the publishing write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publish {
    /// Not sent.
    #[default]
    NotSent,
    /// The Secret names the minted key.
    Landed,
    /// Clearly refused.
    Refused,
    /// No answer: the Secret may name the minted key, now or soon.
    Unclear,
}

/// What the Secret said when the fence was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The key that the Secret named then.
    pub published: Option<KeyId>,
    /// How many lists of keys had been taken before. Later ones may show keys that a newer attempt
    /// is about to publish (rule R1).
    pub listings: usize,
}

/// The key-naming parts of a Secret, which must not have moved between a plan and its fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Published key of the record.
    pub key: Option<KeyId>,
    /// Previous key of the record.
    pub previous: Option<KeyId>,
    /// Key that the data name.
    pub names: Option<KeyId>,
    /// Nonce of an attempt.
    pub attempt: Option<String>,
}

impl Basis {
    /// The parts of `facts`.
    pub fn of(facts: &SecretFacts) -> Self {
        Self {
            key: facts.record.key.clone(),
            previous: facts.record.previous_key().map(|previous| previous.key.clone()),
            names: facts.content.as_ref().and_then(|content| content.names.clone()),
            attempt: facts.record.attempt.clone(),
        }
    }
}

/// A key that this pass made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// Id.
    pub id: KeyId,
    /// When the reply came.
    pub at: Timestamp,
    /// True once it was deleted again.
    pub discarded: bool,
}

/// One try to replace the published key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Nonce of this pass.
    pub nonce: String,
    /// The fence, once it stands.
    pub fence: Option<Fence>,
    /// What the Secret said when a fence was refused as outdated.
    pub basis: Option<Basis>,
    /// Conditional writes that were refused as outdated.
    pub conflicts: u32,
    /// The key that was made.
    pub minted: Option<Minted>,
    /// What became of the publishing write.
    pub publish: Publish,
}

/// How far a teardown has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Teardown {
    /// A named key was really deleted, which proves the user to be ours.
    pub proven: bool,
    /// Keys that are gone.
    pub deleted: BTreeSet<KeyId>,
    /// The policy is gone.
    pub policy_gone: bool,
    /// The user is gone.
    pub user_gone: bool,
    /// The user was tagged as released.
    pub tagged: bool,
    /// The Secret was released.
    pub secret_released: bool,
    /// What kept the user from being deleted, and when IAM said so last.
    pub blocker: Option<(Blocker, Timestamp)>,
    /// How often IAM said so.
    pub conflicts: u32,
}

/// What a process remembers of an object between passes. Lost on a crash, by design.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memo {
    /// Keys that this process saw the Secret name, as published or as previous.
    pub seen: BTreeSet<KeyId>,
    /// Version of the Secret whose data were read and found to be what the record says.
    pub believed: Option<String>,
    /// When a call that may have made or published a key last had an unclear outcome.
    pub unclear: Option<Timestamp>,
    /// A sent mint or a publishing write did not succeed: keys may be left over.
    pub retry: bool,
    /// How often a lost password was replaced, and when last.
    pub losses: Option<(u32, Timestamp)>,
    /// The published key, while the last list that showed it showed it Inactive.
    pub inactive: Option<KeyId>,
    /// When the user was first proved to exist.
    pub user_seen: Option<Timestamp>,
}

impl Memo {
    /// True if keys may be left over.
    pub fn is_dirty(&self) -> bool {
        self.retry || self.unclear.is_some()
    }
}
