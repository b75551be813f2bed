//! Single passes, and single looks of the sweeps, for suites that bring their own time, calls and cache.
//!
//! Owns nothing but the making of a [`Context`]: what runs is exactly what the controller runs for
//! one object. Compiled into suites only.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::mpsc;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::SignedDuration;
use kube::Client;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::Settings;
use ses_smtp_core::secret::SecretFacts;
use ses_smtp_core::sweep::orphans::{self, Rules};
use ses_smtp_core::tenancy::Tenancy;
use tokio::sync::{Semaphore, watch as channel};

use super::cache::{SecretCache, SourceCache};
use super::lock::lock;
use super::memory::Memory;
use super::picture::Looks;
use super::sweep::{Intervals, Reports, Sweeper};
use super::tenancies::Tenancies;
use super::unserved::Unserved;
use super::{Context, LOGINS, reconcile};
use crate::aws::{Accounts, Iam, LoginProbe};
use crate::clock::Clock;
use crate::cluster::{Credentials, Extent, Namespaces, Secrets};
use crate::leadership::Leadership;
use crate::process::{Metrics, Readiness};

/// One process's worth of memory and cache; a new one is a process that was started again.
pub struct Passes {
    sweeper: Sweeper,
    reports: tokio::sync::Mutex<Reports>,
    orphans: tokio::sync::Mutex<orphans::Memory>,
    objects: Mutex<Writer<SesSmtpCredential>>,
    /// A closed channel would read as a shutdown.
    _running: channel::Sender<bool>,
}

impl Passes {
    /// With nothing remembered and nothing cached.
    pub fn new(
        settings: Settings,
        iam: Arc<dyn Iam>,
        probe: Arc<dyn LoginProbe>,
        client: Client,
        clock: Clock,
    ) -> Self {
        let (running, shutdown) = channel::channel(false);
        let (store, writer) = reflector::store();
        let context = Context {
            settings,
            sweep_rules: Rules { soak: SignedDuration::from_hours(24), limit: None, scale: 1.0 },
            client: client.clone(),
            extent: Extent::Cluster,
            unserved: Arc::new(Unserved::new(Readiness::waiting("nothing"))),
            watch_secrets: true,
            objects: store,
            accounts: Accounts::only(iam),
            probe,
            probes: Semaphore::new(LOGINS),
            secrets: Secrets::new(client.clone()),
            credentials: Credentials::new(client.clone()),
            namespaces: Namespaces::new(client),
            tenancies: Tenancies::default(),
            cache: SecretCache::default(),
            sources: SourceCache::default(),
            memory: Memory::default(),
            looks: Looks::default(),
            gate: Semaphore::new(1),
            clock,
            metrics: Arc::new(Metrics::default()),
            leadership: Leadership::uncontested(),
            synced: shutdown.clone(),
            known: shutdown.clone(),
            listed: shutdown.clone(),
            shutdown,
        };
        let intervals = Intervals { drift: Duration::ZERO, orphans: Duration::ZERO };
        // Nobody listens: a suite starts passes by itself.
        let (suspects, _) = mpsc::unbounded();
        Self {
            sweeper: Sweeper { context: Arc::new(context), suspects, intervals },
            reports: tokio::sync::Mutex::default(),
            orphans: tokio::sync::Mutex::default(),
            objects: Mutex::new(writer),
            _running: running,
        }
    }

    /// What the watch of Secrets tells; `None`: the Secret is gone.
    pub fn show(&self, namespace: &str, name: &str, secret: Option<&ObjectMeta>) {
        let key = (namespace.to_owned(), name.to_owned());
        match secret {
            Some(metadata) => {
                self.sweeper.context.cache.put(key, SecretFacts::of_metadata(metadata));
            }
            None => self.sweeper.context.cache.remove(&key),
        }
    }

    /// One pass over `object`, and after what time the next one is due.
    pub async fn pass(&self, object: &SesSmtpCredential) -> Option<Duration> {
        self.watched(object);
        let context = &self.sweeper.context;
        let permit = context.gate.acquire().await.ok();
        Box::pin(reconcile::passed(object, context, permit, Tenancy::default())).await
    }

    /// One look for drift, with `object` among those that are watched.
    pub async fn look_for_drift(&self, object: &SesSmtpCredential) {
        self.watched(object);
        self.sweeper.look_for_drift(&mut *self.reports.lock().await).await;
    }

    /// The watches tell of `object` and of its Namespace, which has no annotations.
    fn watched(&self, object: &SesSmtpCredential) {
        lock(&self.objects).apply_watcher_event(&Event::Apply(object.clone()));
        let namespace = ObjectMeta { name: object.metadata.namespace.clone(), ..ObjectMeta::default() };
        self.sweeper.context.tenancies.put(&namespace);
    }

    /// One look for orphans.
    pub async fn look_for_orphans(&self) {
        self.sweeper.look_for_orphans(&mut *self.orphans.lock().await).await;
    }
}
