//! Deletion: what becomes of user, keys and Secret, and when the finalizer may go (S8).

use k8s_openapi::jiff::Timestamp;

use crate::api::DeletionPolicy;
use crate::desired::Identity;
use crate::iam::{Blocker, KeyStatus};
use crate::identity::{Ownership, ownership};
use crate::key::KeyId;
use crate::names::{FINALIZER, quarantine_arns, tag};
use crate::reason::Reason;
use crate::secret::SecretFacts;
use crate::step::{End, SecretWrite, Step};
use crate::time::after;
use crate::world::{SecretView, UserView, World};

use super::mutant::{Mutant, is};
use super::{AGAIN, account, attempt, blocked, faults, pause, wait};

/// How often a deletion that IAM refuses is tried again in one pass.
const MAX_CONFLICTS: u32 = 4;

/// What a check of the teardown looks at.
struct Scene<'a> {
    identity: &'a Identity,
    world: &'a World,
    now: Timestamp,
}

/// What is known of the user's being there.
enum User {
    Ours,
    Gone,
    Ask(Step),
}

/// The next step of a teardown.
pub fn next(identity: &Identity, world: &World, now: Timestamp) -> Step {
    let scene = Scene { identity, world, now };
    if !world.object.finalizer {
        return Step::End(End::Done { wake_at: None });
    }
    let first = faults::end(identity, world).or_else(|| scene.contended()).or_else(|| scene.other_account());
    first.unwrap_or_else(|| match identity.deletion {
        DeletionPolicy::Delete => scene.delete(),
        DeletionPolicy::Retain => scene.retain(),
        DeletionPolicy::Deactivate => scene.deactivate(),
    })
}

impl Scene<'_> {
    /// Somebody else writes the Secret again and again (liveness L3).
    fn contended(&self) -> Option<Step> {
        (self.world.attempt.conflicts > attempt::MAX_CONFLICTS).then(attempt::outdated)
    }

    fn other_account(&self) -> Option<Step> {
        let recorded = self.world.object.account.as_ref();
        match recorded {
            Some(account) if *account == self.identity.account => None,
            Some(account) => Some(account::mismatch(account, self.identity)),
            None => self.account_unknown(),
        }
    }

    fn account_unknown(&self) -> Option<Step> {
        match &self.world.user {
            UserView::Unlooked => Some(Step::ReadUser),
            UserView::Found(_) if self.ownership() == Some(Ownership::Ours) => None,
            _ => Some(account::unknown(&self.identity.account)),
        }
    }

    fn ownership(&self) -> Option<Ownership> {
        match &self.world.user {
            UserView::Found(facts) => Some(ownership(&self.identity.user, facts)),
            _ => None,
        }
    }

    /// The Secret, if it is this object's.
    fn secret(&self) -> Option<&SecretFacts> {
        self.world.secret().filter(|facts| facts.is_controlled_by(&self.identity.owner.uid))
    }

    /// Keys, policy, user, finalizer: three IAM calls when everything is as we left it.
    fn delete(&self) -> Step {
        if self.world.teardown.user_gone {
            return Step::RemoveFinalizer;
        }
        if let Some(step) = self.named_key() {
            return step;
        }
        match self.user() {
            User::Gone => Step::RemoveFinalizer,
            User::Ask(step) => step,
            User::Ours => self.emptied().unwrap_or(Step::DeleteUser),
        }
    }

    /// The keys that the Secret names go first: one that is really deleted proves the user ours.
    fn named_key(&self) -> Option<Step> {
        let record = &self.secret()?.record;
        let named = record.key.iter().chain(record.previous_key().map(|previous| &previous.key));
        let mut left = named.filter(|key| !self.world.teardown.deleted.contains(*key));
        left.next().map(|key| Step::DeleteKey(key.clone()))
    }

    fn user(&self) -> User {
        match &self.world.user {
            _ if self.world.teardown.proven || is(Mutant::TearsDownUnproven) => User::Ours,
            UserView::Found(_) => match self.ownership() {
                Some(Ownership::Ours) => User::Ours,
                Some(Ownership::OtherInstall) => User::Ask(self.contested()),
                // Somebody else's user of our name: ours is gone.
                _ => User::Gone,
            },
            UserView::Missing { first, last } => self.missing(*first, *last),
            _ => User::Ask(Step::ReadUser),
        }
    }

    /// A user with this object's UID whose install id became another, or that another cluster restored from one backup
    /// serves. It may not be touched (S4), and its keys may work: once the finalizer is gone nobody looks for them (L4).
    fn contested(&self) -> Step {
        let user = &self.identity.user;
        let install = user.tags.get(tag::INSTALL).map(String::as_str).unwrap_or_default();
        let message = format!(
            "IAM user {} has this object's UID and the tag {} of another installation, so the deletion waits: if no \
             other cluster serves it, set that tag to {install}; else take the finalizer {FINALIZER} off the object",
            user.name,
            tag::INSTALL
        );
        blocked(Reason::OwnershipContested, message)
    }

    /// Absence is believed at once of a user that is older than IAM's lag, else from two reads.
    fn missing(&self, first: Timestamp, last: Timestamp) -> User {
        let settle = self.identity.durations.settle;
        let issued = self.secret().and_then(|facts| facts.record.issued_at);
        let known = self.world.memo.user_seen.into_iter().chain(issued).min();
        let settled = after(first, settle);
        if known.is_some_and(|known| after(known, settle) <= first) || last >= settled {
            return User::Gone;
        }
        if self.now >= settled {
            return User::Ask(Step::ReadUser);
        }
        User::Ask(pause(settled, "IAM shows no such user; looking again before the finalizer goes"))
    }

    /// Whatever keeps the user from being deleted and is ours is removed; nothing else is.
    fn emptied(&self) -> Option<Step> {
        let teardown = &self.world.teardown;
        if !teardown.policy_gone {
            return self.listed_if_unnamed().or(Some(Step::DeletePolicy));
        }
        let (blocker, said_at) = teardown.blocker?;
        match blocker {
            Blocker::AccessKeys => self.keys_removed(said_at),
            Blocker::AttachedPolicies => Some(self.detached(said_at)),
            other => Some(self.foreign(other)),
        }
    }

    /// Without a Secret nothing names the keys, so they are listed; a list proves nothing here, the
    /// user was read before.
    fn listed_if_unnamed(&self) -> Option<Step> {
        if self.secret().is_some_and(|facts| facts.record.key.is_some()) {
            return None;
        }
        match self.world.keys() {
            None => Some(Step::ListKeys),
            Some(listing) => listing.list.keys.first().map(|key| Step::DeleteKey(key.id.clone())),
        }
    }

    /// IAM says that there are keys: all of them are ours, made by passes that never ended.
    fn keys_removed(&self, said_at: Timestamp) -> Option<Step> {
        if self.world.teardown.conflicts > MAX_CONFLICTS {
            let message = format!("IAM says that the user holds access keys but lists none: {AGAIN}");
            return Some(wait(Reason::Deleting, None, message));
        }
        let listed = self.key_removed(said_at);
        listed.or_else(|| self.after_lag(self.world.keys()?.at))
    }

    /// The next key of a list that is younger than IAM's refusal.
    fn key_removed(&self, said_at: Timestamp) -> Option<Step> {
        match self.world.keys().filter(|listing| listing.at >= said_at) {
            None => Some(Step::ListKeys),
            Some(listing) => listing.list.keys.first().map(|key| Step::DeleteKey(key.id.clone())),
        }
    }

    /// The list may lag behind: deletion is tried again a little later.
    fn after_lag(&self, listed_at: Timestamp) -> Option<Step> {
        let empty_at_once = !self.world.did.iter().any(|step| matches!(step, Step::DeleteKey(_)));
        let until = after(listed_at, self.identity.durations.settle);
        (self.world.teardown.conflicts > 1 || empty_at_once)
            .then(|| pause(until, "waiting until IAM shows every key there may be"))
            .filter(|_| self.now < until)
    }

    /// A quarantine policy that AWS attached is taken off, once no key is left that it is about. No
    /// right tells which policies are attached: those that AWS has are tried in turn.
    fn detached(&self, said_at: Timestamp) -> Step {
        let teardown = &self.world.teardown;
        if teardown.detached_in_vain {
            return self.foreign(Blocker::AttachedPolicies);
        }
        if let Some(step) = self.key_removed(said_at).filter(|_| teardown.detached.is_empty()) {
            return step;
        }
        let partition = self.identity.user_arn.split(':').nth(1).unwrap_or("aws");
        let mut left = quarantine_arns(partition).into_iter().filter(|arn| !teardown.detached.contains(arn));
        left.next().map_or(Step::DeleteUser, Step::DetachPolicy)
    }

    fn foreign(&self, blocker: Blocker) -> Step {
        let message = format!(
            "IAM user {} can't be deleted because it has {blocker} that the operator didn't make: \
             remove that, the deletion then goes on by itself",
            self.identity.user.name
        );
        blocked(Reason::ForeignAttachment, message)
    }

    /// Secret and key keep working: the Secret is released, the user marked, the finalizer removed.
    fn retain(&self) -> Step {
        match &self.world.secret {
            _ if self.world.teardown.secret_released => self.let_go(),
            SecretView::Unlooked | SecretView::Cached(_) => Step::ReadSecret,
            SecretView::Live(facts) if facts.is_controlled_by(&self.identity.owner.uid) => {
                Step::WriteSecret(SecretWrite::Release)
            }
            SecretView::Live(_) | SecretView::Absent { .. } => self.let_go(),
        }
    }

    fn let_go(&self) -> Step {
        match self.user() {
            User::Gone => Step::RemoveFinalizer,
            User::Ask(step) => step,
            User::Ours if self.world.teardown.tagged => Step::RemoveFinalizer,
            User::Ours => Step::TagReleased,
        }
    }

    /// The user stays, its keys stop working.
    fn deactivate(&self) -> Step {
        match self.user() {
            User::Gone => Step::RemoveFinalizer,
            User::Ask(step) => step,
            User::Ours => match self.world.keys() {
                None => self.settled().unwrap_or(Step::ListKeys),
                Some(_) => self.active_key().map_or_else(|| self.let_go(), Step::DeactivateKey),
            },
        }
    }

    fn settled(&self) -> Option<Step> {
        let believed = self.secret().is_some_and(|facts| facts.record.attempt.is_none());
        let until = after(self.world.began, self.identity.durations.settle);
        (!believed && self.now < until)
            .then(|| pause(until, "waiting until IAM shows every key there may be"))
    }

    fn active_key(&self) -> Option<KeyId> {
        let keys = &self.world.keys()?.list.keys;
        keys.iter().find(|key| key.status == KeyStatus::Active).map(|key| key.id.clone())
    }
}
