//! What several Regions, take-overs and clocks lead to together: each of these once went wrong.

use k8s_openapi::jiff::SignedDuration;

use super::process::Operator;
use super::sim::{Fault, REGION, Sim};
use super::user::denied;
use crate::api::{EndpointSpec, PolicySpec, RotationSpec, SecretSpec};
use crate::desired::VerifyLogin;
use crate::login::Login;
use crate::names::record as name;
use crate::test::key;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const OTHER: &str = "9a8b7c6d-0000-4000-8000-000000000001";

fn add(sim: &mut Sim, regions: &[&str]) {
    sim.object.spec.additional_regions = regions.iter().map(|region| (*region).to_owned()).collect();
}

fn triggered() -> (Sim, Operator) {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.rotation =
        Some(RotationSpec { interval: None, overlap: None, trigger: Some("1".into()) });
    sim.pass(&mut operator);
    sim.pass_time(HOUR);
    (sim, operator)
}

/// A Secret of an object of another UID, without owner.
fn old_secret() -> k8s_openapi::api::core::v1::Secret {
    let mut donor = Sim::of(OTHER);
    donor.account.made = 10;
    donor.pass(&mut Operator::default());
    donor.edit(|secret| secret.metadata.owner_references = None);
    donor.secret.unwrap()
}

/// `kubectl replace -f` of a backup over a Secret in overlap, then the adopt that the message proposes.
#[test]
fn adopt_in_an_overlap_spares_the_key_that_was_published() {
    let (mut sim, mut operator) = Sim::rotated();
    assert_eq!(sim.key_numbers(), [1, 2]);
    let old = old_secret();
    sim.edit(|secret| {
        secret.data = old.data;
        secret.metadata.annotations = old.metadata.annotations;
        secret.metadata.owner_references = None;
    });
    sim.judge.secret_lost();
    sim.pass(&mut operator);
    sim.annotate(name::ADOPT, Some("true"));

    let outcome = sim.settle(&mut operator, 3);
    assert!(sim.key_numbers().contains(&2), "pods use key 2: {outcome}");
}

// Retain, then take-over with a Region where the account may not log in.
#[test]
fn adopt_does_not_overwrite_a_working_password_with_one_that_is_refused() {
    let mut sim = Sim::new();
    sim.settings.verify_login = VerifyLogin::Auto;
    sim.secret = Some(old_secret());
    sim.account.made = 20;
    let before = sim.value("password");
    sim.annotate(name::ADOPT, Some("true"));
    sim.ses = Some(Login::NotSubscribed);
    let outcome = sim.settle(&mut Operator::default(), 3);
    assert_eq!(sim.value("password"), before, "{outcome}");
}

/// The last-used brake, by the operator's clock alone.
#[test]
fn a_clock_that_jumped_ahead_does_not_release_the_last_used_brake() {
    let (mut sim, mut operator) = triggered();
    sim.account.behind = SignedDuration::from_secs(2 * DAY);
    sim.pass_time(3 * DAY);
    let used = sim.now - SignedDuration::from_secs(2 * DAY + HOUR);
    let name = sim.user_name();
    sim.account.key(&name, &key(1)).unwrap().used = Some(used);
    let outcome = sim.pass(&mut operator);
    assert!(!outcome.words().contains("DeactivateKey:1"), "used an hour ago: {outcome}");
}

/// Two operators, or a repeated `CreateUser` whose first reply was lost, after the user was deleted.
#[test]
fn our_own_user_made_meanwhile_is_not_somebody_elses() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.account.users.remove(&name);
    operator.memo.suspicion.user = true;
    let calls = sim.calls;
    for call in [calls, calls + 2] {
        sim.faults.insert(call, Fault::Says(denied("iam:GetUser")));
    }
    sim.edits.insert(calls + 4, |sim| {
        let user = sim.identity().user;
        sim.account.create_user(&user).unwrap();
    });
    let outcome = sim.pass(&mut operator);
    assert!(!outcome.words().contains("UserNotOwned"), "{outcome}");
}

fn held_back() -> (Sim, Operator) {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.settings.verify_login = VerifyLogin::Auto;
    sim.ses_in.insert("us-east-1".into(), Login::NotSubscribed);
    add(&mut sim, &["us-east-1"]);
    sim.pass(&mut operator);
    (sim, operator)
}

/// While an added Region is refused, a policy is put once, not in every pass.
#[test]
fn a_policy_change_is_put_once_while_a_region_is_held_back() {
    let (mut sim, mut operator) = held_back();
    sim.object.spec.policy =
        Some(PolicySpec { from_addresses: vec!["a@example.com".into()], ..PolicySpec::default() });
    let mut puts = 0;
    for _ in 0..5 {
        sim.pass_time(20);
        let outcome = sim.pass(&mut operator);
        puts += outcome.words().matches("PutPolicy").count();
    }
    assert_eq!(puts, 1);
}

/// And the Secret is repaired meanwhile.
#[test]
fn an_edited_host_is_restored_while_a_region_is_held_back() {
    let (mut sim, mut operator) = held_back();
    sim.put_data("host", "evil");
    for _ in 0..3 {
        sim.pass_time(20);
        sim.pass(&mut operator);
    }
    assert_ne!(sim.value("host"), "evil");
}

/// And labels follow the spec.
#[test]
fn labels_follow_the_spec_while_a_region_waits_for_a_slot() {
    let (mut sim, mut operator) = Sim::provisioned();
    add(&mut sim, &["us-east-1"]);
    sim.pass(&mut operator);
    sim.pass_time(HOUR);
    add(&mut sim, &["us-east-1", "eu-west-1"]);
    sim.pass(&mut operator);
    sim.object.spec.secret =
        Some(SecretSpec { labels: [("team".to_owned(), "a".to_owned())].into(), ..SecretSpec::default() });
    sim.put_data("host", "evil");
    let outcome = sim.pass(&mut operator);
    assert!(sim.seen().unwrap().labels.contains_key("team") && sim.value("host") != "evil", "{outcome}");
}

/// Two Regions that refuse, by turns.
#[test]
fn bad_regions_by_turns_do_not_mint_at_every_edit() {
    let (mut sim, mut operator) = held_back();
    sim.ses_in.insert("eu-west-1".into(), Login::NotSubscribed);
    let made = sim.account.made;
    for n in 0..10 {
        add(&mut sim, if n % 2 == 0 { &["eu-west-1"] } else { &["us-east-1"] });
        sim.pass(&mut operator);
        sim.pass_time(1);
    }
    assert!(sim.account.made - made <= 2, "{} keys", sim.account.made - made);
}

/// No more is remembered of places than a spec can name.
#[test]
fn places_that_left_the_spec_are_forgotten() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.settings.verify_login = VerifyLogin::Auto;
    for n in 0..50 {
        let host = format!("vpce-{n}.email-smtp.{REGION}.vpce.amazonaws.com");
        sim.object.spec.endpoint = Some(EndpointSpec { host: Some(host), port: None });
        sim.pass(&mut operator);
    }
    let places = format!("{:?}", operator.memo.logins).matches("KeyLogin").count();
    assert!(places <= 32, "{places} places");
}

/// A password that is lost in one additional Region is a rotation.
#[test]
fn one_regions_edited_password_does_not_end_the_overlap() {
    let (mut sim, mut operator) = Sim::provisioned();
    add(&mut sim, &["us-east-1"]);
    sim.pass(&mut operator);
    sim.pass_time(HOUR);
    assert_eq!(sim.key_numbers(), [1, 2]);
    sim.put_data("us-east-1.password", "oops");
    sim.judge.secret_lost();
    let outcome = sim.pass(&mut operator);
    assert!(sim.key_numbers().contains(&1), "pods may use key 1: {outcome}");
}

/// A Region that refuses the published key too is no ground to keep it for ever.
#[test]
fn a_region_that_never_worked_does_not_stop_rotation() {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    sim.settings.verify_login = VerifyLogin::Auto;
    sim.ses_in.insert("us-east-1".into(), Login::NotSubscribed);
    add(&mut sim, &["us-east-1"]);
    sim.pass(&mut operator);
    sim.object.spec.rotation =
        Some(RotationSpec { interval: None, overlap: None, trigger: Some("1".into()) });
    let start = sim.now;
    while sim.now.duration_since(start) < SignedDuration::from_hours(24) {
        sim.pass(&mut operator);
        sim.pass_time(600);
    }
    assert_ne!(sim.named(), Some(key(1)));
}

/// What the spec no longer asks for goes only when what it asks for is there.
#[test]
fn a_removed_region_stays_in_the_secret_until_the_new_key_is_there() {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    add(&mut sim, &["eu-west-1"]);
    sim.pass(&mut operator);
    let before = sim.value("eu-west-1.password");
    sim.settings.verify_login = VerifyLogin::Auto;
    sim.ses_in.insert("us-east-1".into(), Login::NotSubscribed);
    add(&mut sim, &["us-east-1"]);
    sim.settle(&mut operator, 3);
    assert_eq!(sim.value("eu-west-1.password"), before);
    // Undone, it costs nothing.
    let made = sim.account.made;
    add(&mut sim, &["eu-west-1"]);
    sim.settle(&mut operator, 3);
    assert!(sim.logs_in());
    assert_eq!((sim.value("eu-west-1.password"), sim.account.made), (before, made));
    // Done, it goes.
    sim.ses_in.clear();
    add(&mut sim, &["us-east-1"]);
    sim.pass_time(3600);
    sim.settle(&mut operator, 3);
    assert!(sim.logs_in());
    assert_eq!(sim.value("eu-west-1.password"), "");
}

/// The same while the new key waits for a slot.
#[test]
fn a_swap_of_regions_that_waits_for_a_slot_takes_nothing_away() {
    let (mut sim, mut operator) = Sim::provisioned();
    add(&mut sim, &["eu-west-1"]);
    sim.pass(&mut operator);
    sim.pass_time(HOUR);
    let before = sim.value("eu-west-1.password");
    add(&mut sim, &["us-east-1"]);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Wait:WaitingForKeySlot"), "{outcome}");
    assert!(format!("{outcome}").contains("not served until then: us-east-1"), "{outcome}");
    assert_eq!(sim.value("eu-west-1.password"), before);
    sim.settle(&mut operator, 20);
    assert!(sim.logs_in());
    assert_eq!(sim.value("eu-west-1.password"), "");
}

/// With one key there is no choice.
#[test]
fn adopt_beside_one_key_keeps_it() {
    for remembers in [true, false] {
        let (mut sim, mut operator) = Sim::provisioned();
        let old = old_secret();
        sim.edit(|secret| {
            secret.data = old.data;
            secret.metadata.annotations = old.metadata.annotations;
            secret.metadata.owner_references = None;
        });
        sim.annotate(name::ADOPT, Some("true"));
        if !remembers {
            operator = Operator::default();
        }
        let outcome = sim.pass(&mut operator);
        assert!(sim.key_numbers().contains(&1));
        assert!(sim.logs_in(), "{outcome}");
    }
}

/// A record that names keys of others touches none.
#[test]
fn adopt_with_a_forged_record_touches_no_key() {
    let mut sim = Sim::new();
    sim.secret = Some(old_secret());
    sim.account.made = 20;
    sim.annotate(name::ADOPT, Some("true"));
    sim.annotate(name::PREVIOUS, Some("AKIAEXAMPLE000000099"));
    sim.annotate(name::ATTEMPT, Some("x"));
    sim.annotate(name::FOUND_KEYS, Some("AKIAEXAMPLE000000098"));
    sim.settle(&mut Operator::default(), 5);
    super::whole(&mut sim);
}

/// Two that take over at once.
#[test]
fn a_conflict_at_the_take_over_ends_well() {
    for call in 0..14 {
        let mut sim = Sim::new();
        sim.secret = Some(old_secret());
        sim.account.made = 20;
        sim.annotate(name::ADOPT, Some("true"));
        sim.judge.raced = true;
        sim.edits.insert(call, |sim| {
            sim.pass(&mut Operator::default());
        });
        let outcome = sim.settle(&mut Operator::default(), 20);
        assert!(sim.logs_in(), "{call}: {outcome}");
    }
}
