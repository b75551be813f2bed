//! An API server, AWS, and replicas that can be told apart.

use std::path::Path;
use std::time::Duration;

use aws_double::{ACCOUNT, CALLER_KEY_ID, CALLER_SECRET, Caller, Config, Ses};
use control_plane::FaultProxy;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::Api;
use testbed::{Bed, Error, Operator, Options, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
pub const NAMESPACE: &str = "shop";
pub const REGION: &str = "eu-central-1";
/// Where the manifests have it, and how the Lease is called.
pub const HOME: &str = "ses-smtp-operator";
/// AWS credentials of two processes; AWS's documentation has both.
const CALLERS: [(&str, &str); 2] =
    [(CALLER_KEY_ID, CALLER_SECRET), ("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")];
/// Pause between looks whether replicas run.
const LOOK: Duration = Duration::from_secs(1);
/// However busy the machine is.
pub const TAKEOVER: Duration = Duration::from_mins(2);

pub fn full() -> bool {
    std::env::var("LEADER").is_ok_and(|leader| leader == "full")
}

pub struct Stage {
    pub bed: Bed,
    scale: f64,
    sweeps: bool,
}

/// A process and what tells its calls from those of others.
pub struct Replica {
    pub operator: Operator,
    pub proxy: FaultProxy,
    /// Access key id of its calls to AWS.
    pub caller: &'static str,
    seat: usize,
}

/// What the Lease says.
#[derive(Clone, Debug)]
pub struct Record {
    pub holder: String,
    pub acquired: Timestamp,
    pub renewed: Timestamp,
    pub transitions: i32,
}

impl Stage {
    /// AWS's time and the operators' `scale` times faster.
    pub async fn set(scale: f64) -> Self {
        let callers = CALLERS.map(|(id, secret)| Caller::new(id, secret, ACCOUNT)).to_vec();
        let ses = Ses { idle: Duration::from_mins(5).mul_f64(scale), ..Ses::default() };
        let regions = vec![REGION.to_owned()];
        let aws = Config { regions, time_scale: scale, callers, ses, ..Config::default() };
        let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
        bed.namespace(NAMESPACE).await.unwrap();
        Self { bed, scale, sweeps: true }
    }

    /// The same without looks at the whole account, which at this scale are made all the time: then every
    /// call belongs to a pass that is known.
    pub async fn without_sweeps(scale: f64) -> Self {
        Self { sweeps: false, ..Self::set(scale).await }
    }

    /// A replica in one of two seats, ready: it leads or stands by.
    pub async fn replica(&self, seat: usize) -> Replica {
        let mut replica = self.spawned(seat).await;
        replica.operator.ready().await.unwrap();
        replica
    }

    /// A replica that was just started.
    pub async fn spawned(&self, seat: usize) -> Replica {
        let proxy = FaultProxy::start(&self.bed.plane).unwrap();
        let mut launch = self.bed.launch_behind(Path::new(BINARY), &proxy).await.unwrap();
        let (caller, secret) = CALLERS[seat];
        for (name, value) in [
            ("SES_SMTP_LEADER_ELECT", "true"),
            ("SES_SMTP_LEASE_NAMESPACE", HOME),
            ("SES_SMTP_TIME_SCALE", &self.scale.to_string()),
            ("AWS_ACCESS_KEY_ID", caller),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ] {
            launch.environment.insert(name.to_owned(), value.to_owned());
        }
        if !self.sweeps {
            for name in ["SES_SMTP_DRIFT_INTERVAL", "SES_SMTP_SWEEP_INTERVAL"] {
                launch.environment.insert(name.to_owned(), "0s".to_owned());
            }
        }
        let operator = launch.spawn().unwrap();
        Replica { operator, proxy, caller, seat }
    }

    /// A leader and a standby.
    pub async fn pair(&self) -> (Replica, Replica) {
        let leader = self.replica(0).await;
        leader.leads().await;
        (leader, self.replica(1).await)
    }

    /// One beside `replica`, in the seat of one that has ended.
    pub async fn other(&self, replica: &Replica) -> Replica {
        self.replica(1 - replica.seat).await
    }

    /// Waits for `done`, and starts again what ends meanwhile, as the kubelet does: on a busy machine a
    /// leader may be too late with a renewal.
    pub async fn kept<T>(&self, replicas: &mut [Replica; 2], done: impl Future<Output = T>) -> T {
        let mut done = std::pin::pin!(done);
        loop {
            if let Ok(done) = tokio::time::timeout(LOOK, &mut done).await {
                return done;
            }
            for replica in &mut *replicas {
                if !replica.operator.is_running() {
                    *replica = self.spawned(replica.seat).await;
                }
            }
        }
    }

    pub async fn record(&self) -> Result<Record, Error> {
        let leases: Api<Lease> = Api::namespaced(self.bed.client.clone(), HOME);
        let LeaseSpec { holder_identity, acquire_time, renew_time, lease_transitions, .. } =
            leases.get(HOME).await?.spec.unwrap_or_default();
        Ok(Record {
            holder: holder_identity.unwrap_or_default(),
            acquired: acquire_time.unwrap().0,
            renewed: renew_time.unwrap().0,
            transitions: lease_transitions.unwrap(),
        })
    }

    /// Waits until somebody else holds the lease.
    pub async fn taken_from(&self, before: &str) -> Record {
        eventually("another holder", TAKEOVER, async || {
            let now = self.record().await?;
            if now.holder.is_empty() || now.holder == before {
                Error::wrong(now.holder)
            } else {
                Ok(Some(now))
            }
        })
        .await
        .unwrap()
    }

    /// Calls to AWS by one of the replicas so far.
    pub fn calls_of(&self, replica: &Replica) -> Vec<String> {
        let journal = self.bed.aws.journal().into_iter();
        let by = journal.filter(|record| record.caller.as_deref() == Some(replica.caller));
        by.map(|record| record.action).collect()
    }

    /// Lines of the log, of all replicas, that say so.
    pub fn told(&self, what: &str) -> usize {
        self.bed.log().lines().filter(|line| line.contains(what)).count()
    }
}

impl Replica {
    /// Waits until it works.
    pub async fn leads(&self) {
        eventually("the replica to lead", TAKEOVER, async || {
            let metrics = self.operator.metrics().await?;
            let page = self.operator.readiness().await?;
            let works = metrics.contains("ses_smtp_leader 1") && page.ends_with("ok\n");
            if works { Ok(Some(())) } else { Error::wrong(page) }
        })
        .await
        .unwrap();
    }

    /// Calls to the API server so far.
    pub fn requests(&self) -> Vec<String> {
        self.proxy.journal().into_iter().map(|call| format!("{} {}", call.verb, call.resource)).collect()
    }
}

/// From one time to another, never less than nothing.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from).max(SignedDuration::ZERO)).unwrap()
}
