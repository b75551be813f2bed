//! An IAM account in memory, with the rules that the protocol leans on.

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::iam::{Blocker, Failure, KEYS_PER_USER, KeyList, KeyStatus, ListedKey, UserFacts, UserSpec};
use crate::key::KeyId;
use crate::test::key;

/// An access key with its secret half.
#[derive(Clone)]
pub struct Key {
    pub listed: ListedKey,
    pub secret: String,
    pub used: Option<Timestamp>,
}

/// A user with what hangs on it.
#[derive(Clone)]
pub struct User {
    pub facts: UserFacts,
    pub policy: Option<String>,
    pub keys: Vec<Key>,
    pub foreign: Option<Blocker>,
    /// ARNs of attached policies.
    pub attached: Vec<String>,
}

/// The account.
#[derive(Clone, Default)]
pub struct Account {
    pub users: BTreeMap<String, User>,
    /// Keys made so far; the n-th has id `key(n)`.
    pub made: u32,
    /// How far IAM's clock is behind the operator's.
    pub behind: SignedDuration,
}

pub type Reply<T> = Result<T, Failure>;

impl Account {
    pub fn user(&mut self, name: &str) -> Reply<&mut User> {
        self.users.get_mut(name).ok_or(Failure::Absent)
    }

    pub fn create_user(&mut self, spec: &UserSpec) -> Reply<()> {
        if self.users.contains_key(&spec.name) {
            return Err(Failure::Exists);
        }
        let facts = UserFacts {
            user_id: format!("AIDA{}", self.users.len()),
            arn: String::new(),
            path: spec.path.clone(),
            tags: spec.tags.clone(),
            boundary: spec.boundary.clone(),
        };
        let user = User { facts, policy: None, keys: Vec::new(), foreign: None, attached: Vec::new() };
        self.users.insert(spec.name.clone(), user);
        Ok(())
    }

    pub fn detach(&mut self, name: &str, policy: &str) -> Reply<()> {
        let attached = &mut self.user(name)?.attached;
        let at = attached.iter().position(|arn| arn == policy).ok_or(Failure::Absent)?;
        attached.remove(at);
        Ok(())
    }

    pub fn delete_user(&mut self, name: &str) -> Reply<()> {
        let user = self.user(name)?;
        let blocker = user.foreign.or((!user.keys.is_empty()).then_some(Blocker::AccessKeys));
        let blocker = blocker.or((!user.attached.is_empty()).then_some(Blocker::AttachedPolicies));
        if let Some(blocker) = blocker.or(user.policy.as_ref().map(|_| Blocker::InlinePolicies)) {
            return Err(Failure::Conflict(blocker));
        }
        self.users.remove(name);
        Ok(())
    }

    pub fn mint(&mut self, name: &str, now: Timestamp) -> Reply<KeyId> {
        let number = self.made + 1;
        let user = self.user(name)?;
        if user.keys.len() >= KEYS_PER_USER {
            return Err(Failure::Limit);
        }
        let listed =
            ListedKey { id: key(number), status: KeyStatus::Active, created: crate::time::seconds(now) };
        user.keys.push(Key { listed, secret: format!("secret-{number}"), used: None });
        self.made = number;
        Ok(key(number))
    }

    pub fn list(&mut self, name: &str, now: Timestamp) -> Reply<KeyList> {
        let keys = self.user(name)?.keys.iter().map(|key| key.listed.clone()).collect();
        Ok(KeyList { keys, server_time: crate::time::seconds(now - self.behind) })
    }

    pub fn key(&mut self, name: &str, id: &KeyId) -> Reply<&mut Key> {
        let keys = &mut self.user(name)?.keys;
        keys.iter_mut().find(|key| &key.listed.id == id).ok_or(Failure::Absent)
    }

    pub fn delete_key(&mut self, name: &str, id: &KeyId) -> Reply<()> {
        self.key(name, id)?;
        self.user(name)?.keys.retain(|key| &key.listed.id != id);
        Ok(())
    }

    pub fn delete_policy(&mut self, name: &str) -> Reply<()> {
        self.user(name)?.policy.take().map(|_| ()).ok_or(Failure::Absent)
    }
}
