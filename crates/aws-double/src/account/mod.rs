//! One AWS account's IAM users as a pure state machine: no I/O, no clock, `now` is an argument.
//!
//! Owns every hard rule of IAM that the project depends on. It knows no wire format, no callers
//! and no faults; a lagging or stale reading is asked for through [`View`].

mod changes;
mod document;
mod error;
mod keys;
mod membership;
mod names;
mod page;
mod policies;
mod report;
mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

pub use error::ApiError;
pub use keys::{AccessKey, KeyListing, KeyState, KeyUse, NewKey};
pub use page::{Page, Paged};
pub use report::{Report, ReportState};
pub use users::NewUser;

use crate::clock;
use crate::rng::Rng;

/// How the account behaves. All durations are already in the double's own time.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Partition, as in ARNs.
    pub partition: String,
    /// How far lists of users and keys lag behind.
    pub list_delay: Duration,
    /// How far `ListAccessKeys` lags behind; as `list_delay` when absent.
    pub key_list_delay: Option<Duration>,
    /// How long a new user is unknown to every call but `CreateUser`.
    pub user_delay: Duration,
    /// How long a new key is refused at SMTP.
    pub key_delay: Duration,
    /// How long a deactivated or deleted key is still accepted at SMTP; as `key_delay` when absent.
    pub key_linger: Option<Duration>,
    /// The check of the key quota overlooks keys younger than this.
    pub quota_lag: Duration,
    /// How long a use takes to show in `GetAccessKeyLastUsed`.
    pub last_used_lag: Duration,
    /// How long a credential report takes to make.
    pub report_delay: Duration,
    /// How old a credential report may be; until then no new one is made. 4 hours at AWS.
    pub report_interval: Duration,
    /// Pages are never longer than this, whatever the caller asks for.
    pub page_cap: Option<usize>,
    /// `GetAccessKeyLastUsed` answers `AccessDenied` for an unknown key instead of `NoSuchEntity`.
    pub unknown_key_denied: bool,
    /// Policies that may serve as permissions boundary or be attached: ARN to document.
    pub policies: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partition: "aws".to_owned(),
            list_delay: Duration::ZERO,
            key_list_delay: None,
            user_delay: Duration::ZERO,
            key_delay: Duration::ZERO,
            key_linger: None,
            quota_lag: Duration::ZERO,
            last_used_lag: Duration::ZERO,
            report_delay: Duration::ZERO,
            report_interval: Duration::from_hours(4),
            page_cap: None,
            unknown_key_denied: false,
            policies: BTreeMap::new(),
        }
    }
}

/// The moment of a reading.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Now.
    pub now: Timestamp,
    /// The reading misses the last change.
    pub stale: bool,
}

impl View {
    /// A reading that misses nothing but what the settings hide.
    pub fn at(now: Timestamp) -> Self {
        Self { now, stale: false }
    }
}

/// A tag of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Key, unique per user ignoring case.
    pub key: String,
    /// Value.
    pub value: String,
}

/// An IAM user.
#[derive(Debug, Clone)]
pub struct User {
    /// Name as given on creation.
    pub name: String,
    /// Path.
    pub path: String,
    /// `AIDA…`, new on every creation.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// Time of creation.
    pub created: Timestamp,
    /// Tags.
    pub tags: Vec<Tag>,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Inline policies: name to document.
    pub inline: BTreeMap<String, String>,
    /// ARNs of attached managed policies.
    pub attached: BTreeSet<String>,
    /// Names of groups.
    pub groups: BTreeSet<String>,
    /// When a console password was made.
    pub login_profile: Option<Timestamp>,
    /// Ids of this user's keys, deleted ones too while a lagging reading may need them.
    key_ids: Vec<String>,
}

/// A group. Only membership matters to the double.
#[derive(Debug, Clone)]
pub struct Group {
    /// Name as given on creation.
    pub name: String,
    /// Path.
    pub path: String,
    /// `AGPA…`.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// Time of creation.
    pub created: Timestamp,
}

/// The last change to the set of users, for stale lists.
#[derive(Debug, Clone)]
enum LastChange {
    None,
    Created(String),
    Deleted(String),
}

/// An AWS account.
#[derive(Debug)]
pub struct Account {
    id: String,
    settings: Settings,
    rng: Rng,
    sequence: u64,
    /// By lower-case name: IAM's names are unique ignoring case, across paths.
    users: BTreeMap<String, User>,
    departed: VecDeque<(Timestamp, String, User)>,
    last_change: LastChange,
    groups: BTreeMap<String, Group>,
    keys: HashMap<String, AccessKey>,
    report: Option<Report>,
}

impl Account {
    /// An empty account. `seed` decides every id and secret to come.
    pub fn new(id: impl Into<String>, seed: u64, settings: Settings) -> Self {
        Self {
            id: id.into(),
            settings,
            rng: Rng::new(seed),
            sequence: 0,
            users: BTreeMap::new(),
            departed: VecDeque::new(),
            last_change: LastChange::None,
            groups: BTreeMap::new(),
            keys: HashMap::new(),
            report: None,
        }
    }

    /// The account's 12 digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How the account behaves.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes how the account behaves from now on.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Every user as it is, without lag, in the order of lower-case names.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// A user as it is, without lag.
    pub fn find_user(&self, name: &str) -> Option<&User> {
        self.users.get(&name.to_lowercase())
    }

    /// A user as a call sees it.
    fn user(&self, name: &str, now: Timestamp) -> Result<&User, ApiError> {
        names::name(name, "userName")?;
        let settled = clock::before(now, self.settings.user_delay);
        let user = self.users.get(&name.to_lowercase()).filter(|user| user.created <= settled);
        user.ok_or_else(|| ApiError::no_such_user(name))
    }

    fn user_mut(&mut self, name: &str, now: Timestamp) -> Result<&mut User, ApiError> {
        self.user(name, now)?;
        self.users.get_mut(&name.to_lowercase()).ok_or_else(|| ApiError::no_such_user(name))
    }

    /// An ARN of IAM in this account: `user/…` or `group/…`.
    pub(crate) fn arn(&self, kind: &str, path: &str, name: &str) -> String {
        format!("arn:{}:iam::{}:{kind}{path}{name}", self.settings.partition, self.id)
    }

    /// The ARN of one of AWS's own policies.
    fn aws_policy(&self, name: &str) -> String {
        format!("arn:{}:iam::aws:policy/{name}", self.settings.partition)
    }

    /// The ARN that a call on a user name is authorised against, whether or not the user exists.
    pub fn user_arn(&self, name: &str, path: Option<&str>) -> String {
        let found = self.find_user(name).map(|user| user.arn.clone());
        found.unwrap_or_else(|| self.arn("user", path.unwrap_or("/"), name))
    }

    /// Whether a managed policy may be used: known by configuration, or AWS's own.
    fn managed_policy(&self, arn: &str) -> bool {
        self.settings.policies.contains_key(arn)
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence = self.sequence.saturating_add(1);
        self.sequence
    }
}
