//! Logins: before a rotation's publish, after any other.

use k8s_openapi::jiff::SignedDuration;

use super::process::Operator;
use super::sim::Sim;
use super::{went, whole};
use crate::api::RotationSpec;
use crate::desired::VerifyLogin;
use crate::login::{Login, Trouble};
use crate::step::End;
use crate::test::key;
use crate::world::Reported;

const UNREACHABLE: Login = Login::Unreachable(Trouble::Connect);

fn trigger(sim: &mut Sim, trigger: &str) {
    sim.object.spec.rotation =
        Some(RotationSpec { interval: None, overlap: None, trigger: Some(trigger.into()) });
}

/// Provisioned under `verify`, with a rotation asked for.
fn asked(verify: VerifyLogin) -> (Sim, Operator) {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    sim.settings.verify_login = verify;
    sim.pass(&mut operator);
    sim.pass_time(3600);
    trigger(&mut sim, "1");
    (sim, operator)
}

#[test]
fn a_first_key_is_published_at_once_and_tried_after() {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    sim.settings.verify_login = VerifyLogin::Auto;
    sim.ses_lag = SignedDuration::from_secs(10);
    let expected =
        "ReadSecret AddFinalizer CreateUser PutPolicy MintKey Create Pause Login:1 Pause Login:1 Done";
    went(&sim.pass(&mut operator), expected);
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn a_rotated_key_is_published_once_ses_accepts_it() {
    let (mut sim, mut operator) = asked(VerifyLogin::Auto);
    sim.ses_lag = SignedDuration::from_secs(70);
    let login = "Pause Login:2 ".repeat(4);
    went(&sim.pass(&mut operator), &format!("ReadSecret ListKeys Fence MintKey {login}Publish Done"));
    assert!(sim.logs_in());
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn where_nobody_can_be_asked_a_rotated_key_waits_and_is_trusted() {
    let (mut sim, mut operator) = asked(VerifyLogin::Auto);
    sim.ses = Some(UNREACHABLE);
    let minted = sim.now;
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Publish Done"), "{outcome}");
    assert!(sim.now.duration_since(minted) >= SignedDuration::from_secs(60));
    assert!(sim.now.duration_since(minted) <= SignedDuration::from_secs(90));
}

#[test]
fn where_a_login_is_required_no_key_is_published_without_one() {
    let (mut sim, mut operator) = asked(VerifyLogin::Required);
    sim.ses = Some(UNREACHABLE);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Reject:2 DeleteKey:2 Wait:WaitingForLogin"), "{outcome}");
    assert_eq!(sim.key_numbers(), [1]);
    sim.ses = None;
    sim.settle(&mut operator, 40);
    whole(&mut sim);
}

#[test]
fn a_key_that_is_refused_for_five_minutes_goes_and_the_old_one_stays() {
    let (mut sim, mut operator) = asked(VerifyLogin::Auto);
    sim.ses = Some(Login::Refused);
    let began = sim.now;
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Reject:2 DeleteKey:2 Blocked:LoginRejected"), "{outcome}");
    assert!(sim.now.duration_since(began) >= SignedDuration::from_mins(5));
    assert_eq!((sim.key_numbers(), sim.named()), (vec![1], Some(key(1))));
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Blocked:LoginRejected"), "{outcome}");
    assert!(!outcome.words().contains("MintKey"), "{outcome}");
    sim.pass_time(600);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().contains("MintKey"), "{outcome}");
    sim.ses = None;
    sim.settle(&mut operator, 8);
    whole(&mut sim);
}

#[test]
fn keys_that_are_refused_follow_each_other_more_and_more_slowly() {
    let (mut sim, mut operator) = asked(VerifyLogin::Auto);
    sim.ses = Some(Login::Refused);
    let until = sim.now + SignedDuration::from_hours(12);
    let mut mints = 0;
    while sim.now < until {
        let outcome = sim.pass(&mut operator);
        mints += usize::from(outcome.words().contains("MintKey"));
        sim.pass_time(600);
    }
    assert!((10..=18).contains(&mints), "{mints}");
    assert_eq!(sim.key_numbers(), [1]);
}

#[test]
fn an_account_without_ses_is_told_at_once() {
    let (mut sim, mut operator) = asked(VerifyLogin::Auto);
    sim.ses = Some(Login::NotSubscribed);
    let expected =
        "ReadSecret ListKeys Fence MintKey Pause Login:2 Reject:2 DeleteKey:2 Blocked:AccountNotSubscribed";
    went(&sim.pass(&mut operator), expected);
}

#[test]
fn another_region_is_tried_at_once_after_one_was_refused() {
    let (mut sim, mut operator) = asked(VerifyLogin::Auto);
    sim.ses = Some(Login::NotSubscribed);
    sim.pass(&mut operator);
    sim.object.spec.region = "us-east-1".into();
    sim.ses = None;
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().contains("Publish"), "{outcome}");
}

#[test]
fn a_first_key_that_is_refused_is_reported_and_heals() {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    sim.settings.verify_login = VerifyLogin::Auto;
    sim.ses = Some(Login::Refused);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Login:1 Blocked:LoginRejected"), "{outcome}");
    sim.pass_time(600);
    went(&sim.pass(&mut operator), "ReadSecret Login:1 Blocked:LoginRejected");
    sim.ses = None;
    sim.pass_time(600);
    went(&sim.pass(&mut operator), "ReadSecret Login:1 Done");
    went(&sim.pass(&mut operator), "Done");
    assert_eq!(sim.key_numbers(), [1]);
}

#[test]
fn an_endpoint_that_could_not_be_asked_is_asked_again_after_an_hour() {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    sim.settings.verify_login = VerifyLogin::Auto;
    sim.ses = Some(UNREACHABLE);
    let outcome = sim.pass(&mut operator);
    let Some(End::Done { wake_at: Some(at) }) = outcome.end else { panic!("{outcome}") };
    went(&sim.pass(&mut operator), "Done");
    sim.wait_until(at);
    sim.ses = None;
    went(&sim.pass(&mut operator), "ReadSecret Login:1 Done");
    let outcome = sim.pass(&mut operator);
    assert_eq!(outcome.end, Some(End::Done { wake_at: None }));
}

#[test]
fn a_restart_asks_again_unless_the_report_says_that_it_was_accepted() {
    let (mut sim, _) = asked(VerifyLogin::Auto);
    sim.object.spec.rotation = None;
    went(&sim.pass(&mut Operator::default()), "ReadSecret Login:1 Done");
    let reported = |n, port, accepted| {
        let place = crate::endpoint::place("eu-central-1", "email-smtp.eu-central-1.amazonaws.com", port);
        vec![Reported { key: key(n), place, accepted }]
    };
    sim.facts.logins = reported(1, 587, true);
    went(&sim.pass(&mut Operator::default()), "Done");
    for other in [reported(7, 587, true), reported(1, 25, true), reported(1, 587, false)] {
        sim.facts.logins = other;
        went(&sim.pass(&mut Operator::default()), "ReadSecret Login:1 Done");
    }
}

#[test]
fn a_shutdown_while_logins_are_tried_deletes_the_new_key() {
    let (mut sim, mut operator) = asked(VerifyLogin::Auto);
    sim.ses = Some(Login::Refused);
    let mut running = operator.begin(&mut sim);
    for _ in 0..7 {
        if let super::process::Progress::Paused(until) = running.advance(&mut sim) {
            sim.wait_until(until);
        }
    }
    running.world.ending = true;
    running.advance(&mut sim);
    assert_eq!(running.outcome(None).steps.last(), Some(&crate::step::Step::DeleteKey(key(2))));
    assert_eq!(sim.key_numbers(), [1]);
}

#[test]
fn another_host_is_asked_anew() {
    let (mut sim, mut operator) = asked(VerifyLogin::Auto);
    sim.object.spec.rotation = None;
    went(&sim.pass(&mut operator), "Done");
    sim.object.spec.endpoint = Some(crate::api::EndpointSpec { host: None, port: Some(465) });
    went(&sim.pass(&mut operator), "ReadSecret Render Login:1 Done");
}

/// What a rotation waits for is no reason to leave everything else as it is.
#[test]
fn a_rotation_that_is_held_back_holds_up_no_repair() {
    let (mut sim, mut operator) = asked(VerifyLogin::Auto);
    sim.ses = Some(Login::Refused);
    sim.pass(&mut operator);
    sim.put_data("host", "evil.example.com");
    sim.object.spec.policy = Some(crate::test::policy("a@example.com"));
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().contains("PutPolicy") && outcome.words().contains("Render"), "{outcome}");
    assert!(outcome.words().ends_with("Blocked:LoginRejected"), "{outcome}");
    assert_eq!(sim.value("host"), "email-smtp.eu-central-1.amazonaws.com");
}

#[test]
fn nor_does_one_that_waits_for_a_slot() {
    let (mut sim, mut operator) = Sim::rotated();
    trigger(&mut sim, "1");
    sim.put_data("host", "evil.example.com");
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().contains("Render"), "{outcome}");
    assert!(outcome.words().ends_with("Wait:WaitingForKeySlot"), "{outcome}");
}
