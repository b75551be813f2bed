//! The IAM user and its keys: found, foreign, gone, or changed by somebody else.

use super::process::Operator;
use super::sim::{Fault, Sim};
use super::{went, whole};
use crate::iam::{Failure, KeyStatus};
use crate::names::tag;
use crate::step::Effect;
use crate::test::key;

fn with_user(change: impl FnOnce(&mut crate::iam::UserSpec)) -> Sim {
    let mut sim = Sim::new();
    let mut user = sim.identity().user;
    change(&mut user);
    sim.account.create_user(&user).unwrap();
    sim
}

#[test]
fn a_user_of_ours_is_taken_over() {
    let mut sim = with_user(|_| ());
    let expected = "ReadSecret AddFinalizer CreateUser ReadUser Pause ListKeys PutPolicy ReadSecret Placeholder MintKey Publish Done";
    went(&sim.pass(&mut Operator::default()), expected);
    whole(&mut sim);
}

#[test]
fn tags_that_prove_nothing_are_restored() {
    let mut sim = with_user(|user| {
        user.tags.remove(tag::NAMESPACE);
    });
    let outcome = sim.pass(&mut Operator::default());
    assert!(outcome.words().contains("ListKeys TagUser PutPolicy"), "{outcome}");
    whole(&mut sim);
}

#[test]
fn somebody_else_s_user_is_left_alone() {
    let foreign = "ReadSecret AddFinalizer CreateUser ReadUser Blocked:UserNotOwned";
    for mut sim in [
        with_user(|user| user.path = "/".into()),
        with_user(|user| user.tags.clear()),
        with_user(|user| drop(user.tags.insert(tag::UID.into(), "another".into()))),
    ] {
        let before = sim.account.users.clone();
        went(&sim.pass(&mut Operator::default()), foreign);
        let tags = |users: &std::collections::BTreeMap<String, super::iam::User>| {
            users.values().map(|user| (user.facts.clone(), user.policy.clone())).collect::<Vec<_>>()
        };
        assert_eq!(tags(&before), tags(&sim.account.users));
    }
    let mut sim = with_user(|user| drop(user.tags.insert(tag::INSTALL.into(), "i2".into())));
    went(
        &sim.pass(&mut Operator::default()),
        "ReadSecret AddFinalizer CreateUser ReadUser Blocked:OwnershipContested",
    );
}

#[test]
fn a_boundary_of_another_name_takes_the_place_of_the_first() {
    let mut sim = Sim::new();
    sim.settings.installation.boundary_name = Some("ses-smtp-boundary".into());
    let mut operator = Operator::default();
    went(&sim.pass(&mut operator), "ReadSecret AddFinalizer CreateUser PutPolicy MintKey Create Done");
    sim.settings.installation.boundary_name = Some("another".into());
    went(&sim.pass(&mut operator), "ReadUser PutBoundary Annotate Done");
    let name = sim.user_name();
    let wanted = sim.identity().user.boundary;
    assert_eq!(sim.account.user(&name).unwrap().facts.boundary, wanted);
    whole(&mut sim);
}

#[test]
fn a_user_deleted_by_hand_is_made_again() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.account.users.remove(&name);
    sim.object.spec.region = "us-east-1".into();
    let expected = "ReadSecret ListKeys Pause ReadUser CreateUser PutPolicy Fence MintKey Publish Done";
    went(&sim.pass(&mut operator), expected);
    whole(&mut sim);
}

#[test]
fn a_user_found_gone_by_a_policy_change_is_made_again() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.account.users.remove(&name);
    sim.object.spec.policy = Some(crate::test::policy("a@example.com"));
    let outcome = sim.settle(&mut operator, 5);
    assert!(sim.logs_in(), "{outcome}");
    whole(&mut sim);
}

#[test]
fn a_published_key_that_is_gone_is_replaced() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.account.delete_key(&name, &key(1)).unwrap();
    operator.memo.retry = true;
    let outcome = sim.pass(&mut operator);
    let expected = "ReadSecret Pause ListKeys ReadUser Pause ListKeys Fence MintKey Publish";
    assert!(outcome.words().starts_with(expected), "{outcome}");
    sim.settle(&mut operator, 10);
    whole(&mut sim);
}

/// Somebody has made the published key Inactive, and there is cause to look.
fn deactivated() -> (Sim, Operator) {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.account.key(&name, &key(1)).unwrap().listed.status = KeyStatus::Inactive;
    operator.memo.retry = true;
    (sim, operator)
}

#[test]
fn a_published_key_made_inactive_is_reported_and_not_replaced() {
    let (mut sim, mut operator) = deactivated();
    let name = sim.user_name();
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Blocked:KeyDeactivated"), "{outcome}");
    went(&sim.pass(&mut operator), "ListKeys Blocked:KeyDeactivated");
    assert_eq!(sim.key_numbers(), [1]);
    sim.account.key(&name, &key(1)).unwrap().listed.status = KeyStatus::Active;
    sim.settle(&mut operator, 5);
    whole(&mut sim);
}

#[test]
fn an_inactive_published_key_that_is_then_revoked_is_replaced() {
    let (mut sim, mut operator) = deactivated();
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Blocked:KeyDeactivated"), "{outcome}");
    sim.object.spec.revoked_keys = vec![key(1).to_string()];
    sim.judge.revoked(&key(1));
    sim.settle(&mut operator, 5);
    assert_eq!(sim.key_numbers(), [2]);
    assert!(sim.logs_in());
    whole(&mut sim);
}

#[test]
fn an_inactive_published_key_that_is_then_deleted_is_replaced() {
    let (mut sim, mut operator) = deactivated();
    let name = sim.user_name();
    sim.pass(&mut operator);
    sim.account.delete_key(&name, &key(1)).unwrap();
    sim.judge.secret_lost();
    sim.settle(&mut operator, 5);
    assert_eq!(sim.key_numbers(), [2]);
    whole(&mut sim);
}

#[test]
fn the_secret_is_repaired_beside_an_inactive_published_key() {
    let (mut sim, mut operator) = deactivated();
    let host = sim.value("host");
    sim.pass(&mut operator);
    sim.put_data("host", "evil");
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Render ListKeys Blocked:KeyDeactivated"), "{outcome}");
    assert_eq!(sim.value("host"), host);
}

#[test]
fn an_inactive_published_key_keeps_its_predecessor() {
    let (mut sim, mut operator) = Sim::rotated();
    let name = sim.user_name();
    sim.account.key(&name, &key(2)).unwrap().listed.status = KeyStatus::Inactive;
    sim.pass_time(48 * 3600);
    went(&sim.pass(&mut operator), "ReadSecret ListKeys Blocked:KeyDeactivated");
    assert_eq!(sim.key_numbers(), [1, 2]);
}

#[test]
fn an_inactive_published_key_gives_way_to_one_that_is_due() {
    let (mut sim, mut operator) = Sim::rotated();
    let name = sim.user_name();
    sim.account.key(&name, &key(2)).unwrap().listed.status = KeyStatus::Inactive;
    sim.object.spec.region = "eu-west-1".into();
    sim.judge.secret_lost();
    sim.judge.exempt(&key(2));
    let outcome = sim.settle(&mut operator, 3);
    assert!(sim.logs_in(), "{outcome}");
    assert_eq!(sim.key_numbers(), [1, 3]);
    sim.judge.found_again();
    sim.settle(&mut operator, 20);
    whole(&mut sim);
}

#[test]
fn a_key_of_unknown_status_retires_nothing_and_spins_nothing() {
    let (mut sim, mut operator) = Sim::rotated();
    let name = sim.user_name();
    sim.account.key(&name, &key(2)).unwrap().listed.status = KeyStatus::Other;
    sim.pass_time(48 * 3600);
    let outcome = sim.pass(&mut operator);
    went(&outcome, "ReadSecret ListKeys Done");
    let Some(crate::step::End::Done { wake_at: Some(at) }) = outcome.end else { panic!("{outcome}") };
    assert!(at > sim.now);
}

#[test]
fn a_third_key_stops_everything_and_is_named() {
    let (mut sim, mut operator) = Sim::rotated();
    let (name, now) = (sim.user_name(), sim.now);
    sim.judge.meddled = true;
    let mut third = sim.account.key(&name, &key(1)).unwrap().clone();
    third.listed.id = key(9);
    third.listed.created = now;
    sim.account.user(&name).unwrap().keys.push(third);
    sim.object.spec.region = "eu-west-1".into();
    sim.pass_time(300);
    let outcome = sim.pass(&mut operator);
    went(&outcome, "ReadSecret ListKeys Blocked:KeyQuotaExceeded");
    assert!(format!("{outcome}").contains(key(9).as_str()));
}

#[test]
fn another_account_stops_everything() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.settings.installation.account = "210987654321".into();
    sim.object.spec.region = "us-east-1".into();
    went(&sim.pass(&mut operator), "Blocked:AccountMismatch");
    sim.delete_object();
    went(&sim.pass(&mut operator), "Blocked:AccountMismatch");
    assert!(sim.facts.finalizer);
}

/// A namespace of a role in the account that the simulation has.
fn of_a_role(sim: &mut Sim) {
    let arn = "arn:aws:iam::123456789012:role/tenant";
    sim.settings.allowed.roles = vec![crate::tenancy::RoleArn::parse(arn).unwrap()];
    sim.tenancy.role = Some(arn.into());
}

#[test]
fn another_role_stops_everything_and_both_accounts_are_named() {
    let (mut sim, mut operator) = Sim::provisioned();
    let arn = "arn:aws:iam::210987654321:role/tenant";
    sim.settings.allowed.roles = vec![crate::tenancy::RoleArn::parse(arn).unwrap()];
    sim.tenancy.role = Some(arn.into());
    sim.object.spec.region = "us-east-1".into();
    let outcome = sim.pass(&mut operator);
    went(&outcome, "Blocked:AccountMismatch");
    let told = format!("{outcome}");
    assert!(
        told.contains("in AWS account 123456789012, namespace shop works in account 210987654321"),
        "{told}"
    );
    sim.delete_object();
    went(&sim.pass(&mut operator), "Blocked:AccountMismatch");
    assert!(sim.facts.finalizer);
    sim.tenancy.role = None;
    went(&sim.pass(&mut operator), "DeleteKey:1 DeletePolicy DeleteUser RemoveFinalizer Done");
}

/// Nothing was asked of IAM, so the user isn't looked for, and a deletion doesn't take it for gone.
#[test]
fn a_role_that_is_denied_is_named_and_says_nothing_of_the_user() {
    for (deleted, step, expected) in [
        (false, "ListKeys", "ReadSecret ListKeys Blocked:AccessDenied"),
        (true, "DeleteKey:1", "DeleteKey:1 Blocked:AccessDenied"),
    ] {
        let (mut sim, mut operator) = Sim::provisioned();
        of_a_role(&mut sim);
        let role = "arn:aws:iam::123456789012:role/tenant".to_owned();
        let denied = Failure::Denied { action: crate::iam::ASSUME_ROLE, resource: role };
        sim.broken = Some((step.into(), Effect::Iam(denied)));
        if deleted {
            sim.delete_object();
        } else {
            sim.object.spec.region = "us-east-1".into();
        }
        let outcome = sim.pass(&mut operator);
        went(&outcome, expected);
        let told = format!("{outcome}");
        assert!(told.contains("sts:AssumeRole on arn:aws:iam::123456789012:role/tenant"), "{told}");
        assert!(told.contains("sts:ExternalId is c1/shop"), "{told}");
        assert!(sim.facts.finalizer);
    }
}

#[test]
fn a_stripped_account_is_recorded_again_on_proof() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.facts.account = None;
    went(&sim.pass(&mut operator), "ReadUser AddFinalizer Done");
    sim.facts.account = None;
    let name = sim.user_name();
    sim.account.users.remove(&name);
    went(&sim.pass(&mut operator), "ReadUser Blocked:AccountMismatch");
}

#[test]
fn a_finalizer_removed_by_hand_comes_back() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.facts.finalizer = false;
    went(&sim.pass(&mut operator), "AddFinalizer Done");
}

#[test]
fn nothing_is_changed_while_suspended_or_invalid() {
    let (mut sim, mut operator) = Sim::provisioned();
    sim.object.spec.region = "us-east-1".into();
    sim.object.spec.suspend = true;
    went(&sim.pass(&mut operator), "Done");
    sim.object.spec.suspend = false;
    sim.object.spec.region = "eu-nowhere-1".into();
    went(&sim.pass(&mut operator), "Blocked:RegionUnknown");
    sim.object.spec.suspend = true;
    sim.delete_object();
    went(&sim.pass(&mut operator), "DeleteKey:1 DeletePolicy DeleteUser RemoveFinalizer Done");
}

/// What a policy that ends at our path makes of a user that isn't there.
pub fn denied(action: &'static str) -> Effect {
    Effect::Iam(Failure::Denied { action, resource: "user".into() })
}

#[test]
fn a_denial_on_a_user_that_is_not_listed_means_that_it_is_gone() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.account.users.remove(&name);
    operator.memo.suspicion.user = true;
    let calls = sim.calls;
    for call in [calls, calls + 2] {
        sim.faults.insert(call, Fault::Says(denied("iam:GetUser")));
    }
    let outcome = sim.pass(&mut operator);
    let expected = "ReadUser FindUser Pause ReadUser FindUser CreateUser";
    assert!(outcome.words().starts_with(expected), "{outcome}");
    assert!(sim.logs_in());
}

#[test]
fn a_denial_on_a_user_that_is_listed_stands() {
    let (mut sim, mut operator) = Sim::provisioned();
    operator.memo.suspicion.user = true;
    sim.faults.insert(sim.calls, Fault::Says(denied("iam:GetUser")));
    went(&sim.pass(&mut operator), "ReadUser FindUser Blocked:AccessDenied");
}

#[test]
fn a_denial_stands_where_listing_is_denied_too() {
    let (mut sim, mut operator) = Sim::provisioned();
    operator.memo.suspicion.user = true;
    sim.faults.insert(sim.calls, Fault::Says(denied("iam:GetUser")));
    sim.faults.insert(sim.calls + 1, Fault::Says(denied("iam:ListUsers")));
    let outcome = sim.pass(&mut operator);
    went(&outcome, "ReadUser FindUser Blocked:AccessDenied");
    assert!(format!("{outcome}").contains("iam:ListUsers"), "{outcome}");
}

#[test]
fn a_taken_name_that_may_not_be_read_and_is_not_under_our_path_is_somebody_else_s() {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    let (name, user) = (sim.user_name(), sim.identity().user);
    sim.account.create_user(&user).unwrap();
    sim.account.user(&name).unwrap().facts.path = "/".into();
    sim.faults.insert(3, Fault::Says(denied("iam:GetUser")));
    let expected = "ReadSecret AddFinalizer CreateUser ReadUser FindUser Blocked:UserNotOwned";
    went(&sim.pass(&mut operator), expected);
}

#[test]
fn a_user_that_was_moved_to_a_path_where_our_rights_end_is_no_longer_ours() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.account.user(&name).unwrap().facts.path = "/elsewhere/".into();
    operator.memo.suspicion.user = true;
    let calls = sim.calls;
    for call in [calls, calls + 2, calls + 5] {
        sim.faults.insert(call, Fault::Says(denied("iam:GetUser")));
    }
    let expected =
        "ReadUser FindUser Pause ReadUser FindUser CreateUser ReadUser FindUser Blocked:UserNotOwned";
    went(&sim.pass(&mut operator), expected);
    assert_eq!(sim.key_numbers(), [1]);
}

#[test]
fn a_teardown_of_a_user_that_is_gone_ends_although_every_call_is_denied() {
    let (mut sim, mut operator) = Sim::provisioned();
    let name = sim.user_name();
    sim.account.users.remove(&name);
    sim.delete_object();
    let calls = sim.calls;
    for call in [calls, calls + 2] {
        sim.faults.insert(call, Fault::Says(denied("iam:DeleteAccessKey")));
    }
    went(&sim.pass(&mut operator), "DeleteKey:1 FindUser ReadUser FindUser RemoveFinalizer Done");
}

/// Whoever finds the user waits two minutes before it makes a key for it; a pass that made the user and
/// then hangs must not take it for untouched after that.
#[test]
fn a_pass_that_made_the_user_and_hung_starts_over() {
    let (mut sim, mut operator) = (Sim::new(), Operator::default());
    let mut running = operator.begin(&mut sim);
    for _ in 0..4 {
        running.advance(&mut sim);
    }
    sim.pass_time(40);
    running.advance(&mut sim);
    let outcome = running.outcome(None);
    assert!(!outcome.words().contains("MintKey"), "{outcome}");
    sim.settle(&mut operator, 4);
    whole(&mut sim);
}
