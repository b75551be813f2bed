//! What has been seen and done so far in one pass, with "not looked yet" as a value.
//!
//! [`World::after`] folds the effect of a step in. It never decides, and it never guesses: an
//! unclear outcome is kept as unclear.

mod failures;
mod fold;
mod parts;

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::iam::{Failure, KeyList, ListedKey, UserFacts};
use crate::key::KeyId;
use crate::secret::SecretFacts;
use crate::source::{Problem, SourceFacts};
use crate::step::{Refusal, Step};

pub use parts::{
    Applied, Attempt, Basis, Fence, KeyLogin, Logins, Memo, Minted, Publish, Quarantine, Rejected, Reported,
    Suspicion, Teardown,
};

/// The custom resource's own facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFacts {
    /// True if our finalizer is on it.
    pub finalizer: bool,
    /// Account recorded on it.
    pub account: Option<String>,
    /// What its status reports of logins. It spares a look after a restart, and is no reason for
    /// anything else.
    pub logins: Vec<Reported>,
}

/// The target Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretView {
    /// Not seen: the cache shows none, or what was seen is known to be outdated.
    Unlooked,
    /// As the metadata cache shows it.
    Cached(Box<SecretFacts>),
    /// As a live read, or the reply to our own write, shows it.
    Live(Box<SecretFacts>),
    /// A live read showed none.
    Absent {
        /// When.
        at: Timestamp,
    },
}

/// The Secret that the access key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceView {
    /// Not seen: the watch shows none that consents, or there is no source.
    Unlooked,
    /// As the watch shows it: its version.
    Cached(String),
    /// As read live in this pass, with the passwords in the pass's hands if it holds a key.
    Read(Result<Box<SourceFacts>, Problem>),
}

/// The IAM user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserView {
    /// Not looked yet.
    Unlooked,
    /// Made by this very pass: for a while it holds no key that this pass didn't mint.
    Fresh {
        /// When.
        at: Timestamp,
    },
    /// `CreateUser` said that the name is taken.
    Exists,
    /// The name is taken by a user that is not under our path.
    Elsewhere,
    /// Read.
    Found(UserFacts),
    /// A call said that there is no such user.
    Missing {
        /// When it was first said in this pass.
        first: Timestamp,
        /// When it was last said. Believed once a settle time lies between the two (rule R6).
        last: Timestamp,
    },
}

/// A list of keys and when this pass asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The list, without what this pass deleted since.
    pub list: KeyList,
    /// When.
    pub at: Timestamp,
}

impl Listing {
    /// The key with this id.
    pub fn get(&self, id: &KeyId) -> Option<&ListedKey> {
        self.list.keys.iter().find(|key| &key.id == id)
    }

    /// Age of a key at `now`, by IAM's own clock.
    pub fn age(&self, key: &ListedKey, now: Timestamp) -> SignedDuration {
        let when_listed = self.list.server_time.duration_since(key.created);
        when_listed.saturating_add(now.duration_since(self.at))
    }
}

/// A failure that wasn't folded into what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// IAM's.
    Iam(Failure),
    /// The API server's.
    Cluster(Refusal),
}

/// What has been seen and done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// When the pass began.
    pub began: Timestamp,
    /// The custom resource.
    pub object: ObjectFacts,
    /// The target Secret.
    pub secret: SecretView,
    /// The Secret that the access key comes from.
    pub source: SourceView,
    /// The IAM user.
    pub user: UserView,
    /// Lists of the user's keys, oldest first.
    pub listings: Vec<Listing>,
    /// How many lists had been taken when the Secret was last found absent.
    pub absent_after: usize,
    /// When keys were last used, as far as it was asked.
    pub last_used: BTreeMap<KeyId, Option<Timestamp>>,
    /// What was put in force in IAM.
    pub applied: Applied,
    /// The try to replace the key.
    pub attempt: Attempt,
    /// The teardown.
    pub teardown: Teardown,
    /// How often, and when last, IAM did not know a user that this pass had made.
    pub lag: Option<(u32, Timestamp)>,
    /// The pass is to end soon: its time is up, or the process is asked to stop.
    pub ending: bool,
    /// IAM didn't know a user that it had shown in this pass.
    pub contradicted: bool,
    /// The failure that ends the pass, and the step that it befell.
    pub failed: Option<(Step, Failed)>,
    /// Mutating steps that were done, in order, for the event.
    pub did: Vec<Step>,
    /// Whether the user was listed under our path after a call on it was denied.
    pub listed: Option<bool>,
    /// A call on the user was denied, and it was not listed under our path: it is not there, or elsewhere.
    pub unlisted: bool,
    /// The pass looks into what the sweep found amiss with the user.
    pub drift: bool,
    /// What is remembered.
    pub memo: Memo,
}

impl World {
    /// A world in which nothing has been asked yet.
    pub fn new(
        object: ObjectFacts,
        cached: Option<SecretFacts>,
        memo: Memo,
        nonce: String,
        now: Timestamp,
    ) -> Self {
        let mut world = Self {
            began: now,
            object,
            secret: SecretView::Unlooked,
            source: SourceView::Unlooked,
            user: UserView::Unlooked,
            listings: Vec::new(),
            absent_after: 0,
            last_used: BTreeMap::new(),
            applied: Applied::default(),
            attempt: Attempt {
                nonce,
                fence: None,
                basis: None,
                conflicts: 0,
                minted: None,
                logins: Logins::default(),
                publish: Publish::NotSent,
            },
            teardown: Teardown::default(),
            lag: None,
            contradicted: false,
            ending: false,
            failed: None,
            did: Vec::new(),
            listed: None,
            unlisted: false,
            drift: memo.suspicion.user || memo.suspicion.policy,
            memo,
        };
        if let Some(facts) = cached {
            world.see(&facts);
            world.secret = SecretView::Cached(Box::new(facts));
        }
        world
    }

    /// The same, with the version of the source that the watch shows.
    #[must_use]
    pub fn watching(self, source: Option<String>) -> Self {
        Self { source: source.map_or(SourceView::Unlooked, SourceView::Cached), ..self }
    }

    /// The version of the source that this pass goes by.
    pub fn source_version(&self) -> Option<&str> {
        match &self.source {
            SourceView::Cached(version) => Some(version),
            SourceView::Read(Ok(facts)) => Some(&facts.version),
            SourceView::Unlooked | SourceView::Read(Err(_)) => None,
        }
    }

    /// The Secret, cached or live.
    pub fn secret(&self) -> Option<&SecretFacts> {
        match &self.secret {
            SecretView::Cached(facts) | SecretView::Live(facts) => Some(facts),
            SecretView::Unlooked | SecretView::Absent { .. } => None,
        }
    }

    /// The latest list of keys.
    pub fn keys(&self) -> Option<&Listing> {
        self.listings.last()
    }
}
