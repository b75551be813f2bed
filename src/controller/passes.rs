//! Single passes for suites that bring their own time, calls and cache.
//!
//! Owns nothing but the making of a [`Context`]: what runs is exactly what the controller runs for
//! one object. Compiled into suites only.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::SignedDuration;
use kube::Client;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::Settings;
use ses_smtp_core::secret::SecretFacts;
use ses_smtp_core::sweep::orphans::Rules;
use tokio::sync::{Semaphore, watch as channel};

use super::cache::SecretCache;
use super::lock::lock;
use super::memory::Memory;
use super::{Context, LOGINS, reconcile};
use crate::aws::{Iam, LoginProbe};
use crate::clock::Clock;
use crate::cluster::{Credentials, Secrets};
use crate::process::Metrics;

/// One process's worth of memory and cache; a new one is a process that was started again.
pub struct Passes {
    context: Context,
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
            objects: store,
            iam,
            probe,
            probes: Semaphore::new(LOGINS),
            secrets: Secrets::new(client.clone()),
            credentials: Credentials::new(client),
            cache: SecretCache::default(),
            memory: Memory::default(),
            gate: Semaphore::new(1),
            clock,
            metrics: Arc::new(Metrics::default()),
            synced: shutdown.clone(),
            shutdown,
        };
        Self { context, objects: Mutex::new(writer), _running: running }
    }

    /// What the watch of Secrets tells; `None`: the Secret is gone.
    pub fn show(&self, namespace: &str, name: &str, secret: Option<&ObjectMeta>) {
        let key = (namespace.to_owned(), name.to_owned());
        match secret {
            Some(metadata) => {
                self.context.cache.put(key, SecretFacts::of_metadata(metadata));
            }
            None => self.context.cache.remove(&key),
        }
    }

    /// One pass over `object`, and after what time the next one is due.
    pub async fn pass(&self, object: &SesSmtpCredential) -> Option<Duration> {
        lock(&self.objects).apply_watcher_event(&Event::Apply(object.clone()));
        let permit = self.context.gate.acquire().await.ok();
        Box::pin(reconcile::passed(object, &self.context, permit)).await
    }
}
