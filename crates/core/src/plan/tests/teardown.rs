//! Deletion under each policy.

use super::process::Operator;
use super::sim::Sim;
use super::went;
use crate::api::DeletionPolicy;
use crate::iam::{Blocker, KeyStatus};
use crate::names::tag;
use crate::test::key;

fn deleted() -> (Sim, Operator) {
    let (mut sim, operator) = Sim::provisioned();
    sim.delete_object();
    (sim, operator)
}

fn gone(sim: &Sim) {
    assert!(sim.account.users.is_empty());
    assert!(!sim.facts.finalizer);
}

#[test]
fn takes_three_calls_to_iam() {
    let (mut sim, mut operator) = deleted();
    went(&sim.pass(&mut operator), "DeleteKey:1 DeletePolicy DeleteUser RemoveFinalizer Done");
    gone(&sim);
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn takes_both_keys_of_an_overlap() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.delete_object();
    went(&sim.pass(&mut operator), "DeleteKey:2 DeleteKey:1 DeletePolicy DeleteUser RemoveFinalizer Done");
    gone(&sim);
}

#[test]
fn without_a_secret_the_user_is_asked() {
    let (mut sim, mut operator) = deleted();
    sim.delete_secret();
    went(
        &sim.pass(&mut operator),
        "ReadUser ListKeys DeleteKey:1 DeletePolicy DeleteUser RemoveFinalizer Done",
    );
    gone(&sim);
}

#[test]
fn a_key_that_nobody_named_is_found_by_the_refusal() {
    let (mut sim, mut operator) = deleted();
    let (name, now) = (sim.user_name(), sim.now);
    sim.account.mint(&name, now).unwrap();
    went(
        &sim.pass(&mut operator),
        "DeleteKey:1 DeletePolicy DeleteUser ListKeys DeleteKey:2 DeleteUser RemoveFinalizer Done",
    );
    gone(&sim);
}

#[test]
fn what_is_not_ours_is_named_and_left() {
    for blocker in [Blocker::LoginProfile, Blocker::Groups, Blocker::AttachedPolicies, Blocker::Other] {
        let (mut sim, mut operator) = deleted();
        let name = sim.user_name();
        sim.account.user(&name).unwrap().foreign = Some(blocker);
        let outcome = sim.pass(&mut operator);
        // Of attached policies only AWS's own quarantine may be taken off, which has to be tried.
        let tried = "ListKeys DetachPolicy DetachPolicy DetachPolicy DeleteUser ";
        let tried = if blocker == Blocker::AttachedPolicies { tried } else { "" };
        went(&outcome, &format!("DeleteKey:1 DeletePolicy DeleteUser {tried}Blocked:ForeignAttachment"));
        assert!(format!("{outcome}").contains(&blocker.to_string()));
        assert!(sim.facts.finalizer);
        sim.account.user(&name).unwrap().foreign = None;
        let outcome = sim.pass(&mut operator);
        assert!(outcome.words().ends_with("RemoveFinalizer Done"), "{outcome}");
        gone(&sim);
    }
}

#[test]
fn somebody_else_s_user_of_our_name_counts_as_gone() {
    let (mut sim, mut operator) = deleted();
    let name = sim.user_name();
    let user = sim.account.user(&name).unwrap();
    user.facts.tags.clear();
    user.keys.clear();
    went(&sim.pass(&mut operator), "DeleteKey:1 ReadUser RemoveFinalizer Done");
    assert!(sim.account.users.contains_key(&name));
}

#[test]
fn a_user_whose_install_id_became_another_keeps_the_finalizer() {
    for policy in [DeletionPolicy::Delete, DeletionPolicy::Deactivate] {
        let (mut sim, mut operator) = deleted();
        sim.object.spec.deletion_policy = policy;
        sim.delete_secret();
        let (name, install) = (sim.user_name(), sim.identity().user.tags[tag::INSTALL].clone());
        sim.account.user(&name).unwrap().facts.tags.insert(tag::INSTALL.into(), "another".into());
        let outcome = sim.pass(&mut operator);
        went(&outcome, "ReadUser Blocked:OwnershipContested");
        assert!(format!("{outcome}").contains(&install), "{outcome}");
        assert!(sim.facts.finalizer);
        assert_eq!(sim.account.user(&name).unwrap().keys.len(), 1, "nothing is done to it");
        sim.account.user(&name).unwrap().facts.tags.insert(tag::INSTALL.into(), install);
        sim.pass(&mut operator);
        assert!(!sim.facts.finalizer);
    }
}

#[test]
fn absence_is_believed_at_once_of_a_user_known_for_long() {
    let (mut sim, mut operator) = deleted();
    sim.account.users.clear();
    went(&sim.pass(&mut operator), "DeleteKey:1 ReadUser RemoveFinalizer Done");
}

#[test]
fn absence_of_a_user_nobody_knows_takes_two_reads() {
    let mut sim = Sim::new();
    sim.facts.finalizer = true;
    sim.facts.account = Some(sim.settings.installation.account.clone());
    sim.delete_object();
    went(&sim.pass(&mut Operator::default()), "ReadUser Pause ReadUser RemoveFinalizer Done");
}

#[test]
fn an_account_nobody_knows_is_asked_for_the_user() {
    let (mut sim, mut operator) = deleted();
    sim.facts.account = None;
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().starts_with("ReadUser DeleteKey:1"), "{outcome}");
}

#[test]
fn without_a_finalizer_there_is_nothing_to_do() {
    let mut sim = Sim::new();
    sim.delete_object();
    went(&sim.pass(&mut Operator::default()), "Done");
}

#[test]
fn retain_keeps_mail_going() {
    let (mut sim, mut operator) = deleted();
    sim.object.spec.deletion_policy = DeletionPolicy::Retain;
    went(&sim.pass(&mut operator), "ReadSecret Release ReadUser TagReleased RemoveFinalizer Done");
    assert!(sim.seen().unwrap().labels.is_empty());
    assert!(sim.secret.as_ref().unwrap().metadata.owner_references.as_ref().unwrap().is_empty());
    let name = sim.user_name();
    assert!(sim.account.user(&name).unwrap().facts.tags.contains_key(tag::RELEASED));
    sim.object.metadata.deletion_timestamp = None;
    assert!(sim.logs_in());
}

#[test]
fn retain_without_a_secret_or_with_a_foreign_one_still_ends() {
    let (mut sim, mut operator) = deleted();
    sim.object.spec.deletion_policy = DeletionPolicy::Retain;
    sim.delete_secret();
    went(&sim.pass(&mut operator), "ReadSecret ReadUser TagReleased RemoveFinalizer Done");
    let (mut sim, mut operator) = deleted();
    sim.object.spec.deletion_policy = DeletionPolicy::Retain;
    sim.edit(|secret| secret.metadata.owner_references.as_mut().unwrap()[0].uid = "another".into());
    went(&sim.pass(&mut operator), "ReadSecret ReadUser TagReleased RemoveFinalizer Done");
}

#[test]
fn retain_that_is_disturbed_forever_ends_its_passes() {
    let (mut sim, mut operator) = deleted();
    sim.object.spec.deletion_policy = DeletionPolicy::Retain;
    for call in 0..40 {
        sim.edits.insert(sim.calls + call, |sim| sim.edit(|_| ()));
    }
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Release Wait:Provisioning"), "{outcome}");
}

#[test]
fn deactivate_keeps_the_user_and_stops_its_keys() {
    let (mut sim, mut operator) = Sim::rotated();
    sim.object.spec.deletion_policy = DeletionPolicy::Deactivate;
    sim.delete_object();
    went(
        &sim.pass(&mut operator),
        "ReadUser ListKeys DeactivateKey:1 DeactivateKey:2 TagReleased RemoveFinalizer Done",
    );
    let name = sim.user_name();
    for n in [1, 2] {
        assert_eq!(sim.account.key(&name, &key(n)).unwrap().listed.status, KeyStatus::Inactive);
    }
}

#[test]
fn a_quarantine_is_lifted_once_no_key_is_left() {
    let (mut sim, mut operator) = deleted();
    let (name, now) = (sim.user_name(), sim.now);
    sim.account.mint(&name, now).unwrap();
    sim.account.user(&name).unwrap().attached.push(super::QUARANTINE.into());
    let expected = "DeleteKey:1 DeletePolicy DeleteUser ListKeys DeleteKey:2 DeleteUser ListKeys \
                    DetachPolicy DetachPolicy DetachPolicy DeleteUser RemoveFinalizer Done";
    went(&sim.pass(&mut operator), expected);
    gone(&sim);
}
