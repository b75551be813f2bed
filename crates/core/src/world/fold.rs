//! Folds the effect of a step into a world. Nothing is decided here, and nothing guessed.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use crate::iam::{KeyStatus, UserFacts};
use crate::key::KeyId;
use crate::login::Login;
use crate::secret::{Content, SecretFacts};
use crate::step::{Effect, SecretWrite, Step};

use super::{
    Applied, Fence, Listing, Logins, Minted, Publish, Rejected, SecretView, SourceView, UserView, World,
};

impl World {
    /// The world after `step` had `effect`.
    #[must_use]
    pub fn after(mut self, step: &Step, effect: Effect, now: Timestamp) -> Self {
        match effect {
            Effect::Done => self.done(step, now),
            Effect::Secret(facts) => self.secret_seen(step, *facts, now),
            Effect::NoSecret => self.absent(now),
            Effect::Source(read) => {
                self.memo.source = read.clone().ok();
                self.source = SourceView::Read(read);
            }
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
            Step::Reject { key, place } => self.reject(key, place, now),
            Step::Forget => self.forget(),
            _ => {}
        }
        if !matches!(step, Step::Pause { .. } | Step::Forget | Step::Reject { .. }) {
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
        let logins = if unpublished { &mut self.attempt.logins } else { &mut self.memo.logins };
        logins.answered(&probe.key, probe.endpoint.place(), answer, now);
    }

    fn reject(&mut self, key: &KeyId, place: &str, now: Timestamp) {
        let Some(login) = self.attempt.logins.get(key, place) else { return };
        let before = self.memo.rejected.as_ref();
        self.memo.rejected = Some(Rejected {
            key: key.clone(),
            place: place.to_owned(),
            answer: if login.refused { Login::Refused } else { login.answer },
            at: now,
            count: before.map_or(1, |rejected| rejected.count.saturating_add(1)),
        });
    }

    pub(super) fn detached(&mut self, policy: &str, now: Timestamp) {
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
    pub(super) fn deleted(&mut self, id: &KeyId, proof: bool) {
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
        let whole = facts.record.is_complete() || facts.record.is_derivation();
        if changeable && whole && facts.is_consistent() {
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
            // One key id may have been given with two secrets: what was known of it counts no longer.
            SecretWrite::Derive(_) => {
                self.memo.logins = Logins::default();
                self.object.logins.clear();
            }
            SecretWrite::Annotate(_) | SecretWrite::Repair { .. } => {}
        }
    }

    /// A replacement for a password that was lost counts against the next; an ordinary one doesn't.
    fn published(&mut self, now: Timestamp) {
        self.attempt.publish = Publish::Landed;
        self.memo.logins = std::mem::take(&mut self.attempt.logins);
        self.memo.rejected = None;
        let rotated = self.secret().is_some_and(SecretFacts::is_consistent);
        let provisioned = matches!(self.user, UserView::Fresh { .. });
        if !rotated && !provisioned {
            let count = self.memo.losses.map_or(0, |(count, _)| count);
            self.memo.losses = Some((count.saturating_add(1), now));
        }
    }
}
