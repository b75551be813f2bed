//! A change of Region: the one rotation of this part, through its whole life.

use super::process::Operator;
use super::sim::Sim;
use super::{went, whole};

const ROTATED: &str = "ReadSecret ListKeys Fence MintKey Pause Publish Done";

#[test]
fn a_region_change_overlaps_soaks_and_ends() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.region = "us-east-1".into();
    let began = sim.now;
    let outcome = sim.pass(&mut operator);
    went(&outcome, ROTATED);
    assert!(sim.now.duration_since(began).as_secs() >= 60);
    assert!(sim.logs_in());
    assert_eq!(sim.key_numbers(), [1, 2]);
    went(&sim.pass(&mut operator), "Done");
    sim.pass_time(24 * 3600);
    went(&sim.pass(&mut operator), "ReadSecret ListKeys ReadLastUsed:1 DeactivateKey:1 Annotate Done");
    went(&sim.pass(&mut Operator::default()), "Done");
    sim.pass_time(24 * 3600);
    went(&sim.pass(&mut operator), "ReadSecret ListKeys DeleteKey:1 Annotate Done");
    assert_eq!(sim.key_numbers(), [2]);
    whole(&mut sim);
}

#[test]
fn there_and_back_waits_for_a_slot() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.object.spec.region = super::sim::REGION.into();
    went(&sim.pass(&mut operator), "ReadSecret ListKeys Wait:WaitingForKeySlot");
    let outcome = sim.pass(&mut operator);
    let Some(crate::step::End::Wait { until: Some(until), .. }) = outcome.end else { panic!("{outcome}") };
    sim.wait_until(until);
    let expected = "ReadSecret ListKeys ReadLastUsed:1 DeactivateKey:1 Annotate Fence DeleteKey:1 MintKey Pause Publish Done";
    went(&sim.pass(&mut operator), expected);
    assert!(sim.logs_in());
    assert_eq!(sim.key_numbers(), [2, 3]);
    sim.settle(&mut operator, 10);
    whole(&mut sim);
}

#[test]
fn a_slot_comes_free_when_somebody_deletes_the_previous_key() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.object.spec.region = super::sim::REGION.into();
    sim.pass(&mut operator);
    let name = sim.user_name();
    sim.account.delete_key(&name, &crate::test::key(1)).unwrap();
    went(&sim.pass(&mut operator), ROTATED);
    assert_eq!(sim.key_numbers(), [2, 3]);
}

#[test]
fn a_previous_key_in_soak_gives_way() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.pass_time(24 * 3600);
    sim.pass(&mut operator);
    sim.object.spec.region = super::sim::REGION.into();
    went(&sim.pass(&mut operator), "ReadSecret ListKeys Fence DeleteKey:1 MintKey Pause Publish Done");
}

#[test]
fn a_reactivated_previous_key_soaks_anew() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.pass_time(24 * 3600);
    sim.pass(&mut operator);
    let name = sim.user_name();
    sim.account.key(&name, &crate::test::key(1)).unwrap().listed.status = crate::iam::KeyStatus::Active;
    sim.pass_time(24 * 3600);
    went(&sim.pass(&mut operator), "ReadSecret ListKeys ReadLastUsed:1 DeactivateKey:1 Annotate Done");
    sim.settle(&mut operator, 10);
    whole(&mut sim);
}

#[test]
fn a_previous_key_deleted_by_hand_leaves_the_record() {
    let (mut sim, mut operator) = Sim::rotated();
    let name = sim.user_name();
    sim.account.delete_key(&name, &crate::test::key(1)).unwrap();
    sim.pass_time(24 * 3600);
    went(&sim.pass(&mut operator), "ReadSecret ListKeys Pause ListKeys Annotate Done");
    whole(&mut sim);
}

#[test]
fn a_label_tool_writing_meanwhile_costs_no_key() {
    for (call, expected) in [
        (2, "ReadSecret ListKeys Fence ReadSecret Fence MintKey Pause Publish Done"),
        (4, "ReadSecret ListKeys Fence MintKey Pause Publish ReadSecret Publish Done"),
    ] {
        let (mut sim, mut operator) = Sim::provisioned();
        sim.object.spec.region = "us-east-1".into();
        sim.edits.insert(sim.calls + call, |sim| {
            sim.edit(|secret| {
                secret.metadata.labels.get_or_insert_default().insert("tool".into(), "x".into());
            });
        });
        went(&sim.pass(&mut operator), expected);
        assert_eq!(sim.key_numbers(), [1, 2]);
        assert_eq!(sim.seen().unwrap().labels["tool"], "x");
    }
}

/// A Region change whose Secret is edited between fence and publish: the key that was made goes
/// again, and a later pass sees it through.
fn interfered(edit: fn(&mut Sim)) {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.region = "us-east-1".into();
    sim.edits.insert(sim.calls + 4, edit);
    let expected = "ReadSecret ListKeys Fence MintKey Pause Publish ReadSecret DeleteKey:2 Wait:Provisioning";
    went(&sim.pass(&mut operator), expected);
    assert_eq!(sim.key_numbers(), [1]);
    sim.settle(&mut operator, 10);
    whole(&mut sim);
}

#[test]
fn a_newer_attempt_takes_precedence() {
    interfered(|sim| sim.annotate("ses-smtp.dev/attempt", Some("newer")));
}

#[test]
fn a_secret_deleted_between_fence_and_publish_is_not_made_whole() {
    interfered(Sim::delete_secret);
}

#[test]
fn a_secret_that_changes_hands_between_fence_and_publish_costs_no_key() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.region = "us-east-1".into();
    sim.edits.insert(sim.calls + 4, |sim| {
        sim.edit(|secret| {
            secret.metadata.owner_references.as_mut().unwrap()[0].uid = "another".into();
            secret.metadata.owner_references.as_mut().unwrap()[0].name = "another".into();
        });
    });
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("ReadSecret DeleteKey:2 Wait:Provisioning"), "{outcome}");
    assert_eq!(sim.key_numbers(), [1]);
    went(&sim.pass(&mut operator), "Blocked:SecretNotOwned");
}

#[test]
fn an_orphan_makes_room_and_the_rest_goes_after_the_publish() {
    let (mut sim, mut operator) = Sim::provisioned();
    let (name, now) = (sim.user_name(), sim.now);
    sim.account.mint(&name, now).unwrap();
    sim.object.spec.region = "us-east-1".into();
    let outcome = sim.pass(&mut operator);
    went(&outcome, "ReadSecret ListKeys Wait:Provisioning");
    sim.pass_time(120);
    went(&sim.pass(&mut operator), "ReadSecret ListKeys Fence DeleteKey:2 MintKey Pause Publish Done");
}

#[test]
fn more_conflicts_than_a_pass_bears_end_it() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.region = "us-east-1".into();
    for call in 0..20 {
        sim.edits.insert(sim.calls + call, |sim| sim.edit(|_| ()));
    }
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Wait:Provisioning"), "{outcome}");
    assert_eq!(sim.key_numbers(), [1]);
    sim.edits.clear();
    sim.settle(&mut operator, 10);
    whole(&mut sim);
}

#[test]
fn contention_on_a_repair_ends_the_pass() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.endpoint = Some(crate::api::EndpointSpec { host: None, port: Some(465) });
    for call in 0..20 {
        sim.edits.insert(sim.calls + call, |sim| sim.edit(|_| ()));
    }
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Render Wait:Provisioning"), "{outcome}");
    assert!(outcome.steps.len() <= 8);
}
