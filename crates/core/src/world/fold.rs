//! Folds the effect of a step into a world. Nothing is decided here, and nothing guessed.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use crate::iam::{Blocker, Failure, KeyStatus, UserFacts};
use crate::key::KeyId;
use crate::login::Login;
use crate::secret::{Content, SecretFacts};
use crate::step::{Effect, Refusal, SecretWrite, Step};

use super::{
    Applied, Basis, Failed, Fence, KeyLogin, Listing, Minted, Publish, Rejected, SecretView, UserView, World,
};

impl World {
    /// The world after `step` had `effect`.
    #[must_use]
    pub fn after(mut self, step: &Step, effect: Effect, now: Timestamp) -> Self {
        match effect {
            Effect::Done => self.done(step, now),
            Effect::Secret(facts) => self.secret_seen(step, *facts, now),
            Effect::NoSecret => self.absent(now),
            Effect::User(facts) => self.found(facts, now),
            Effect::Listed(found) => self.user_listed(found, now),
            Effect::Keys(list) => self.listed(Listing { list, at: now }),
            Effect::LastUsed(at) => self.used(step, at),
            Effect::Minted(id) => self.minted(id, now),
            Effect::Login(answer) => self.answered(step, answer, now),
            Effect::Iam(failure) => self.iam_failed(step, failure, now),
            Effect::Cluster(refusal) => self.refused(step, refusal, now),
        }
        self
    }

    /// What a whole list doesn't show is nothing to remember.
    fn forget_what_is_gone(&mut self) {
        let named = self.secret().map(|facts| &facts.record);
        let named = named.into_iter().flat_map(|record| {
            record.key.iter().chain(record.previous_key().map(|previous| &previous.key)).cloned()
        });
        let listed = self.keys().into_iter().flat_map(|listing| &listing.list.keys).map(|key| key.id.clone());
        let kept: BTreeSet<KeyId> = named.chain(listed).collect();
        self.memo.seen.retain(|key| kept.contains(key));
    }

    fn absent(&mut self, now: Timestamp) {
        self.secret = SecretView::Absent { at: now };
        self.absent_after = self.listings.len();
    }

    fn done(&mut self, step: &Step, now: Timestamp) {
        match step {
            Step::CreateUser => self.created(now),
            Step::PutPolicy => {
                self.applied.policy = true;
                self.memo.suspicion.policy = false;
            }
            Step::TagUser => self.applied.tags = true,
            Step::PutBoundary => self.applied.boundary = true,
            Step::TagReleased => self.teardown.tagged = true,
            Step::DeactivateKey(id) => self.set_inactive(id),
            Step::DeleteKey(id) => self.deleted(id, true),
            Step::DeletePolicy => self.teardown.policy_gone = true,
            Step::DeleteUser => self.teardown.user_gone = true,
            Step::AddFinalizer { account } => {
                self.object.finalizer = true;
                self.object.account = Some(account.clone());
            }
            Step::RemoveFinalizer => self.object.finalizer = false,
            Step::DetachPolicy(policy) => self.detached(policy, now),
            Step::Reject(key) => self.reject(key, now),
            Step::Forget => self.forget(),
            _ => {}
        }
        if !matches!(step, Step::Pause { .. } | Step::Forget | Step::Reject(_)) {
            self.did.push(step.clone());
        }
    }

    fn created(&mut self, now: Timestamp) {
        self.user = UserView::Fresh { at: now };
        // What was listed were the keys of a user that is gone.
        self.listings.clear();
        self.applied = Applied { policy: false, tags: true, boundary: true };
        self.memo.user_seen.get_or_insert(now);
        self.memo.suspicion.user = false;
    }

    fn found(&mut self, facts: UserFacts, now: Timestamp) {
        self.user = UserView::Found(facts);
        self.memo.suspicion.user = false;
        self.memo.user_seen.get_or_insert(now);
    }

    /// A published key that somebody made Inactive is remembered until a list shows it otherwise.
    fn listed(&mut self, listing: Listing) {
        let published = self.secret().and_then(SecretFacts::published);
        if let Some(key) = published.and_then(|published| listing.get(published)) {
            self.memo.inactive = (key.status == KeyStatus::Inactive).then(|| key.id.clone());
        }
        self.listings.push(listing);
        self.forget_what_is_gone();
    }

    fn used(&mut self, step: &Step, at: Option<Timestamp>) {
        if let Step::ReadLastUsed(id) = step {
            self.last_used.insert(id.clone(), at);
            self.memo.last_used = at.map(|at| (id.clone(), at));
        }
    }

    /// A login with the key that waits to be published says nothing of the published one.
    fn answered(&mut self, step: &Step, answer: Login, now: Timestamp) {
        let Step::ProbeLogin(probe) = step else { return };
        let unpublished = self.attempt.publish == Publish::NotSent
            && self.attempt.minted.as_ref().is_some_and(|minted| minted.id == probe.key);
        let slot = if unpublished { &mut self.attempt.login } else { &mut self.memo.login };
        let before = slot.take().filter(|login| login.key == probe.key && login.place == probe.place());
        let refused = answer == Login::Refused || before.as_ref().is_some_and(|login| login.refused);
        *slot = Some(KeyLogin {
            key: probe.key.clone(),
            place: probe.place(),
            answer,
            at: now,
            tries: before.map_or(1, |login| login.tries.saturating_add(1)),
            refused,
        });
    }

    fn reject(&mut self, key: &KeyId, now: Timestamp) {
        let Some(login) = self.attempt.login.as_ref().filter(|login| login.key == *key) else { return };
        let before = self.memo.rejected.as_ref().filter(|rejected| rejected.place == login.place);
        self.memo.rejected = Some(Rejected {
            key: key.clone(),
            place: login.place.clone(),
            answer: if login.refused { Login::Refused } else { login.answer },
            at: now,
            count: before.map_or(1, |rejected| rejected.count.saturating_add(1)),
        });
    }

    fn detached(&mut self, policy: &str, now: Timestamp) {
        self.teardown.detached.insert(policy.to_owned());
        self.memo.suspicion.quarantine = None;
        self.memo.suspicion.lifted = true;
        self.memo.lifted_at = Some(now);
    }

    fn minted(&mut self, id: KeyId, now: Timestamp) {
        self.attempt.minted = Some(Minted { id, at: now, discarded: false });
        self.did.push(Step::MintKey);
    }

    fn forget(&mut self) {
        self.memo.retry = false;
        self.memo.unclear = None;
        self.memo.suspicion.keys = false;
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

    pub(super) fn see(&mut self, facts: &SecretFacts) {
        let previous = facts.record.previous_key().map(|previous| previous.key.clone());
        self.memo.seen.extend(facts.record.key.clone().into_iter().chain(previous));
        // An immutable Secret is read again each time, so that it stays reported.
        let changeable = facts.content.as_ref().is_some_and(|content| !content.immutable);
        if changeable && facts.record.is_complete() && facts.is_consistent() {
            self.memo.believed = Some(facts.resource_version.clone());
        }
    }

    fn secret_seen(&mut self, step: &Step, facts: SecretFacts, now: Timestamp) {
        let before = self.secret().and_then(SecretFacts::published).cloned();
        if let Step::WriteSecret(write) = step {
            self.written(write, before, now);
            self.did.push(step.clone());
        }
        self.memo.suspicion.lifted &= facts.record.quarantined_at.is_some();
        let content = facts.content.clone().or_else(|| self.content());
        let facts = SecretFacts { content, ..facts };
        self.see(&facts);
        self.secret = SecretView::Live(Box::new(facts));
    }

    /// The content that was read before: a write of the record alone leaves it as it is, since it
    /// is conditional on the version that was read.
    fn content(&self) -> Option<Content> {
        self.secret().and_then(|facts| facts.content.clone())
    }

    fn written(&mut self, write: &SecretWrite, published: Option<KeyId>, now: Timestamp) {
        match write {
            SecretWrite::Placeholder(_) | SecretWrite::Fence(_) => {
                self.attempt.fence = Some(Fence { published, listings: self.listings.len() });
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
        self.memo.login = self.attempt.login.take();
        self.memo.rejected = None;
        let rotated = self.secret().is_some_and(SecretFacts::is_consistent);
        let provisioned = matches!(self.user, UserView::Fresh { .. });
        if !rotated && !provisioned {
            let count = self.memo.losses.map_or(0, |(count, _)| count);
            self.memo.losses = Some((count.saturating_add(1), now));
        }
    }

    /// A right that ends at our path is denied on a user that isn't there as well: IAM knows no path
    /// of it. Not listed under our path, it is absent; or, if its name is taken, somebody else's.
    fn user_listed(&mut self, found: bool, now: Timestamp) {
        self.listed = Some(found);
        if found {
            return;
        }
        let Some((step, _)) = self.failed.take() else { return };
        self.listed = None;
        match self.user {
            UserView::Exists => self.user = UserView::Elsewhere,
            _ => self.iam_failed(&step, Failure::Absent, now),
        }
    }

    fn iam_failed(&mut self, step: &Step, failure: Failure, now: Timestamp) {
        match (step, &failure) {
            // The denial stands that was looked into.
            (Step::FindUser, _) => self.listed = Some(true),
            (Step::CreateUser, Failure::Exists) => self.user_exists(step, failure),
            (Step::DeleteKey(id), Failure::Absent) => self.deleted(id, false),
            (Step::DetachPolicy(policy), Failure::Absent) => self.detached(policy, now),
            (Step::DeletePolicy, Failure::Absent) => self.teardown.policy_gone = true,
            (Step::DeleteUser, Failure::Absent) => self.teardown.user_gone = true,
            (Step::DeleteUser, Failure::Conflict(blocker)) => self.blocked(*blocker, now),
            (Step::ReadLastUsed(id), Failure::Absent) => {
                self.last_used.insert(id.clone(), None);
            }
            // The user is there or about to be: what IAM doesn't know is the boundary's policy. Or a list
            // has just shown the key: which is true, the next pass's lists tell (R6); believed at once,
            // a wrong answer would leave a key that works and that no record names.
            (Step::CreateUser | Step::PutBoundary | Step::DeactivateKey(_), Failure::Absent) => {
                self.fail(step, Failed::Iam(failure));
            }
            (_, Failure::Absent) => self.user_unknown(step, failure, now),
            _ => {
                self.note_unclear(step, &failure, now);
                self.fail(step, Failed::Iam(failure));
            }
        }
    }

    /// The name is taken. Read as missing before that, it is taken and missing by turns: no end to it.
    fn user_exists(&mut self, step: &Step, failure: Failure) {
        if matches!(self.user, UserView::Missing { .. }) {
            self.fail(step, Failed::Iam(failure));
        }
        self.user = UserView::Exists;
    }

    fn blocked(&mut self, blocker: Blocker, now: Timestamp) {
        let attached = blocker == Blocker::AttachedPolicies;
        self.teardown.detached_in_vain |= attached && !self.teardown.detached.is_empty();
        self.teardown.blocker = Some((blocker, now));
        self.teardown.conflicts += 1;
    }

    /// IAM doesn't know the user: it lags behind our own `CreateUser`, or the user is gone.
    fn user_unknown(&mut self, step: &Step, failure: Failure, now: Timestamp) {
        match self.user {
            UserView::Found(_) if self.contradicted => self.fail(step, Failed::Iam(failure)),
            UserView::Fresh { .. } => self.lag = Some((self.lag.map_or(1, |(count, _)| count + 1), now)),
            UserView::Missing { first, .. } => self.user = UserView::Missing { first, last: now },
            _ => {
                self.contradicted = matches!(self.user, UserView::Found(_));
                self.user = UserView::Missing { first: now, last: now };
            }
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
            SecretWrite::Fence(_) | SecretWrite::Annotate(_) | SecretWrite::Repair { .. } => {
                self.keep_basis();
            }
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

    /// What the keys were listed against must still hold when the fence is placed after all. The list
    /// of a user made in this pass is the empty one.
    fn keep_basis(&mut self) {
        let listed = !self.listings.is_empty() || matches!(self.user, UserView::Fresh { .. });
        if listed && self.attempt.basis.is_none() {
            self.attempt.basis = self.secret().map(Basis::of);
        }
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
