//! A leader stands still in the middle of a rotation, long enough for another to take over, and goes on
//! then: it must find out by itself that it leads no more.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_double::{Fault, FaultKind};
use control_plane::proxy::{Action, Rule};
use testbed::{SOON, eventually};

use crate::stage::{NAMESPACE, REGION, Replica, Stage, full};

/// 24 hours in 18 seconds.
const SCALE: f64 = 4800.0;
/// Two minutes until an unseen key counts as unpublished, overlap, soak, and as much again.
const CONVERGED: Duration = Duration::from_mins(9);

/// After which call, counted from the change of the spec on, the leader stops.
#[derive(Clone, Copy, Debug)]
enum Place {
    Iam(&'static str),
    /// Verb, resource, and which of them.
    Kubernetes(&'static str, &'static str, usize),
}

const PLACES: [Place; 10] = [
    Place::Iam("CreateAccessKey"),
    Place::Kubernetes("update", "secrets", 1),
    Place::Kubernetes("patch", "secrets", 1),
    Place::Iam("UpdateAccessKey"),
    Place::Iam("ListAccessKeys"),
    Place::Iam("DeleteAccessKey"),
    Place::Kubernetes("patch", "sessmtpcredentials/status", 1),
    Place::Kubernetes("patch", "secrets", 2),
    Place::Iam("GetAccessKeyLastUsed"),
    Place::Kubernetes("patch", "sessmtpcredentials/status", 2),
];

/// Something that stops a process, and whether it has.
fn stopper(replica: &Replica) -> (Arc<dyn Fn() + Send + Sync>, Arc<AtomicBool>) {
    let (pid, stopped) = (replica.operator.pid().to_string(), Arc::new(AtomicBool::new(false)));
    let told = stopped.clone();
    let stop = move || {
        Command::new("kill").args(["-STOP", &pid]).status().unwrap();
        told.store(true, Ordering::SeqCst);
    };
    (Arc::new(stop), stopped)
}

/// Arms the stop of the leader for one object.
fn arm(stage: &Stage, leader: &Replica, object: &str, place: Place) -> Arc<AtomicBool> {
    let (stop, stopped) = stopper(leader);
    match place {
        Place::Iam(action) => {
            let user = format!("ses-smtp-{NAMESPACE}-{object}-*");
            stage.bed.aws.inject(Fault::on(action, FaultKind::observe(move || stop())).user(&user));
        }
        Place::Kubernetes(verb, resource, nth) => {
            let name = object.to_owned();
            let rule = Rule::new(Action::Observe(stop)).verb(verb).resource(resource).nth(nth);
            leader.proxy.add(rule.matching(move |call| call.target.name == name));
        }
    }
    stopped
}

/// One leader stops and goes on too late. Gives the one that leads then.
async fn one(stage: &Stage, mut leader: Replica, standby: Replica, object: &str, place: Place) -> Replica {
    let stopped = arm(stage, &leader, object, place);
    let lost = stage.told("is lost");
    let before = stage.record().await.unwrap();
    let rotate = serde_json::json!({ "rotation": { "trigger": "now" } });
    stage.bed.patch(NAMESPACE, object, rotate).await.unwrap();
    let what = format!("{place:?} of {object}");
    eventually(&what, SOON, async || Ok(stopped.load(Ordering::SeqCst).then_some(()))).await.unwrap();
    stage.taken_from(&before.holder).await;
    standby.leads().await;
    let sent = (stage.calls_of(&leader), leader.requests());
    leader.operator.signal("CONT").await.unwrap();
    let status = leader.operator.ended().await.unwrap();
    assert_eq!(status.code(), Some(1), "{what}: {}", stage.bed.log());
    let after = (stage.calls_of(&leader), leader.requests());
    assert_eq!(after.0[sent.0.len()..], [""; 0], "{what}: calls to AWS of one that leads no more");
    assert_eq!(after.1[sent.1.len()..], [""; 0], "{what}: and to the API server");
    assert_eq!(stage.told("is lost"), lost + 1, "{what}");
    standby
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_does_nothing_more() {
    let count = if full() { 30 } else { 4 };
    let stage = Stage::without_sweeps(SCALE).await;
    let (mut leader, mut standby) = stage.pair().await;
    let cases: Vec<_> = (0..count).map(|n| (format!("mailer-{n}"), PLACES[n % PLACES.len()])).collect();
    for (name, _) in &cases {
        stage.bed.apply(NAMESPACE, name, &format!("{{region: {REGION}}}")).await.unwrap();
    }
    for (name, _) in &cases {
        stage.bed.ready(NAMESPACE, name).await.unwrap();
    }
    for (name, place) in &cases {
        leader = one(&stage, leader, standby, name, *place).await;
        standby = stage.other(&leader).await;
        // No password is dead, whoever was in the middle of what.
        stage.bed.login(NAMESPACE, name).await.unwrap();
    }
    let at_rest = async {
        for (name, _) in &cases {
            stage.bed.at_rest(NAMESPACE, name, CONVERGED).await.unwrap();
        }
    };
    stage.kept(&mut [leader, standby], at_rest).await;
    stage.bed.no_secret_leaked(None, &[REGION]).await.unwrap();
    println!("{} leaders stood still: none sent anything after", cases.len());
}
