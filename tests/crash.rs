//! The operator's process is killed at every call of a first provision and of a Region change, and
//! every reply is lost once; each time it must get by without a person.
//!
//! All cases share one operator that is started again whenever it dies, so that a crash for one
//! object also hits the others wherever they are just then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, reason = "figures for people")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use aws_double::{Config, Fault, FaultKind};
use control_plane::FaultProxy;
use control_plane::proxy::{Action, Rule, When};
use kube::ResourceExt as _;
use testbed::{Bed, Launch, Options, SOON, eventually};
use tokio::task::JoinHandle;

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const NAMESPACE: &str = "crash";
/// 24 hours in 18 seconds.
const SCALE: f64 = 4800.0;
/// Two minutes until an unseen key counts as unpublished, overlap, soak, and as much again.
const CONVERGED: Duration = Duration::from_mins(9);

#[derive(Clone, Copy, Debug)]
enum Fails {
    /// Killed before the call has an effect.
    Before,
    /// Killed after the effect, before the reply.
    After,
    /// Not killed; the effect happened, the reply is lost.
    ReplyLost,
}

const FAILS: [Fails; 3] = [Fails::Before, Fails::After, Fails::ReplyLost];

#[derive(Clone, Copy, Debug)]
enum Call {
    Iam(&'static str),
    /// Verb, resource, and which of them for the object from now on.
    Kubernetes(&'static str, &'static str, usize),
}

const PROVISION: [Call; 6] = [
    Call::Kubernetes("patch", "sessmtpcredentials", 1),
    Call::Iam("CreateUser"),
    Call::Iam("PutUserPolicy"),
    Call::Iam("CreateAccessKey"),
    Call::Kubernetes("create", "secrets", 1),
    Call::Kubernetes("patch", "sessmtpcredentials/status", 1),
];

/// Fence, mint, publish, status; deactivation and its date; deletion and its note.
const REGION_CHANGE: [Call; 10] = [
    Call::Kubernetes("patch", "secrets", 1),
    Call::Iam("CreateAccessKey"),
    Call::Kubernetes("update", "secrets", 1),
    Call::Kubernetes("patch", "sessmtpcredentials/status", 1),
    Call::Iam("UpdateAccessKey"),
    Call::Kubernetes("patch", "secrets", 2),
    Call::Kubernetes("patch", "sessmtpcredentials/status", 2),
    Call::Iam("DeleteAccessKey"),
    Call::Kubernetes("patch", "secrets", 3),
    Call::Kubernetes("patch", "sessmtpcredentials/status", 3),
];

/// An operator that is started again whenever it has died.
struct Phoenix {
    pid: Arc<AtomicU32>,
    starts: Arc<AtomicU32>,
    over: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
}

impl Phoenix {
    fn rise(launch: Launch) -> Self {
        let (pid, starts) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let over = Arc::new(AtomicBool::new(false));
        let keeper = tokio::spawn(keep(launch, pid.clone(), starts.clone(), over.clone()));
        Self { pid, starts, over, keeper }
    }

    /// Something that kills the process that runs then.
    fn killer(&self) -> Arc<dyn Fn() + Send + Sync> {
        let pid = self.pid.clone();
        Arc::new(move || {
            let pid = pid.load(Ordering::SeqCst).to_string();
            Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        })
    }

    async fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        (self.killer())();
        self.keeper.await.unwrap();
    }
}

async fn keep(launch: Launch, pid: Arc<AtomicU32>, starts: Arc<AtomicU32>, over: Arc<AtomicBool>) {
    while !over.load(Ordering::SeqCst) {
        let mut operator = launch.spawn().unwrap();
        pid.store(operator.pid(), Ordering::SeqCst);
        starts.fetch_add(1, Ordering::SeqCst);
        // Until it dies, however long that takes.
        while operator.is_running() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

struct Stage {
    bed: Bed,
    proxy: FaultProxy,
    phoenix: Phoenix,
}

impl Stage {
    async fn set() -> Self {
        let regions = vec!["eu-central-1".into(), "eu-west-1".into()];
        let aws = Config { regions, time_scale: SCALE, ..Config::default() };
        let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
        bed.namespace(NAMESPACE).await.unwrap();
        let proxy = FaultProxy::start(&bed.plane).unwrap();
        let launch = bed.launch_behind(Path::new(BINARY), &proxy).await.unwrap();
        Self { bed, proxy, phoenix: Phoenix::rise(launch) }
    }

    /// Arms one failure for one object; the returned closure tells whether it has happened.
    fn arm(&self, object: &str, call: Call, fails: Fails) -> Box<dyn Fn() -> bool + Send + Sync + '_> {
        match call {
            Call::Iam(action) => self.arm_iam(object, action, fails),
            Call::Kubernetes(verb, resource, nth) => self.arm_kubernetes(object, verb, resource, nth, fails),
        }
    }

    fn arm_iam(
        &self,
        object: &str,
        action: &'static str,
        fails: Fails,
    ) -> Box<dyn Fn() -> bool + Send + Sync + '_> {
        let killer = self.phoenix.killer();
        let kind = match fails {
            Fails::Before => FaultKind::hook(aws_double::When::Before, move || killer()),
            Fails::After => FaultKind::hook(aws_double::When::After, move || killer()),
            Fails::ReplyLost => FaultKind::LostReply,
        };
        let user = format!("ses-smtp-{NAMESPACE}-{object}-*");
        self.bed.aws.inject(Fault::on(action, kind).user(&user));
        Box::new(move || !self.bed.aws.pending_faults().iter().any(|fault| fault.contains(&user)))
    }

    fn arm_kubernetes(
        &self,
        object: &str,
        verb: &'static str,
        resource: &'static str,
        nth: usize,
        fails: Fails,
    ) -> Box<dyn Fn() -> bool + Send + Sync + '_> {
        let callback = self.phoenix.killer();
        let action = match fails {
            Fails::Before => Action::Hook { when: When::BeforeEffect, callback },
            Fails::After => Action::Hook { when: When::AfterEffect, callback },
            Fails::ReplyLost => Action::LostReply,
        };
        let (name, quoted) = (object.to_owned(), format!("\"name\":\"{object}\""));
        let rule = Rule::new(action).verb(verb).resource(resource).nth(nth).matching(move |call| {
            let body = String::from_utf8_lossy(&call.body);
            call.target.name == name || call.target.name.is_empty() && body.contains(&quoted)
        });
        let handle = self.proxy.add(rule);
        Box::new(move || handle.fired() > 0)
    }
}

fn cases(prefix: &str, calls: &[Call]) -> Vec<(String, Call, Fails)> {
    let all = calls.iter().flat_map(|call| FAILS.map(|fails| (*call, fails)));
    all.enumerate().map(|(n, (call, fails))| (format!("{prefix}{n}"), call, fails)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_crash_and_no_lost_reply_needs_a_person() {
    let stage = Stage::set().await;
    let bed = &stage.bed;
    let (provisions, changes) = (cases("p", &PROVISION), cases("r", &REGION_CHANGE));

    for (name, ..) in &changes {
        bed.apply(NAMESPACE, name, "{region: eu-central-1}").await.unwrap();
    }
    for (name, ..) in &changes {
        bed.ready(NAMESPACE, name).await.unwrap();
    }
    let mut armed = Vec::new();
    for (name, call, fails) in &changes {
        let happened = stage.arm(name, *call, *fails);
        bed.patch(NAMESPACE, name, serde_json::json!({ "region": "eu-west-1" })).await.unwrap();
        armed.push((format!("{name} {call:?} {fails:?}"), happened));
    }
    for (name, call, fails) in &provisions {
        let happened = stage.arm(name, *call, *fails);
        bed.apply(NAMESPACE, name, "{region: eu-central-1}").await.unwrap();
        let what = format!("{name} {call:?} {fails:?} to happen");
        eventually(&what, SOON, async || Ok(happened().then_some(()))).await.unwrap();
    }
    for (name, ..) in changes.iter().chain(&provisions) {
        bed.at_rest(NAMESPACE, name, CONVERGED).await.unwrap();
    }
    for (what, happened) in &armed {
        assert!(happened(), "{what} never happened");
    }
    drop(armed);
    bed.no_secret_leaked(None, &["eu-central-1", "eu-west-1"]).await.unwrap();
    let starts = stage.phoenix.starts.load(Ordering::SeqCst);
    assert!(starts > 20, "killed {starts} times only");
    println!("{} cases, the operator was started {starts} times", changes.len() + provisions.len());
    stage.phoenix.end().await;
}

/// From the same state of IAM, one key and no Secret: the key may be what pods use, so it is kept
/// through overlap and soak, and never deleted to make room.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_pods_may_still_use_is_kept() {
    let aws = Config { regions: vec!["eu-central-1".into()], time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace(NAMESPACE).await.unwrap();
    let launch = bed.launch(Path::new(BINARY)).await.unwrap();
    let operator = launch.start().await.unwrap();
    let object = bed.apply(NAMESPACE, "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready(NAMESPACE, "mailer").await.unwrap();
    let used = bed.login(NAMESPACE, "mailer").await.unwrap();

    bed.secrets(NAMESPACE).delete("mailer", &kube::api::DeleteParams::default()).await.unwrap();
    let fresh = eventually("another key to be published", SOON, async || {
        let fresh = bed.credential(NAMESPACE, "mailer").await?;
        Ok((fresh.username != used.username).then_some(fresh))
    });
    let fresh = fresh.await.unwrap();
    bed.login(NAMESPACE, "mailer").await.unwrap();
    let (old, ca) = (used.clone(), bed.aws.ca_pem().to_owned());
    tokio::task::spawn_blocking(move || testbed::mail::login(&old, &ca).map(|_| ())).await.unwrap().unwrap();
    let secret = bed.secrets(NAMESPACE).get("mailer").await.unwrap();
    assert_eq!(secret.annotations()["ses-smtp.dev/previous-access-key-id"], used.username);

    // Overlap and soak over: the old one is gone, the fresh one is the only one.
    eventually("the old key to be retired", CONVERGED, async || {
        let keys = bed.user_of(&object).unwrap().keys;
        Ok((keys.len() == 1 && keys[0].id == fresh.username).then_some(()))
    })
    .await
    .unwrap();
    bed.login(NAMESPACE, "mailer").await.unwrap();
    operator.stop().await.unwrap();
}
