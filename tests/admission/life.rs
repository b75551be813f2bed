//! The real operator's whole life under both policies, and what Kubernetes itself does with its Secrets.

use std::path::Path;

use aws_double::Config;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use testbed::{Bed, Error, Operator, Options, SOON, eventually};

use super::bed;

/// What the operator tells, and logs, when a policy refuses a Secret.
const REFUSED: &str = "(Invalid): look at quotas and admission rules";
const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");

async fn started(options: Options) -> (Bed, Operator) {
    let aws = Config { regions: vec!["eu-central-1".into()], time_scale: 600.0, ..Config::default() };
    let bed = bed(Options { aws, ..options }).await;
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    (bed, operator)
}

/// Nothing that the operator wrote was refused, not even once.
fn nothing_refused(bed: &Bed) {
    let log = bed.log();
    assert!(!log.contains(REFUSED), "{log}");
}

async fn edit(bed: &Bed, name: &str, patch: Value) {
    bed.secrets("shop").patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// The Secret is as it was, but for its key.
async fn restored(bed: &Bed, name: &str, before: &k8s_openapi::api::core::v1::Secret) {
    eventually(&format!("{name} to be restored"), SOON, async || {
        let now = bed.secrets("shop").get(name).await?;
        let same = now.data == before.data
            && now.labels() == before.labels()
            && now.owner_references() == before.owner_references();
        if same { Ok(Some(())) } else { Error::wrong(format!("{:?}", now.metadata)) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_lives_its_whole_life_under_the_policies() {
    let (bed, operator) = Box::pin(started(Options::default())).await;
    let spec = "{region: eu-central-1, deletionPolicy: Retain, rotation: {overlap: 15m}}";
    let object = bed.apply("shop", "mailer", spec).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let first = bed.login("shop", "mailer").await.unwrap();

    // What people may edit is repaired, and the label that nobody may remove stays.
    let before = bed.secrets("shop").get("mailer").await.unwrap();
    edit(&bed, "mailer", json!({ "data": { "host": "ZXZpbA==" } })).await;
    restored(&bed, "mailer", &before).await;
    edit(&bed, "mailer", json!({ "metadata": { "ownerReferences": null } })).await;
    restored(&bed, "mailer", &before).await;

    bed.patch("shop", "mailer", json!({ "rotation": { "trigger": "now" } })).await.unwrap();
    eventually("the key before to be retired", SOON, async || {
        let status = bed.objects("shop").get("mailer").await?.status.unwrap_or_default();
        let rotated = bed.aws.counts().contains_key("UpdateAccessKey") && status.previous_key.is_none();
        if rotated { Ok(Some(())) } else { Error::wrong(format!("{status:?}")) }
    })
    .await
    .unwrap();
    assert_ne!(bed.login("shop", "mailer").await.unwrap().username, first.username);

    // A deleted Secret comes again, with a new key.
    bed.secrets("shop").delete("mailer", &DeleteParams::default()).await.unwrap();
    eventually("another Secret", SOON, async || Ok(bed.login("shop", "mailer").await.ok())).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    retained_and_adopted(&bed, &object.uid().unwrap()).await;
    nothing_refused(&bed);
    of_another_type(&bed).await;
    operator.stop().await.unwrap();
}

/// Retain lets the Secret go, and an object of its name takes it over again.
async fn retained_and_adopted(bed: &Bed, uid: &str) {
    let kept = bed.login("shop", "mailer").await.unwrap();
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    let secret = bed.secrets("shop").get("mailer").await.unwrap();
    assert!(secret.owner_references().is_empty() && !secret.labels().contains_key("ses-smtp.dev/credential"));
    assert!(bed.accepts(&kept).await.unwrap());
    edit(bed, "mailer", json!({ "metadata": { "annotations": { "ses-smtp.dev/adopt": "true" } } })).await;
    let again = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    assert_ne!(again.uid().unwrap(), uid);
    let taken = bed.secrets("shop").get("mailer").await.unwrap();
    assert_eq!(taken.owner_references()[0].uid, again.uid().unwrap());
    bed.login("shop", "mailer").await.unwrap();
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
}

/// A label that was lost while the glass was broken holds up no rotation: the first write brings it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_label_holds_up_no_rotation() {
    let (bed, operator) = Box::pin(started(Options::default())).await;
    bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let before = bed.secrets("shop").get("mailer").await.unwrap();
    let first = bed.login("shop", "mailer").await.unwrap();
    bed.patch("shop", "mailer", json!({ "suspend": true })).await.unwrap();
    bed.reads("shop", "mailer", "Suspended", "True Suspended").await.unwrap();
    glass(&bed, json!("allowed")).await;
    let unlabelled = json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": null } } });
    edit_when_let(&bed, unlabelled).await;
    glass(&bed, Value::Null).await;
    let rotate = json!({ "suspend": false, "rotation": { "trigger": "now" } });
    bed.patch("shop", "mailer", rotate).await.unwrap();
    eventually("another key", SOON, async || {
        let now = bed.credential("shop", "mailer").await?;
        if now.username == first.username { Ok(None) } else { Ok(Some(())) }
    })
    .await
    .unwrap();
    assert_eq!(bed.secrets("shop").get("mailer").await.unwrap().labels(), before.labels());
    nothing_refused(&bed);
    operator.stop().await.unwrap();
}

/// Lifts the policy of records for the namespace, or sets it again.
async fn glass(bed: &Bed, value: Value) {
    let api: Api<Namespace> = Api::all(bed.client.clone());
    let patch = json!({ "metadata": { "labels": { "ses-smtp.dev/record-edits": value } } });
    api.patch("shop", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Edits the Secret as soon as the API server's admission knows that the policy is lifted.
async fn edit_when_let(bed: &Bed, patch: Value) {
    eventually("the edit to be let through", SOON, async || {
        let patch = Patch::Merge(&patch);
        let edited = bed.secrets("shop").patch("mailer", &PatchParams::default(), &patch).await;
        Ok(edited.is_ok().then_some(()))
    })
    .await
    .unwrap();
}

/// A Secret that may not be taken over is left alone, and nothing is done in AWS.
async fn of_another_type(bed: &Bed) {
    let secret = json!({
        "metadata": { "name": "typed", "annotations": { "ses-smtp.dev/adopt": "true" } },
        "type": "kubernetes.io/basic-auth",
        "data": { "username": "YQ==", "password": "YQ==" },
    });
    bed.secrets("shop").create(&PostParams::default(), &super::secret(secret)).await.unwrap();
    let before = bed.iam_calls();
    bed.apply("shop", "typed", "{region: eu-central-1}").await.unwrap();
    bed.reads("shop", "typed", "Stalled", "True SecretRefused").await.unwrap();
    assert_eq!(bed.iam_calls(), before);
    assert!(bed.secrets("shop").get("typed").await.unwrap().owner_references().is_empty());
    assert!(bed.log().contains(REFUSED), "a refusal shows in the log, or its absence would mean nothing");
}

/// Collection of Secrets and of namespaces.
#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_collects_as_before() {
    let (bed, operator) = Box::pin(started(Options { controller_manager: true, ..Options::default() })).await;
    expressions_check(&bed).await;
    for name in ["collected", "orphaned", "in-namespace"] {
        bed.apply("shop", name, "{region: eu-central-1}").await.unwrap();
        bed.ready("shop", name).await.unwrap();
    }
    bed.delete("shop", "collected").await.unwrap();
    bed.gone("shop", "collected").await.unwrap();
    gone(&bed, "collected").await;
    // The garbage collector takes the owner reference off, and the finalizer of its own off the object.
    bed.objects("shop").delete("orphaned", &DeleteParams::orphan()).await.unwrap();
    bed.gone("shop", "orphaned").await.unwrap();
    assert!(bed.secrets("shop").get("orphaned").await.unwrap().owner_references().is_empty());

    bed.delete_namespace("shop").await.unwrap();
    assert!(bed.aws.users().is_empty());
    nothing_refused(&bed);
    operator.stop().await.unwrap();
}

/// Kubernetes finds nothing to warn of in the types of the policies' expressions.
async fn expressions_check(bed: &Bed) {
    for name in ["ses-smtp-operator", "ses-smtp-operator-records"] {
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(bed.client.clone());
        let checked = eventually("the expressions to be checked", SOON, async || {
            Ok(policies.get(name).await?.status.and_then(|status| status.type_checking))
        });
        assert_eq!(checked.await.unwrap().expression_warnings, None, "{name}");
    }
}

async fn gone(bed: &Bed, name: &str) {
    eventually("the Secret to be collected", SOON, async || {
        Ok(bed.secrets("shop").get_opt(name).await?.is_none().then_some(()))
    })
    .await
    .unwrap();
}
