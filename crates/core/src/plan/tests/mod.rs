//! Tests of the plan: the operator's own loop against an account and a cluster in memory.

mod arbitrary;
mod change;
mod derive;
mod drift;
mod enumerate;
mod failures;
mod iam;
mod judge;
mod login;
mod model;
mod pods;
mod process;
mod provision;
mod reasons;
mod record;
mod region;
mod regions;
mod rotation;
mod secret;
mod sim;
mod teardown;
mod together;
mod two;
mod user;
mod year;

use process::{Operator, Outcome};
use sim::Sim;

/// A policy that AWS attaches to a user whose key it found in public.
pub const QUARANTINE: &str = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3";

/// Asserts the exact sequence of steps and the end.
#[track_caller]
pub fn went(outcome: &Outcome, expected: &str) {
    assert_eq!(outcome.words(), expected, "{:?}", outcome.end);
}

/// Asserts that everything is as a fresh install would leave it: one Active key, named by the
/// Secret with its password, and nothing to do for a process that starts now.
#[track_caller]
pub fn whole(sim: &mut Sim) {
    assert!(sim.logs_in(), "the Secret holds no working credential");
    assert_eq!(sim.key_numbers().len(), 1, "keys");
    let record = sim.seen().unwrap().record;
    assert!(record.is_complete(), "{record:?}");
    assert_eq!((record.previous, record.attempt), (Some(None), None));
    let next = sim.pass(&mut Operator::default());
    let calls = next.words().replace("ReadSecret ", "");
    // A new process may try a login; nothing else is left to do.
    assert!(calls == "Done" || calls.starts_with("Login:") && calls.ends_with(" Done"), "{next}");
}
