//! Whole rotations by the real binary: every call counted, every reader able to send, and keys that
//! are revoked, deactivated or not accepted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use aws_double::{Config, Fault, FaultKind};
use control_plane::audit;
use serde_json::json;
use testbed::{Bed, Credential, Error, Object, Operator, Options, SOON, condition, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const USER: &str = "system:serviceaccount:ses-smtp-operator:ses-smtp-operator";
const REGION: &str = "eu-central-1";
/// 24 hours in 14.4 seconds, the five minutes of logins in three.
const SCALE: f64 = 6000.0;
/// Overlap and soak, and as much again.
const RETIRED: Duration = Duration::from_mins(2);

async fn bed() -> (Bed, Operator) {
    let aws = Config { regions: vec![REGION.into()], time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, audit: true, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    (bed, operator)
}

/// Waits for another key in the Secret, and gives the credential.
async fn replaced(bed: &Bed, name: &str, before: &Credential) -> Credential {
    let what = format!("another key than {} of {name}", before.username);
    eventually(&what, SOON, async || {
        let now = bed.credential("shop", name).await?;
        if now.username == before.username { Error::wrong("the same key".to_owned()) } else { Ok(Some(now)) }
    })
    .await
    .unwrap()
}

/// Waits until one key is left.
async fn one_key_left(bed: &Bed, object: &Object) {
    eventually("one key left", RETIRED, async || {
        let keys = bed.user_of(object).unwrap().keys;
        if keys.len() == 1 { Ok(Some(())) } else { Error::wrong(format!("{keys:?}")) }
    })
    .await
    .unwrap();
}

/// Writes of Secrets so far.
fn secret_writes(bed: &Bed) -> usize {
    let entries = bed.plane.audit().unwrap();
    let writes = ["create", "update", "patch"];
    let is_ours = |entry: &&audit::Entry| entry.user == USER && entry.resource == "secrets";
    entries.iter().filter(is_ours).filter(|entry| writes.contains(&entry.verb.as_str())).count()
}

/// Events about an object, by reason.
async fn told(bed: &Bed, reason: &str) -> Vec<String> {
    let events = bed.events("shop").await.unwrap();
    events.into_iter().filter(|(told, _)| told == reason).map(|(_, note)| note).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_rotation_costs_exactly_what_it_must() {
    let (bed, operator) = bed().await;
    let object = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let old = bed.login("shop", "mailer").await.unwrap();
    let written = secret_writes(&bed);
    bed.aws.reset_journal();
    bed.patch("shop", "mailer", json!({ "rotation": { "trigger": "1" } })).await.unwrap();
    let new = replaced(&bed, "mailer", &old).await;
    assert!(
        bed.accepts(&new).await.unwrap() && bed.accepts(&old).await.unwrap(),
        "both keys during the overlap"
    );
    let object_now = bed.ready("shop", "mailer").await.unwrap();
    assert_eq!(condition(&object_now, "LoginVerified"), "True LoginVerified");
    one_key_left(&bed, &object).await;
    assert!(bed.accepts(&new).await.unwrap() && !bed.accepts(&old).await.unwrap());
    let expected = [
        ("ListAccessKeys", 3),
        ("CreateAccessKey", 1),
        ("GetAccessKeyLastUsed", 1),
        ("UpdateAccessKey", 1),
        ("DeleteAccessKey", 1),
    ];
    let expected: BTreeMap<String, u64> =
        expected.into_iter().map(|(action, count)| (action.to_owned(), count)).collect();
    assert_eq!(bed.iam_calls(), expected);
    eventually("fence, publish, deactivated-at and the end of previous", SOON, async || {
        let writes = secret_writes(&bed) - written;
        if writes == 4 { Ok(Some(())) } else { Error::wrong(format!("{writes} writes")) }
    })
    .await
    .unwrap();
    let rotated = told(&bed, "Rotated").await;
    assert!(rotated.len() == 1 && rotated[0].contains("has to be restarted by then"), "{rotated:?}");
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_by_age_and_a_reader_of_the_secret_never_fails() {
    let (bed, operator) = bed().await;
    // 100 hours a minute: a rotation every 12 seconds or so.
    let spec = "{region: eu-central-1, rotation: {interval: 20h, overlap: 2h}}";
    let object = bed.apply("shop", "mailer", spec).await.unwrap();
    let ready = bed.ready("shop", "mailer").await.unwrap();
    assert!(ready.status.unwrap().next_rotation_at.is_some());
    let mut seen = std::collections::BTreeSet::new();
    eventually("three rotations, with a login at every look", RETIRED, async || {
        let credential = bed.login("shop", "mailer").await?;
        seen.insert(credential.username);
        Ok((seen.len() >= 4).then_some(()))
    })
    .await
    .unwrap();
    assert!(bed.user_of(&object).unwrap().keys.len() <= 2);
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_log_in_is_never_published() {
    let (bed, operator) = bed().await;
    let object = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let old = bed.login("shop", "mailer").await.unwrap();
    let refusal = FaultKind::Smtp { reply: "535 Authentication Credentials Invalid".into() };
    bed.aws.inject(Fault::on("AUTH", refusal).times(u64::MAX));
    bed.patch("shop", "mailer", json!({ "rotation": { "trigger": "1" } })).await.unwrap();
    let stalled = bed.reads("shop", "mailer", "Stalled", "True LoginRejected").await.unwrap();
    assert_eq!(condition(&stalled, "Ready"), "True Provisioned", "the old key goes on");
    assert_eq!(bed.credential("shop", "mailer").await.unwrap(), old);
    assert_eq!(bed.user_of(&object).unwrap().keys.len(), 1, "the refused key is deleted");
    bed.aws.clear_faults();
    let new = replaced(&bed, "mailer", &old).await;
    assert!(bed.accepts(&new).await.unwrap());
    one_key_left(&bed, &object).await;
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_keys_go_at_once() {
    let (bed, operator) = bed().await;
    let object = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let first = bed.login("shop", "mailer").await.unwrap();
    bed.patch("shop", "mailer", json!({ "rotation": { "trigger": "1" } })).await.unwrap();
    let second = replaced(&bed, "mailer", &first).await;
    // Both slots are taken; the published key and the one before it are known to be leaked.
    let revoked = json!({ "revokedKeys": [first.username, second.username] });
    bed.patch("shop", "mailer", revoked).await.unwrap();
    let third = replaced(&bed, "mailer", &second).await;
    one_key_left(&bed, &object).await;
    assert!(bed.accepts(&third).await.unwrap());
    assert!(!bed.accepts(&first).await.unwrap() && !bed.accepts(&second).await.unwrap());
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

/// A condition's status and reason, and what `status.endpoints[].login` says.
async fn login_is(bed: &Bed, condition: &str, outcome: &str) -> Object {
    let object = bed.reads("shop", "mailer", "LoginVerified", condition).await.unwrap();
    let login = object.status.as_ref().unwrap().endpoints[0].login.clone().unwrap();
    assert_eq!(login.outcome, outcome);
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_login_from_passing_is_told_apart() {
    for (reply, reason, outcome) in [
        ("535 Authentication Credentials Invalid", "LoginRejected", "Refused"),
        ("535 Account not subscribed to SES", "AccountNotSubscribed", "NotSubscribed"),
    ] {
        let (bed, operator) = bed().await;
        bed.aws.inject(Fault::on("AUTH", FaultKind::Smtp { reply: reply.into() }).times(u64::MAX));
        bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
        let stalled = bed.reads("shop", "mailer", "Stalled", &format!("True {reason}")).await.unwrap();
        assert_eq!(condition(&stalled, "Ready"), format!("False {reason}"));
        login_is(&bed, &format!("False {reason}"), outcome).await;
        // It heals by itself.
        bed.aws.clear_faults();
        let ready = bed.ready("shop", "mailer").await.unwrap();
        assert_eq!(condition(&ready, "LoginVerified"), "True LoginVerified");
        operator.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_asked_the_setting_decides() {
    for (setting, ready) in [("auto", "True Provisioned"), ("required", "False WaitingForLogin")] {
        let (bed, operator) = bed().await;
        operator.stop().await.unwrap();
        let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
        // Nobody is listening there.
        let endpoints = bed.folder().join("nowhere.yaml");
        std::fs::write(&endpoints, "eu-central-1: {host: localhost, starttls: [1], tls: []}\n").unwrap();
        launch.environment.insert("SES_SMTP_ENDPOINTS_FILE".into(), endpoints.display().to_string());
        launch.environment.insert("SES_SMTP_VERIFY_LOGIN".into(), setting.into());
        let operator = launch.start().await.unwrap();
        bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
        let object = login_is(&bed, "Unknown EndpointUnreachable", "Unreachable").await;
        let object = bed.reads("shop", &object.metadata.name.unwrap(), "Ready", ready).await.unwrap();
        let waits = condition(&object, "Reconciling");
        assert_eq!(waits, if setting == "required" { "True WaitingForLogin" } else { "" });
        operator.stop().await.unwrap();
    }
}
