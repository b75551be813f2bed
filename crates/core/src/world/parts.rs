//! The parts of a world that only a pass under way has: its attempt, its teardown, its memory.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use crate::iam::Blocker;
use crate::key::KeyId;
use crate::login::Login;
use crate::secret::SecretFacts;
use crate::source::SourceFacts;

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
    /// What logins with it have shown.
    pub logins: Logins,
    /// What became of the publishing write.
    pub publish: Publish,
}

/// Most places of which logins are remembered: more than a spec can name.
const MAX_PLACES: usize = 32;

/// What logins with one key have shown, by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logins(BTreeMap<String, KeyLogin>);

impl Logins {
    /// What logins with `key` at `place` have shown.
    pub fn get(&self, key: &KeyId, place: &str) -> Option<&KeyLogin> {
        self.0.get(place).filter(|login| login.key == *key)
    }

    /// Takes in an answer. What is known of another key is no longer asked for.
    pub fn answered(&mut self, key: &KeyId, place: String, answer: Login, at: Timestamp) {
        self.0.retain(|_, login| login.key == *key);
        let before = self.0.remove(&place);
        let tries = before.as_ref().map_or(1, |login| login.tries.saturating_add(1));
        let refused = answer == Login::Refused || before.is_some_and(|login| login.refused);
        self.0.insert(place, KeyLogin { key: key.clone(), answer, at, tries, refused });
        // Places that left the spec are not worth more than this.
        if self.0.len() > MAX_PLACES {
            let oldest = self.0.iter().min_by_key(|(_, login)| login.at).map(|(place, _)| place.clone());
            self.0.retain(|place, _| Some(place) != oldest.as_ref());
        }
    }
}

/// What logins with a key at a place have shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLogin {
    /// The key.
    pub key: KeyId,
    /// The latest answer.
    pub answer: Login,
    /// When it came.
    pub at: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// True if SES refused one of the logins.
    pub refused: bool,
}

/// What the status reports of a login with the published key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The key.
    pub key: KeyId,
    /// Region, host and port.
    pub place: String,
    /// True if it was accepted, false if it was refused for good.
    pub accepted: bool,
}

/// A key that was made and not published because it did not log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The key.
    pub key: KeyId,
    /// Region, host and port.
    pub place: String,
    /// The last answer.
    pub answer: Login,
    /// When it was given up.
    pub at: Timestamp,
    /// How many keys in a row fared so.
    pub count: u32,
}

/// What a look at the whole account found amiss, to be looked into by a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspicion {
    /// The user is gone, or its path, tags or boundary are not what they should be.
    pub user: bool,
    /// The inline policy is not what it should be.
    pub policy: bool,
    /// The keys are not what the record says.
    pub keys: bool,
    /// AWS found one of the keys in public and attached a quarantine policy.
    pub quarantine: Option<Quarantine>,
    /// The record speaks of a quarantine that is no longer there.
    pub lifted: bool,
}

impl Suspicion {
    /// Both together. A quarantine counts from when it was first seen.
    pub fn add(&mut self, other: Self) {
        self.user |= other.user;
        self.policy |= other.policy;
        self.keys |= other.keys;
        self.lifted |= other.lifted;
        self.quarantine = self.quarantine.take().or(other.quarantine);
    }
}

/// A quarantine policy on the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// ARN of the policy.
    pub policy: String,
    /// When it was first seen: every key made before may be the one that leaked.
    pub since: Timestamp,
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
    /// Quarantine policies that aren't attached, or no longer.
    pub detached: BTreeSet<String>,
    /// IAM still spoke of attached policies after that.
    pub detached_in_vain: bool,
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
    /// The key that the source held when it was last read.
    pub source: Option<Box<SourceFacts>>,
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
    /// What logins with the published key have shown.
    pub logins: Logins,
    /// The last key that was given up because it did not log in.
    pub rejected: Option<Rejected>,
    /// When the previous key was last used, as far as it was asked.
    pub last_used: Option<(KeyId, Timestamp)>,
    /// What the sweep found amiss.
    pub suspicion: Suspicion,
    /// When a quarantine was last lifted: what was seen before speaks of that one.
    pub lifted_at: Option<Timestamp>,
}

impl Memo {
    /// Takes in what the sweep has raised. A quarantine that was seen before the last one was lifted
    /// is that one.
    pub fn suspect(&mut self, raised: Suspicion) {
        let lifted = |quarantine: &Quarantine| self.lifted_at.is_some_and(|at| quarantine.since <= at);
        let quarantine = raised.quarantine.filter(|quarantine| !lifted(quarantine));
        self.suspicion.add(Suspicion { quarantine, ..raised });
    }

    /// True if keys may be left over.
    pub fn is_dirty(&self) -> bool {
        self.retry || self.unclear.is_some() || self.suspicion.keys
    }
}
