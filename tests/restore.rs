//! A backup is restored: objects with other UIDs, Secrets without their owner or with a dead one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use aws_double::Config;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use testbed::{Bed, Credential, Error, Object, Operator, Options, SOON, condition, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGION: &str = "eu-central-1";
const SPEC: &str = "{region: eu-central-1}";

async fn bed() -> (Bed, Operator) {
    let aws = Config { regions: vec![REGION.into()], time_scale: 600.0, ..Config::default() };
    let bed = Bed::start(Options { aws, controller_manager: true, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    (bed, operator)
}

/// What a backup holds of an object: everything but what the API server alone gives.
fn backed_up(meta: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        labels: meta.labels.clone(),
        annotations: meta.annotations.clone(),
        finalizers: meta.finalizers.clone(),
        ..ObjectMeta::default()
    }
}

/// The namespace goes and comes again, empty.
async fn emptied(bed: &Bed) {
    bed.delete_namespace("shop").await.unwrap();
    bed.namespace("shop").await.unwrap();
}

/// A new user and a working credential.
async fn served_again(bed: &Bed, before: &Object, old: &Credential) -> Object {
    let object = bed.ready("shop", "mailer").await.unwrap();
    assert_ne!(object.uid(), before.uid());
    let now = bed.login("shop", "mailer").await.unwrap();
    assert_ne!(now.username, old.username);
    assert_eq!(bed.user_of(&object).unwrap().keys.len(), 1);
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_secret_is_taken_over_when_it_says_so() {
    let (bed, operator) = bed().await;
    let object = bed.apply("shop", "mailer", SPEC).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let added = json!({ "data": { "others": "a2VwdA==" } });
    bed.secrets("shop").patch("mailer", &PatchParams::default(), &Patch::Merge(added)).await.unwrap();
    let (secret, old) =
        (bed.secrets("shop").get("mailer").await.unwrap(), bed.login("shop", "mailer").await.unwrap());
    let object = bed.objects("shop").get(&object.name_any()).await.unwrap();
    emptied(&bed).await;
    assert!(bed.aws.users().is_empty());

    let restored = Secret { metadata: backed_up(&secret.metadata), ..secret };
    bed.secrets("shop").create(&PostParams::default(), &restored).await.unwrap();
    let again = Object { metadata: backed_up(&object.metadata), status: None, ..object.clone() };
    bed.objects("shop").create(&PostParams::default(), &again).await.unwrap();
    let calls = bed.iam_calls();
    let stalled = bed.reads("shop", "mailer", "Stalled", "True SecretNotOwned").await.unwrap();
    let told = stalled.status.unwrap().conditions.into_iter().find(|it| it.type_ == "Stalled").unwrap();
    assert!(told.message.contains("ses-smtp.dev/adopt=true"), "{}", told.message);
    assert_eq!(bed.secrets("shop").get("mailer").await.unwrap().data, restored.data);
    assert!(bed.aws.users().is_empty(), "nothing is done in AWS");

    let mark = json!({ "metadata": { "annotations": { "ses-smtp.dev/adopt": "true" } } });
    bed.secrets("shop").patch("mailer", &PatchParams::default(), &Patch::Merge(mark)).await.unwrap();
    let served = served_again(&bed, &object, &old).await;
    let now = bed.secrets("shop").get("mailer").await.unwrap();
    assert_eq!(now.owner_references()[0].uid, served.uid().unwrap());
    assert!(!now.annotations().contains_key("ses-smtp.dev/adopt"), "the mark is for one time");
    assert_eq!(now.data.unwrap()["others"].0, b"kept");
    let made = bed.iam_calls()["CreateAccessKey"] - calls["CreateAccessKey"];
    assert_eq!(made, 1);
    assert_eq!(condition(&served, "Ready"), "True Provisioned");
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_hold_the_restored_password_go_on_while_the_old_user_is_there() {
    let (bed, operator) = bed().await;
    let object = bed.apply("shop", "mailer", "{region: eu-central-1, deletionPolicy: Retain}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let old = bed.login("shop", "mailer").await.unwrap();
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    // What deletion has let go is without an owner too.
    let mark = json!({ "metadata": { "annotations": { "ses-smtp.dev/adopt": "true" } } });
    bed.secrets("shop").patch("mailer", &PatchParams::default(), &Patch::Merge(mark)).await.unwrap();
    bed.apply("shop", "mailer", SPEC).await.unwrap();
    served_again(&bed, &object, &old).await;
    assert!(bed.accepts(&old).await.unwrap());
    assert_eq!(bed.aws.users().len(), 2);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_restored_with_its_dead_owner_is_collected_and_made_anew() {
    let (bed, operator) = bed().await;
    let object = bed.apply("shop", "mailer", SPEC).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let (secret, old) =
        (bed.secrets("shop").get("mailer").await.unwrap(), bed.login("shop", "mailer").await.unwrap());
    emptied(&bed).await;
    let owned = ObjectMeta {
        owner_references: secret.metadata.owner_references.clone(),
        ..backed_up(&secret.metadata)
    };
    let restored = Secret { metadata: owned, ..secret };
    let dead = bed.secrets("shop").create(&PostParams::default(), &restored).await.unwrap();
    bed.apply("shop", "mailer", SPEC).await.unwrap();
    served_again(&bed, &object, &old).await;
    eventually("another Secret", SOON, async || {
        let now = bed.secrets("shop").get("mailer").await?;
        if now.uid() == dead.uid() { Error::wrong("the restored one") } else { Ok(Some(())) }
    })
    .await
    .unwrap();
    operator.stop().await.unwrap();
}
