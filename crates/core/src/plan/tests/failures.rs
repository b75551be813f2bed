//! Every way in which a call can fail, at every call.

use super::process::{Operator, word};
use super::reasons::tells_a_way_out;
use super::sim::{Fault, Sim};
use super::whole;
use crate::iam::{Blocker, Failure};
use crate::step::{Effect, End, Refusal, Step};

fn iam_failures() -> Vec<Failure> {
    vec![
        Failure::Exists,
        Failure::Absent,
        Failure::Limit,
        Failure::Conflict(Blocker::AccessKeys),
        Failure::Conflict(Blocker::Groups),
        Failure::Denied { action: "iam:Something", resource: "arn".into() },
        Failure::Busy,
        Failure::Throttled,
        Failure::Refused { code: "ServiceFailure".into() },
        Failure::Unclear,
    ]
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::Conflict,
        Refusal::Exists,
        Refusal::NotFound,
        Refusal::Denied { right: "update secrets" },
        Refusal::NamespaceTerminating,
        Refusal::Throttled,
        Refusal::Refused { code: "Forbidden".into() },
        Refusal::Unclear,
    ]
}

type Start = fn() -> (Sim, Operator);

fn starts() -> Vec<(&'static str, Start)> {
    vec![
        ("provision", || (Sim::new(), Operator::default())),
        ("region", || {
            let (mut sim, operator) = Sim::provisioned();
            sim.object.spec.region = "us-east-1".into();
            (sim, operator)
        }),
        ("lost", || {
            let (mut sim, operator) = Sim::provisioned();
            sim.delete_secret();
            (sim, operator)
        }),
        ("policy and tags", || {
            let (mut sim, operator) = Sim::provisioned();
            sim.object.spec.policy = Some(crate::test::policy("a@example.com"));
            sim.object.spec.deletion_policy = crate::api::DeletionPolicy::Retain;
            (sim, operator)
        }),
        ("endpoint", || {
            let (mut sim, operator) = Sim::provisioned();
            sim.object.spec.endpoint = Some(crate::api::EndpointSpec { host: None, port: Some(465) });
            (sim, operator)
        }),
        ("retirement", || {
            let (mut sim, operator) = Sim::rotated();
            sim.pass_time(24 * 3600);
            (sim, operator)
        }),
    ]
}

/// The kinds of step of a fault-free pass, pauses left out.
fn calls(start: Start) -> Vec<Step> {
    let (mut sim, mut operator) = start();
    let mut steps = sim.pass(&mut operator).steps;
    steps.retain(|step| !matches!(step, Step::Pause { .. } | Step::Forget));
    steps
}

fn is_cluster(step: &Step) -> bool {
    matches!(
        step,
        Step::ReadSecret | Step::WriteSecret(_) | Step::AddFinalizer { .. } | Step::RemoveFinalizer
    )
}

/// A key that is there isn't said to be gone: that would be no failure but a lie.
fn answers(step: &Step) -> Vec<Effect> {
    let ends_key = matches!(step, Step::DeleteKey(_) | Step::DeactivateKey(_));
    let lie = |failure: &Failure| ends_key && *failure == Failure::Absent;
    if is_cluster(step) {
        refusals().into_iter().map(Effect::Cluster).collect()
    } else {
        iam_failures().into_iter().filter(|failure| !lie(failure)).map(Effect::Iam).collect()
    }
}

#[test]
#[allow(clippy::print_stderr)]
fn every_failure_of_every_call_ends_and_heals() {
    let mut cases = 0;
    for (name, start) in starts() {
        for (index, step) in calls(start).iter().enumerate() {
            for answer in answers(step) {
                let (mut sim, mut operator) = start();
                sim.faults.insert(sim.calls + index, Fault::Says(answer.clone()));
                let outcome = sim.pass(&mut operator);
                assert!(outcome.end.is_some(), "{name} {step:?} {answer:?}");
                tells_a_way_out(&outcome);
                sim.settle(&mut operator, 30);
                eprintln!("{name} call {index} answered {answer:?}: {outcome}");
                whole(&mut sim);
                cases += 1;
            }
        }
    }
    assert!(cases > 200, "{cases}");
}

/// The same answer for good: every pass still ends, and never as if all were well.
#[test]
fn a_failure_that_lasts_is_told() {
    for (name, start) in starts() {
        for step in &calls(start) {
            for answer in answers(step) {
                let (mut sim, mut operator) = start();
                sim.broken = Some((word(step), answer.clone()));
                for _ in 0..3 {
                    let outcome = sim.pass(&mut operator);
                    let told = matches!(outcome.end, Some(End::Wait { .. } | End::Blocked { .. }));
                    let harmless =
                        matches!(answer, Effect::Cluster(Refusal::NotFound) | Effect::Iam(Failure::Absent));
                    assert!(told || harmless || sim.logs_in(), "{name} {step:?} {answer:?}: {outcome}");
                    sim.pass_time(600);
                }
            }
        }
    }
}
