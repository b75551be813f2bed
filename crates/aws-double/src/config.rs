//! What a double is started with.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use crate::account::Settings;
use crate::smtp::domain;

/// AWS's documentation key, the default caller's.
pub const CALLER_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// AWS's documentation secret, the default caller's.
pub const CALLER_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// The default account.
pub const ACCOUNT: &str = "123456789012";

/// A principal that may call IAM and STS.
#[derive(Clone)]
pub struct Caller {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret: String,
    /// Account the calls act on.
    pub account: String,
    /// ARN of the principal, as `GetCallerIdentity` and denials tell it.
    pub arn: String,
    /// Policy that every IAM call of the caller is held against. Absent: all is allowed.
    pub policy: Option<String>,
}

impl Default for Caller {
    fn default() -> Self {
        Self::new(CALLER_KEY_ID, CALLER_SECRET, ACCOUNT)
    }
}

impl Caller {
    /// A caller that is a role session of the account, as an operator in a cluster is.
    pub fn new(access_key_id: &str, secret: &str, account: &str) -> Self {
        Self {
            access_key_id: access_key_id.to_owned(),
            secret: secret.to_owned(),
            account: account.to_owned(),
            arn: format!("arn:aws:sts::{account}:assumed-role/ses-smtp-operator/double"),
            policy: None,
        }
    }

    /// The caller with a policy.
    #[must_use]
    pub fn with_policy(self, document: &str) -> Self {
        Self { policy: Some(document.to_owned()), ..self }
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Caller({}, {})", self.access_key_id, self.arn)
    }
}

/// A role that callers may assume. Its account exists from the start.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// Its trust policy: who may assume it, on what condition.
    pub trust: String,
    /// Policy that every IAM call of its sessions is held against. Absent: all is allowed.
    pub policy: Option<String>,
}

impl Role {
    /// A role that may be assumed by `principal` (an account, or the ARN of a role) with one of the external
    /// ids, which may hold stars.
    pub fn new(arn: &str, principal: &str, external_ids: &[&str]) -> Self {
        let trust = serde_json::json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "sts:AssumeRole",
            "Condition": { "StringLike": { "sts:ExternalId": external_ids } } } });
        Self::trusting(arn, &trust.to_string())
    }

    /// A role with a whole trust policy.
    pub fn trusting(arn: &str, trust: &str) -> Self {
        Self { arn: arn.to_owned(), trust: trust.to_owned(), policy: None }
    }

    /// The role with a policy.
    #[must_use]
    pub fn with_policy(self, document: &str) -> Self {
        Self { policy: Some(document.to_owned()), ..self }
    }
}

/// A token bucket.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Bucket {
    /// Calls per second of the double's time: multiplied by the time scale.
    pub rate: f64,
    /// Calls that may come at once.
    pub burst: f64,
}

/// How SES answers.
#[derive(Debug, Clone)]
pub struct Ses {
    /// Accounts without SES: their logins answer 535 `Account not subscribed to SES`.
    pub unsubscribed: Vec<String>,
    /// Verified identities, addresses or domains. Empty: every sender is verified. Recipients that are
    /// one of them must be allowed as the sender is.
    pub identities: Vec<String>,
    /// The account is in the sandbox: recipients must be verified too.
    pub sandbox: bool,
    /// Default configuration set of every identity. It takes part in a send whose mail names no other,
    /// and must be allowed then.
    pub configuration_set: Option<String>,
    /// A connection may stay silent for so long before 451 closes it.
    pub idle: Duration,
}

impl Default for Ses {
    fn default() -> Self {
        Self {
            unsubscribed: Vec::new(),
            identities: Vec::new(),
            sandbox: false,
            configuration_set: None,
            idle: Duration::from_mins(5),
        }
    }
}

impl Ses {
    /// The verified identity that stands for an address: the address itself before its domain.
    pub(crate) fn identity_of(&self, address: &str) -> Option<&str> {
        let find = |name: &str| self.identities.iter().find(|id| id.eq_ignore_ascii_case(name));
        find(address).or_else(|| find(domain(address))).map(String::as_str)
    }
}

/// Everything a double is started with. All AWS-side durations are divided by `time_scale`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Decides every id and secret.
    pub seed: u64,
    /// How many times faster than AWS the double is.
    pub time_scale: f64,
    /// A clock that stands still until it is moved.
    pub fixed_now: Option<Timestamp>,
    /// Regions with an SMTP endpoint.
    pub regions: Vec<String>,
    /// Principals; their accounts exist from the start.
    pub callers: Vec<Caller>,
    /// Roles that may be assumed; their accounts exist from the start too.
    pub roles: Vec<Role>,
    /// How long a session lasts whose caller doesn't say it, as in AWS, unscaled.
    pub session: Duration,
    /// Latency by action; `*` stands for all others. `AUTH` is SMTP's.
    pub latency: BTreeMap<String, Duration>,
    /// Token buckets by action; `*` gives every other action a bucket of its own.
    pub buckets: BTreeMap<String, Bucket>,
    /// How accounts behave: delays, page sizes, managed policies. Durations as in AWS, unscaled.
    pub settings: Settings,
    /// How SES behaves.
    pub ses: Ses,
    /// Where journal lines go besides memory.
    pub journal_file: Option<PathBuf>,
    /// Address that everything listens at; the certificate of the SMTP endpoints names it.
    pub address: Ipv4Addr,
    /// Port of the HTTP side; 0 takes a free one.
    pub port: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            time_scale: 1.0,
            fixed_now: None,
            regions: vec!["eu-west-1".to_owned()],
            callers: vec![Caller::default()],
            roles: Vec::new(),
            session: Duration::from_hours(1),
            latency: BTreeMap::new(),
            buckets: BTreeMap::new(),
            settings: Settings::default(),
            ses: Ses::default(),
            journal_file: None,
            address: Ipv4Addr::LOCALHOST,
            port: 0,
        }
    }
}

impl Config {
    /// Registers a managed policy that may serve as permissions boundary.
    #[must_use]
    pub fn policy(mut self, arn: &str, document: &str) -> Self {
        self.settings.policies.insert(arn.to_owned(), document.to_owned());
        self
    }
}
