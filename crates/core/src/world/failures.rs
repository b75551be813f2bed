//! Folds what did not succeed into a world: failures of IAM, refusals of the API server. Nothing is
//! decided here: an unclear outcome is kept as unclear.

use k8s_openapi::jiff::Timestamp;

use crate::iam::{Blocker, Failure};
use crate::step::{Refusal, SecretWrite, Step};

use super::{Basis, Failed, Publish, SecretView, UserView, World};

impl World {
    /// A right that ends at our path is denied on a user that isn't there as well: IAM knows no path
    /// of it. Not listed under our path, it is absent; or, if its name is taken, somebody else's.
    pub(super) fn user_listed(&mut self, found: bool, now: Timestamp) {
        self.listed = Some(found);
        if found {
            return;
        }
        let Some((step, _)) = self.failed.take() else { return };
        self.listed = None;
        self.unlisted = true;
        match self.user {
            UserView::Exists => self.user = UserView::Elsewhere,
            _ => self.iam_failed(&step, Failure::Absent, now),
        }
    }

    pub(super) fn iam_failed(&mut self, step: &Step, failure: Failure, now: Timestamp) {
        match (step, &failure) {
            // The denial stands that was looked into; unless looking is denied too, which has to be mended first.
            (Step::FindUser, _) => {
                self.listed = Some(true);
                if matches!(failure, Failure::Denied { .. }) {
                    self.fail(step, Failed::Iam(failure));
                }
            }
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

    /// The name is taken. Missing before that, it is taken and missing by turns: no end to it, unless it
    /// was only not listed under our path, which the next look at it tells from being elsewhere.
    fn user_exists(&mut self, step: &Step, failure: Failure) {
        if matches!(self.user, UserView::Missing { .. }) && !self.unlisted {
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

    pub(super) fn refused(&mut self, step: &Step, refusal: Refusal, now: Timestamp) {
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
