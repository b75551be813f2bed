//! Pictures of an account for tests and for the control endpoint. They hold no secrets.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use crate::account::{AccessKey, Account, User};

/// A user as it is, without lag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserSnapshot {
    /// Name.
    pub name: String,
    /// Path.
    pub path: String,
    /// `AIDA…`.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// Time of creation.
    pub created: Timestamp,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Inline policies: name to document.
    pub policies: BTreeMap<String, String>,
    /// ARNs of attached policies.
    pub attached: Vec<String>,
    /// Names of groups.
    pub groups: Vec<String>,
    /// Whether there is a console password.
    pub login_profile: bool,
    /// Keys that exist, oldest first.
    pub keys: Vec<KeySnapshot>,
}

/// A key as it is, without lag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeySnapshot {
    /// `AKIA…`.
    pub id: String,
    /// `Active` or `Inactive`.
    pub status: String,
    /// Time of creation.
    pub created: Timestamp,
    /// Last login.
    pub last_used: Option<Timestamp>,
}

impl KeySnapshot {
    /// Whether the key is Active.
    pub fn is_active(&self) -> bool {
        self.status == "Active"
    }
}

pub(crate) fn users(account: &Account) -> Vec<UserSnapshot> {
    account.users().map(|user| of(account, user)).collect()
}

fn of(account: &Account, user: &User) -> UserSnapshot {
    UserSnapshot {
        name: user.name.clone(),
        path: user.path.clone(),
        id: user.id.clone(),
        arn: user.arn.clone(),
        created: user.created,
        tags: user.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect(),
        boundary: user.boundary.clone(),
        policies: user.inline.clone(),
        attached: user.attached.iter().cloned().collect(),
        groups: user.groups.iter().cloned().collect(),
        login_profile: user.login_profile.is_some(),
        keys: account.keys_of(&user.name).filter(|key| key.state().is_live()).map(key).collect(),
    }
}

fn key(key: &AccessKey) -> KeySnapshot {
    KeySnapshot {
        id: key.id.clone(),
        status: key.state().as_str().to_owned(),
        created: key.created,
        last_used: key.last_used().map(|used| used.at),
    }
}
