//! Every fault at every call of every workload, alone and in pairs: the invariants hold after each
//! call (see the judge), and the end is the one of a run without faults.

use super::process::Operator;
use super::sim::{Cache, Fault, Sim};
use super::whole;

const FAULTS: [Fault; 6] = [
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::ReplyLost,
    Fault::RequestLost,
    Fault::Late(20),
    Fault::Late(70),
];

struct Workload {
    name: &'static str,
    start: fn() -> (Sim, Operator),
    ended: fn(&mut Sim),
}

fn torn_down(sim: &mut Sim) {
    assert!(sim.account.users.is_empty() && !sim.facts.finalizer);
}

const WORKLOADS: [Workload; 9] = [
    Workload { name: "provision", start: || (Sim::new(), Operator::default()), ended: whole },
    Workload {
        name: "region",
        start: || {
            let (mut sim, operator) = Sim::provisioned();
            sim.object.spec.region = "us-east-1".into();
            (sim, operator)
        },
        ended: whole,
    },
    Workload {
        name: "region added",
        start: || {
            let (mut sim, operator) = Sim::provisioned();
            sim.object.spec.additional_regions = vec!["us-east-1".into()];
            (sim, operator)
        },
        ended: whole,
    },
    Workload {
        name: "secret deleted",
        start: || {
            let (mut sim, operator) = Sim::provisioned();
            sim.delete_secret();
            (sim, operator)
        },
        ended: whole,
    },
    Workload {
        name: "secret deleted in an overlap",
        start: || {
            let (mut sim, operator) = Sim::rotated();
            sim.delete_secret();
            (sim, operator)
        },
        ended: whole,
    },
    Workload {
        name: "password edited",
        start: || {
            let (mut sim, operator) = Sim::provisioned();
            sim.put_data("password", "oops");
            sim.judge.secret_lost();
            (sim, operator)
        },
        ended: whole,
    },
    Workload {
        name: "record stripped",
        start: || {
            let (mut sim, operator) = Sim::rotated();
            sim.edit(|secret| secret.metadata.annotations = None);
            (sim, operator)
        },
        ended: whole,
    },
    Workload {
        name: "orphan with a trace",
        start: || {
            let (mut sim, operator) = Sim::provisioned();
            let (name, now) = (sim.user_name(), sim.now);
            sim.account.mint(&name, now).unwrap();
            sim.annotate("ses-smtp.dev/attempt", Some("dead"));
            (sim, operator)
        },
        ended: whole,
    },
    Workload {
        name: "teardown",
        start: || {
            let (mut sim, operator) = Sim::rotated();
            sim.delete_object();
            (sim, operator)
        },
        ended: torn_down,
    },
];

/// Runs to the end of life of every key, with a new process half way.
fn live(sim: &mut Sim, operator: &mut Operator) {
    sim.settle(operator, 12);
    sim.faults.clear();
    *operator = Operator::default();
    sim.settle(operator, 30);
}

/// The calls of a run without faults, new processes included.
fn calls(workload: &Workload) -> usize {
    let (mut sim, mut operator) = (workload.start)();
    let before = sim.calls;
    live(&mut sim, &mut operator);
    let calls = sim.calls - before;
    (workload.ended)(&mut sim);
    calls
}

/// A run with `faults` at calls counted from the start of the workload.
fn run(workload: &Workload, start: &(Sim, Operator), cache: &Cache, faults: &[(usize, Fault)]) {
    let (mut sim, mut operator) = start.clone();
    let before = sim.calls;
    sim.cache = cache.clone();
    sim.faults = faults.iter().map(|(index, fault)| (before + index, fault.clone())).collect();
    live(&mut sim, &mut operator);
    (workload.ended)(&mut sim);
}

/// Shown when the case at hand fails.
struct Case(String);

impl Drop for Case {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failing case: {}", self.0);
        }
    }
}

#[test]
fn single_faults() {
    let mut cases = 0;
    for workload in &WORKLOADS {
        let start = (workload.start)();
        for index in 0..calls(workload) {
            for fault in &FAULTS {
                for cache in [Cache::Fresh, Cache::Nothing] {
                    let none = matches!(cache, Cache::Nothing);
                    let _case =
                        Case(format!("{} call {index} {fault:?} without cache: {none}", workload.name));
                    run(workload, &start, &cache, &[(index, fault.clone())]);
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 900, "{cases}");
}

#[test]
fn a_crash_or_lost_reply_and_any_fault_of_the_recovery() {
    let mut cases = 0;
    for workload in WORKLOADS.iter().take(5) {
        let start = (workload.start)();
        for index in 0..calls(workload).min(8) {
            for first in [Fault::CrashAfter, Fault::ReplyLost] {
                for second in &FAULTS {
                    for later in 1..=8 {
                        let faults = [(index, first.clone()), (index + later, second.clone())];
                        let _case = Case(format!("{} {faults:?}", workload.name));
                        run(workload, &start, &Cache::Fresh, &faults);
                        cases += 1;
                    }
                }
            }
        }
    }
    assert!(cases > 2_000, "{cases}");
}

/// A cache that still shows the Secret as it was before.
#[test]
fn stale_caches() {
    for workload in &WORKLOADS {
        let _case = Case(format!("{} with a stale cache", workload.name));
        let (mut sim, mut operator) = (workload.start)();
        if let Some(facts) = Sim::provisioned().0.cached() {
            sim.cache = Cache::Stale(Box::new(facts));
            sim.pass(&mut operator);
            sim.pass(&mut Operator::default());
        }
        sim.cache = Cache::Fresh;
        live(&mut sim, &mut operator);
        (workload.ended)(&mut sim);
    }
}
