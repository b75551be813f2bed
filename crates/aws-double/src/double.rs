//! The handle that tests hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::account::{Account, ApiError};
use crate::by_hand::ByHand;
use crate::config::{Bucket, Config, Role};
use crate::fault::Fault;
use crate::http;
use crate::iam::Params;
use crate::journal::Record;
use crate::smtp::{self, Endpoint, Login, Mail};
use crate::snapshot::{self, UserSnapshot};
use crate::tls::{LOCALHOST, Tls};
use crate::web_identity::Provider;
use crate::world::Shared;

/// Why a double could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener or the journal file could not be opened.
    #[error("cannot open a listener or the journal file: {0}")]
    Io(#[from] std::io::Error),
    /// The certificates could not be made.
    #[error("cannot make certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS configuration was refused.
    #[error("cannot configure TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The private key was refused.
    #[error("cannot use the private key: {0}")]
    Key(&'static str),
}

/// The ports of a Region's SMTP endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmtpPorts {
    /// STARTTLS.
    pub starttls: u16,
    /// TLS from the first byte.
    pub tls: u16,
}

/// A running double. It stops when it is dropped.
#[derive(Debug)]
pub struct Double {
    shared: Arc<Shared>,
    port: u16,
    smtp: BTreeMap<String, SmtpPorts>,
    ca_pem: String,
    default_account: String,
    /// Dropping the set aborts every listener, and each listener its connections.
    _tasks: JoinSet<()>,
}

impl Double {
    /// Starts all listeners, on loopback unless the configuration names another address.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let tls = Tls::new(config.address)?;
        let default_account = config.callers.first().map(|c| c.account.clone()).unwrap_or_default();
        let shared = Arc::new(Shared::new(config)?);
        let mut tasks = JoinSet::new();
        let listener = TcpListener::bind((shared.config.address, shared.config.port)).await?;
        let port = listener.local_addr()?.port();
        let served = Arc::clone(&shared);
        tasks.spawn(async move { match http::serve(listener, served).await {} });
        let mut smtp = BTreeMap::new();
        for region in &shared.config.regions {
            let starttls = start_smtp(&shared, region, &tls, false, &mut tasks).await?;
            let tls = start_smtp(&shared, region, &tls, true, &mut tasks).await?;
            smtp.insert(region.clone(), SmtpPorts { starttls, tls });
        }
        Ok(Self { shared, port, smtp, ca_pem: tls.ca_pem, default_account, _tasks: tasks })
    }

    /// The address of IAM, STS and the control endpoint, for `AWS_ENDPOINT_URL_IAM` and `AWS_ENDPOINT_URL_STS`.
    pub fn iam_url(&self) -> String {
        format!("http://{}:{}", self.shared.config.address, self.port)
    }

    /// The certificate of the authority that signed the SMTP endpoints' certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The ports of a Region's endpoint.
    pub fn smtp(&self, region: &str) -> Option<SmtpPorts> {
        self.smtp.get(region).copied()
    }

    /// The operator's endpoints file: Region to host and ports.
    pub fn endpoints_yaml(&self) -> String {
        let address = self.shared.config.address;
        let host = if address.is_loopback() { LOCALHOST.to_owned() } else { address.to_string() };
        let line = |mut text: String, (region, ports): (&String, &SmtpPorts)| {
            let SmtpPorts { starttls, tls } = ports;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{region}: {{host: {host}, starttls: [{starttls}], tls: [{tls}]}}");
            text
        };
        self.smtp.iter().fold(String::new(), line)
    }

    /// Adds a fault.
    pub fn inject(&self, fault: Fault) {
        self.shared.lock().faults.add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// The faults that have not met all their calls yet, in words.
    pub fn pending_faults(&self) -> Vec<String> {
        self.shared.lock().faults.pending()
    }

    /// Sets or lifts the token bucket of an action.
    pub fn set_bucket(&self, action: &str, bucket: Option<Bucket>) {
        self.shared.lock().buckets.set(action, bucket);
    }

    /// Sets or lifts the policy that the IAM calls of a caller are held against.
    pub fn set_policy(&self, access_key_id: &str, document: Option<&str>) {
        self.shared.lock().set_policy(access_key_id, document);
    }

    /// Adds a role, or replaces the one of its ARN: its sessions go on under the new policy. The account
    /// must be one that was there from the start.
    pub fn set_role(&self, role: Role) {
        self.shared.lock().sessions.set_role(role);
    }

    /// Makes every account know a provider of OIDC: who issues its tokens, for whom they may be, and
    /// its public keys as the issuer publishes them (JWKS). The error says what of the keys can't be used.
    pub fn set_provider(&self, issuer: &str, audiences: &[&str], jwks: &str) -> Result<(), String> {
        let provider = Provider::new(issuer, audiences, jwks)?;
        let providers = &mut self.shared.lock().providers;
        providers.retain(|known| !known.is_of(issuer));
        providers.push(provider);
        Ok(())
    }

    /// Gives the pods of a service account a role, as an association of EKS Pod Identity does.
    pub fn associate(&self, namespace: &str, service_account: &str, role: &str) {
        self.shared.lock().associations.insert(format!("{namespace}:{service_account}"), role.to_owned());
    }

    /// Where pods get credentials from, for `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub fn pod_credentials_url(&self) -> String {
        format!("{}{}", self.iam_url(), http::POD_CREDENTIALS)
    }

    /// Secret and token of every session that was not ended by hand, for verification.
    pub fn session_secrets(&self) -> Vec<String> {
        self.shared.lock().sessions.secrets()
    }

    /// Ends every session, as when somebody revokes them.
    pub fn end_sessions(&self) {
        self.shared.lock().sessions.end_all();
    }

    /// The double's time.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// Moves the double's time forward.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// All records since the start or the last reset.
    pub fn journal(&self) -> Vec<Record> {
        self.shared.lock().journal.records().to_vec()
    }

    /// Calls by action, out-of-band edits left out.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.shared.lock().journal.counts()
    }

    /// Calls by user and action, out-of-band edits left out.
    pub fn counts_by_user(&self) -> BTreeMap<(String, String), u64> {
        self.shared.lock().journal.counts_by_user()
    }

    /// Forgets the records. The sequence goes on.
    pub fn reset_journal(&self) {
        self.shared.lock().journal.clear();
    }

    /// Tells the journal's last sequence number whenever it grows.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes()
    }

    /// Waits until a condition holds, asked again after every record. Callers add their own deadline.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.changes();
        // The sender lives as long as `self`, so waiting cannot fail.
        while !condition(self) && changes.changed().await.is_ok() {}
    }

    /// The users of the first caller's account.
    pub fn users(&self) -> Vec<UserSnapshot> {
        self.users_in(&self.default_account)
    }

    /// The users of an account.
    pub fn users_in(&self, account: &str) -> Vec<UserSnapshot> {
        self.shared.lock().accounts.get(account).map(snapshot::users).unwrap_or_default()
    }

    /// A user of the first caller's account.
    pub fn user(&self, name: &str) -> Option<UserSnapshot> {
        self.users().into_iter().find(|user| user.name.eq_ignore_ascii_case(name))
    }

    /// The ids of all keys ever made in any account, deleted ones and those of deleted users too.
    pub fn key_ids(&self) -> Vec<String> {
        self.shared.lock().accounts.values().flat_map(Account::key_ids).cloned().collect()
    }

    /// The secret of a key, deleted ones too, for verification.
    pub fn secret_of(&self, key_id: &str) -> Option<String> {
        let world = self.shared.lock();
        world.accounts.values().find_map(|account| account.key(key_id)).map(|key| key.secret().to_owned())
    }

    /// The SMTP password of a key in a Region, for verification.
    pub fn password_of(&self, key_id: &str, region: &str) -> Option<String> {
        smtp::password(&self.secret_of(key_id)?, region)
    }

    /// Accepted mails.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.lock().mails.clone()
    }

    /// Tries to log in at SMTP.
    pub fn logins(&self) -> Vec<Login> {
        self.shared.lock().logins.clone()
    }

    /// Somebody who changes users of the first caller's account behind the operator's back.
    pub fn by_hand(&self) -> ByHand<'_> {
        self.by_hand_in(&self.default_account)
    }

    /// As [`Double::by_hand`], in any account.
    pub fn by_hand_in<'a>(&'a self, account: &'a str) -> ByHand<'a> {
        ByHand::new(&self.shared, account)
    }

    /// Changes the first caller's account behind the operator's back. The closure runs under the
    /// double's lock: it must not call the double. Nothing is written to the journal.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Account, Timestamp) -> T) -> Option<T> {
        self.edit_in(&self.default_account, change)
    }

    /// As [`Double::edit`], in any account.
    pub fn edit_in<T>(&self, account: &str, change: impl FnOnce(&mut Account, Timestamp) -> T) -> Option<T> {
        let now = self.now();
        self.shared.lock().accounts.get_mut(account).map(|account| change(account, now))
    }

    /// Calls an IAM action in the first caller's account, without wire, throttling and faults, and
    /// gives the inside of the `…Result` element.
    pub fn call(&self, action: &str, params: &[(&str, &str)]) -> Result<String, ApiError> {
        let all = params.iter().copied().chain([("Action", action)]);
        http::run_unsigned(&self.shared, &self.default_account, Params::from_pairs(all))
    }
}

async fn start_smtp(
    shared: &Arc<Shared>,
    region: &str,
    tls: &Tls,
    implicit: bool,
    tasks: &mut JoinSet<()>,
) -> Result<u16, StartError> {
    let listener = TcpListener::bind((shared.config.address, 0)).await?;
    let port = listener.local_addr()?.port();
    let endpoint = Endpoint {
        shared: Arc::clone(shared),
        region: region.to_owned(),
        tls: tls.acceptor.clone(),
        implicit,
    };
    let endpoint = Arc::new(endpoint);
    tasks.spawn(async move { match smtp::serve(listener, endpoint).await {} });
    Ok(port)
}
