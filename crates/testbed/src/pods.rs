//! Pods that mount Secrets as volumes and log in all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::{Bed, Credential, Error, mail};

/// How many pods log in at the same time.
const WORKERS: usize = 3;
/// Pause of a worker between two logins, so that logins leave the processor to others.
const BREATH: Duration = Duration::from_millis(50);
/// A volume shows a Secret for so long before the kubelet looks again.
const REFRESH: Duration = Duration::from_millis(500);
/// Records hold whole seconds, so that an overlap may begin a second before its publish.
const ROUNDING: Duration = Duration::from_millis(1_500);

/// A pod for each Secret.
pub struct Pods {
    over: Arc<AtomicBool>,
    workers: Vec<JoinHandle<Result<Seen, Error>>>,
}

/// What pods have seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Logins that succeeded.
    pub logins: usize,
    /// Changes of a credential.
    pub rotations: usize,
    /// Logins that this machine was too busy for: without an answer about the key, or refused because
    /// the pod was kept from a look for a whole overlap.
    pub held_up: usize,
}

struct Pod {
    name: String,
    /// What the volume shows, and when it was read.
    shown: Option<(Instant, Credential)>,
}

struct Worker {
    secrets: Api<Secret>,
    ca: String,
    overlap: Duration,
    seen: Seen,
}

impl Pods {
    /// Starts a pod for each Secret. A superseded key has to work for `overlap`.
    pub fn start(bed: &Bed, namespace: &str, names: &[String], overlap: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let spawn = |first: usize| {
            let names = names.iter().skip(first).step_by(WORKERS);
            let pods = names.map(|name| Pod { name: name.clone(), shown: None }).collect();
            let (secrets, ca) = (bed.secrets(namespace), bed.aws.ca_pem().to_owned());
            let worker = Worker { secrets, ca, overlap, seen: Seen::default() };
            tokio::spawn(worker.work(pods, Arc::clone(&over)))
        };
        Self { workers: (0..WORKERS).map(spawn).collect(), over }
    }

    /// Ends them; an error if a login failed that had to succeed.
    pub async fn end(self) -> Result<Seen, Error> {
        self.over.store(true, Ordering::SeqCst);
        let mut all = Seen::default();
        for worker in self.workers {
            let seen = worker.await.map_err(|error| Error::Wrong(error.to_string()))??;
            all.logins += seen.logins;
            all.rotations += seen.rotations;
            all.held_up += seen.held_up;
        }
        Ok(all)
    }
}

impl Worker {
    async fn work(mut self, mut pods: Vec<Pod>, over: Arc<AtomicBool>) -> Result<Seen, Error> {
        while !over.load(Ordering::SeqCst) {
            for pod in &mut pods {
                self.login(pod).await?;
                self.refresh(pod).await;
                sleep(BREATH).await;
            }
        }
        Ok(self.seen)
    }

    /// Logs in with what the volume shows.
    async fn login(&mut self, pod: &mut Pod) -> Result<(), Error> {
        let Some((read, credential)) = pod.shown.clone() else { return Ok(()) };
        let (ca, with) = (self.ca.clone(), credential.clone());
        let answer = tokio::task::spawn_blocking(move || mail::login(&with, &ca).map(|_| ())).await;
        let Err(error) = answer.map_err(|error| Error::Wrong(error.to_string()))? else {
            self.seen.logins += 1;
            return Ok(());
        };
        let refused = error.to_string().contains("535");
        // The Secret named the key at the earliest when the read was sent.
        if refused && read.elapsed() + ROUNDING < self.overlap {
            let (name, age) = (&pod.name, read.elapsed());
            return Error::wrong(format!("{name} failed with {credential:?}, read {age:?} ago: {error}"));
        }
        self.seen.held_up += 1;
        pod.shown = None;
        Ok(())
    }

    /// Reads the Secret anew once the volume is old enough.
    async fn refresh(&mut self, pod: &mut Pod) {
        if pod.shown.as_ref().is_some_and(|(read, _)| read.elapsed() < REFRESH) {
            return;
        }
        let read = Instant::now();
        // A busy API server keeps the volume as it is.
        let Ok(secret) = self.secrets.get(&pod.name).await else { return };
        let Some(credential) = Credential::of(&secret) else { return };
        let changed = pod.shown.as_ref().is_some_and(|(_, before)| *before != credential);
        self.seen.rotations += usize::from(changed);
        pod.shown = Some((read, credential));
    }
}
