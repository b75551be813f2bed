//! Everything the services share, behind one lock: accounts, callers, faults, buckets, journal, mail.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;

use crate::account::{Account, ApiError, Settings};
use crate::authorize::permitted;
use crate::clock::Clock;
use crate::config::{Caller, Config};
use crate::fault::{FaultBook, FaultKind};
use crate::journal::{Journal, Record};
use crate::policy::{Question, allows};
use crate::rng::Rng;
use crate::sessions::{Sessions, account_of};
use crate::smtp::{Login, Mail};
use crate::throttle::Buckets;
use crate::web_identity::Provider;

/// Who signed a request.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) key_id: String,
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    /// An IAM user of the double itself: its own policies and boundary say what it may do.
    pub(crate) minted: bool,
}

impl Identity {
    /// Who brings no key but a token of somebody else's: known to the account of the role that is wished for.
    pub(crate) fn nobody(role: &str) -> Self {
        let name = "anonymous".to_owned();
        let account = account_of(role).to_owned();
        Self { key_id: name.clone(), account, arn: name.clone(), user_id: name, minted: false }
    }
}

/// The state behind the lock.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) accounts: BTreeMap<String, Account>,
    callers: HashMap<String, Caller>,
    pub(crate) sessions: Sessions,
    pub(crate) providers: Vec<Provider>,
    /// Roles of pods by service account, as `namespace:name`.
    pub(crate) associations: BTreeMap<String, String>,
    pub(crate) faults: FaultBook,
    pub(crate) buckets: Buckets,
    pub(crate) journal: Journal,
    pub(crate) mails: Vec<Mail>,
    pub(crate) logins: Vec<Login>,
    pub(crate) ids: Rng,
}

impl World {
    fn new(config: &Config, clock: &Clock) -> std::io::Result<Self> {
        let settings = scaled(&config.settings, clock);
        let account = |(n, id): (u64, &str)| {
            let seed = config.seed.wrapping_mul(0x1_0000_0001).wrapping_add(n);
            (id.to_owned(), Account::new(id, seed, settings.clone()))
        };
        let of_callers = config.callers.iter().map(|caller| caller.account.as_str());
        let others = config.roles.iter().map(|role| account_of(&role.arn));
        let others: Vec<&str> = others.filter(|id| of_callers.clone().all(|known| known != *id)).collect();
        Ok(Self {
            accounts: (0..).zip(of_callers.chain(others)).map(account).collect(),
            sessions: Sessions::new(&config.roles, config.session),
            providers: Vec::new(),
            associations: BTreeMap::new(),
            callers: config.callers.iter().map(|c| (c.access_key_id.clone(), c.clone())).collect(),
            faults: FaultBook::default(),
            buckets: Buckets::new(config.buckets.clone(), clock.scale()),
            journal: Journal::new(config.journal_file.as_deref())?,
            mails: Vec::new(),
            logins: Vec::new(),
            ids: Rng::new(!config.seed),
        })
    }

    /// The identity and secret behind an access key id that may sign requests with this session token.
    pub(crate) fn signer(
        &self,
        key_id: &str,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<(Identity, String), ApiError> {
        let unknown = || {
            ApiError::new(
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
            )
        };
        if let Some(session) = self.sessions.get(key_id) {
            let expired = "The security token included in the request is expired";
            return match token {
                Some(token) if token == session.token && now < session.ends => {
                    Ok((session.identity.clone(), session.secret.clone()))
                }
                Some(token) if token == session.token => Err(ApiError::new(403, "ExpiredToken", expired)),
                _ => Err(unknown()),
            };
        }
        match self.callers.get(key_id) {
            _ if token.is_some() => Err(unknown()),
            Some(caller) => Ok((caller_identity(caller), caller.secret.clone())),
            None => self.minted_signer(key_id).ok_or_else(unknown),
        }
    }

    fn minted_signer(&self, key_id: &str) -> Option<(Identity, String)> {
        let (account, key) = self.accounts.values().find_map(|a| Some((a, a.key(key_id)?)))?;
        let user = account.find_user(&key.user).filter(|_| key.state().as_str() == "Active")?;
        let identity = Identity {
            key_id: key_id.to_owned(),
            account: account.id().to_owned(),
            arn: user.arn.clone(),
            user_id: user.id.clone(),
            minted: true,
        };
        Some((identity, key.secret().to_owned()))
    }

    /// The policy that a caller's IAM calls are held against, if any.
    pub(crate) fn policy_of(&self, key_id: &str) -> Option<&str> {
        match self.callers.get(key_id) {
            Some(caller) => caller.policy.as_deref(),
            None => self.sessions.policy_of(key_id),
        }
    }

    /// Whether a caller's own policies allow it: a user's are its inline and attached ones within its boundary.
    pub(crate) fn may(&self, who: &Identity, question: &Question<'_>) -> bool {
        if who.minted {
            let name = who.arn.rsplit('/').next().unwrap_or_default();
            return self.accounts.get(&who.account).is_some_and(|account| permitted(account, name, question));
        }
        self.policy_of(&who.key_id).is_none_or(|document| allows(&[document], None, question))
    }

    pub(crate) fn set_policy(&mut self, key_id: &str, document: Option<&str>) {
        if let Some(caller) = self.callers.get_mut(key_id) {
            caller.policy = document.map(str::to_owned);
        }
    }

    /// The user that owns a key, in whichever account.
    pub(crate) fn owner(&self, key_id: &str) -> Option<String> {
        self.accounts.values().find_map(|account| account.key(key_id)).map(|key| key.user.clone())
    }

    /// The account that has a key.
    pub(crate) fn account_of_key(&self, key_id: &str) -> Option<&str> {
        self.accounts.values().find(|account| account.key(key_id).is_some()).map(Account::id)
    }

    pub(crate) fn strike(&mut self, action: &str, user: Option<&str>) -> Option<FaultKind> {
        self.faults.strike(action, user)
    }
}

fn caller_identity(caller: &Caller) -> Identity {
    Identity {
        key_id: caller.access_key_id.clone(),
        account: caller.account.clone(),
        arn: caller.arn.clone(),
        user_id: format!("AROADOUBLE{}:double", caller.account),
        minted: false,
    }
}

/// Settings with their durations in the double's own time.
fn scaled(settings: &Settings, clock: &Clock) -> Settings {
    Settings {
        list_delay: clock.scaled(settings.list_delay),
        key_list_delay: settings.key_list_delay.map(|delay| clock.scaled(delay)),
        user_delay: clock.scaled(settings.user_delay),
        key_delay: clock.scaled(settings.key_delay),
        key_linger: settings.key_linger.map(|delay| clock.scaled(delay)),
        quota_lag: clock.scaled(settings.quota_lag),
        last_used_lag: clock.scaled(settings.last_used_lag),
        report_delay: clock.scaled(settings.report_delay),
        report_interval: clock.scaled(settings.report_interval),
        ..settings.clone()
    }
}

/// What every service holds on to.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    world: Mutex<World>,
    changed: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(config: Config) -> std::io::Result<Self> {
        let clock = Clock::new(config.fixed_now, config.time_scale);
        let world = Mutex::new(World::new(&config, &clock)?);
        Ok(Self { config, clock, world, changed: watch::channel(0).0 })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        // A panic of a test's closure under the lock leaves data that is still worth reading.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes a record and tells those who wait for changes.
    pub(crate) fn note(&self, record: Record) {
        self.note_in(&mut self.lock(), record);
    }

    /// As `note`, under the lock that the caller already holds: effect and record are one.
    pub(crate) fn note_in(&self, world: &mut World, record: Record) {
        self.changed.send_replace(world.journal.add(record));
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits as long as an action is configured to take.
    pub(crate) async fn latency(&self, action: &str) {
        let latency = &self.config.latency;
        if let Some(wait) = latency.get(action).or_else(|| latency.get("*")) {
            tokio::time::sleep(self.clock.scaled(*wait)).await;
        }
    }
}
