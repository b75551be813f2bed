//! The admission policies of `deploy/components/admission-policy`, on a real API server: the operator's whole
//! life goes on under them, and what its account or anybody else may not write is refused, with what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod life;
mod operator;
mod others;

use std::fs;
use std::path::Path;

use control_plane::client_from_kubeconfig;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use testbed::{Bed, Error, Options, SOON, eventually};

const POLICIES: [&str; 2] = ["operator", "records"];

/// A bed with namespace `shop`, where both policies are active.
async fn bed(options: Options) -> Bed {
    let bed = Bed::start(options).await.unwrap();
    bed.namespace("shop").await.unwrap();
    for name in POLICIES {
        let file = format!("deploy/components/admission-policy/{name}.yaml");
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        bed.plane.apply_yaml(&text).await.unwrap();
    }
    active(&bed).await;
    bed
}

/// Policies take a moment to become active: each is when it refuses what it is for.
async fn active(bed: &Bed) {
    let of_operator = secrets_as(bed, "ses-smtp-operator", "ses-smtp-operator").await;
    let bare = secret(json!({ "metadata": { "name": "probe" } }));
    refused(&of_operator, &bare, "needs the label").await;
    let forged = secret(with_record(ours("probe", "a")));
    refused(&bed.secrets("shop"), &forged, "only the operator writes").await;
}

async fn refused(secrets: &Api<Secret>, secret: &Secret, message: &str) {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    eventually(message, SOON, async || match secrets.create(&dry, secret).await {
        Err(error) if error.to_string().contains(message) => Ok(Some(())),
        other => Error::wrong(format!("{other:?}")),
    })
    .await
    .unwrap();
}

/// Secrets of `shop`, by a token of a service account.
async fn secrets_as(bed: &Bed, namespace: &str, account: &str) -> Api<Secret> {
    let kubeconfig = bed.plane.service_account_kubeconfig(namespace, account).await.unwrap();
    let client: Client = client_from_kubeconfig(&kubeconfig).await.unwrap();
    Api::namespaced(client, "shop")
}

fn secret(object: Value) -> Secret {
    serde_json::from_value(object).unwrap()
}

/// A Secret as the operator makes it, without a record, for the object with this UID.
fn ours(name: &str, uid: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": { "app.kubernetes.io/managed-by": "ses-smtp-operator" },
            "ownerReferences": [owner("ses-smtp.dev/v1alpha1", "SesSmtpCredential", uid)],
        },
        "type": "Opaque",
        "data": { "password": "YQ==" },
    })
}

fn owner(version: &str, kind: &str, uid: &str) -> Value {
    json!({ "apiVersion": version, "kind": kind, "name": "mailer", "uid": uid, "controller": true })
}

fn with_record(mut secret: Value) -> Value {
    secret["metadata"]["annotations"]["ses-smtp.dev/issued-at"] = json!("2026-11-25T14:13:16Z");
    secret
}

/// A write and what becomes of it: taken if `refusal` is empty, else refused with a message that holds it.
struct Case {
    name: &'static str,
    /// The Secret before, if there is one.
    before: Option<Value>,
    /// The Secret that is made, or what is merged into the one before.
    write: Value,
    refusal: &'static str,
}

fn create(name: &'static str, write: Value, refusal: &'static str) -> Case {
    Case { name, before: None, write, refusal }
}

fn change(name: &'static str, before: Value, write: Value, refusal: &'static str) -> Case {
    Case { name, before: Some(before), write, refusal }
}

/// Tries the case, each on a Secret of its own. A refused write leaves the Secret as it was.
async fn check(made_by: &Api<Secret>, written_by: &Api<Secret>, case: Case) {
    let Case { name, before, mut write, refusal } = case;
    let existing = match before {
        None => None,
        Some(mut before) => {
            before["metadata"]["name"] = json!(name);
            Some(made_by.create(&PostParams::default(), &secret(before)).await.unwrap())
        }
    };
    let answer = if existing.is_some() {
        written_by.patch(name, &PatchParams::default(), &Patch::Merge(&write)).await
    } else {
        write["metadata"]["name"] = json!(name);
        written_by.create(&PostParams::default(), &secret(write)).await
    };
    match answer {
        Ok(_) => assert!(refusal.is_empty(), "{name} was taken"),
        Err(error) => {
            let text = error.to_string();
            let told = text.contains("ValidatingAdmissionPolicy") && text.contains(refusal);
            assert!(!refusal.is_empty() && told, "{name}: {text}");
            let now = made_by.get_opt(name).await.unwrap();
            assert_eq!(
                now.map(|it| it.metadata.resource_version),
                existing.map(|it| it.metadata.resource_version)
            );
        }
    }
}
