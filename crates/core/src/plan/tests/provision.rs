//! The first credential, and the steady state after it.

use super::process::Operator;
use super::sim::{Cache, Sim};
use super::went;

#[test]
fn first_provision_takes_three_calls_to_iam() {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    let outcome = sim.pass(&mut operator);
    went(&outcome, "ReadSecret AddFinalizer CreateUser PutPolicy MintKey Create Done");
    assert!(sim.logs_in());
    assert_eq!(sim.value("host"), "email-smtp.eu-central-1.amazonaws.com");
    assert_eq!(sim.key_numbers(), [1]);
}

#[test]
fn steady_state_asks_nothing() {
    let (mut sim, mut operator) = Sim::provisioned();
    went(&sim.pass(&mut operator), "Done");
    went(&sim.pass(&mut Operator::default()), "Done");
}

#[test]
fn a_cache_that_lags_behind_costs_one_read() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.cache = Cache::Nothing;
    went(&sim.pass(&mut operator), "ReadSecret Done");
    went(&sim.pass(&mut Operator::default()), "ReadSecret Done");
}
