//! The Secret deleted, edited, stripped of its owner, or somebody else's from the start.

use super::process::Operator;
use super::sim::{Cache, Sim};
use super::{went, whole};
use crate::names::{LABEL_CREDENTIAL, record as name};

const REISSUED: &str = "Placeholder MintKey Publish Done";

#[test]
fn deleted_by_hand_it_is_made_again_at_once() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.delete_secret();
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with(REISSUED), "{outcome}");
    assert!(!outcome.words().contains("Wait"));
    assert!(sim.logs_in());
    // Pods may still use the key that the lost Secret named.
    let record = sim.seen().unwrap().record;
    assert_eq!(record.previous_key().unwrap().key, crate::test::key(1));
    sim.settle(&mut operator, 10);
    whole(&mut sim);
}

#[test]
fn deleted_while_nobody_looked_it_waits_for_late_writes() {
    let mut sim = Sim::new();
    sim.pass(&mut Operator::default());
    sim.delete_secret();
    let mut restarted = Operator::default();
    let outcome = sim.pass(&mut restarted);
    assert!(outcome.words().ends_with("ListKeys PutPolicy Wait:Provisioning"), "{outcome}");
    sim.pass_time(120);
    let outcome = sim.pass(&mut restarted);
    assert!(outcome.words().ends_with(REISSUED), "{outcome}");
    sim.settle(&mut restarted, 10);
    whole(&mut sim);
}

#[test]
fn deleted_again_and_again_it_is_made_more_and_more_slowly() {
    let (mut sim, mut operator) = Sim::provisioned();
    let made = sim.account.made;
    for _ in 0..50 {
        sim.delete_secret();
        sim.pass(&mut operator);
        sim.pass_time(6);
    }
    assert!(sim.account.made - made <= 2, "{} keys made", sim.account.made - made);
    sim.settle(&mut operator, 20);
    assert!(sim.logs_in());
}

#[test]
fn two_keys_and_no_secret_spare_the_one_that_was_used() {
    for used in [1, 2] {
        let (mut sim, mut operator) = Sim::rotated();
        let (name, now) = (sim.user_name(), sim.now);
        sim.account.key(&name, &crate::test::key(used)).unwrap().used = Some(now);
        sim.delete_secret();
        let outcome = sim.pass(&mut operator);
        let ends = format!(
            "ReadLastUsed:1 ReadLastUsed:2 ReadSecret Placeholder DeleteKey:{} MintKey Publish Done",
            3 - used
        );
        assert!(outcome.words().ends_with(&ends), "{outcome}");
        assert_eq!(sim.key_numbers(), [used, 3]);
        sim.judge.found_again();
        sim.settle(&mut operator, 10);
        whole(&mut sim);
    }
}

#[test]
fn a_lost_password_is_replaced() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.put_data("password", "oops");
    went(&sim.pass(&mut operator), "ReadSecret Pause ListKeys Fence MintKey Publish Done");
    assert!(sim.logs_in());
    sim.put_data("password", "oops");
    went(&sim.pass(&mut operator), "ReadSecret Wait:Provisioning");
    sim.judge.secret_lost();
    sim.settle(&mut operator, 20);
    whole(&mut sim);
}

#[test]
fn a_password_lost_during_an_overlap_takes_the_previous_key_s_slot() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.put_data("password", "oops");
    sim.judge.secret_lost();
    went(&sim.pass(&mut operator), "ReadSecret Pause ListKeys Fence DeleteKey:1 MintKey Publish Done");
    assert!(sim.logs_in());
}

#[test]
fn an_edited_user_name_or_host_is_restored_without_a_key() {
    for (key, value) in
        [("username", "AKIAEXAMPLE000000009"), ("username", "x"), ("host", "evil"), ("port", "1")]
    {
        let (mut sim, mut operator) = Sim::provisioned();
        sim.put_data(key, value);
        went(&sim.pass(&mut operator), "ReadSecret Render Done");
        whole(&mut sim);
    }
}

#[test]
fn a_password_that_was_moved_is_found_again() {
    let (mut sim, mut operator) = Sim::provisioned();
    let password = sim.value("password");
    sim.put_data("mine", &password);
    sim.put_data("password", "oops");
    went(&sim.pass(&mut operator), "ReadSecret Render Done");
    assert!(sim.logs_in());
}

#[test]
fn a_key_added_by_somebody_stays() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.put_data("extra", "x");
    went(&sim.pass(&mut operator), "ReadSecret Done");
    went(&sim.pass(&mut operator), "Done");
    went(&sim.pass(&mut Operator::default()), "ReadSecret Done");
    assert_eq!(sim.value("extra"), "x");
}

#[test]
fn label_and_annotation_of_ours_are_restored() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.edit(|secret| {
        secret.metadata.labels.as_mut().unwrap().remove(LABEL_CREDENTIAL);
    });
    went(&sim.pass(&mut operator), "ReadSecret Repair Done");
    sim.edit(|secret| {
        secret.metadata.labels.as_mut().unwrap().insert("app.kubernetes.io/managed-by".into(), "helm".into());
    });
    went(&sim.pass(&mut operator), "ReadSecret Repair Done");
    whole(&mut sim);
}

#[test]
fn labels_of_the_spec_come_and_go() {
    let (mut sim, mut operator) = Sim::provisioned();
    let labelled = |team: &str| crate::api::SecretSpec {
        labels: [(team.to_owned(), "a".to_owned())].into(),
        ..crate::api::SecretSpec::default()
    };
    for team in ["team", "group"] {
        sim.object.spec.secret = Some(labelled(team));
        went(&sim.pass(&mut operator), "ReadSecret Repair Done");
        assert_eq!(sim.seen().unwrap().labels[team], "a");
        went(&sim.pass(&mut operator), "Done");
    }
    assert!(!sim.seen().unwrap().labels.contains_key("team"));
}

#[test]
fn a_removed_owner_is_given_back_before_anything_else_is_written() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.edit(|secret| secret.metadata.owner_references = None);
    sim.object.spec.region = "us-east-1".into();
    went(&sim.pass(&mut operator), "ReadSecret Repair ListKeys Fence MintKey Pause Publish Done");
    assert!(sim.logs_in());
}

#[test]
fn a_removed_owner_is_not_given_back_without_proof() {
    for strip in [name::UID, name::PASSWORD_DIGESTS] {
        let (mut sim, mut operator) = Sim::provisioned();
        sim.edit(|secret| secret.metadata.owner_references = None);
        sim.annotate(strip, None);
        let outcome = sim.pass(&mut operator);
        assert!(outcome.words().ends_with("Blocked:SecretNotOwned"), "{outcome}");
    }
}

#[test]
fn a_foreign_secret_is_left_alone_before_any_call_to_iam() {
    let (mut donor, _) = Sim::provisioned();
    for (owner, uid, end) in [
        ("other", "another", "ReadSecret Blocked:SecretNotOwned"),
        ("mailer", "dead", "ReadSecret Wait:Provisioning"),
    ] {
        donor.edit(|secret| {
            let owners = secret.metadata.owner_references.as_mut().unwrap();
            owners[0].name = owner.into();
            owners[0].uid = uid.into();
        });
        let mut sim = Sim::new();
        sim.secret = donor.secret.clone();
        sim.cache = Cache::Nothing;
        went(&sim.pass(&mut Operator::default()), end);
        assert!(sim.account.users.is_empty());
    }
    let mut sim = Sim::new();
    donor.edit(|secret| secret.metadata.owner_references.as_mut().unwrap()[0].kind = "Helm".into());
    sim.secret = donor.secret.clone();
    went(&sim.pass(&mut Operator::default()), "Blocked:SecretNotOwned");
    donor.edit(|secret| {
        secret.metadata.owner_references = None;
        secret.metadata.annotations = None;
        secret.metadata.labels = None;
    });
    sim.secret = donor.secret.clone();
    went(&sim.pass(&mut Operator::default()), "ReadSecret Blocked:SecretNotOwned");
}

#[test]
fn an_immutable_secret_is_reported_before_a_key_is_made() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.edit(|secret| secret.immutable = Some(true));
    sim.object.spec.region = "us-east-1".into();
    went(&sim.pass(&mut operator), "ReadSecret Blocked:SecretImmutable");
    assert_eq!(sim.key_numbers(), [1]);
}

#[test]
fn a_secret_being_deleted_is_waited_for() {
    let (mut sim, mut operator) = Sim::provisioned();
    let now = sim.now;
    sim.edit(|secret| {
        secret.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
    });
    went(&sim.pass(&mut operator), "Wait:Provisioning");
}

#[test]
fn an_old_secret_put_back_is_replaced_once_its_key_is_known_to_be_gone() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.settle(&mut operator, 10);
    // What an old backup holds: the deleted key's data and record.
    let old = {
        let (donor, _) = Sim::provisioned();
        donor.secret.unwrap()
    };
    sim.judge = super::judge::Judge::default();
    sim.edit(|secret| {
        secret.data = old.data;
        secret.metadata.annotations = old.metadata.annotations;
    });
    let outcome = sim.settle(&mut Operator::default(), 10);
    assert!(sim.logs_in(), "{outcome}");
}

#[test]
fn an_edited_secret_emptied_of_record_and_user_name_spares_every_key() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.settle(&mut operator, 10);
    sim.edit(|secret| {
        secret.metadata.annotations = None;
        secret.data = None;
    });
    let outcome = sim.settle(&mut Operator::default(), 1);
    assert!(outcome.words().ends_with("Publish Done"), "{outcome}");
    assert_eq!(sim.key_numbers(), [2, 3], "pods may still use the second key");
    sim.settle(&mut operator, 10);
    whole(&mut sim);
}

/// So many keys were made before a backup was restored.
const RESTORED: u32 = 10;

/// The Secret of an object that is gone, as a backup restores it: without owner.
fn restored() -> Sim {
    let (mut donor, _) = Sim::provisioned();
    donor.edit(|secret| secret.metadata.owner_references = None);
    let mut sim = Sim::of("9a8b7c6d-0000-4000-8000-000000000001");
    sim.secret = donor.secret.clone();
    // Ids that the new user's keys don't have.
    sim.account.made = RESTORED;
    sim
}

#[test]
fn a_restored_secret_is_taken_over_only_when_somebody_says_so() {
    let mut sim = restored();
    let mut operator = Operator::default();
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Blocked:SecretNotOwned"), "{outcome}");
    for no in ["", "yes", "True"] {
        sim.annotate(name::ADOPT, Some(no));
        let outcome = sim.pass(&mut operator);
        assert!(outcome.words().ends_with("Blocked:SecretNotOwned"), "{no}: {outcome}");
    }
    assert!(sim.account.users.is_empty());
    let before = sim.value("password");
    sim.put_data("others", "kept");
    sim.annotate(name::ADOPT, Some("true"));
    sim.settle(&mut operator, 10);
    whole(&mut sim);
    let facts = sim.seen().unwrap();
    assert!(facts.is_controlled_by("9a8b7c6d-0000-4000-8000-000000000001") && !facts.record.adopt);
    assert_eq!(sim.value("others"), "kept");
    assert_ne!(sim.value("password"), before);
    assert_eq!(sim.account.made, RESTORED + 1, "one key, for the new user");
}

#[test]
fn a_secret_that_somebody_controls_is_never_taken_over() {
    for (owner, uid) in [("other", "another"), ("mailer", "dead")] {
        let mut sim = restored();
        let (mut donor, _) = Sim::provisioned();
        donor.edit(|secret| {
            let owners = secret.metadata.owner_references.as_mut().unwrap();
            owners[0].name = owner.into();
            owners[0].uid = uid.into();
        });
        sim.secret = donor.secret.clone();
        sim.annotate(name::ADOPT, Some("true"));
        sim.pass(&mut Operator::default());
        assert!(sim.account.users.is_empty() && sim.seen().unwrap().record.adopt);
    }
}

#[test]
fn a_crash_anywhere_in_a_take_over_leaves_nothing_behind() {
    for call in 0..24 {
        let mut sim = restored();
        sim.annotate(name::ADOPT, Some("true"));
        sim.faults.insert(call, super::sim::Fault::CrashAfter);
        sim.settle(&mut Operator::default(), 20);
        whole(&mut sim);
    }
}

#[test]
fn the_mark_goes_from_a_secret_that_is_ours_already() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.annotate(name::ADOPT, Some("true"));
    went(&sim.pass(&mut operator), "Annotate Done");
    assert!(!sim.seen().unwrap().record.adopt);
}
