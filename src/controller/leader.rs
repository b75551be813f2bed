//! Leader election around the work: it begins once the lease is held, goes on while it is, and ends it
//! cleanly.
//!
//! Owns when the lease is asked for and what is said of it. What an answer means is decided by
//! `ses_smtp_core::lease`; that calls end with the lease is seen to by [`Leadership`].

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::{Client, Error};
use ses_smtp_core::lease::{Answer, Candidate, Next, Times};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

use super::backoff::random;
use crate::cluster::{Leases, NoNamespace, host_name, own_namespace};
use crate::leadership::Leadership;
use crate::process::{Metrics, Operator, Readiness};

/// What is waited for when the API server doesn't answer.
const NO_API: &str = "the Kubernetes API";

/// The lease went to somebody else, or might have by now.
#[derive(Debug, thiserror::Error)]
#[error(
    "lease {lease} is lost: {why}. Another replica may work by now, so this process ends at once; the kubelet \
     starts it again"
)]
pub struct Lost {
    lease: String,
    why: String,
}

/// One process's part in an election.
pub struct Election {
    leases: Leases,
    candidate: Candidate,
    /// Where this candidate's own time begins.
    start: Instant,
    leadership: Leadership,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    /// Namespace and name of the Lease, for people.
    lease: String,
    /// What went wrong last; empty if all went well.
    trouble: String,
}

impl Election {
    /// As the settings say; `None`: this process works alone.
    pub fn of(operator: &Operator, client: Client) -> Result<Option<Self>, NoNamespace> {
        let given = &operator.settings.lease;
        if !given.leader_elect {
            return Ok(None);
        }
        let namespace = given.lease_namespace.clone().map_or_else(own_namespace, Ok)?;
        let identity = format!("{}_{:016x}", host_name(), random());
        let times = Times::default().scaled(operator.clock.scale());
        Ok(Some(Self {
            leases: Leases::new(client, &namespace, &given.lease_name),
            candidate: Candidate::new(&given.lease_name, &identity, times),
            start: Instant::now(),
            leadership: operator.leadership.clone(),
            readiness: operator.readiness.clone(),
            metrics: operator.metrics.clone(),
            lease: format!("{namespace}/{}", given.lease_name),
            trouble: String::new(),
        }))
    }

    /// Stands by until the lease is held, does `work` while it is, and releases it afterwards. `None` if
    /// the process is to end before. When the lease is lost, `work` is dropped where it stands: what it
    /// left half done is what a crash leaves.
    pub async fn lead<T>(
        mut self,
        mut shutdown: watch::Receiver<bool>,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, Lost> {
        if !self.stand_by(&mut shutdown).await {
            return Ok(None);
        }
        let (finish, finished) = oneshot::channel();
        // A task of its own: no work, however much, keeps it from renewing in time.
        let mut keeper = tokio::spawn(self.keep(finished));
        tokio::select! {
            biased;
            kept = &mut keeper => Err(lost(kept)),
            done = work => {
                // Fails only if the lease was lost in this very moment, which the keeper then says.
                let _ = finish.send(());
                keeper.await.unwrap_or(Ok(())).map(|()| Some(done))
            }
        }
    }

    /// Tries until the lease is held; false if the process is to end first. A try under way isn't cut
    /// off by that: it could leave a lease that nobody releases.
    async fn stand_by(&mut self, shutdown: &mut watch::Receiver<bool>) -> bool {
        loop {
            self.try_once().await;
            if self.candidate.held(self.now()) {
                tracing::info!(lease = self.lease, "leading");
                return true;
            }
            let ended = shutdown.wait_for(|ending| *ending);
            if timeout(self.candidate.times().retry, ended).await.is_ok() {
                return false;
            }
        }
    }

    /// Renews until the work is `finished`, and releases the lease then; an error once it is lost.
    async fn keep(mut self, mut finished: oneshot::Receiver<()>) -> Result<(), Lost> {
        loop {
            let now = self.now();
            let left = self.candidate.held_until().unwrap_or(now).saturating_sub(now);
            if timeout(self.candidate.times().retry.min(left), &mut finished).await.is_ok() {
                self.release().await;
                return Ok(());
            }
            if self.candidate.is_over(self.now()) {
                self.metrics.leads(false);
                return Err(Lost { lease: self.lease.clone(), why: self.why() });
            }
            self.try_once().await;
        }
    }

    fn why(&self) -> String {
        if self.trouble.is_empty() {
            "this process stood still for longer than a lease may go without renewal".to_owned()
        } else {
            self.trouble.clone()
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// One try, cut off in time. Silence changes nothing: a deadline runs out by itself.
    async fn try_once(&mut self) {
        let began = self.now();
        let patience = self.candidate.patience(began);
        if timeout(patience, self.attempt(began)).await.is_err() {
            self.troubled(NO_API, "no answer in time".to_owned());
        }
        self.leadership.set(self.candidate.held_until().map(|until| self.start + until));
    }

    async fn attempt(&mut self, began: Duration) {
        let found = match self.leases.get().await {
            Ok(found) => found,
            Err(error) => return self.failed(&error),
        };
        let written = match self.candidate.next(found, self.now(), Timestamp::now()) {
            Next::Follow { holder } => return self.follow(&holder),
            Next::Create(lease) => self.leases.create(&lease).await,
            Next::Update(lease) => self.leases.replace(&lease).await,
        };
        self.candidate.wrote(answer(&written), began, self.now());
        match written {
            Ok(_) => self.trouble.clear(),
            Err(error) if is_conflict(&error) => "another replica wrote it".clone_into(&mut self.trouble),
            Err(error) => self.failed(&error),
        }
    }

    fn follow(&mut self, holder: &str) {
        if self.candidate.is_over(self.now()) {
            self.trouble = format!("{holder} holds it");
            return;
        }
        let news = format!("standing by: {holder} leads");
        if self.trouble != news {
            tracing::info!(lease = self.lease, holder, "standing by");
            self.trouble = news;
        }
        self.readiness.set_standing_by(holder);
    }

    fn failed(&mut self, error: &Error) {
        let what = match error {
            Error::Api(status) if matches!(status.code, 401 | 403) => {
                "the right to get, create and update the lease: apply the RBAC rules"
            }
            Error::Api(status) if status.code == 404 => {
                "the namespace of the lease: create it, or set --lease-namespace"
            }
            _ => NO_API,
        };
        self.troubled(what, error.to_string());
    }

    /// Told once in the log. `/readyz` says it of a process that doesn't work yet.
    fn troubled(&mut self, what: &'static str, error: String) {
        if self.candidate.held_until().is_none() {
            self.readiness.set_waiting(what);
        }
        if self.trouble != error {
            tracing::warn!(
                lease = self.lease,
                error,
                waiting_for = what,
                "the lease can't be had or renewed"
            );
            self.trouble = error;
        }
    }

    /// Lets another replica begin at once. If it fails, that one waits until the lease has run out.
    async fn release(&mut self) {
        self.leadership.set(None);
        self.metrics.leads(false);
        let patience = self.candidate.times().longest_try;
        match timeout(patience, self.let_go()).await {
            Ok(Ok(())) => tracing::info!(lease = self.lease, "the lease is released"),
            Ok(Err(error)) => tracing::warn!(lease = self.lease, %error, "the lease was not released"),
            Err(_) => tracing::warn!(lease = self.lease, "the lease was not released in time"),
        }
    }

    async fn let_go(&mut self) -> Result<(), Error> {
        let Some(found) = self.leases.get().await? else { return Ok(()) };
        let Some(released) = self.candidate.release(found, Timestamp::now()) else { return Ok(()) };
        self.leases.replace(&released).await.map(drop)
    }
}

/// The keeper ended while there was work.
fn lost(kept: Result<Result<(), Lost>, tokio::task::JoinError>) -> Lost {
    let failed = |error: &dyn std::fmt::Display| Lost { lease: String::new(), why: error.to_string() };
    match kept {
        Ok(Err(lost)) => lost,
        Ok(Ok(())) => failed(&"it was released"),
        Err(error) => failed(&error),
    }
}

fn answer(written: &Result<Lease, Error>) -> Answer {
    match written {
        Ok(_) => Answer::Written,
        Err(error) if is_conflict(error) => Answer::Conflict,
        Err(_) => Answer::Unclear,
    }
}

fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 409)
}
