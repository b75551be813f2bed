//! The record stripped, in part or wholly, or forged.

use super::process::Operator;
use super::sim::Sim;
use super::{went, whole};
use crate::names::record as name;
use crate::test::key;

#[test]
fn each_stripped_field_comes_back() {
    for (field, expected) in [
        (name::UID, "ReadSecret Annotate Done"),
        (name::USER_NAME, "ReadSecret Annotate Done"),
        (name::ACCESS_KEY_ID, "ReadSecret Annotate Done"),
        (name::ISSUED_AT, "ReadSecret Pause ListKeys Annotate Done"),
        (name::PREVIOUS, "ReadSecret Pause ListKeys Annotate Done"),
        (name::SUPERSEDED_AT, "ReadSecret Pause ListKeys Annotate Done"),
        (name::DEACTIVATED_AT, "ReadSecret Pause ListKeys Annotate Done"),
        (name::POLICY_HASH, "ReadSecret ReadUser PutPolicy Annotate Done"),
        (name::TAGS_HASH, "ReadSecret ReadUser Annotate Done"),
        (name::BOUNDARY, "ReadSecret Annotate Done"),
        (name::PASSWORD_DIGESTS, "ReadSecret Pause ListKeys Fence MintKey Pause Publish Done"),
        (name::DATA_HASH, "ReadSecret Render Done"),
        (name::RENDERED_KEYS, "ReadSecret Render Done"),
    ] {
        let (mut sim, mut operator) = Sim::provisioned();
        sim.annotate(field, None);
        let outcome = sim.pass(&mut operator);
        assert_eq!(outcome.words(), expected, "{field}");
        sim.settle(&mut operator, 10);
        whole(&mut sim);
    }
}

#[test]
fn a_record_stripped_wholly_is_rebuilt_around_a_new_key() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.edit(|secret| secret.metadata.annotations = None);
    let outcome = sim.pass(&mut operator);
    went(&outcome, "ReadSecret Pause ListKeys Annotate TagUser PutPolicy Fence MintKey Pause Publish Done");
    assert_eq!(sim.seen().unwrap().record.previous_key().unwrap().key, key(1));
    sim.settle(&mut operator, 10);
    whole(&mut sim);
}

#[test]
fn a_record_stripped_during_an_overlap_keeps_both_keys_for_a_whole_overlap() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.edit(|secret| secret.metadata.annotations = None);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Annotate TagUser PutPolicy Wait:WaitingForKeySlot"), "{outcome}");
    assert_eq!(sim.key_numbers(), [1, 2]);
    sim.settle(&mut operator, 20);
    whole(&mut sim);
}

#[test]
fn forged_dates_retire_nothing_early() {
    for (field, value) in [
        (name::SUPERSEDED_AT, "2000-01-01T00:00:00Z"),
        (name::DEACTIVATED_AT, "2000-01-01T00:00:00Z"),
        (name::ISSUED_AT, "2000-01-01T00:00:00Z"),
    ] {
        let (mut sim, mut operator) = Sim::rotated();
        sim.judge.forged = true;
        sim.annotate(field, Some(value));
        for _ in 0..5 {
            sim.pass(&mut operator);
            sim.pass_time(1800);
        }
        assert_eq!(sim.key_numbers(), [1, 2], "{field}");
        // Nor does a key that is due.
        sim.object.spec.region = "eu-west-1".into();
        let outcome = sim.pass(&mut operator);
        assert!(outcome.words().ends_with("Wait:WaitingForKeySlot"), "{field}: {outcome}");
        sim.settle(&mut operator, 20);
        whole(&mut sim);
    }
}

#[test]
fn both_forged_dates_together_retire_nothing_early() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.judge.forged = true;
    sim.annotate(name::SUPERSEDED_AT, Some("2000-01-01T00:00:00Z"));
    sim.annotate(name::DEACTIVATED_AT, Some("2000-01-01T00:00:00Z"));
    sim.pass(&mut operator);
    sim.pass(&mut Operator::default());
    assert_eq!(sim.key_numbers(), [1, 2]);
    sim.settle(&mut operator, 20);
    whole(&mut sim);
}

#[test]
fn a_forged_key_id_is_put_right_by_the_data() {
    for forged in [key(7), key(1)] {
        let (mut sim, mut operator) = Sim::rotated();
        sim.annotate(name::ACCESS_KEY_ID, Some(forged.as_str()));
        let outcome = sim.pass(&mut operator);
        went(&outcome, "ReadSecret Annotate Done");
        assert_eq!(sim.seen().unwrap().record.key, Some(key(2)));
        sim.settle(&mut operator, 20);
        whole(&mut sim);
    }
}

#[test]
fn a_forged_previous_key_harms_none() {
    for forged in [key(7), key(2)] {
        let (mut sim, mut operator) = Sim::rotated();
        sim.annotate(name::PREVIOUS, Some(forged.as_str()));
        sim.annotate(name::SUPERSEDED_AT, Some("2000-01-01T00:00:00Z"));
        for _ in 0..4 {
            let outcome = sim.settle(&mut operator, 1);
            assert!(outcome.words().ends_with("Done"), "{outcome}");
            sim.pass_time(600);
        }
        assert_eq!(sim.key_numbers(), [1, 2]);
        assert!(sim.logs_in());
    }
}

#[test]
fn forged_hashes_and_junk_are_put_right() {
    for (field, value) in [
        (name::DATA_HASH, "0"),
        (name::RENDERED_KEYS, "host,nothing"),
        (name::PASSWORD_DIGESTS, "eu-central-1=0"),
        (name::PASSWORD_DIGESTS, "junk"),
        (name::POLICY_HASH, "0"),
        (name::TAGS_HASH, "0"),
        (name::ATTEMPT, "junk"),
        (name::ISSUED_AT, "junk"),
        (name::ACCESS_KEY_ID, "junk"),
        (name::PREVIOUS, "junk"),
        (name::UID, "junk"),
    ] {
        let (mut sim, mut operator) = Sim::provisioned();
        sim.annotate(field, Some(value));
        if field == name::PASSWORD_DIGESTS {
            sim.judge.secret_lost();
        }
        sim.settle(&mut operator, 20);
        whole(&mut sim);
    }
}

#[test]
fn an_edit_made_while_the_operator_was_down_is_seen() {
    let (mut sim, _) = Sim::provisioned();
    sim.put_data("host", "evil");
    went(&sim.pass(&mut Operator::default()), "ReadSecret Render Done");
    whole(&mut sim);
}

#[test]
fn dates_ahead_of_time_keep_no_key_for_ever() {
    for field in [name::SUPERSEDED_AT, name::DEACTIVATED_AT] {
        let (mut sim, mut operator) = Sim::rotated();
        sim.annotate(field, Some("2100-01-01T00:00:00Z"));
        went(&sim.pass(&mut operator), "ReadSecret Pause ListKeys Annotate Done");
        assert_eq!(sim.key_numbers(), [1, 2]);
        sim.settle(&mut operator, 20);
        whole(&mut sim);
    }
}
