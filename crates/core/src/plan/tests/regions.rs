//! Several Regions on one key.

use super::process::Operator;
use super::sim::{REGION, Sim};
use super::{went, whole};
use crate::desired::VerifyLogin;
use crate::login::{Login, Trouble};
use crate::step::{End, Step};

const ROTATED: &str = "ReadSecret ListKeys Fence MintKey Pause Publish Done";
const RENDERED: &str = "ReadSecret Render Done";

fn add(sim: &mut Sim, regions: &[&str]) {
    sim.object.spec.additional_regions = regions.iter().map(|region| (*region).to_owned()).collect();
}

/// Provisioned for two Regions.
fn two() -> (Sim, Operator) {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    add(&mut sim, &["us-east-1"]);
    sim.pass(&mut operator);
    assert!(sim.logs_in());
    (sim, operator)
}

#[test]
fn one_key_serves_every_region_from_the_start() {
    let (mut sim, _) = two();
    assert_eq!(sim.key_numbers(), [1]);
    assert_ne!(sim.value("password"), sim.value("us-east-1.password"));
    assert_eq!(sim.value("password"), sim.value(&format!("{REGION}.password")));
    whole(&mut sim);
}

#[test]
fn a_region_that_is_added_is_a_rotation() {
    let (mut sim, mut operator) = Sim::provisioned();
    add(&mut sim, &["us-east-1", "eu-west-1"]);
    went(&sim.pass(&mut operator), ROTATED);
    assert!(sim.logs_in());
    assert_eq!(sim.key_numbers(), [1, 2]);
    sim.pass_time(24 * 3600);
    sim.pass(&mut operator);
    sim.pass_time(24 * 3600);
    sim.pass(&mut operator);
    whole(&mut sim);
}

#[test]
fn a_region_that_is_removed_goes_without_a_new_key() {
    let (mut sim, mut operator) = two();
    add(&mut sim, &[]);
    went(&sim.pass(&mut operator), RENDERED);
    assert_eq!(sim.value("us-east-1.password"), "");
    assert_eq!(sim.seen().unwrap().record.password_digests.len(), 1);
    assert_eq!(sim.key_numbers(), [1]);
    add(&mut sim, &["us-east-1"]);
    went(&sim.pass(&mut operator), ROTATED);
    assert!(sim.logs_in());
}

#[test]
fn another_of_the_regions_may_come_first_without_a_new_key() {
    let (mut sim, mut operator) = two();
    let before = sim.value("us-east-1.password");
    sim.object.spec.region = "us-east-1".into();
    add(&mut sim, &[REGION]);
    went(&sim.pass(&mut operator), RENDERED);
    assert_eq!(sim.value("password"), before);
    assert!(sim.logs_in());
    assert_eq!(sim.key_numbers(), [1]);
    whole(&mut sim);
}

#[test]
fn the_primary_region_moves_away_from_a_served_one() {
    let (mut sim, mut operator) = two();
    sim.object.spec.region = "us-east-1".into();
    add(&mut sim, &[]);
    went(&sim.pass(&mut operator), RENDERED);
    assert!(sim.logs_in());
    whole(&mut sim);
}

#[test]
fn a_password_that_was_edited_in_one_region_costs_a_new_key() {
    let (mut sim, mut operator) = two();
    sim.put_data("us-east-1.password", "edited");
    sim.judge.secret_lost();
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().contains("MintKey Pause Publish"), "the others work meanwhile: {outcome}");
    assert!(sim.logs_in());
}

#[test]
fn a_new_key_is_tried_in_each_region_before_it_is_published() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.settings.verify_login = VerifyLogin::Auto;
    add(&mut sim, &["us-east-1", "eu-west-1"]);
    let logins = "Pause Login:2 Login:2 Login:2";
    let expected = format!("ReadSecret ListKeys Fence MintKey {logins} Publish Done");
    went(&sim.pass(&mut operator), &expected);
    assert!(sim.logs_in());
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn a_region_that_refuses_the_new_key_keeps_it_from_being_published() {
    for (answer, end) in
        [(Login::Refused, "Blocked:LoginRejected"), (Login::NotSubscribed, "Blocked:AccountNotSubscribed")]
    {
        let (mut sim, mut operator) = Sim::provisioned();
        sim.settings.verify_login = VerifyLogin::Auto;
        sim.ses_in.insert("us-east-1".into(), answer);
        add(&mut sim, &["us-east-1"]);
        let outcome = sim.pass(&mut operator);
        assert!(outcome.words().ends_with(&format!("Reject:2 DeleteKey:2 {end}")), "{outcome}");
        let Some(End::Blocked { message, .. }) = &outcome.end else { panic!("{outcome}") };
        assert!(message.contains("us-east-1"), "{message}");
        let place = outcome.steps.iter().find_map(|step| match step {
            Step::Reject { place, .. } => Some(place.clone()),
            _ => None,
        });
        assert!(place.unwrap().starts_with("us-east-1 "));
        assert_eq!(sim.key_numbers(), [1]);
        let outcome = sim.pass(&mut operator);
        assert!(!outcome.words().contains("MintKey"), "no key after key in vain: {outcome}");
        add(&mut sim, &[]);
        let outcome = sim.pass(&mut operator);
        assert!(outcome.words().ends_with("Done"), "the Region was taken out: {outcome}");
        assert_eq!(sim.key_numbers(), [1]);
    }
}

#[test]
fn a_region_that_cannot_be_asked_does_not_hold_up_the_others() {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    sim.settings.verify_login = VerifyLogin::Auto;
    sim.ses_in.insert("us-east-1".into(), Login::Unreachable(Trouble::Connect));
    add(&mut sim, &["us-east-1"]);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Done"), "{outcome}");
    sim.ses_in.clear();
    let Some(End::Done { wake_at: Some(at) }) = outcome.end else { panic!("{outcome}") };
    sim.wait_until(at);
    went(&sim.pass(&mut operator), "ReadSecret Login:1 Done");
    went(&sim.pass(&mut operator), "Done");
}
