//! The invariants of the protocol, looked at before every effect and after every action.

use super::calls::password;
use super::state::{Key, KeyGhost, Named, Seconds, Write, small};
use super::tables::{TEARDOWN, seconds, time};
use super::turn::Turn;
use crate::iam::{KEYS_PER_USER, KeyStatus};
use crate::key::KeyId;
use crate::plan::view::{Need, View};
use crate::secret::SecretFacts;
use crate::step::Step;
use crate::test;
use crate::time::Durations;

/// An invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    S1,
    S2,
    S3,
    S4,
    S6,
    S8,
    /// A fresh operator alone gets to the goal.
    Goal,
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub rule: Rule,
    pub how: String,
}

fn overlap() -> Seconds {
    u32::try_from(Durations::default().overlap.as_secs()).unwrap()
}

fn soak() -> Seconds {
    u32::try_from(Durations::default().soak.as_secs()).unwrap()
}

impl Turn<'_> {
    pub fn demand(&mut self, rule: Rule, holds: bool, how: impl FnOnce() -> String) {
        let only = &self.model.only;
        if !holds && self.broken.is_none() && (only.is_empty() || only.contains(&rule)) {
            self.broken = Some(Broken { rule, how: how() });
        }
    }

    pub fn secret(&self) -> Option<&SecretFacts> {
        self.state.secret.map(|id| self.model.tables.secrets.get(id))
    }

    /// The key that the data name.
    pub fn named(&self) -> Option<u8> {
        self.secret()?.content.as_ref()?.names.as_ref().map(small)
    }

    /// True if a client that reads the Secret now can log in somewhere.
    pub fn works(&self) -> bool {
        let Some(named) = self.named() else { return false };
        let digest = self.secret().and_then(|facts| facts.content.as_ref()?.digests.get("password"));
        let right =
            (0..TEARDOWN).any(|goal| digest == Some(&password(self.model.tables.desired(goal), named)));
        right && self.state.account.key(named).is_some_and(|key| key.active)
    }

    /// After an action.
    pub fn look(&mut self) {
        let (named, now) = (self.named(), self.state.now);
        self.state.ghost.gone |= self.state.ghost.teardown && self.state.account.user.is_none();
        if let Some(named) = named {
            let ghost = *self.state.ghost.key(named);
            let dead = ghost.ended && !ghost.exempt && !self.state.ghost.teardown;
            self.demand(Rule::S2, !dead, || {
                format!("the Secret names key {named}, which the operator ended")
            });
            self.name(named, now);
        }
    }

    fn name(&mut self, named: u8, now: Seconds) {
        self.state.ghost.key(named);
        for (number, ghost) in self.state.ghost.keys.iter_mut().enumerate() {
            ghost.named = match ghost.named {
                _ if number == usize::from(named) => Named::Now,
                Named::Now => Named::Until(now),
                other => other,
            };
        }
    }

    pub fn judge_mint(&mut self) {
        let keys = self.state.account.keys().len();
        self.demand(Rule::S1, keys < KEYS_PER_USER, || format!("a mint beside {keys} keys"));
    }

    /// A pass that proved the user before somebody else's took its place can't know better, and what
    /// it makes there proves that user to be ours.
    fn demand_ours(&mut self, who: usize) {
        let foreign = self.state.account.user.as_ref().is_some_and(|user| user.foreign);
        self.state.ghost.mixed |= foreign && self.pass(who).proved;
        let mixed = self.state.ghost.mixed;
        self.demand(Rule::S4, !foreign || mixed, || "a write of somebody else's user".to_owned());
    }

    pub fn judge_user(&mut self, who: usize, step: &Step) {
        let misses = |id: &KeyId| self.state.account.key(small(id)).is_none();
        let writes = match step {
            Step::ReadUser | Step::ListKeys | Step::ReadLastUsed(_) => false,
            Step::DeleteKey(id) | Step::DeactivateKey(id) => !misses(id),
            _ => true,
        };
        if writes {
            self.demand_ours(who);
        }
    }

    /// Before a key is made Inactive.
    pub fn judge_deactivation(&mut self, who: usize, number: u8) {
        let now = self.state.now;
        let ghost = *self.state.ghost.key(number);
        if self.pass(who).goal != TEARDOWN && ghost.named != Named::Never && !self.is_excused(ghost) {
            self.judge_overlap(who, number, ghost);
        }
        let was_active = self.state.account.key(number).is_some_and(|key| key.active);
        let ghost = self.state.ghost.key(number);
        ghost.ended = true;
        if was_active {
            ghost.deactivated = Some(now);
        }
    }

    fn is_excused(&self, ghost: KeyGhost) -> bool {
        ghost.exempt || self.state.ghost.teardown || self.is_accepted()
    }

    /// Known and accepted for S3: two operators, and a person deletes the Secret within 30 s of a mint.
    fn is_accepted(&self) -> bool {
        let Some(deleted) = self.state.ghost.deleted else { return false };
        let just_made = |key: &KeyGhost| (key.created..=key.created + 30).contains(&deleted);
        self.model.raced && self.state.ghost.keys.iter().skip(1).any(just_made)
    }

    fn judge_overlap(&mut self, who: usize, number: u8, ghost: KeyGhost) {
        let successor: Option<Key> = self
            .named()
            .filter(|named| *named != number)
            .and_then(|named| self.state.account.key(named).copied())
            .filter(|key| key.active || self.is_listed_active(who, key.number));
        let Some(successor) = successor else {
            return self.demand(Rule::S3, false, || {
                format!("key {number} made Inactive without an Active successor")
            });
        };
        let Named::Until(since) = ghost.named else { return };
        let ends = self.superseded(since).max(successor.created) + overlap();
        let now = self.state.now;
        self.demand(Rule::S3, now >= ends, || {
            format!("key {number} made Inactive at {now}, overlap ends {ends}")
        });
    }

    /// True if the pass was shown the key as Active: a person may have been faster than its next call.
    fn is_listed_active(&self, who: usize, number: u8) -> bool {
        let listing = self.model.tables.worlds.get(self.pass(who).world).keys();
        let listed = listing.and_then(|listing| listing.get(&test::key(u32::from(number))));
        listed.is_some_and(|key| key.status == KeyStatus::Active)
    }

    /// A publish may land after the time that it records.
    fn superseded(&self, since: Seconds) -> Seconds {
        let recorded = self.secret().and_then(|facts| facts.record.previous_key());
        recorded.map_or(since, |previous| since.min(seconds(previous.superseded_at)))
    }

    /// Before a key is deleted by a pass.
    pub fn judge_deletion(&mut self, who: usize, number: u8) {
        let ghost = *self.state.ghost.key(number);
        let Some(key) = self.state.account.key(number).copied() else { return };
        if self.pass(who).goal == TEARDOWN || ghost.named == Named::Never || self.is_excused(ghost) {
            return;
        }
        let need = self.need(who);
        // By its fence the pass knew that nobody could log in with what the Secret held.
        if self.state.ghost.lost && need.is_some_and(|need| !need.is_rotation()) {
            return;
        }
        self.demand(Rule::S3, !key.active, || format!("key {number} deleted while Active"));
        let now = self.state.now;
        let soaked = ghost.deactivated.is_none_or(|at| now >= at + soak());
        self.demand(Rule::S3, soaked || need.is_some(), || format!("key {number} deleted during its soak"));
    }

    /// Why the pass is to make a key, if it is and saw both slots taken.
    fn need(&self, who: usize) -> Option<Need> {
        let pass = self.pass(who);
        let (desired, world) =
            (self.model.tables.desired(pass.goal), self.model.tables.worlds.get(pass.world));
        let full = world.keys().is_some_and(|listing| listing.list.keys.len() >= KEYS_PER_USER);
        View { desired, world, now: time(self.state.now) }.need().filter(|_| full)
    }

    /// Before a write of the Secret lands (S6).
    pub fn judge_write(&mut self, write: &Write) {
        let Some((nonce, at_fence)) = write.publish else { return };
        if write.create {
            return;
        }
        let facts = self.secret();
        let ours = facts.is_some_and(|facts| facts.record.attempt == Some(format!("nonce#{nonce}")));
        let published = facts.and_then(|facts| facts.published()).map(small);
        self.demand(Rule::S6, ours, || "a publish over somebody else's attempt".to_owned());
        self.demand(Rule::S6, published == at_fence, || {
            "a publish over another key than the fence's".to_owned()
        });
        self.judge_previous(write);
    }

    /// S3: a publish never forgets a key that still exists and was published.
    fn judge_previous(&mut self, write: &Write) {
        let Some(key) = self.secret().and_then(|facts| facts.record.key.as_ref()).map(small) else { return };
        let next = &self.model.tables.secrets.get(write.object).record;
        let kept = next.previous_key().is_some_and(|previous| small(&previous.key) == key);
        let gone = self.state.account.key(key).is_none();
        let ghost = *self.state.ghost.key(key);
        let excused = self.is_excused(ghost);
        self.demand(Rule::S3, kept || gone || excused, || format!("a publish forgets key {key}"));
    }

    /// Before the finalizer goes (S8). A pass that doesn't know of the deletion may make the user anew
    /// after it was gone: the sweep's business (L4).
    pub fn judge_release(&mut self) {
        let ours = self.state.account.user.as_ref().is_some_and(|user| !user.foreign);
        let gone = self.state.ghost.gone;
        self.demand(Rule::S8, gone || !ours, || "the finalizer goes before the user".to_owned());
    }
}
