//! Hands on the Secret, and a Region's whole life: what is restored, what is replaced, what stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::Duration;

use aws_double::Config;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testbed::{Bed, Credential, Error, Operator, Options, SOON, condition, eventually, mail};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGIONS: [&str; 2] = ["eu-central-1", "eu-west-1"];
/// 24 hours in 18 seconds.
const SCALE: f64 = 4800.0;
/// Overlap and soak, and as much again.
const RETIRED: Duration = Duration::from_mins(2);

async fn bed() -> (Bed, Operator) {
    let regions = REGIONS.map(str::to_owned).to_vec();
    let aws = Config { regions, time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    (bed, operator)
}

/// Edits a Secret as somebody else would.
async fn edit(bed: &Bed, name: &str, patch: Value) {
    let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
    bed.secrets("shop").patch(name, &params, &Patch::Merge(patch)).await.unwrap();
}

async fn works(bed: &Bed, credential: &Credential) -> bool {
    let (credential, ca) = (credential.clone(), bed.aws.ca_pem().to_owned());
    tokio::task::spawn_blocking(move || mail::login(&credential, &ca).is_ok()).await.unwrap()
}

const SPEC: &str =
    "{region: eu-central-1, secret: {labels: {team: a}, annotations: {example.com/reload: 'true'}}}";

#[tokio::test(flavor = "multi_thread")]
async fn edits_are_restored_without_a_new_key() {
    let (bed, operator) = bed().await;
    let edits = [
        ("host", json!({ "data": { "host": "ZXZpbA==" } })),
        ("username", json!({ "data": { "username": "ZXZpbA==" } })),
        ("port", json!({ "data": { "port": null } })),
        ("label", json!({ "metadata": { "labels": { "team": "b" } } })),
        ("ours", json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": null } } })),
        ("annotation", json!({ "metadata": { "annotations": { "example.com/reload": null } } })),
        ("owner", json!({ "metadata": { "ownerReferences": null } })),
        (
            "record",
            json!({ "metadata": { "annotations": { "ses-smtp.dev/access-key-id": "AKIAIOSFODNN7EXAMPLE" } } }),
        ),
    ];
    for (name, _) in &edits {
        bed.apply("shop", name, SPEC).await.unwrap();
    }
    let mut before = Vec::new();
    for (name, _) in &edits {
        bed.ready("shop", name).await.unwrap();
        before.push(bed.secrets("shop").get(name).await.unwrap());
    }
    let minted = bed.aws.counts()["CreateAccessKey"];
    for (name, patch) in &edits {
        edit(&bed, name, patch.clone()).await;
    }
    for ((name, _), before) in edits.iter().zip(before) {
        eventually(&format!("{name} to be restored"), SOON, async || {
            let now = bed.secrets("shop").get(name).await?;
            let same = now.data == before.data
                && now.labels() == before.labels()
                && now.annotations() == before.annotations()
                && now.owner_references() == before.owner_references();
            if same { Ok(Some(())) } else { Error::wrong(format!("{:?}", now.metadata)) }
        })
        .await
        .unwrap();
        bed.login("shop", name).await.unwrap();
    }
    assert_eq!(bed.aws.counts()["CreateAccessKey"], minted);
    // A key that somebody adds is theirs.
    edit(&bed, "host", json!({ "data": { "extra": "eA==" } })).await;
    bed.patch("shop", "host", json!({ "secret": { "labels": { "team": "c" } } })).await.unwrap();
    eventually("the label to follow the spec", SOON, async || {
        let now = bed.secrets("shop").get("host").await?;
        Ok((now.labels()["team"] == "c").then_some(()))
    })
    .await
    .unwrap();
    assert!(bed.secrets("shop").get("host").await.unwrap().data.unwrap().contains_key("extra"));
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_password_is_replaced_and_an_immutable_secret_named() {
    let (bed, operator) = bed().await;
    bed.apply("shop", "mailer", SPEC).await.unwrap();
    bed.apply("shop", "fixed", SPEC).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    bed.ready("shop", "fixed").await.unwrap();
    let lost = bed.credential("shop", "mailer").await.unwrap();
    edit(&bed, "mailer", json!({ "data": { "password": "ZXZpbA==" } })).await;
    let fresh = eventually("another key", SOON, async || {
        let fresh = bed.credential("shop", "mailer").await?;
        Ok((fresh.username != lost.username).then_some(fresh))
    });
    let fresh = fresh.await.unwrap();
    assert!(works(&bed, &fresh).await && works(&bed, &lost).await, "pods may still hold the old password");
    // Immutable: reported, Ready as before, and never deleted.
    let before = bed.secrets("shop").get("fixed").await.unwrap();
    edit(&bed, "fixed", json!({ "immutable": true })).await;
    let fixed = bed.reads("shop", "fixed", "Stalled", "True SecretImmutable").await.unwrap();
    assert_eq!(condition(&fixed, "Ready"), "True Provisioned");
    assert_eq!(bed.secrets("shop").get("fixed").await.unwrap().uid(), before.uid());
    // It stays reported, however often it is looked at; and a status that was emptied is filled again.
    let empty = json!({ "status": { "conditions": [] } });
    bed.objects("shop").patch_status("fixed", &PatchParams::default(), &Patch::Merge(empty)).await.unwrap();
    bed.reads("shop", "fixed", "Stalled", "True SecretImmutable").await.unwrap();
    // Everything of the record gone: mail goes on, and the record is written again.
    let names: Vec<String> =
        bed.secrets("shop").get("mailer").await.unwrap().annotations().keys().cloned().collect();
    let stripped: serde_json::Map<String, Value> = names
        .into_iter()
        .filter(|name| name.starts_with("ses-smtp.dev/"))
        .map(|name| (name, Value::Null))
        .collect();
    edit(&bed, "mailer", json!({ "metadata": { "annotations": stripped } })).await;
    eventually("the record to be written again", RETIRED, async || {
        let secret = bed.secrets("shop").get("mailer").await?;
        let record = |name: &str| secret.annotations().get(&format!("ses-smtp.dev/{name}")).cloned();
        let whole = record("password-digests").is_some()
            && record("previous-access-key-id") == Some(String::new())
            && record("attempt").is_none();
        if whole { Ok(Some(())) } else { Error::wrong(format!("{:?}", secret.annotations())) }
    })
    .await
    .unwrap();
    bed.login("shop", "mailer").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_change_costs_what_it_must_and_loses_nobody() {
    let (bed, operator) = bed().await;
    let object = bed.apply("shop", "mailer", SPEC).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let old = bed.login("shop", "mailer").await.unwrap();
    bed.aws.reset_journal();
    bed.patch("shop", "mailer", json!({ "region": "eu-west-1" })).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let new = bed.login("shop", "mailer").await.unwrap();
    assert!(new.username != old.username && new.port != old.port);
    assert!(works(&bed, &old).await, "the old key works through the overlap");
    let status = bed.objects("shop").get("mailer").await.unwrap().status.unwrap();
    assert_eq!(status.previous_key.unwrap().access_key_id, old.username);
    let state = |id: &str| {
        let keys = bed.user_of(&object).unwrap().keys;
        keys.into_iter().find(|key| key.id == id).map(|key| key.status)
    };
    eventually("the old key to be made Inactive", RETIRED, async || {
        Ok((state(&old.username).as_deref() == Some("Inactive")).then_some(()))
    })
    .await
    .unwrap();
    assert!(!works(&bed, &old).await && works(&bed, &new).await);
    eventually("the old key to be deleted and forgotten", RETIRED, async || {
        let secret = bed.secrets("shop").get("mailer").await?;
        let forgotten = secret.annotations()["ses-smtp.dev/previous-access-key-id"].is_empty();
        Ok((state(&old.username).is_none() && forgotten).then_some(()))
    })
    .await
    .unwrap();
    let counts = bed.aws.counts();
    for (action, count) in
        [("ListAccessKeys", 3), ("CreateAccessKey", 1), ("UpdateAccessKey", 1), ("DeleteAccessKey", 1)]
    {
        assert_eq!(counts[action], count, "{action}");
    }
    assert!(!counts.contains_key("GetUser") && !counts.contains_key("CreateUser"), "{counts:?}");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_change_waits_for_a_slot_and_a_port_needs_no_key() {
    let (bed, operator) = bed().await;
    let object = bed.apply("shop", "mailer", SPEC).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    // Another port of the same endpoint: the Secret follows, IAM isn't asked.
    bed.aws.reset_journal();
    let tls = bed.aws.smtp("eu-central-1").unwrap().tls;
    bed.patch("shop", "mailer", json!({ "endpoint": { "port": tls } })).await.unwrap();
    eventually("the port to follow", SOON, async || {
        Ok((bed.credential("shop", "mailer").await?.port == tls).then_some(()))
    })
    .await
    .unwrap();
    assert!(bed.aws.counts().is_empty(), "{:?}", bed.aws.counts());
    // There and back within the overlap.
    bed.patch("shop", "mailer", json!({ "region": "eu-west-1", "endpoint": null })).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    bed.patch("shop", "mailer", json!({ "region": "eu-central-1" })).await.unwrap();
    let waiting = bed.reads("shop", "mailer", "Reconciling", "True WaitingForKeySlot").await.unwrap();
    assert_eq!(condition(&waiting, "Ready"), "False WaitingForKeySlot");
    bed.reads_within(RETIRED, "shop", "mailer", "Ready", "True Provisioned").await.unwrap();
    bed.login("shop", "mailer").await.unwrap();
    eventually("one key to be left", RETIRED, async || {
        Ok((bed.user_of(&object).unwrap().keys.len() == 1).then_some(()))
    })
    .await
    .unwrap();
    bed.login("shop", "mailer").await.unwrap();
    operator.stop().await.unwrap();
}
