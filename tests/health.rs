//! What Flux and Argo CD make of an object in each of its states: objects of a real API server and the real
//! operator, given to the libraries that the two use, and to the health script that is shipped for Argo CD.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use aws_double::{Config, Fault, FaultKind};
use kube::api::{Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};
use testbed::{Bed, Launch, Options};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
/// The program that holds the two judges; `make health` builds it.
const PROGRAM: &str = "HEALTH_PROGRAM";
const SCRIPT: &str = "deploy/argocd/health.lua";

/// State, what Flux takes it for, what Argo CD shows, and a part of Argo CD's message.
const TABLE: [[&str; 4]; 11] = [
    ["new", "InProgress", "Progressing", "waiting for the operator to see this spec"],
    ["in progress", "InProgress", "Progressing", "AwsUnavailable: "],
    ["ready", "Current", "Healthy", "Provisioned: Secret ready holds a credential"],
    ["ready, and waiting", "InProgress", "Progressing", "WaitingForKeySlot: "],
    ["ready, and stalled", "Failed", "Degraded", "SecretImmutable: "],
    ["stalled", "Failed", "Degraded", "RegionUnknown: "],
    ["suspended when new", "InProgress", "Suspended", "spec.suspend is true"],
    ["suspended when ready", "Current", "Suspended", "spec.suspend is true"],
    ["being deleted", "Terminating", "Progressing", "Deleting: "],
    ["not deletable", "Terminating", "Progressing", "ForeignAttachment: "],
    ["edited", "InProgress", "Progressing", "waiting for the operator to see this spec"],
];

async fn bed() -> (Bed, Launch) {
    let aws = Config { regions: vec!["eu-central-1".into()], time_scale: 600.0, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let launch = bed.launch(Path::new(BINARY)).await.unwrap();
    (bed, launch)
}

/// The object as the API server tells it to a tool that knows nothing of the kind.
async fn raw(bed: &Bed, name: &str) -> Value {
    let path = format!("/apis/ses-smtp.dev/v1alpha1/namespaces/shop/sessmtpcredentials/{name}");
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    bed.client.request(request).await.unwrap()
}

async fn made(bed: &Bed, name: &str) {
    bed.apply("shop", name, "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", name).await.unwrap();
}

/// IAM fails at every call of this action for the object's user.
fn fails(bed: &Bed, action: &str, name: &str) {
    let error = FaultKind::ErrorBefore { status: 500, code: "ServiceFailure".into() };
    bed.aws.inject(Fault::on(action, error).user(&format!("ses-smtp-shop-{name}-*")).times(u64::MAX));
}

async fn rotate(bed: &Bed, name: &str, trigger: &str) {
    bed.patch("shop", name, json!({ "rotation": { "trigger": trigger } })).await.unwrap();
}

async fn growing(bed: &Bed) -> [(&'static str, Value); 3] {
    fails(bed, "CreateUser", "making");
    bed.apply("shop", "making", "{region: eu-central-1}").await.unwrap();
    bed.reads("shop", "making", "Reconciling", "True AwsUnavailable").await.unwrap();
    made(bed, "ready").await;
    made(bed, "waiting").await;
    rotate(bed, "waiting", "a").await;
    bed.ready("shop", "waiting").await.unwrap();
    rotate(bed, "waiting", "b").await;
    bed.reads("shop", "waiting", "Reconciling", "True WaitingForKeySlot").await.unwrap();
    let waiting = bed.columns("shop", "waiting").await.unwrap();
    assert_eq!((waiting["Ready"].as_str(), waiting["Waiting"].as_str()), ("True", "WaitingForKeySlot"));
    [
        ("in progress", raw(bed, "making").await),
        ("ready", raw(bed, "ready").await),
        ("ready, and waiting", raw(bed, "waiting").await),
    ]
}

async fn held_up(bed: &Bed) -> [(&'static str, Value); 4] {
    made(bed, "impeded").await;
    let fixed = Patch::Merge(json!({ "immutable": true }));
    bed.secrets("shop").patch("impeded", &PatchParams::default(), &fixed).await.unwrap();
    rotate(bed, "impeded", "a").await;
    bed.reads("shop", "impeded", "Stalled", "True SecretImmutable").await.unwrap();
    bed.apply("shop", "broken", "{region: mx-central-1}").await.unwrap();
    bed.reads("shop", "broken", "Stalled", "True RegionUnknown").await.unwrap();
    bed.apply("shop", "idle", "{region: eu-central-1, suspend: true}").await.unwrap();
    bed.reads("shop", "idle", "Suspended", "True Suspended").await.unwrap();
    made(bed, "paused").await;
    bed.patch("shop", "paused", json!({ "suspend": true })).await.unwrap();
    bed.reads("shop", "paused", "Suspended", "True Suspended").await.unwrap();
    assert_eq!(bed.columns("shop", "paused").await.unwrap()["Suspended"], "True");
    [
        ("ready, and stalled", raw(bed, "impeded").await),
        ("stalled", raw(bed, "broken").await),
        ("suspended when new", raw(bed, "idle").await),
        ("suspended when ready", raw(bed, "paused").await),
    ]
}

async fn leaving(bed: &Bed) -> [(&'static str, Value); 2] {
    made(bed, "leaving").await;
    fails(bed, "DeleteUser", "leaving");
    bed.delete("shop", "leaving").await.unwrap();
    bed.reads("shop", "leaving", "Reconciling", "True Deleting").await.unwrap();
    let kept = bed.apply("shop", "kept", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "kept").await.unwrap();
    let user = bed.user_of(&kept).unwrap().name;
    bed.aws.call("CreateLoginProfile", &[("UserName", &user), ("Password", "not-a-secret-1A")]).unwrap();
    bed.delete("shop", "kept").await.unwrap();
    bed.reads("shop", "kept", "Stalled", "True ForeignAttachment").await.unwrap();
    [("being deleted", raw(bed, "leaving").await), ("not deletable", raw(bed, "kept").await)]
}

/// An object in every state of the table.
async fn objects() -> BTreeMap<&'static str, Value> {
    let (bed, launch) = bed().await;
    bed.apply("shop", "new", "{region: eu-central-1}").await.unwrap();
    let mut objects = BTreeMap::from([("new", raw(&bed, "new").await)]);
    let operator = launch.start().await.unwrap();
    objects.extend(growing(&bed).await);
    objects.extend(held_up(&bed).await);
    objects.extend(leaving(&bed).await);
    bed.ready("shop", "new").await.unwrap();
    operator.stop().await.unwrap();
    bed.patch("shop", "new", json!({ "region": "eu-west-1" })).await.unwrap();
    objects.insert("edited", raw(&bed, "new").await);
    objects
}

#[derive(Debug, Deserialize)]
struct Judged {
    kstatus: String,
    flux: String,
    argocd: String,
    message: String,
}

fn judged(objects: &[&Value]) -> Vec<Judged> {
    let program = std::env::var(PROGRAM).expect("HEALTH_PROGRAM isn't set: run make health");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT);
    let mut command = Command::new(program);
    let mut child = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(objects).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs HEALTH_PROGRAM: run make health"]
async fn every_state_is_taken_for_what_it_is() {
    let objects = objects().await;
    assert_eq!(objects.len(), TABLE.len());
    let results = judged(&TABLE.map(|[state, ..]| &objects[state]));
    assert_eq!(results.len(), TABLE.len());
    for ([state, flux, argocd, message], result) in TABLE.into_iter().zip(results) {
        assert_eq!([&result.kstatus, &result.flux], [flux, flux], "{state}: {}", objects[state]);
        assert_eq!(result.argocd, argocd, "{state}: {}", objects[state]);
        assert!(result.message.contains(message), "{state}: {result:?}");
    }
}

/// The table of the documentation is the one that was tested.
#[test]
fn the_table_is_documented() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gitops.md")).unwrap();
    for [state, flux, argocd, _] in TABLE {
        let row = format!("| {state} | `{flux}` | `{argocd}` |");
        assert!(page.contains(&row), "docs/gitops.md lacks: {row}");
    }
}
