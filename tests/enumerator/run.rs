//! A process that works on the object of a case: its passes, its death, and its successor.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use ses_smtp_core::names::{LABEL_CREDENTIAL, LABEL_MANAGED_BY, MANAGER};
use ses_smtp_operator::clock::{Clock, Time};
use ses_smtp_operator::controller::Passes;
use tokio::sync::Notify;
use tracing::instrument::WithSubscriber as _;

use crate::cluster;
use crate::ending;
use crate::iam::Wire;
use crate::judge::Seen;
use crate::smtp::Logins;
use crate::world::{NAME, World};

/// What a new process needs until its first pass.
const RESTART: i64 = 5;
/// Enough for two rotations with every pass doubled; a case that needs more doesn't settle.
const PASSES: usize = 80;
/// What is logged, with all that a support case would ask for.
const FILTER: &str = "info,ses_smtp_operator=trace,ses_smtp_core=trace,kube_client=debug";

/// A process: who calls, and what its pass was shown.
pub struct Process {
    pub world: Arc<World>,
    pub number: usize,
    pub seen: Mutex<Seen>,
    /// Told when the process dies at a call.
    crash: Notify,
}

impl Process {
    /// The process ends here: whoever runs the pass drops it.
    pub async fn die<T>(&self) -> T {
        self.crash.notify_one();
        std::future::pending().await
    }
}

/// Time as one of perhaps several operators sees it.
#[derive(Debug)]
struct OwnTime(Arc<Process>);

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({})", self.number)
    }
}

impl Time for OwnTime {
    fn now(&self) -> Timestamp {
        self.0.world.time.now()
    }

    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(self.0.world.sleep(self.0.number, time))
    }
}

/// How a pass ended, as the queue of the controller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Due again after this time.
    After(SignedDuration),
    /// Nothing to do until something changes.
    Quiet,
    /// The object is gone.
    Gone,
    /// The process died.
    Crashed,
}

/// The looks of an operator at the whole account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// For what differs from the specs.
    Drift,
    /// For users without an object.
    Orphans,
}

/// How often it looks for drift.
const DRIFT: SignedDuration = SignedDuration::from_mins(10);
/// How often it looks for orphans: more rarely than in life, where most looks find nothing to do.
pub const ORPHANS: SignedDuration = SignedDuration::from_hours(8);

/// What is due later than this belongs to no case: the next rotation is another story.
const LONG: SignedDuration = SignedDuration::from_hours(30 * 24);

/// When the queue would come back.
fn next(after: Option<Duration>) -> Next {
    let after = after.map(|time| SignedDuration::try_from(time).unwrap());
    after.filter(|time| *time <= LONG).map_or(Next::Quiet, Next::After)
}

/// An operator that is started again whenever it dies.
pub struct Operator {
    pub world: Arc<World>,
    pub number: usize,
    process: Arc<Process>,
    passes: Passes,
    /// False while the watch of Secrets is held up.
    pub watching: bool,
}

impl Operator {
    pub async fn start(world: &Arc<World>, number: usize) -> Self {
        let process =
            Arc::new(Process { world: world.clone(), number, seen: Mutex::default(), crash: Notify::new() });
        let iam = Arc::new(Wire::new(process.clone()).await);
        let (client, clock) =
            (cluster::client(process.clone()), Clock::made(Arc::new(OwnTime(process.clone()))));
        let passes =
            Passes::new(world.settings.clone(), iam, Arc::new(Logins::new(process.clone())), client, clock);
        Self { world: world.clone(), number, process, passes, watching: true }
    }

    /// The process is gone with all that it remembered; another one starts.
    pub async fn restart(&mut self) {
        *self = Self::start(&self.world.clone(), self.number).await;
    }

    /// What the watch shows of the Secret: those with our labels, and no data.
    fn show(&self, secret: Option<&Secret>) {
        let ours = |secret: &&Secret| {
            let labels = secret.labels();
            labels.get(LABEL_MANAGED_BY).is_some_and(|name| name == MANAGER)
                && labels.contains_key(LABEL_CREDENTIAL)
        };
        let metadata = secret.filter(ours).map(|secret| &secret.metadata);
        self.passes.show(&self.world.namespace, NAME, metadata);
    }

    /// One pass, or as much of it as the process lives to see.
    pub async fn once(&mut self) -> Next {
        *self.process.seen.lock().unwrap() = Seen::default();
        let Some(object) = self.world.object().await else { return self.without_object().await };
        if self.watching {
            self.show(self.world.secret().await.as_ref());
        }
        let drift = *self.world.sweep.lock().unwrap() == Some(Sweep::Drift);
        if drift && self.lived(self.passes.look_for_drift(&object)).await.is_none() {
            return Next::Crashed;
        }
        let ended = self.lived(self.passes.pass(&object)).await.map_or(Next::Crashed, next);
        let healed = !drift || ending::alive(&self.world, &self.world.scene()).await.is_ok();
        if ended == Next::Quiet && !healed { Next::After(DRIFT) } else { ended }
    }

    /// Nothing is left to pass over; the sweep may still find a user.
    async fn without_object(&self) -> Next {
        if self.world.sweep.lock().unwrap().is_none() {
            return Next::Gone;
        }
        let gone = self.world.aws.user(&self.world.user).is_none();
        let next = if gone { Next::Gone } else { Next::After(ORPHANS) };
        self.lived(self.passes.look_for_orphans()).await.map_or(Next::Crashed, |()| next)
    }

    /// What comes of some work, if the process lives to see it.
    async fn lived<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let log = self.world.log.clone();
        let subscriber = tracing_subscriber::fmt().with_env_filter(FILTER).with_writer(move || log.clone());
        let process = self.process.clone();
        tokio::select! {
            biased;
            () = process.crash.notified() => None,
            done = work.with_subscriber(subscriber.finish()) => Some(done),
        }
    }

    /// Passes as the queue would start them, until nothing is left to do. False if that never comes.
    pub async fn live(&mut self) -> bool {
        for _ in 0..PASSES {
            match self.once().await {
                Next::Quiet | Next::Gone => return true,
                Next::After(time) => self.world.time.go_to(self.world.time.now() + time).await,
                Next::Crashed => {
                    self.restart().await;
                    self.world.time.pass(RESTART * 1000).await;
                }
            }
        }
        false
    }
}
