//! What tells the readers of a Secret that it changed: annotations and labels for reload controllers, one
//! change of the data for each new key, and an event that says until when to restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use aws_double::Config;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::{Value, json};
use testbed::{Bed, Error, Operator, Options, SOON, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const SCALE: f64 = 600.0;
/// What `docs/reload.md` tells people to write.
const ANNOTATIONS: [(&str, &str); 2] =
    [("reloader.stakater.com/match", "true"), ("spring.cloud.kubernetes.secret.apps", "shop")];
const LABELS: [(&str, &str); 3] = [
    ("spring.cloud.kubernetes.secret", "true"),
    ("kyverno.io/watch", "true"),
    ("reconcile.fluxcd.io/watch", "Enabled"),
];

async fn bed() -> (Bed, Operator) {
    let aws = Config { regions: vec!["eu-central-1".into()], time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    (bed, operator)
}

fn told() -> Value {
    let map = |pairs: &[(&str, &str)]| -> Value { pairs.iter().map(|(key, value)| (*key, *value)).collect() };
    json!({ "secret": { "annotations": map(&ANNOTATIONS), "labels": map(&LABELS) } })
}

/// Every state of the Secret from `version` on, until its key is `key`.
async fn states(bed: &Bed, version: &str, key: &str) -> Vec<Secret> {
    let params = WatchParams::default().fields("metadata.name=mailer");
    let mut events = bed.secrets("shop").watch(&params, version).await.unwrap().boxed();
    let mut states = Vec::new();
    while let Some(event) = events.next().await {
        let WatchEvent::Modified(secret) = event.unwrap() else { panic!("made anew or deleted") };
        let last = secret.annotations()["ses-smtp.dev/access-key-id"] == key;
        states.push(secret);
        if last {
            return states;
        }
    }
    panic!("the watch ended: {states:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reload_controllers_look_at_comes_and_goes_with_the_spec() {
    let (bed, operator) = bed().await;
    bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let foreign = Patch::Merge(json!({ "metadata": { "annotations": { "example.com/seen": "1" } } }));
    let before = bed.secrets("shop").patch("mailer", &PatchParams::default(), &foreign).await.unwrap();
    let calls = bed.iam_calls();
    let shown = |secret: &Secret| {
        ANNOTATIONS
            .iter()
            .filter(|(key, value)| secret.annotations().get(*key).is_some_and(|it| it == value))
            .count()
            + LABELS
                .iter()
                .filter(|(key, value)| secret.labels().get(*key).is_some_and(|it| it == value))
                .count()
    };
    let counts = async |wanted: usize| {
        eventually(&format!("{wanted} of them on the Secret"), SOON, async || {
            let secret = bed.secrets("shop").get("mailer").await?;
            if shown(&secret) == wanted {
                Ok(Some(secret))
            } else {
                Error::wrong(format!("{:?}", secret.metadata))
            }
        })
        .await
        .unwrap()
    };
    bed.patch("shop", "mailer", told()).await.unwrap();
    let with = counts(ANNOTATIONS.len() + LABELS.len()).await;
    bed.patch("shop", "mailer", json!({ "secret": null })).await.unwrap();
    let without = counts(0).await;
    for secret in [&with, &without] {
        assert_eq!((secret.uid(), &secret.data), (before.uid(), &before.data));
        assert_eq!(secret.annotations()["example.com/seen"], "1", "what others wrote stays");
    }
    bed.ready("shop", "mailer").await.unwrap();
    assert_eq!(bed.iam_calls(), calls);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_changes_the_data_once_and_says_until_when_to_restart() {
    let (bed, operator) = bed().await;
    bed.apply("shop", "mailer", &json!({ "region": "eu-central-1" }).to_string()).await.unwrap();
    bed.patch("shop", "mailer", told()).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let before = bed.secrets("shop").get("mailer").await.unwrap();
    let old = bed.login("shop", "mailer").await.unwrap();
    bed.patch("shop", "mailer", json!({ "rotation": { "trigger": "1" } })).await.unwrap();
    let new = eventually("another key", SOON, async || {
        let now = bed.credential("shop", "mailer").await?;
        Ok((now.username != old.username).then_some(now))
    })
    .await
    .unwrap();
    let states = states(&bed, &before.resource_version().unwrap(), &new.username).await;
    let after = states.last().unwrap();
    assert_eq!(after.uid(), before.uid(), "edited in place");
    // Whoever takes any write for news is told of the fence too; whoever compares data, once.
    let data = states.iter().filter(|state| state.data != before.data).count();
    assert_eq!(data, 1, "{states:?}");
    let keys =
        states.iter().filter(|state| state.annotations()["ses-smtp.dev/access-key-id"] == old.username);
    assert_eq!(keys.count(), states.len() - 1, "the annotation changes with the data");
    for (key, value) in ANNOTATIONS {
        assert_eq!(after.annotations()[key], value);
    }
    let superseded: Timestamp = after.annotations()["ses-smtp.dev/superseded-at"].parse().unwrap();
    let overlap = SignedDuration::from_secs_f64(SignedDuration::from_hours(24).as_secs_f64() / SCALE);
    let until = superseded + overlap;
    let said = format!("the earlier key {} works until {until}. ", old.username);
    eventually("the event", SOON, async || {
        let events = bed.events("shop").await?;
        let found = events.iter().any(|(reason, text)| reason == "Rotated" && text.contains(&said));
        if found { Ok(Some(())) } else { Error::wrong(format!("{said}: {events:?}")) }
    })
    .await
    .unwrap();
    bed.no_secret_leaked(Some(&operator), &["eu-central-1"]).await.unwrap();
    operator.stop().await.unwrap();
}

/// The documentation tells people to write what was tested.
#[test]
fn what_is_tested_is_documented() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reload.md")).unwrap();
    for (key, value) in ANNOTATIONS.into_iter().chain(LABELS) {
        let quoted = if value == "true" { "\"true\"" } else { value };
        assert!(page.contains(&format!("{key}: {quoted}")), "docs/reload.md lacks {key}");
    }
}
