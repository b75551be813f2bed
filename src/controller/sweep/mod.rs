//! The looks at the whole account, now and then: drift of our users, and users whose custom resource
//! is gone.
//!
//! Owns when they run and the calls they make. What a look means is decided by
//! `ses_smtp_core::sweep`. What can't be looked at, a namespace or an account, has no
//! consequence; the rest of the look goes on.

mod drift;
mod orphans;

pub use drift::Reports;

use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::runtime::reflector::ObjectRef;
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::iam::Failure;
use ses_smtp_core::inventory::UserPage;
use ses_smtp_core::sweep::orphans::Memory;
use ses_smtp_core::tenancy::Place;
use ses_smtp_core::time::{after, shortened};
use tokio::sync::watch as channel;
use tokio::time::Instant;

use super::{Context, all_done};
use crate::aws::{Iam, MAX_USER_PAGES};

pub use orphans::{live as live_uids, remove as remove_orphan, users as users_of_cluster};

/// The look for drift, in metrics and logs.
const DRIFT: &str = "drift";
/// The look for orphans.
const ORPHANS: &str = "orphans";

/// What the sweeps work with.
pub struct Sweeper {
    /// What passes share.
    pub context: Arc<Context>,
    /// Objects that a pass is to look at.
    pub suspects: mpsc::UnboundedSender<ObjectRef<SesSmtpCredential>>,
    /// How often each look is made.
    pub intervals: Intervals,
}

/// How often the looks are made; zero: never.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    /// For drift.
    pub drift: Duration,
    /// For orphans.
    pub orphans: Duration,
}

/// Why a look was not completed.
#[derive(Debug, thiserror::Error)]
pub enum Incomplete {
    /// By IAM or STS.
    #[error("account {account}: {}", told(.failure))]
    Iam {
        /// The account.
        account: String,
        /// What was answered.
        failure: Failure,
    },
    /// By the API server.
    #[error("the custom resources{} can't be listed: {error}", within(.namespace))]
    Kubernetes {
        /// Where; empty for the whole cluster.
        namespace: String,
        /// Why.
        error: kube::Error,
    },
}

fn within(namespace: &str) -> String {
    if namespace.is_empty() { String::new() } else { format!(" of namespace {namespace}") }
}

fn told(failure: &Failure) -> String {
    match failure {
        Failure::Denied { action, resource } => {
            format!("AWS denies the operator {action} on {resource}: grant it")
        }
        Failure::Throttled => "AWS throttles the operator's IAM calls".to_owned(),
        other => format!("IAM gave no usable answer ({other:?})"),
    }
}

/// Runs both, once Secrets and Namespaces were listed, until the process ends.
pub async fn run(sweeper: Sweeper, lists: [channel::Receiver<bool>; 2]) {
    let mut shutdown = sweeper.context.shutdown.clone();
    tokio::select! {
        () = async {
            // The sender goes only with the process.
            all_done(lists).await;
            tokio::join!(sweeper.watch_drift(), sweeper.watch_orphans());
        } => {}
        _ = shutdown.wait_for(|ending| *ending) => {}
    }
}

impl Sweeper {
    async fn watch_drift(&self) {
        let mut reports = Reports::default();
        self.expect(DRIFT, self.intervals.drift);
        loop {
            self.wait(self.intervals.drift).await;
            self.look_for_drift(&mut reports).await;
        }
    }

    /// One look for drift.
    pub async fn look_for_drift(&self, reports: &mut Reports) {
        let swept = drift::sweep(self, reports).await;
        self.told(DRIFT, self.intervals.drift, swept);
    }

    async fn watch_orphans(&self) {
        let mut memory = Memory::default();
        self.expect(ORPHANS, self.intervals.orphans);
        loop {
            self.wait(self.intervals.orphans).await;
            self.look_for_orphans(&mut memory).await;
        }
    }

    /// One look for orphans.
    pub async fn look_for_orphans(&self, memory: &mut Memory) {
        let missed = orphans::sweep(self, memory).await;
        self.told(ORPHANS, self.intervals.orphans, missed);
    }

    async fn wait(&self, interval: Duration) {
        if interval.is_zero() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep_until(Instant::now() + interval.div_f64(self.context.clock.scale())).await;
    }

    /// When a look is due that is made an interval from now.
    fn due(&self, interval: Duration) -> Timestamp {
        let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
        after(self.context.clock.now(), shortened(interval, self.context.clock.scale()))
    }

    fn expect(&self, kind: &'static str, interval: Duration) {
        if !interval.is_zero() {
            self.context.looks.expect(kind, self.due(interval));
        }
    }

    fn told(&self, kind: &'static str, interval: Duration, missed: Vec<Incomplete>) {
        let outcome = if missed.is_empty() { "ok" } else { "incomplete" };
        self.context.metrics.swept(kind, outcome);
        if missed.is_empty() {
            self.context.looks.completed(kind, self.context.clock.now(), self.due(interval));
        }
        for error in missed {
            tracing::warn!(kind, %error, "a look was not completed; nothing was changed or deleted of what it missed");
        }
    }

    /// IAM of an account in use.
    async fn reach(&self, place: &Place) -> Result<Arc<dyn Iam>, Failure> {
        self.context.accounts.reach(place).await
    }

    /// A look at an account failed: what is said of it.
    async fn missed(&self, place: &Place, failure: Failure) -> Incomplete {
        for role in &place.roles {
            self.context.accounts.heed(Some(role), &failure).await;
        }
        Incomplete::Iam { account: place.account.clone(), failure }
    }
}

/// Shows every page of the account's users. A list without an end is no list.
async fn pages(iam: &dyn Iam, mut each: impl FnMut(UserPage)) -> Result<(), Failure> {
    let mut marker: Option<String> = None;
    for _ in 0..MAX_USER_PAGES {
        let page = iam.get_account_authorization_details(marker.as_deref()).await?;
        marker.clone_from(&page.next);
        each(page);
        if marker.is_none() {
            return Ok(());
        }
    }
    Err(Failure::Unclear)
}
