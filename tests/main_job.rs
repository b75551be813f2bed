//! The main job on a real API server, with every call counted: in AWS's journal and in the API
//! server's audit log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use aws_double::Config;
use control_plane::audit;
use kube::ResourceExt as _;
use testbed::{Bed, Options, SOON, condition, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const USER: &str = "system:serviceaccount:ses-smtp-operator:ses-smtp-operator";
const REGION: &str = "eu-central-1";

fn options() -> Options {
    let aws = Config { regions: vec![REGION.into(), "eu-west-1".into()], ..Config::default() };
    Options { aws, audit: true, ..Options::default() }
}

async fn bed() -> Bed {
    let bed = Bed::start(options()).await.unwrap();
    bed.namespace("shop").await.unwrap();
    bed
}

/// What the operator sent to IAM since the last look, by action.
fn iam(bed: &Bed) -> BTreeMap<String, u64> {
    let calls = bed.iam_calls();
    bed.aws.reset_journal();
    calls
}

/// What the operator asked of the API server in a namespace, as `verb resource`, but for watches.
fn kubernetes(bed: &Bed, namespace: &str) -> BTreeMap<String, usize> {
    let entries = bed.plane.audit().unwrap();
    let ours: Vec<audit::Entry> =
        entries.into_iter().filter(|entry| entry.user == USER && entry.namespace == namespace).collect();
    let counts = audit::counts(&ours);
    counts.into_iter().map(|(key, count)| (format!("{} {}", key.verb, key.resource), count)).collect()
}

fn counts<const N: usize, T: Copy>(expected: [(&str, T); N]) -> BTreeMap<String, T> {
    expected.into_iter().map(|(key, count)| (key.to_owned(), count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_costs_exactly_what_it_must() {
    let bed = bed().await;
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    iam(&bed);

    // First provision.
    let object = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    let ready = bed.ready("shop", "mailer").await.unwrap();
    let credential = bed.login("shop", "mailer").await.unwrap();
    assert_eq!(ready.status.as_ref().unwrap().access_key_id.as_ref(), Some(&credential.username));
    assert_eq!(iam(&bed), counts([("CreateUser", 1), ("PutUserPolicy", 1), ("CreateAccessKey", 1)]));
    let provision = counts([
        ("get namespaces", 1),
        ("get secrets", 1),
        ("patch sessmtpcredentials", 1),
        ("create secrets", 1),
        ("patch sessmtpcredentials/status", 1),
        ("create events", 1),
    ]);
    let settled = eventually("the audit log", SOON, async || {
        let seen = kubernetes(&bed, "shop");
        if seen == provision { Ok(Some(())) } else { testbed::Error::wrong(format!("{seen:?}")) }
    });
    settled.await.unwrap();
    assert_eq!(condition(&ready, "Reconciling"), "");
    assert_eq!(condition(&ready, "Stalled"), "");

    // Policy change: one IAM call, two writes.
    bed.patch("shop", "mailer", serde_json::json!({ "policy": { "fromAddresses": ["a@example.com"] } }))
        .await
        .unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    assert_eq!(iam(&bed), counts([("PutUserPolicy", 1)]));
    let user = bed.user_of(&object).unwrap();
    assert!(user.policies["ses-smtp-send"].contains("a@example.com"));
    let mut changed = provision.clone();
    changed.insert("patch secrets".into(), 1);
    changed.insert("patch sessmtpcredentials/status".into(), 2);
    changed.insert("create events".into(), 2);
    let settled = eventually("the audit log", SOON, async || {
        let seen = kubernetes(&bed, "shop");
        if seen == changed { Ok(Some(())) } else { testbed::Error::wrong(format!("{seen:?}")) }
    });
    settled.await.unwrap();
    assert_eq!(bed.login("shop", "mailer").await.unwrap(), credential);

    // Delete.
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    assert_eq!(iam(&bed), counts([("DeleteAccessKey", 1), ("DeleteUserPolicy", 1), ("DeleteUser", 1)]));
    assert!(bed.aws.users().is_empty());
    changed.insert("patch sessmtpcredentials".into(), 2);
    assert_eq!(kubernetes(&bed, "shop"), changed);
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_a_hundred_objects_costs_nothing() {
    let bed = bed().await;
    let launch = bed.launch(Path::new(BINARY)).await.unwrap();
    let operator = launch.start().await.unwrap();
    for n in 0..100 {
        bed.apply("shop", &format!("mailer-{n}"), "{region: eu-central-1}").await.unwrap();
    }
    for n in 0..100 {
        bed.ready("shop", &format!("mailer-{n}")).await.unwrap();
    }
    operator.stop().await.unwrap();
    iam(&bed);
    let before = kubernetes(&bed, "shop");
    let operator = launch.start().await.unwrap();
    eventually("a pass over every object", SOON, async || {
        let metrics = operator.metrics().await?;
        let passes = metrics.lines().find(|line| line.starts_with("ses_smtp_reconcile_seconds_count"));
        let count = passes.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default();
        if count >= 100.0 { Ok(Some(())) } else { testbed::Error::wrong(format!("{count} passes")) }
    })
    .await
    .unwrap();
    assert_eq!(iam(&bed), BTreeMap::new());
    assert_eq!(kubernetes(&bed, "shop"), before);
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_policies_do_what_they_say() {
    let bed = Bed::start(Options { controller_manager: true, ..options() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    let kept = bed.apply("shop", "kept", "{region: eu-central-1, deletionPolicy: Retain}").await.unwrap();
    let stopped =
        bed.apply("shop", "stopped", "{region: eu-central-1, deletionPolicy: Deactivate}").await.unwrap();
    bed.ready("shop", "kept").await.unwrap();
    bed.ready("shop", "stopped").await.unwrap();
    let credential = bed.login("shop", "stopped").await.unwrap();
    for name in ["kept", "stopped"] {
        bed.delete("shop", name).await.unwrap();
        bed.gone("shop", name).await.unwrap();
    }
    // Retain: Secret and key go on working, nothing ties them to the operator.
    bed.login("shop", "kept").await.unwrap();
    let secret = bed.secrets("shop").get("kept").await.unwrap();
    assert!(secret.owner_references().is_empty());
    assert!(!secret.labels().contains_key("app.kubernetes.io/managed-by"));
    let user = bed.user_of(&kept).unwrap();
    assert!(user.tags.contains_key("ses-smtp.dev/released"));
    assert!(user.keys[0].is_active());
    // Deactivate: the user stays, the key doesn't work, the Secret is collected.
    let user = bed.user_of(&stopped).unwrap();
    assert_eq!((user.keys.len(), user.keys[0].is_active()), (1, false));
    assert_eq!(user.keys[0].id, credential.username);
    eventually("the Secret to be collected", SOON, async || {
        Ok(bed.secrets("shop").get_opt("stopped").await?.is_none().then_some(()))
    })
    .await
    .unwrap();
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}
