//! The controller: watches, one pass per object at a time, and what is remembered between passes.
//!
//! Owns when a pass runs and what happens around it. What a pass does is decided by
//! `ses_smtp_core::plan`, step by step; nothing here branches on what a credential is or needs.

mod act;
mod backoff;
mod cache;
mod crd;
mod ids;
mod leader;
mod lock;
mod memory;
mod pass;
#[cfg(feature = "scaled-time")]
mod passes;
mod picture;
mod reconcile;
mod sweep;
mod tenancies;
mod unserved;
mod watch;

use std::sync::Arc;

use futures::StreamExt as _;
use futures::channel::mpsc;
use kube::Client;
use kube::ResourceExt as _;
use kube::runtime::Controller;
use kube::runtime::reflector::Store;
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::{Goal, Identity, Settings};
use ses_smtp_core::identity::Installation;
use ses_smtp_core::secret::SecretFacts;
use ses_smtp_core::sweep::orphans::Rules;
use ses_smtp_core::time::Durations;
use tokio::sync::{Semaphore, watch as channel};

use crate::aws::{Accounts, LoginProbe};
use crate::clock::Clock;
use crate::cluster::{Credentials, Extent, Namespaces, NoNamespace, Secrets, connect, connect_as};
use crate::leadership::Leadership;
use crate::process::{Metrics, Operator, Readiness};

use cache::{Key, SecretCache, SourceCache, key_of};
use leader::{Election, Lost};
use memory::Memory;
#[cfg(feature = "scaled-time")]
pub use passes::Passes;
use picture::Looks;
use tenancies::Tenancies;
use unserved::Unserved;

pub use ids::{IdError, Ids, of as installation_ids, of_namespaces as namespace_ids};
pub use sweep::{Intervals, live_uids, remove_orphan, users_of_cluster};

/// Logins that are tried at a time.
const LOGINS: usize = 32;

/// Everything that passes share.
struct Context {
    settings: Settings,
    sweep_rules: Rules,
    client: Client,
    /// The namespaces that are worked in.
    extent: Extent,
    /// Those of them that can't be for now.
    unserved: Arc<Unserved>,
    /// False if nobody tells of Secrets that change: passes look for themselves, now and then.
    watch_secrets: bool,
    /// Every custom resource that is watched.
    objects: Store<SesSmtpCredential>,
    accounts: Accounts,
    probe: Arc<dyn LoginProbe>,
    /// So many logins at a time: where nobody answers, each takes its time.
    probes: Semaphore,
    secrets: Secrets,
    credentials: Credentials,
    namespaces: Namespaces,
    tenancies: Tenancies,
    cache: SecretCache,
    sources: SourceCache,
    memory: Memory,
    looks: Looks,
    /// Before any I/O of a pass: first come, first served, so many at a time.
    gate: Semaphore,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Whether this process may act just now.
    leadership: Leadership,
    /// True once the Secrets were listed.
    synced: channel::Receiver<bool>,
    /// True once the Namespaces were listed.
    known: channel::Receiver<bool>,
    /// True once the custom resources were listed.
    listed: channel::Receiver<bool>,
    shutdown: channel::Receiver<bool>,
}

impl Context {
    /// A Secret as it was read or written: what is ours is remembered at once.
    fn seen(&self, identity: &Identity, facts: &SecretFacts) {
        let key = key_of(identity);
        if facts.is_controlled_by(&identity.owner.uid) {
            self.cache.put(key, facts.clone());
        } else {
            self.unseen(&key);
        }
    }

    /// The Secret is gone, or isn't ours: without the watch nobody else says so.
    fn unseen(&self, secret: &Key) {
        if !self.watch_secrets {
            self.cache.remove(secret);
        }
    }

    /// What is to be done for an object; `None` as long as nothing is known of its Namespace.
    fn goal(&self, object: &SesSmtpCredential) -> Option<Goal> {
        let tenancy = self.tenancies.get(&object.namespace().unwrap_or_default())?;
        Some(Goal::of(object, &self.settings, &tenancy))
    }
}

/// Why the controller can't run.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no client.
    #[error(transparent)]
    Connect(#[from] crate::cluster::ConnectError),
    /// The installation can't be told apart from others.
    #[error(transparent)]
    Ids(#[from] ids::IdError),
    /// There is no place for the Lease.
    #[error(transparent)]
    NoNamespace(#[from] NoNamespace),
    /// Another replica may work by now.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Runs until `operator.shutdown` turns true and every running pass has ended, or until the lease is lost.
/// Until it is held nothing begins that could change anything.
pub async fn run(operator: Operator) -> Result<(), ControlError> {
    let client = connect().await?;
    let mut shutdown = operator.shutdown.clone();
    tokio::select! {
        () = crd::is_there(&client, &operator.extent, &operator.readiness) => {}
        _ = shutdown.wait_for(|ending| *ending) => return Ok(()),
    }
    let settings = settings(&operator, &client).await?;
    let election = Election::of(&operator, client)?;
    let work = Box::pin(work(operator, settings));
    match election {
        Some(election) => election.lead(shutdown, work).await?.unwrap_or(Ok(())),
        None => work.await,
    }
}

/// The operator at work.
async fn work(operator: Operator, settings: Settings) -> Result<(), ControlError> {
    operator.metrics.leads(true);
    operator.readiness.set_waiting("the first list of SesSmtpCredentials, Secrets and Namespaces");
    let client = connect_as(operator.leadership.clone()).await?;
    control(client, operator, settings).await;
    Ok(())
}

async fn settings(operator: &Operator, client: &Client) -> Result<Settings, ControlError> {
    let given = &operator.settings;
    let ids = ids::of(client, &operator.extent, given.place.cluster_id.clone()).await?;
    tracing::info!(cluster_id = ids.cluster, account = operator.caller.account, "serving");
    Ok(Settings {
        installation: Installation {
            cluster_id: ids.cluster,
            // None is never in a tag: no pass runs before the object's Namespace was read.
            install_id: ids.install.unwrap_or_default(),
            account: operator.caller.account.clone(),
            partition: operator.caller.partition,
            user_path: given.place.user_path.clone(),
            user_prefix: given.user_prefix.clone(),
            boundary_name: given.permissions_boundary_name.clone(),
        },
        regions: given.regions(),
        durations: Durations::default().scaled(operator.clock.scale()),
        time_scale: operator.clock.scale(),
        verify_login: given.verify_login(),
        allowed: given.allowed(),
    })
}

async fn control(client: Client, operator: Operator, settings: Settings) {
    let (secrets, secrets_listed) = channel::channel(false);
    let (sources, sources_listed) = channel::channel(false);
    let synced = both(secrets_listed, sources_listed);
    let (namespaces, known) = channel::channel(false);
    let (listed_tx, listed) = channel::channel(false);
    let unserved = Arc::new(Unserved::new(operator.readiness.clone()));
    let (objects, store) = watch::objects(&client, &operator.extent, &unserved, listed_tx);
    let (intervals, readiness) = (operator.settings.sweep_intervals(), operator.readiness.clone());
    let mut shutdown = operator.shutdown.clone();
    let per_object = operator.settings.metrics.metrics_per_object;
    let lists = [synced.clone(), known.clone(), listed.clone()];
    let context = Arc::new(context(&client, operator, settings, (store.clone(), unserved), lists));
    context.metrics.show(picture::source(&context, per_object));
    let (suspects, suspected) = mpsc::unbounded();
    let changes = watch::changes(&client, &context, watch::Listed { secrets, sources, namespaces });
    let changes = futures::stream::select(changes, suspected);
    tokio::spawn(report_ready([listed, synced.clone(), known.clone()], readiness));
    let sweeper = sweep::Sweeper { context: context.clone(), suspects, intervals };
    tokio::spawn(sweep::run(sweeper, [synced, known]));
    Controller::for_stream(objects, store)
        .reconcile_on(changes)
        .graceful_shutdown_on(async move {
            let _ = shutdown.wait_for(|ending| *ending).await;
        })
        .run(reconcile::reconcile, reconcile::after_error, context)
        .for_each(|_| std::future::ready(()))
        .await;
}

/// What passes share, with nothing known yet.
fn context(
    client: &Client,
    operator: Operator,
    settings: Settings,
    (objects, unserved): (Store<SesSmtpCredential>, Arc<Unserved>),
    [synced, known, listed]: [channel::Receiver<bool>; 3],
) -> Context {
    Context {
        settings,
        sweep_rules: operator.settings.sweep_rules(operator.clock.scale()),
        client: client.clone(),
        tenancies: Tenancies::new(operator.extent != Extent::Cluster),
        extent: operator.extent,
        unserved,
        watch_secrets: operator.settings.scope.watch_secrets,
        objects,
        accounts: operator.accounts,
        probe: operator.probe,
        probes: Semaphore::new(LOGINS),
        secrets: Secrets::new(client.clone()),
        credentials: Credentials::new(client.clone()),
        namespaces: Namespaces::new(client.clone()),
        cache: SecretCache::default(),
        sources: SourceCache::default(),
        memory: Memory::default(),
        looks: Looks::default(),
        gate: Semaphore::new(usize::from(operator.settings.concurrency)),
        clock: operator.clock,
        metrics: operator.metrics,
        leadership: operator.leadership,
        synced,
        known,
        listed,
        shutdown: operator.shutdown,
    }
}

/// True once both are.
fn both(one: channel::Receiver<bool>, other: channel::Receiver<bool>) -> channel::Receiver<bool> {
    let (sender, receiver) = channel::channel(false);
    tokio::spawn(async move {
        if all_done([one, other]).await {
            sender.send_replace(true);
        }
        // Closed, it would read as if there were nothing left to wait for.
        sender.closed().await;
    });
    receiver
}

/// Ready once all first lists are done.
async fn report_ready(lists: [channel::Receiver<bool>; 3], readiness: Readiness) {
    if all_done(lists).await {
        readiness.set_ready();
        tracing::info!("ready");
    }
}

/// Waits for every list; false if the process ends before.
async fn all_done<const N: usize>(lists: [channel::Receiver<bool>; N]) -> bool {
    for mut list in lists {
        if list.wait_for(|done| *done).await.is_err() {
            return false;
        }
    }
    true
}
