//! Changes of the spec that take no new key.

use super::sim::Sim;
use super::went;
use crate::api::{DeletionPolicy, EndpointSpec};

#[test]
fn a_policy_change_is_one_call_and_one_write() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.policy = Some(crate::test::policy("a@example.com"));
    went(&sim.pass(&mut operator), "PutPolicy Annotate Done");
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn a_change_of_the_deletion_policy_is_tagged() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.deletion_policy = DeletionPolicy::Retain;
    went(&sim.pass(&mut operator), "TagUser Annotate Done");
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn an_endpoint_change_renders_the_same_password() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.endpoint = Some(EndpointSpec { host: None, port: Some(465) });
    went(&sim.pass(&mut operator), "ReadSecret Render Done");
    assert_eq!(sim.value("port"), "465");
    assert!(sim.logs_in());
    went(&sim.pass(&mut operator), "Done");
}
