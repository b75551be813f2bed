//! Rotation by age and by trigger, retirement on evidence, and revoked keys.

use k8s_openapi::jiff::SignedDuration;

use super::process::Operator;
use super::sim::Sim;
use super::{went, whole};
use crate::api::RotationSpec;
use crate::desired::Goal;
use crate::iam::KeyStatus;
use crate::step::End;
use crate::test::key;

const ROTATED: &str = "ReadSecret ListKeys Fence MintKey Pause Publish Done";
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[expect(clippy::unnecessary_wraps, reason = "as the spec has it")]
fn rotation(interval: Option<&str>, trigger: Option<&str>) -> Option<RotationSpec> {
    Some(RotationSpec { interval: interval.map(Into::into), overlap: None, trigger: trigger.map(Into::into) })
}

fn triggered() -> (Sim, Operator) {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.rotation = rotation(None, Some("1"));
    went(&sim.pass(&mut operator), ROTATED);
    sim.pass_time(HOUR);
    (sim, operator)
}

fn wakes_at(end: Option<&End>) -> k8s_openapi::jiff::Timestamp {
    match end {
        Some(End::Done { wake_at: Some(at) } | End::Wait { until: Some(at), .. }) => *at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_replaced_when_it_is_old_enough_and_not_before() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.rotation = rotation(Some("720h"), None);
    let outcome = sim.pass(&mut operator);
    went(&outcome, "Done");
    let due = wakes_at(outcome.end.as_ref());
    let age = due.duration_since(crate::test::time(0));
    assert!(age <= SignedDuration::from_hours(720) && age >= SignedDuration::from_hours(684), "{age}");
    sim.wait_until(due - SignedDuration::from_secs(2));
    went(&sim.pass(&mut operator), "Done");
    sim.wait_until(due);
    went(&sim.pass(&mut operator), ROTATED);
    assert!(sim.logs_in());
    sim.settle(&mut operator, 3);
    whole(&mut sim);
    assert_eq!(sim.key_numbers(), [2]);
}

#[test]
fn objects_of_one_interval_are_spread() {
    let mut sim = Sim::new();
    sim.object.spec.rotation = rotation(Some("1000h"), None);
    let mut ages: Vec<i64> = (0..200)
        .map(|n| {
            sim.object.metadata.uid = Some(format!("{n:08x}-0000-0000-0000-000000000000"));
            let Goal::Serve(desired) = sim.goal() else { panic!() };
            desired.rotation.due_at(sim.now).unwrap().duration_since(sim.now).as_hours()
        })
        .collect();
    ages.sort_unstable();
    assert!(ages[0] >= 950 && ages[199] <= 1000);
    assert!(ages[0] < 953 && ages[199] > 997 && ages[100] > 960 && ages[100] < 990, "{ages:?}");
}

#[test]
fn each_change_of_the_trigger_that_is_seen_rotates_once() {
    let (mut sim, mut operator) = triggered();
    went(&sim.pass(&mut operator), "Done");
    sim.settle(&mut operator, 4);
    for trigger in [None, Some("1")] {
        sim.object.spec.rotation = rotation(None, trigger);
        went(&sim.pass(&mut operator), "Done");
    }
    for (trigger, next) in [("2", 3), ("1", 4)] {
        sim.object.spec.rotation = rotation(None, Some(trigger));
        went(&sim.pass(&mut operator), ROTATED);
        sim.settle(&mut operator, 4);
        whole(&mut sim);
        assert_eq!(sim.key_numbers(), [next]);
    }
}

#[test]
fn a_trigger_that_is_there_from_the_start_rotates_nothing() {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    sim.object.spec.rotation = rotation(None, Some("1"));
    sim.pass(&mut operator);
    assert_eq!(sim.key_numbers(), [1]);
    went(&sim.pass(&mut operator), "Done");
}

/// Without it a rotation would follow each time that somebody strips the annotation.
#[test]
fn a_stripped_trigger_is_recorded_again_and_rotates_nothing() {
    let (mut sim, mut operator) = triggered();
    sim.annotate("ses-smtp.dev/rotation-trigger", None);
    went(&sim.pass(&mut operator), "ReadSecret Annotate Done");
    assert_eq!(sim.key_numbers(), [1, 2]);
}

#[test]
fn a_forged_date_of_issue_does_not_keep_a_key_for_ever() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.rotation = rotation(Some("24h"), None);
    sim.annotate("ses-smtp.dev/issued-at", Some("2100-01-01T00:00:00Z"));
    went(&sim.pass(&mut operator), "ReadSecret Pause ListKeys Annotate Done");
    sim.pass_time(DAY);
    went(&sim.pass(&mut operator), ROTATED);
}

#[test]
fn a_key_that_is_still_used_stays_for_three_overlaps_at_most() {
    let (mut sim, mut operator) = triggered();
    let began = sim.now;
    let name = sim.user_name();
    let mut looks = 0;
    while sim.account.key(&name, &key(1)).unwrap().listed.status == KeyStatus::Active {
        let used = sim.now;
        sim.account.key(&name, &key(1)).unwrap().used = Some(used);
        let outcome = sim.pass(&mut operator);
        looks += usize::from(outcome.words().contains("ReadLastUsed"));
        if let Some(at) = match &outcome.end {
            Some(End::Done { wake_at }) => *wake_at,
            other => panic!("{other:?}"),
        } {
            sim.wait_until(at);
        }
    }
    let kept = sim.now.duration_since(began);
    assert!((kept.as_hours() - 71).abs() <= 25, "{kept}");
    assert!(kept.as_hours() >= 46, "{kept}");
    assert_eq!(looks, 2, "a look each time that it could go");
    sim.settle(&mut operator, 5);
    whole(&mut sim);
}

/// Volumes show the new Secret within a minute or two; what was used until then says nothing.
#[test]
fn a_use_right_after_the_rotation_delays_nothing() {
    let (mut sim, mut operator) = triggered();
    let (name, soon) = (sim.user_name(), sim.now - SignedDuration::from_mins(58));
    sim.account.key(&name, &key(1)).unwrap().used = Some(soon);
    sim.pass_time(DAY);
    let expected = "ReadSecret ListKeys ReadLastUsed:1 DeactivateKey:1 Annotate Done";
    went(&sim.pass(&mut operator), expected);
}

/// The clock of a node that was set wrong must not cut an overlap or a soak short.
#[test]
fn a_clock_that_jumped_ahead_retires_nothing() {
    let (mut sim, mut operator) = triggered();
    sim.pass_time(DAY);
    sim.account.behind = SignedDuration::from_secs(DAY);
    let outcome = sim.pass(&mut operator);
    went(&outcome, "ReadSecret ListKeys Done");
    let Some(End::Done { wake_at: Some(at) }) = outcome.end else { panic!("{outcome}") };
    assert!(at.duration_since(sim.now) > SignedDuration::from_hours(22), "looked at again when it is due");
    sim.wait_until(at);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().contains("DeactivateKey:1"), "{outcome}");
    // The clock is put right: the soak is not cut short either.
    sim.account.behind = SignedDuration::ZERO;
    sim.pass_time(DAY / 2);
    went(&sim.pass(&mut operator), "Done");
    sim.pass_time(DAY);
    sim.account.behind = SignedDuration::from_secs(DAY);
    went(&sim.pass(&mut operator), "ReadSecret ListKeys Done");
    sim.pass_time(DAY);
    went(&sim.pass(&mut operator), "ReadSecret ListKeys DeleteKey:1 Annotate Done");
}

#[test]
fn a_shorter_overlap_counts_at_once_but_never_below_a_quarter_of_an_hour() {
    let (mut sim, mut operator) = triggered();
    let mut spec = rotation(None, Some("1")).unwrap();
    spec.overlap = Some("15m".into());
    sim.object.spec.rotation = Some(spec);
    // An hour is more than three of these overlaps: nobody is asked about its last use any more.
    went(&sim.pass(&mut operator), "ReadSecret ListKeys DeactivateKey:1 Annotate Done");
    sim.pass_time(15 * 60);
    went(&sim.pass(&mut operator), "ReadSecret ListKeys DeleteKey:1 Annotate Done");
}

#[test]
fn a_revoked_published_key_is_replaced_and_deleted_at_once() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.revoked_keys = vec![key(1).to_string()];
    sim.judge.revoked(&key(1));
    let outcome = sim.pass(&mut operator);
    went(&outcome, "ReadSecret ListKeys Fence MintKey Publish DeleteKey:1 Annotate Done");
    assert!(sim.logs_in());
    whole(&mut sim);
}

#[test]
fn a_revoked_previous_key_is_deleted_at_once() {
    let (mut sim, mut operator) = triggered();
    sim.object.spec.revoked_keys = vec![key(1).to_string()];
    sim.judge.revoked(&key(1));
    went(&sim.pass(&mut operator), "ReadSecret ListKeys DeleteKey:1 Annotate Done");
    whole(&mut sim);
}

#[test]
fn both_slots_taken_the_other_key_gives_way_to_a_revoked_one() {
    let (mut sim, mut operator) = triggered();
    sim.object.spec.revoked_keys = vec![key(2).to_string()];
    sim.judge.revoked(&key(2));
    sim.judge.revoked(&key(1));
    let expected = "ReadSecret ListKeys Fence DeleteKey:1 MintKey Publish DeleteKey:2 Annotate Done";
    went(&sim.pass(&mut operator), expected);
    assert_eq!(sim.key_numbers(), [3]);
    whole(&mut sim);
}

#[test]
fn both_keys_revoked_leave_neither() {
    let (mut sim, mut operator) = triggered();
    sim.object.spec.revoked_keys = vec![key(1).to_string(), key(2).to_string()];
    sim.judge.revoked(&key(1));
    sim.judge.revoked(&key(2));
    sim.pass(&mut operator);
    assert_eq!(sim.key_numbers(), [3]);
    whole(&mut sim);
}

#[test]
fn revoking_a_stranger_s_key_does_nothing() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.revoked_keys = vec![key(9).to_string()];
    went(&sim.pass(&mut operator), "Done");
}

/// The published key was revoked in the middle of a rotation.
#[test]
fn revoked_mid_rotation_the_new_key_is_published_without_more_waiting() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.rotation = rotation(None, Some("1"));
    sim.settings.verify_login = crate::desired::VerifyLogin::Auto;
    sim.ses_lag = SignedDuration::from_secs(100);
    // The spec is seen by the next pass: this one is cut short, as a change of the object does.
    let mut running = operator.begin(&mut sim);
    for _ in 0..5 {
        running.advance(&mut sim);
    }
    sim.object.spec.revoked_keys = vec![key(1).to_string()];
    sim.judge.revoked(&key(1));
    sim.judge.meddled = true;
    sim.settle(&mut Operator::default(), 12);
    whole(&mut sim);
    assert!(!sim.key_numbers().contains(&1));
}

/// A rotation is due, both slots are taken, and the previous key is known to be leaked.
#[test]
fn a_revoked_previous_key_goes_before_a_rotation_waits_for_its_slot() {
    let (mut sim, mut operator) = triggered();
    sim.object.spec.rotation = rotation(None, Some("2"));
    sim.object.spec.revoked_keys = vec![key(1).to_string()];
    sim.judge.revoked(&key(1));
    let expected = "ReadSecret ListKeys DeleteKey:1 Annotate Fence MintKey Pause Publish Done";
    went(&sim.pass(&mut operator), expected);
    assert_eq!(sim.key_numbers(), [2, 3]);
}

/// The record says that there is no previous key; this process remembers that there was one.
#[test]
fn a_previous_key_that_was_struck_from_the_record_keeps_its_overlap() {
    let (mut sim, mut operator) = triggered();
    for (name, value) in
        [("previous-access-key-id", ""), ("superseded-at", ""), ("deactivated-at", ""), ("attempt", "x")]
    {
        sim.annotate(&format!("ses-smtp.dev/{name}"), Some(value));
    }
    let outcome = sim.pass(&mut operator);
    assert!(!outcome.words().contains("DeleteKey"), "{outcome}");
    assert_eq!(sim.key_numbers(), [1, 2]);
    let previous = sim.seen().unwrap().record.previous_key().cloned().unwrap();
    assert_eq!(previous.key, key(1));
    sim.settle(&mut operator, 10);
    whole(&mut sim);
}

/// Somebody moves the date of issue on, again and again: a list shows IAM's own.
#[test]
fn a_date_of_issue_that_iam_contradicts_is_corrected() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.rotation = rotation(Some("720h"), None);
    sim.pass_time(30 * DAY - 60);
    let forged = (sim.now - SignedDuration::from_secs(5)).to_string();
    sim.annotate("ses-smtp.dev/issued-at", Some(&forged));
    went(&sim.pass(&mut operator), "Done");
    operator.memo.suspicion.keys = true;
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().contains("Publish"), "{outcome}");
}
