//! A process that works on the object of a case: its passes, its death, and its successor.

use std::fmt;
use std::sync::{Arc, Mutex};

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

/// What is due later than this belongs to no case.
const LONG: SignedDuration = SignedDuration::from_hours(30 * 24);

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
        let Some(object) = self.world.object().await else { return Next::Gone };
        if self.watching {
            self.show(self.world.secret().await.as_ref());
        }
        *self.process.seen.lock().unwrap() = Seen::default();
        let log = self.world.log.clone();
        let subscriber = tracing_subscriber::fmt().with_env_filter(FILTER).with_writer(move || log.clone());
        let pass = self.passes.pass(&object).with_subscriber(subscriber.finish());
        let process = self.process.clone();
        tokio::select! {
            biased;
            () = process.crash.notified() => Next::Crashed,
            next = pass => next.map_or(Next::Quiet, |time| Next::After(time.try_into().unwrap())),
        }
    }

    /// Passes as the queue would start them, until nothing is left to do. False if that never comes.
    pub async fn live(&mut self) -> bool {
        for _ in 0..PASSES {
            match self.once().await {
                Next::Quiet | Next::Gone => return true,
                // The next rotation is another story.
                Next::After(time) if time > LONG => return true,
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
