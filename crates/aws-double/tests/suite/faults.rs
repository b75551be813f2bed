//! Faults, throttling and the hook.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_double::{Bucket, Config, Double, Fault, FaultKind, When};
use tokio::time::timeout;

use crate::support::{client, code, is, start};

const DEADLINE: Duration = Duration::from_secs(10);

async fn with_user() -> Double {
    let double = start(Config::default()).await;
    double.call("CreateUser", &[("UserName", "u")]).unwrap();
    double
}

fn keys(double: &Double) -> usize {
    double.user("u").unwrap().keys.len()
}

fn error(status: u16, code: &str, after: bool) -> FaultKind {
    let code = code.to_owned();
    if after { FaultKind::ErrorAfter { status, code } } else { FaultKind::ErrorBefore { status, code } }
}

#[tokio::test]
async fn each_kind_has_its_effect_and_its_answer() {
    let cases = [
        (error(400, "Throttling", false), is("Throttling", 400), 0),
        (error(500, "ServiceFailure", true), is("ServiceFailure", 500), 1),
        (FaultKind::LostRequest, None, 0),
        (FaultKind::LostReply, None, 1),
        (FaultKind::Deny, is("AccessDenied", 403), 0),
        (FaultKind::Malformed { executed: false }, is("", 500), 0),
        (FaultKind::Malformed { executed: true }, is("", 500), 1),
        (FaultKind::hook(When::Before, || {}), None, 0),
        (FaultKind::hook(When::After, || {}), None, 1),
    ];
    for (kind, answer, made) in cases {
        let double = with_user().await;
        let name = format!("{kind:?}");
        double.inject(Fault::on("CreateAccessKey", kind).user("u"));
        let result = client(&double).create_access_key().user_name("u").send().await;
        assert_eq!(code(result), answer, "{name}");
        assert_eq!(keys(&double), made, "{name}");
        let journal = double.journal();
        let record = journal.last().unwrap();
        assert_eq!(record.fault.as_deref(), Some(name.as_str()));
        assert_eq!(record.executed, made == 1, "{name}");
        assert_eq!(record.key.is_some(), made == 1, "{name}");
        client(&double).list_access_keys().user_name("u").send().await.unwrap();
    }
}

#[tokio::test]
async fn a_denial_names_action_and_resource() {
    let double = with_user().await;
    double.inject(Fault::on("*", FaultKind::Deny));
    let denied = client(&double).get_user().user_name("u").send().await.unwrap_err();
    let text = format!("{denied:?}");
    assert!(text.contains("iam:GetUser on resource: arn:aws:iam::123456789012:user/u"), "{text}");
}

#[tokio::test]
async fn an_effect_may_come_late() {
    let double = with_user().await;
    double.inject(Fault::on("CreateAccessKey", FaultKind::delayed(Duration::from_millis(20))));
    let iam = client(&double);
    let call = iam.create_access_key().user_name("u").send();
    tokio::select! {
        _ = call => panic!("the call must hang"),
        () = double.until(|double| keys(double) == 1) => {}
    }
    double.inject(Fault::on("DeleteUser", FaultKind::Timeout));
    let call = iam.delete_user().user_name("u").send();
    tokio::select! {
        _ = call => panic!("the call must hang"),
        () = double.until(|double| double.counts().contains_key("DeleteUser")) => {}
    }
    assert!(double.user("u").is_some());
}

#[tokio::test]
async fn occurrence_and_repetition_are_counted_per_match() {
    let double = with_user().await;
    double.inject(Fault::on("GetUser", error(503, "ServiceUnavailable", false)).user("u*").nth(2).times(2));
    let iam = client(&double);
    assert_eq!(code(iam.get_user().user_name("x").send().await), is("NoSuchEntity", 404));
    let mut passed = Vec::new();
    for _ in 0..4 {
        passed.push(iam.get_user().user_name("u").send().await.is_ok());
    }
    assert_eq!(passed, [true, false, false, true]);
    assert_eq!(double.counts_by_user()[&("u".to_owned(), "GetUser".to_owned())], 4);
}

#[tokio::test]
async fn a_hook_runs_at_the_very_moment() {
    let double = with_user().await;
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    double.inject(Fault::on(
        "GetUser",
        FaultKind::hook(When::After, move || {
            count.fetch_add(1, Ordering::SeqCst);
        }),
    ));
    let gone = timeout(DEADLINE, client(&double).get_user().user_name("u").send()).await.unwrap();
    assert_eq!(code(gone), None);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stale_list_misses_the_last_change() {
    let double = with_user().await;
    double.call("CreateAccessKey", &[("UserName", "u")]).unwrap();
    double.inject(Fault::on("ListAccessKeys", FaultKind::StaleList));
    let iam = client(&double);
    let list = || iam.list_access_keys().user_name("u").send();
    assert!(list().await.unwrap().access_key_metadata.is_empty());
    assert_eq!(list().await.unwrap().access_key_metadata.len(), 1);
}

#[tokio::test]
async fn buckets_throttle_per_action() {
    let now = "2026-11-01T00:00:00Z".parse().unwrap();
    let double = start(Config { fixed_now: Some(now), ..Config::default() }).await;
    double.set_bucket("ListUsers", Some(Bucket { rate: 1.0, burst: 2.0 }));
    let iam = client(&double);
    for _ in 0..2 {
        iam.list_users().send().await.unwrap();
    }
    assert_eq!(code(iam.list_users().send().await), is("Throttling", 400));
    iam.get_account_summary().send().await.unwrap();
    double.advance(Duration::from_secs(1));
    iam.list_users().send().await.unwrap();
}
