//! What the sweep raises suspicion of, and what a pass makes of it.

use super::process::Operator;
use super::sim::Sim;
use super::{QUARANTINE, went, whole};
use crate::test::key;
use crate::world::{Quarantine, Suspicion};

fn suspect(operator: &mut Operator, change: impl FnOnce(&mut Suspicion)) {
    change(&mut operator.memo.suspicion);
}

#[test]
fn a_user_as_it_should_be_costs_one_look() {
    let (mut sim, mut operator) = Sim::provisioned();
    suspect(&mut operator, |suspicion| suspicion.user = true);
    went(&sim.pass(&mut operator), "ReadUser Done");
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn a_user_that_is_gone_is_made_again() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.account.users.remove(&name);
    suspect(&mut operator, |suspicion| suspicion.user = true);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().starts_with("ReadUser Pause ReadUser CreateUser"), "{outcome}");
    assert!(sim.logs_in());
    sim.settle(&mut operator, 5);
    whole(&mut sim);
}

#[test]
fn tags_and_boundary_are_restored() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.settings.installation.boundary_name = Some("limits".into());
    sim.settle(&mut operator, 3);
    let user = sim.account.user(&name).unwrap();
    user.facts.boundary = None;
    user.facts.tags.remove("ses-smtp.dev/namespace");
    suspect(&mut operator, |suspicion| suspicion.user = true);
    went(&sim.pass(&mut operator), "ReadUser PutBoundary TagUser Done");
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn a_user_whose_proof_was_taken_is_not_touched() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.account.user(&name).unwrap().facts.tags.remove("ses-smtp.dev/uid");
    suspect(&mut operator, |suspicion| suspicion.user = true);
    went(&sim.pass(&mut operator), "ReadUser Blocked:UserNotOwned");
    assert!(sim.logs_in());
}

#[test]
fn an_edited_policy_is_put_again_although_the_record_says_it_is_in_force() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    let policy = sim.account.user(&name).unwrap().policy.replace("edited".into());
    suspect(&mut operator, |suspicion| suspicion.policy = true);
    went(&sim.pass(&mut operator), "PutPolicy Done");
    assert_eq!(sim.account.user(&name).unwrap().policy, policy);
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn an_untraced_orphan_goes() {
    let (mut sim, mut operator) = Sim::provisioned();
    let (name, now) = (sim.user_name(), sim.now);
    sim.account.mint(&name, now).unwrap();
    sim.pass_time(3600);
    suspect(&mut operator, |suspicion| suspicion.keys = true);
    let expected = "ReadSecret Pause ListKeys Fence DeleteKey:2 Annotate Forget Done";
    went(&sim.pass(&mut operator), expected);
    whole(&mut sim);
}

fn quarantined(sim: &mut Sim, operator: &mut Operator) {
    let (name, now) = (sim.user_name(), sim.now);
    sim.account.user(&name).unwrap().attached.push(QUARANTINE.into());
    let quarantine = Quarantine { policy: QUARANTINE.into(), since: now };
    suspect(operator, |suspicion| suspicion.quarantine = Some(quarantine));
}

#[test]
fn a_quarantined_key_is_replaced_at_once_and_the_quarantine_lifted() {
    let (mut sim, mut operator) = Sim::provisioned();
    quarantined(&mut sim, &mut operator);
    sim.judge.revoked(&key(1));
    let expected =
        "ReadSecret ListKeys Fence MintKey Publish DeleteKey:1 Annotate DetachPolicy Annotate Done";
    went(&sim.pass(&mut operator), expected);
    let name = sim.user_name();
    assert!(sim.account.user(&name).unwrap().attached.is_empty());
    assert_eq!(sim.key_numbers(), [2]);
    whole(&mut sim);
}

#[test]
fn every_key_made_before_a_quarantine_goes() {
    let (mut sim, mut operator) = Sim::rotated();
    quarantined(&mut sim, &mut operator);
    sim.judge.revoked(&key(1));
    sim.judge.revoked(&key(2));
    sim.settle(&mut operator, 6);
    assert_eq!(sim.key_numbers(), [3]);
    let name = sim.user_name();
    assert!(sim.account.user(&name).unwrap().attached.is_empty());
    whole(&mut sim);
}

/// A process that starts between the new key and the end of the quarantine sees the policy still
/// attached. The key is the answer to it, not another leaked one.
#[test]
fn a_restart_before_a_quarantine_is_lifted_replaces_no_second_key() {
    let (mut sim, mut operator) = Sim::provisioned();
    quarantined(&mut sim, &mut operator);
    sim.judge.revoked(&key(1));
    sim.broken = Some(("DetachPolicy".into(), crate::step::Effect::Iam(crate::iam::Failure::Unclear)));
    sim.pass(&mut operator);
    assert_eq!(sim.key_numbers(), [2]);
    for _ in 0..3 {
        sim.pass_time(600);
        let mut next = Operator::default();
        let now = sim.now;
        next.memo.suspicion.quarantine = Some(Quarantine { policy: QUARANTINE.into(), since: now });
        sim.pass(&mut next);
        assert_eq!(sim.key_numbers(), [2]);
    }
    sim.broken = None;
    let (mut last, now) = (Operator::default(), sim.now);
    last.memo.suspicion.quarantine = Some(Quarantine { policy: QUARANTINE.into(), since: now });
    sim.settle(&mut last, 3);
    assert_eq!(sim.key_numbers(), [2]);
    assert_eq!(sim.seen().unwrap().record.quarantined_at, None);
    // The next one counts again.
    sim.pass_time(600);
    quarantined(&mut sim, &mut last);
    sim.judge.revoked(&key(2));
    sim.settle(&mut last, 3);
    assert_eq!(sim.key_numbers(), [3]);
}

/// A sweep may have read the account just before the quarantine was lifted.
#[test]
fn a_quarantine_seen_before_it_was_lifted_is_the_same() {
    let (mut sim, mut operator) = Sim::provisioned();
    let stale = Quarantine { policy: QUARANTINE.into(), since: sim.now };
    quarantined(&mut sim, &mut operator);
    sim.judge.revoked(&key(1));
    sim.pass(&mut operator);
    operator.memo.suspect(Suspicion { quarantine: Some(stale), ..Suspicion::default() });
    went(&sim.pass(&mut operator), "Done");
}

/// The record speaks of a quarantine that somebody else has lifted.
#[test]
fn a_quarantine_that_is_gone_leaves_the_record() {
    let (mut sim, mut operator) = Sim::provisioned();
    let then = sim.now.to_string();
    sim.annotate("ses-smtp.dev/quarantined-at", Some(&then));
    suspect(&mut operator, |suspicion| suspicion.lifted = true);
    went(&sim.pass(&mut operator), "Annotate Done");
    assert_eq!(sim.seen().unwrap().record.quarantined_at, None);
}
