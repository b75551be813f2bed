//! What the facts mean: the published key, the previous one, and why a new one is needed.

use k8s_openapi::jiff::Timestamp;

use crate::desired::Desired;
use crate::iam::UserFacts;
use crate::identity::{Ownership, ownership};
use crate::key::KeyId;
use crate::record::{Previous, Record};
use crate::region::RegionName;
use crate::secret::SecretFacts;
use crate::time::after;
use crate::world::{Listing, Publish, SecretView, UserView, World};

/// What a check looks at.
pub struct View<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// What is known.
    pub world: &'a World,
    /// The time.
    pub now: Timestamp,
}

/// Why a new key is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// There is no Secret.
    NoSecret,
    /// The Secret names no key: it is a placeholder.
    NoKey,
    /// The published key no longer exists.
    Gone,
    /// The Secret names a key that is none of the user's, and nothing is known of its password: it may
    /// work, as that of a Secret that was taken over does.
    Unknown,
    /// A published password is nowhere in the data.
    Lost,
    /// The published key is known to be leaked.
    Revoked,
    /// The record holds no digest, so the password in the data can't be confirmed.
    Unconfirmed,
    /// There is no password for one of the Regions.
    Region,
    /// The spec's trigger was changed.
    Trigger,
    /// The key has reached the age at which it is replaced.
    Age,
}

impl Need {
    /// True if the published key may work, so the new one may take its time (protocol step 7).
    pub fn is_rotation(self) -> bool {
        matches!(self, Self::Unknown | Self::Unconfirmed | Self::Region | Self::Trigger | Self::Age)
    }

    /// True if record and data may be believed although a new key is needed.
    pub fn trusts_the_secret(self) -> bool {
        matches!(self, Self::Region | Self::Trigger | Self::Age | Self::Revoked)
    }

    /// True if no Secret names a key.
    pub fn is_unpublished(self) -> bool {
        matches!(self, Self::NoSecret | Self::NoKey)
    }
}

impl<'a> View<'a> {
    /// The Secret, cached or live.
    pub fn secret(&self) -> Option<&'a SecretFacts> {
        self.world.secret()
    }

    /// The Secret with its content.
    pub fn live(&self) -> Option<&'a SecretFacts> {
        self.secret().filter(|facts| facts.content.is_some())
    }

    /// The record, empty if there is no Secret.
    pub fn record(&self) -> Record {
        self.secret().map(|facts| facts.record.clone()).unwrap_or_default()
    }

    /// One field of the record, if there is a Secret and the record has it.
    pub fn recorded<T>(&self, field: impl FnOnce(&'a Record) -> Option<&'a T>) -> Option<&'a T> {
        field(&self.secret()?.record)
    }

    /// The published key.
    pub fn published(&self) -> Option<&'a KeyId> {
        self.secret()?.published()
    }

    /// The previous key.
    pub fn previous(&self) -> Option<&'a Previous> {
        self.secret()?.record.previous_key()
    }

    /// The latest list of keys. A user made in this very pass needs none.
    pub fn keys(&self) -> Option<&'a Listing> {
        self.world.keys()
    }

    /// True if this pass made the user.
    pub fn is_fresh(&self) -> bool {
        matches!(self.world.user, UserView::Fresh { .. })
    }

    /// True if this pass made the user so long ago that somebody else may have found it and made it
    /// a key since: others wait that long at least.
    pub fn outlived_freshness(&self) -> bool {
        let UserView::Fresh { at } = self.world.user else { return false };
        let until = after(at, self.desired.identity.durations.publish_window);
        // A key made behind a fence is published only if the fence still stands.
        let attempt = &self.world.attempt;
        let fenced = attempt.fence.is_some() && attempt.minted.is_some();
        attempt.publish != Publish::Landed && !fenced && self.now > until
    }

    /// The user as read, if it was.
    pub fn user(&self) -> Option<&'a UserFacts> {
        match &self.world.user {
            UserView::Found(facts) => Some(facts),
            _ => None,
        }
    }

    /// Whose the user is, if it was read.
    pub fn ownership(&self) -> Option<Ownership> {
        Some(ownership(&self.desired.identity.user, self.user()?))
    }

    /// True if a list shows the published key: proof that the user is ours (S4). A pass that
    /// published a key of its own had its proof before that.
    pub fn list_proves_user(&self) -> bool {
        if self.world.attempt.publish == Publish::Landed {
            return true;
        }
        let shown = |key: &KeyId| self.keys().is_some_and(|listing| listing.get(key).is_some());
        self.published().is_some_and(shown)
    }

    /// True if the data are what the record says, or nobody else wrote them.
    pub fn is_vouched(&self, facts: &SecretFacts) -> bool {
        match &facts.content {
            Some(_) => facts.is_consistent(),
            None => !facts.touched || self.world.memo.believed.as_ref() == Some(&facts.resource_version),
        }
    }

    /// True if record and data say the same, nobody else wrote them and no attempt is under way:
    /// then the Secret is believed, and IAM is not asked.
    pub fn is_believed(&self) -> bool {
        let Some(facts) = self.secret() else { return false };
        self.is_vouched(facts)
            && facts.record.is_complete()
            && facts.record.attempt.is_none()
            && !self.is_ahead_of_time()
    }

    /// True if the record says of the previous key what can't have happened yet: it was forged, and
    /// would keep the key for as long as the forger likes.
    pub fn is_ahead_of_time(&self) -> bool {
        let ahead = |at: Timestamp| at > self.now;
        let issued = self.secret().and_then(|facts| facts.record.issued_at);
        issued.is_some_and(ahead)
            || self
                .previous()
                .is_some_and(|known| ahead(known.superseded_at) || known.deactivated_at.is_some_and(ahead))
    }

    /// The wanted Regions whose passwords the Secret doesn't hold, as far as is known.
    pub fn missing_regions(&self) -> Vec<&'a RegionName> {
        let lacks = |region: &&RegionName| {
            self.secret().is_none_or(|facts| !has_password(self.desired, facts, region.as_str()))
        };
        self.desired.endpoints.regions().filter(lacks).collect()
    }

    /// The record with the digests of those passwords alone that are wanted and not known to be lost.
    pub fn held(&self) -> Option<Record> {
        let facts = self.secret()?;
        let is_wanted = |name: &str| has_password(self.desired, facts, name);
        let password_digests = self.desired.digests_in(&facts.record, is_wanted);
        Some(Record { password_digests, ..facts.record.clone() })
    }

    /// Why a new key is needed, if one is.
    pub fn need(&self) -> Option<Need> {
        let facts = match &self.world.secret {
            SecretView::Unlooked => return None,
            SecretView::Absent { .. } => return Some(Need::NoSecret),
            SecretView::Cached(facts) | SecretView::Live(facts) => facts,
        };
        let Some(key) = facts.published() else { return Some(Need::NoKey) };
        if self.is_gone(key) {
            let known = !facts.record.password_digests.is_empty();
            return Some(if known { Need::Gone } else { Need::Unknown });
        }
        match passwords(self.desired, facts) {
            Passwords::Lost => Some(Need::Lost),
            _ if self.is_revoked(key) => Some(Need::Revoked),
            Passwords::All => self.is_due(&facts.record),
            Passwords::None if facts.record.password_digests.is_empty() => Some(Need::Unconfirmed),
            Passwords::Some | Passwords::None => Some(Need::Region),
        }
    }

    /// Whether a key that is as it should be is to be replaced all the same.
    fn is_due(&self, record: &Record) -> Option<Need> {
        let rotation = &self.desired.rotation;
        if record.rotation_trigger.as_deref().is_some_and(|recorded| rotation.is_triggered(recorded)) {
            return Some(Need::Trigger);
        }
        let due = rotation.due_at(record.issued_at?)?;
        (self.now >= due).then_some(Need::Age)
    }

    /// When the published key reaches the age at which it is replaced.
    pub fn rotation_due_at(&self) -> Option<Timestamp> {
        self.desired.rotation.due_at(self.secret()?.record.issued_at?)
    }

    /// True if the spec names the key as leaked, or AWS found one of the keys that the user held
    /// when this one had been made.
    pub fn is_revoked(&self, key: &KeyId) -> bool {
        self.desired.revoked.contains(key) || self.is_quarantined(key)
    }

    fn is_quarantined(&self, key: &KeyId) -> bool {
        let Some(since) = self.quarantined_since() else { return false };
        let minted = self.world.attempt.minted.as_ref().filter(|minted| minted.id == *key);
        let listed = self.keys().and_then(|listing| listing.get(key)).map(|key| key.created);
        let recorded = self.published().filter(|published| *published == key);
        let recorded = recorded.and_then(|_| self.secret()?.record.issued_at);
        let made = minted.map(|minted| minted.at).or(listed).or(recorded);
        made.is_none_or(|made| made < since)
    }

    /// Since when the user is quarantined: the record remembers what a process that is gone has seen,
    /// lest each new one takes the key that answers the quarantine for another leaked one.
    pub fn quarantined_since(&self) -> Option<Timestamp> {
        let seen = self.world.memo.suspicion.quarantine.as_ref()?.since;
        let recorded = self.secret().and_then(|facts| facts.record.quarantined_at);
        Some(recorded.map_or(seen, |recorded| recorded.min(seen)))
    }

    /// True if two lists a settle time apart lack the key (R6), or if this pass had to make the
    /// user anew. A key that this pass minted itself is not asked about.
    pub fn is_gone(&self, key: &KeyId) -> bool {
        if self.world.attempt.publish == Publish::Landed {
            return false;
        }
        self.is_fresh() || self.is_missing_twice(key)
    }

    /// True if two lists a settle time apart lack the key.
    pub fn is_missing_twice(&self, key: &KeyId) -> bool {
        let settle = self.desired.identity.durations.settle;
        let mut lacking = self.world.listings.iter().filter(|listing| listing.get(key).is_none());
        let (Some(first), Some(last)) = (lacking.next(), lacking.next_back()) else { return false };
        last.at >= after(first.at, settle) && self.keys().is_some_and(|latest| latest.get(key).is_none())
    }
}

/// Which of the wanted passwords the Secret holds, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passwords {
    /// Every one.
    All,
    /// One of a Region is missing or lost; the others work.
    Some,
    /// The record knows some, and none of them is in the data any more.
    Lost,
    /// The record knows none.
    None,
}

fn passwords(desired: &Desired, facts: &SecretFacts) -> Passwords {
    let recorded = |region: &&RegionName| facts.record.password_digests.contains_key(region.as_str());
    let held = |region: &&RegionName| has_password(desired, facts, region.as_str());
    let regions = || desired.endpoints.regions();
    match (regions().filter(recorded).count(), regions().filter(held).count()) {
        (0, _) => Passwords::None,
        (_, 0) => Passwords::Lost,
        (_, held) if held == regions().count() => Passwords::All,
        _ => Passwords::Some,
    }
}

/// True if the Region is wanted, and its password recorded and not known to be lost.
fn has_password(desired: &Desired, facts: &SecretFacts, region: &str) -> bool {
    let wanted = desired.endpoints.regions().any(|it| it.as_str() == region);
    let digest = facts.record.password_digests.get(region).filter(|_| wanted);
    digest.is_some_and(|digest| facts.holds(digest) != Some(false))
}

/// True if a password that is wanted and that the record knows is nowhere in the data.
pub fn is_any_lost(desired: &Desired, facts: &SecretFacts) -> bool {
    let recorded = |region: &&RegionName| facts.record.password_digests.contains_key(region.as_str());
    let held = |region: &RegionName| has_password(desired, facts, region.as_str());
    !desired.endpoints.regions().filter(recorded).all(held)
}

/// True if the Secret, as known, is this object's and holds what the spec asks for, with every password.
pub fn holds_all(desired: &Desired, facts: &SecretFacts) -> bool {
    let record = &facts.record;
    let Some(digests) = desired.all_digests_in(record) else { return false };
    let rendered = record.key.as_ref().and_then(|key| desired.rendering(key).hash(&digests));
    facts.is_controlled_by(&desired.identity.owner.uid)
        && !is_any_lost(desired, facts)
        && rendered == record.data_hash
}

/// True if the Secret, as known, holds a credential that matches the spec.
pub fn serves(desired: &Desired, world: &World) -> bool {
    let Some(facts) = world.secret() else { return false };
    let record = &facts.record;
    record.is_complete()
        && holds_all(desired, facts)
        && record.policy_hash.as_ref() == Some(&desired.policy.hash)
}
