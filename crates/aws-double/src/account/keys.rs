//! Access keys: the quota of two, their states over time, and their use at SMTP.
//!
//! A key remembers when it changed its state, so one record answers what a list shows, what the
//! SMTP service accepts and what is really so, each with its own lag.

use k8s_openapi::jiff::Timestamp;

use super::{Account, ApiError, Page, Paged, Settings, View, names};
use crate::clock;

/// Access keys per user, Inactive ones included.
pub(crate) const KEYS_PER_USER: usize = 2;
/// Keys per user that are remembered, deleted ones included.
const REMEMBERED: usize = 16;
/// Uses per key that are remembered.
const USES: usize = 64;

/// The state of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Signs and logs in.
    Active,
    /// Kept, refused everywhere, counts against the quota.
    Inactive,
    /// Gone.
    Deleted,
}

impl KeyState {
    /// IAM's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Inactive => "Inactive",
            Self::Deleted => "Deleted",
        }
    }

    /// Whether the key still exists.
    pub fn is_live(self) -> bool {
        self != Self::Deleted
    }
}

/// A use of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// When.
    pub at: Timestamp,
    /// In which Region.
    pub region: String,
    /// At which service, `ses-smtp` for logins.
    pub service: String,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    sequence: u64,
    at: Timestamp,
    state: KeyState,
}

/// An access key with its past.
#[derive(Clone)]
pub struct AccessKey {
    /// `AKIA…`.
    pub id: String,
    /// The user's name.
    pub user: String,
    /// Time of creation.
    pub created: Timestamp,
    secret: String,
    sequence: u64,
    changes: Vec<Change>,
    uses: Vec<KeyUse>,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessKey({}, {:?})", self.id, self.state())
    }
}

impl AccessKey {
    /// The state as it is.
    pub fn state(&self) -> KeyState {
        self.changes.last().map_or(KeyState::Deleted, |change| change.state)
    }

    /// The last use, without lag.
    pub fn last_used(&self) -> Option<&KeyUse> {
        self.uses.last()
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// The state as of a moment, without the change `missed`; `None` before the key existed.
    fn state_at(&self, cutoff: Timestamp, missed: Option<u64>) -> Option<KeyState> {
        let known = |change: &&Change| change.at <= cutoff && Some(change.sequence) != missed;
        self.changes.iter().rev().find(known).map(|change| change.state)
    }
}

/// The answer of `CreateAccessKey`.
#[derive(Clone)]
pub struct NewKey {
    /// The user's name.
    pub user: String,
    /// `AKIA…`.
    pub id: String,
    /// The secret, shown only here.
    pub secret: String,
    /// Time of creation.
    pub created: Timestamp,
}

/// A row of `ListAccessKeys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyListing {
    /// `AKIA…`.
    pub id: String,
    /// The state as the list shows it.
    pub state: KeyState,
    /// Time of creation.
    pub created: Timestamp,
}

impl Account {
    /// `CreateAccessKey`.
    pub fn create_access_key(&mut self, user: &str, now: Timestamp) -> Result<NewKey, ApiError> {
        let name = self.user(user, now)?.name.clone();
        if self.counted_keys(&name, now) >= KEYS_PER_USER {
            return Err(ApiError::quota("AccessKeysPerUser", KEYS_PER_USER));
        }
        let new = NewKey { id: self.rng.id("AKIA", 16), secret: self.rng.secret(), user: name, created: now };
        let sequence = self.next_sequence();
        let key = AccessKey {
            id: new.id.clone(),
            user: new.user.clone(),
            created: now,
            secret: new.secret.clone(),
            sequence,
            changes: vec![Change { sequence, at: now, state: KeyState::Active }],
            uses: Vec::new(),
        };
        self.remember(key, now)?;
        Ok(new)
    }

    fn remember(&mut self, key: AccessKey, now: Timestamp) -> Result<(), ApiError> {
        let user = self.user_mut(&key.user.clone(), now)?;
        user.key_ids.push(key.id.clone());
        let mut ids = std::mem::take(&mut user.key_ids);
        if ids.len() > REMEMBERED {
            let dead = |id: &String| self.keys.get(id).is_some_and(|key| !key.state().is_live());
            let oldest = ids.iter().position(dead);
            oldest.map(|at| ids.remove(at));
        }
        self.user_mut(&key.user.clone(), now)?.key_ids = ids;
        self.keys.insert(key.id.clone(), key);
        Ok(())
    }

    /// The number of keys that the quota check sees.
    fn counted_keys(&self, user: &str, now: Timestamp) -> usize {
        let cutoff = clock::before(now, self.settings.quota_lag);
        self.keys_of(user).filter(|key| key.state().is_live() && key.created <= cutoff).count()
    }

    /// A user's keys, deleted ones too as far as remembered, in the order of creation.
    pub fn keys_of(&self, user: &str) -> impl Iterator<Item = &AccessKey> {
        let ids = self.find_user(user).map(|user| user.key_ids.as_slice()).unwrap_or_default();
        ids.iter().filter_map(|id| self.keys.get(id))
    }

    /// The ids of all keys ever made, deleted ones and those of deleted users too.
    pub fn key_ids(&self) -> impl Iterator<Item = &String> {
        self.keys.keys()
    }

    /// A key by id, deleted ones too.
    pub fn key(&self, id: &str) -> Option<&AccessKey> {
        self.keys.get(id)
    }

    /// `ListAccessKeys`.
    pub fn list_access_keys(
        &self,
        user: &str,
        page: &Page,
        view: View,
    ) -> Result<Paged<KeyListing>, ApiError> {
        let name = &self.user(user, view.now)?.name;
        let lag = self.settings.key_list_delay.unwrap_or(self.settings.list_delay);
        let cutoff = clock::before(view.now, lag);
        let last =
            self.keys_of(name).filter_map(|key| key.changes.last()).map(|change| change.sequence).max();
        let missed = last.filter(|_| view.stale);
        let rows = self.keys_of(name).filter_map(|key| {
            let state = key.state_at(cutoff, missed).filter(|state| state.is_live())?;
            let row = KeyListing { id: key.id.clone(), state, created: key.created };
            Some((format!("{:020}", key.sequence), row))
        });
        page.cut(rows, self.settings.page_cap)
    }

    /// A key of a user that still exists.
    fn live_key(&self, user: &str, id: &str, now: Timestamp) -> Result<&AccessKey, ApiError> {
        names::name(id, "accessKeyId")?;
        let name = &self.user(user, now)?.name;
        let key = self.keys_of(name).find(|key| key.id == id && key.state().is_live());
        key.ok_or_else(|| ApiError::no_such_key(id))
    }

    pub(super) fn change_key(&mut self, id: &str, state: KeyState, now: Timestamp) {
        let sequence = self.next_sequence();
        if let Some(key) = self.keys.get_mut(id) {
            key.changes.push(Change { sequence, at: now, state });
        }
    }

    /// `UpdateAccessKey`.
    pub fn update_access_key(
        &mut self,
        user: &str,
        id: &str,
        status: &str,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let state = match status {
            "Active" => KeyState::Active,
            "Inactive" => KeyState::Inactive,
            other => {
                return Err(ApiError::invalid_input(format!(
                    "Status {other} is not valid: Active or Inactive."
                )));
            }
        };
        if self.live_key(user, id, now)?.state() != state {
            self.change_key(id, state, now);
        }
        Ok(())
    }

    /// `DeleteAccessKey`.
    pub fn delete_access_key(&mut self, user: &str, id: &str, now: Timestamp) -> Result<(), ApiError> {
        self.live_key(user, id, now)?;
        self.change_key(id, KeyState::Deleted, now);
        Ok(())
    }

    /// `GetAccessKeyLastUsed`: the user's name and the last use that shows already.
    pub fn last_used(&self, id: &str, now: Timestamp) -> Result<(String, Option<KeyUse>), ApiError> {
        names::name(id, "accessKeyId")?;
        let Some(key) = self.keys.get(id).filter(|key| key.state().is_live()) else {
            let text = format!("not authorized to perform: iam:GetAccessKeyLastUsed on access key {id}");
            let denied = ApiError::new(403, "AccessDenied", text);
            return Err(if self.settings.unknown_key_denied { denied } else { ApiError::no_such_key(id) });
        };
        Ok((key.user.clone(), self.shown_use(key, now).cloned()))
    }

    /// The last use of a key that shows already.
    pub(super) fn shown_use<'a>(&self, key: &'a AccessKey, now: Timestamp) -> Option<&'a KeyUse> {
        let cutoff = clock::before(now, self.settings.last_used_lag);
        key.uses.iter().rev().find(|used| used.at <= cutoff)
    }

    /// Notes a use of a key.
    pub fn record_use(&mut self, id: &str, region: &str, service: &str, now: Timestamp) {
        let Some(key) = self.keys.get_mut(id) else { return };
        if key.uses.len() >= USES {
            key.uses.remove(0);
        }
        key.uses.push(KeyUse { at: now, region: region.to_owned(), service: service.to_owned() });
    }

    /// The key if the SMTP service takes it now. Activation and deactivation spread at speeds of their own.
    pub fn login_key(&self, id: &str, now: Timestamp) -> Option<&AccessKey> {
        let Settings { key_delay, key_linger, .. } = self.settings;
        let key = self.keys.get(id)?;
        let active = key.state() == KeyState::Active;
        let lag = key_linger.filter(|_| !active).unwrap_or(key_delay);
        let then = key.state_at(clock::before(now, lag), None);
        (then == Some(KeyState::Active)).then_some(key)
    }
}
