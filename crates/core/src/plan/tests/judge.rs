//! The invariants of the protocol, checked after every call.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use super::sim::Sim;
use crate::iam::KeyStatus;
use crate::key::KeyId;
use crate::record::Record;
use crate::step::{SecretWrite, Step};
use crate::time::after;

/// What has happened, as far as the invariants need it.
#[derive(Clone, Default)]
pub struct Judge {
    /// Keys that the Secret named, and since when another one is named in their place.
    published: BTreeMap<KeyId, Option<Timestamp>>,
    /// Keys that the operator made Inactive, and when.
    deactivated: BTreeMap<KeyId, Timestamp>,
    /// Keys that the operator deleted or made Inactive.
    dead: BTreeSet<KeyId>,
    /// The published password was destroyed by somebody: S3 lets the other key go at once.
    lost: bool,
    /// Somebody else made or changed keys: the limit of two isn't ours to keep.
    pub meddled: bool,
    exempt: BTreeSet<KeyId>,
    /// Keys known to be leaked: S3 gives them no overlap.
    revoked: BTreeSet<KeyId>,
    /// The recorded dates were forged: IAM's own date of the successor is what is left to count from.
    pub forged: bool,
    /// Two operators at once: what one saw may be outdated when its call arrives.
    pub raced: bool,
    /// A person deletes the Secret beside two operators: S3 makes no promise then.
    pub meddled_secret: bool,
    /// Others may have put any key id anywhere: S2 and S3 make no promise then.
    pub tampered: bool,
    teardown: bool,
}

impl Judge {
    /// Somebody destroyed the published password.
    pub fn secret_lost(&mut self) {
        self.lost = true;
    }

    /// A person ended this key: S2 and S3 don't speak of it.
    pub fn exempt(&mut self, key: &KeyId) {
        self.exempt.insert(key.clone());
    }

    /// The key is known to be leaked.
    pub fn revoked(&mut self, key: &KeyId) {
        self.revoked.insert(key.clone());
    }

    /// Early retirement is a fault again.
    pub fn found_again(&mut self) {
        self.lost = false;
    }
}

impl Sim {
    /// Looks at both worlds after a call.
    pub fn look(&mut self) {
        let keys = self.key_numbers();
        assert!(self.judge.meddled || keys.len() <= 2, "S1: {keys:?}");
        let Some(named) = self.named() else { return };
        let dead = self.judge.dead.contains(&named)
            && !self.judge.tampered
            && !self.judge.teardown
            && !self.judge.exempt.contains(&named);
        assert!(!dead, "S2: the Secret names {named}, which the operator ended");
        let now = self.now;
        for (key, superseded) in &mut self.judge.published {
            if *key == named {
                *superseded = None;
            } else {
                superseded.get_or_insert(now);
            }
        }
        self.judge.published.entry(named).or_default();
    }

    /// Before a mint. `fresh` if the user was made by the same pass.
    pub fn judge_mint(&mut self, fresh: bool) {
        let keys = self.key_numbers();
        if self.judge.raced {
            return;
        }
        assert!(keys.len() < 2, "S1: a mint beside {keys:?}");
        assert!(fresh || self.secret.is_some(), "R4: a mint without a placeholder");
        assert!(self.owns_user() || keys.is_empty(), "S4: a mint for somebody else's user");
        self.judge_account();
    }

    fn judge_account(&self) {
        // Stripped, it is as good as recorded once the user was read.
        let recorded = self.facts.account.as_ref().is_none_or(|at| *at == self.settings.installation.account);
        assert!(recorded, "S10");
        assert!(self.facts.finalizer, "a call to IAM without the finalizer");
    }

    /// Before any other call to IAM.
    pub fn judge_iam(&mut self, step: &Step, teardown: bool, own: Option<&KeyId>) {
        self.judge.teardown |= teardown;
        if matches!(step, Step::ReadUser | Step::FindUser | Step::ListKeys | Step::ReadLastUsed(_)) {
            return;
        }
        self.judge_account();
        let exists = self.account.users.contains_key(&self.user_name());
        let claims = matches!(step, Step::CreateUser);
        // A Secret of ours that names a key of the user, or is believed, is proof as well.
        let proven = self.owns_user() || self.judge.tampered && self.secret.is_some();
        assert!(claims || !exists || proven || self.misses(step), "S4: {step:?}");
        match step {
            Step::DeactivateKey(_) if self.misses(step) => {}
            Step::DeactivateKey(id) if !teardown => self.judge_deactivation(&id.clone()),
            Step::DeleteKey(id) if !teardown && Some(id) != own => self.judge_deletion(&id.clone()),
            Step::DeleteKey(id) => {
                self.judge.dead.insert(id.clone());
            }
            _ => {}
        }
    }

    /// True if a call names a key that the user doesn't have: then nothing is written.
    fn misses(&mut self, step: &Step) -> bool {
        let (Step::DeleteKey(id) | Step::DeactivateKey(id)) = step else { return false };
        let name = self.user_name();
        self.account.key(&name, id).is_err()
    }

    fn judge_deactivation(&mut self, id: &KeyId) {
        self.judge.dead.insert(id.clone());
        self.judge.deactivated.insert(id.clone(), self.now);
        let Some(superseded) = self.judge.published.get(id).copied() else { return };
        if self.judge.meddled_secret {
            return;
        }
        let named = self.named();
        let successor = named.filter(|named| named != id).expect("S3: deactivated without a successor");
        let name = self.user_name();
        let listed = self.account.key(&name, &successor).expect("S3: the successor is gone").listed.clone();
        assert_eq!(listed.status, KeyStatus::Active, "S3: the successor");
        let since = superseded.expect("S3: still published");
        // A publish may land after the time that it records.
        let recorded = self.seen().and_then(|facts| Some(facts.record.previous_key()?.superseded_at));
        let since = if self.judge.forged { listed.created } else { since.min(recorded.unwrap_or(since)) };
        let since = since.max(listed.created);
        let overlap = self.identity().durations.overlap;
        // Records hold whole seconds.
        let ends = after(crate::time::seconds(since), overlap);
        assert!(self.now >= ends, "S3: {id} deactivated at {}, overlap ends {ends}", self.now);
    }

    fn judge_deletion(&mut self, id: &KeyId) {
        let name = self.user_name();
        let Ok(key) = self.account.key(&name, id) else { return };
        let status = key.listed.status;
        assert!(self.secret.is_some() || self.judge.raced, "R4: {id} deleted without a Secret");
        self.judge.dead.insert(id.clone());
        let needed = self.key_numbers().len() == 2;
        let lost = self.judge.lost && needed && !self.logs_in();
        let revoked = self.judge.revoked.contains(id) && self.named().as_ref() != Some(id);
        if !self.judge.published.contains_key(id) || lost || revoked || self.judge.meddled_secret {
            return;
        }
        assert_eq!(status, KeyStatus::Inactive, "S3: {id} deleted while Active");
        let Some(since) = self.judge.deactivated.get(id) else { return };
        let soaked = self.now >= after(crate::time::seconds(*since), self.identity().durations.soak);
        assert!(soaked || needed, "S3: {id} deleted during its soak");
    }

    /// Before a write of the Secret lands.
    pub fn judge_write(&mut self, step: &Step, nonce: &str) {
        let Some(facts) = self.seen() else { return };
        let ours = facts.is_controlled_by(&self.identity().owner.uid);
        let gives_back = matches!(step, Step::WriteSecret(SecretWrite::Repair { .. }));
        assert!(ours || gives_back, "S4: {step:?} on a Secret that isn't ours");
        let Step::WriteSecret(SecretWrite::Publish(record)) = step else { return };
        assert_eq!(facts.record.attempt.as_deref(), Some(nonce), "S6: {step:?}");
        self.judge_previous(record, &facts.record);
    }

    /// S3: a publish never forgets a key that still exists and was published.
    fn judge_previous(&mut self, next: &Record, before: &Record) {
        if self.judge.tampered {
            return;
        }
        let Some(key) = before.key.clone() else { return };
        let name = self.user_name();
        let exists = self.account.key(&name, &key).is_ok();
        let kept = next.previous_key().is_some_and(|previous| previous.key == key);
        assert!(!exists || kept, "S3: {key} is forgotten");
    }
}
