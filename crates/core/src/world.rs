//! What has been seen and done so far in one pass, with "not looked yet" as a value.
//!
//! [`World::after`] folds the effect of a step in. It never decides, and it never guesses: an
//! unclear outcome is kept as unclear.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::iam::{Blocker, Failure, KeyList, KeyStatus, ListedKey, UserFacts};
use crate::key::KeyId;
use crate::secret::SecretFacts;
use crate::step::{Effect, Refusal, SecretWrite, Step};

/// The custom resource's own facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFacts {
    /// True if our finalizer is on it.
    pub finalizer: bool,
    /// Account recorded on it.
    pub account: Option<String>,
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

/// The IAM user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserView {
    /// Not looked yet.
    Unlooked,
    /// Made by this very pass, so it holds no key that this pass didn't mint.
    Fresh,
    /// `CreateUser` said that the name is taken.
    Exists,
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
    /// When the user was first proved to exist.
    pub user_seen: Option<Timestamp>,
}

impl Memo {
    /// True if keys may be left over.
    pub fn is_dirty(&self) -> bool {
        self.retry || self.unclear.is_some()
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
    /// The IAM user.
    pub user: UserView,
    /// Lists of the user's keys, oldest first.
    pub listings: Vec<Listing>,
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
    /// The failure that ends the pass, and the step that it befell.
    pub failed: Option<(Step, Failed)>,
    /// Mutating steps that were done, in order, for the event.
    pub did: Vec<Step>,
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
            user: UserView::Unlooked,
            listings: Vec::new(),
            last_used: BTreeMap::new(),
            applied: Applied::default(),
            attempt: Attempt {
                nonce,
                fence: None,
                basis: None,
                conflicts: 0,
                minted: None,
                publish: Publish::NotSent,
            },
            teardown: Teardown::default(),
            lag: None,
            ending: false,
            failed: None,
            did: Vec::new(),
            memo,
        };
        if let Some(facts) = cached {
            world.see(&facts);
            world.secret = SecretView::Cached(Box::new(facts));
        }
        world
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

    /// The world after `step` had `effect`.
    #[must_use]
    pub fn after(mut self, step: &Step, effect: Effect, now: Timestamp) -> Self {
        match effect {
            Effect::Done => self.done(step, now),
            Effect::Secret(facts) => self.secret_seen(step, *facts, now),
            Effect::NoSecret => self.secret = SecretView::Absent { at: now },
            Effect::User(facts) => self.found(facts, now),
            Effect::Keys(list) => self.listings.push(Listing { list, at: now }),
            Effect::LastUsed(at) => self.used(step, at),
            Effect::Minted(id) => self.minted(id, now),
            Effect::Iam(failure) => self.iam_failed(step, failure, now),
            Effect::Cluster(refusal) => self.refused(step, refusal, now),
        }
        self
    }

    fn done(&mut self, step: &Step, now: Timestamp) {
        match step {
            Step::CreateUser => self.created(now),
            Step::PutPolicy => self.applied.policy = true,
            Step::TagUser => self.applied.tags = true,
            Step::PutBoundary => self.applied.boundary = true,
            Step::TagReleased => self.teardown.tagged = true,
            Step::DeactivateKey(id) => self.set_inactive(id),
            Step::DeleteKey(id) => self.deleted(id, true),
            Step::DeletePolicy => self.teardown.policy_gone = true,
            Step::DeleteUser => self.teardown.user_gone = true,
            Step::AddFinalizer { account } => {
                self.object = ObjectFacts { finalizer: true, account: Some(account.clone()) };
            }
            Step::RemoveFinalizer => self.object.finalizer = false,
            Step::Forget => self.forget(),
            _ => {}
        }
        if !matches!(step, Step::Pause { .. } | Step::Forget) {
            self.did.push(step.clone());
        }
    }

    fn created(&mut self, now: Timestamp) {
        self.user = UserView::Fresh;
        self.applied = Applied { policy: false, tags: true, boundary: true };
        self.memo.user_seen.get_or_insert(now);
    }

    fn found(&mut self, facts: UserFacts, now: Timestamp) {
        self.user = UserView::Found(facts);
        self.memo.user_seen.get_or_insert(now);
    }

    fn used(&mut self, step: &Step, at: Option<Timestamp>) {
        if let Step::ReadLastUsed(id) = step {
            self.last_used.insert(id.clone(), at);
        }
    }

    fn minted(&mut self, id: KeyId, now: Timestamp) {
        self.attempt.minted = Some(Minted { id, at: now, discarded: false });
        self.did.push(Step::MintKey);
    }

    fn forget(&mut self) {
        self.memo.retry = false;
        self.memo.unclear = None;
    }

    fn set_inactive(&mut self, id: &KeyId) {
        let listed = self.listings.last_mut().into_iter().flat_map(|listing| &mut listing.list.keys);
        for key in listed.filter(|key| &key.id == id) {
            key.status = KeyStatus::Inactive;
        }
    }

    /// A key is gone; `proof` if it was there until this very call.
    fn deleted(&mut self, id: &KeyId, proof: bool) {
        for listing in &mut self.listings {
            listing.list.keys.retain(|key| &key.id != id);
        }
        if let Some(minted) = self.attempt.minted.as_mut().filter(|minted| &minted.id == id) {
            minted.discarded = true;
        }
        self.teardown.proven |= proof;
        self.teardown.deleted.insert(id.clone());
    }

    fn see(&mut self, facts: &SecretFacts) {
        let previous = facts.record.previous_key().map(|previous| previous.key.clone());
        self.memo.seen.extend(facts.record.key.clone().into_iter().chain(previous));
        if facts.content.is_some() && facts.record.is_complete() && facts.is_consistent() {
            self.memo.believed = Some(facts.resource_version.clone());
        }
    }

    fn secret_seen(&mut self, step: &Step, facts: SecretFacts, now: Timestamp) {
        let before = self.secret().and_then(SecretFacts::published).cloned();
        if let Step::WriteSecret(write) = step {
            self.written(write, before, now);
            self.did.push(step.clone());
        }
        let content = facts.content.clone().or_else(|| self.content());
        let facts = SecretFacts { content, ..facts };
        self.see(&facts);
        self.secret = SecretView::Live(Box::new(facts));
    }

    /// The content that was read before: a write of the record alone leaves it as it is, since it
    /// is conditional on the version that was read.
    fn content(&self) -> Option<crate::secret::Content> {
        self.secret().and_then(|facts| facts.content.clone())
    }

    fn written(&mut self, write: &SecretWrite, published: Option<KeyId>, now: Timestamp) {
        match write {
            SecretWrite::Placeholder(_) | SecretWrite::Fence(_) => {
                self.attempt.fence = Some(Fence { published });
                self.attempt.basis = None;
            }
            SecretWrite::Create(_) | SecretWrite::Publish(_) => self.published(now),
            SecretWrite::Release => self.teardown.secret_released = true,
            SecretWrite::Annotate(_) | SecretWrite::Repair { .. } => {}
        }
    }

    /// A replacement for a password that was lost counts against the next; an ordinary one doesn't.
    fn published(&mut self, now: Timestamp) {
        self.attempt.publish = Publish::Landed;
        let rotated = self.secret().is_some_and(SecretFacts::is_consistent);
        let provisioned = matches!(self.user, UserView::Fresh);
        if !rotated && !provisioned {
            let count = self.memo.losses.map_or(0, |(count, _)| count);
            self.memo.losses = Some((count.saturating_add(1), now));
        }
    }

    fn iam_failed(&mut self, step: &Step, failure: Failure, now: Timestamp) {
        match (step, &failure) {
            (Step::CreateUser, Failure::Exists) => self.user = UserView::Exists,
            (Step::DeleteKey(id) | Step::DeactivateKey(id), Failure::Absent) => self.deleted(id, false),
            (Step::DeletePolicy, Failure::Absent) => self.teardown.policy_gone = true,
            (Step::DeleteUser, Failure::Absent) => self.teardown.user_gone = true,
            (Step::DeleteUser, Failure::Conflict(blocker)) => self.blocked(*blocker, now),
            (Step::ReadLastUsed(id), Failure::Absent) => {
                self.last_used.insert(id.clone(), None);
            }
            (Step::CreateUser, Failure::Absent) => self.fail(step, Failed::Iam(failure)),
            (_, Failure::Absent) => self.user_unknown(now),
            _ => {
                self.note_unclear(step, &failure, now);
                self.fail(step, Failed::Iam(failure));
            }
        }
    }

    fn blocked(&mut self, blocker: Blocker, now: Timestamp) {
        self.teardown.blocker = Some((blocker, now));
        self.teardown.conflicts += 1;
    }

    /// IAM doesn't know the user: it lags behind our own `CreateUser`, or the user is gone.
    fn user_unknown(&mut self, now: Timestamp) {
        match self.user {
            UserView::Fresh => self.lag = Some((self.lag.map_or(1, |(count, _)| count + 1), now)),
            UserView::Missing { first, .. } => self.user = UserView::Missing { first, last: now },
            _ => self.user = UserView::Missing { first: now, last: now },
        }
    }

    fn note_unclear(&mut self, step: &Step, failure: &Failure, now: Timestamp) {
        let key_call = matches!(step, Step::MintKey | Step::DeleteKey(_));
        if key_call && *failure == Failure::Unclear {
            self.memo.unclear = Some(now);
        }
        self.memo.retry |= key_call;
    }

    fn fail(&mut self, step: &Step, failed: Failed) {
        self.failed = Some((step.clone(), failed));
    }

    fn refused(&mut self, step: &Step, refusal: Refusal, now: Timestamp) {
        match (step, &refusal) {
            (Step::RemoveFinalizer, Refusal::NotFound) => self.object.finalizer = false,
            (Step::WriteSecret(SecretWrite::Release), Refusal::NotFound) => {
                self.teardown.secret_released = true;
            }
            (Step::WriteSecret(write), Refusal::Conflict | Refusal::NotFound | Refusal::Exists) => {
                self.outdated(write, step, refusal);
            }
            (Step::WriteSecret(write), _) => {
                self.note_publish(write, &refusal, now);
                self.fail(step, Failed::Cluster(refusal));
            }
            _ => self.fail(step, Failed::Cluster(refusal)),
        }
    }

    /// The Secret is not as it was read: what was seen of it is dropped, so it is read again.
    fn outdated(&mut self, write: &SecretWrite, step: &Step, refusal: Refusal) {
        self.attempt.conflicts += 1;
        match write {
            SecretWrite::Fence(_) => self.attempt.basis = self.secret().map(Basis::of),
            SecretWrite::Create(_) => {
                self.attempt.publish = Publish::Refused;
                self.memo.retry = true;
                self.fail(step, Failed::Cluster(refusal));
            }
            SecretWrite::Placeholder(_) => self.fail(step, Failed::Cluster(refusal)),
            _ => {}
        }
        self.secret = SecretView::Unlooked;
    }

    fn note_publish(&mut self, write: &SecretWrite, refusal: &Refusal, now: Timestamp) {
        if !matches!(write, SecretWrite::Create(_) | SecretWrite::Publish(_)) {
            return;
        }
        self.memo.retry = true;
        if *refusal == Refusal::Unclear {
            self.attempt.publish = Publish::Unclear;
            self.memo.unclear = Some(now);
        } else {
            self.attempt.publish = Publish::Refused;
        }
    }
}
