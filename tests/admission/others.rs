//! What everybody else may write: a tenant with all rights on Secrets, and an admin.

use k8s_openapi::api::authorization::v1::ResourceAttributes;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use testbed::{Bed, Error, Options, SOON, eventually};

use super::{Case, bed, change, check, create, ours, secret, secrets_as, with_record};

const RECORD: &str =
    "only the operator writes ses-smtp.dev/issued-at on its Secrets: change the SesSmtpCredential";
const LABEL: &str = "stays while the Secret is the operator's: to keep the Secret, delete";
const NAME: &str = "ses-smtp.dev/issued-at";
/// A tenant who may do everything with the Secrets of its namespace.
const TENANT: &str = r#"
{apiVersion: v1, kind: ServiceAccount, metadata: {name: tenant, namespace: shop}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: tenant, namespace: shop},
  rules: [{apiGroups: [""], resources: [secrets], verbs: ["*"]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: tenant, namespace: shop},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: tenant},
  subjects: [{kind: ServiceAccount, name: tenant, namespace: shop}]}
"#;

fn annotate(name: &str, value: impl Into<Value>) -> Value {
    let value: Value = value.into();
    json!({ "metadata": { "annotations": { name: value } } })
}

fn without(mut secret: Value, field: &str) -> Value {
    secret["metadata"].as_object_mut().unwrap().remove(field);
    secret
}

/// Writes on a Secret of the operator's with a record.
fn on_own() -> Vec<Case> {
    let own = || with_record(ours("", "a"));
    let labels =
        |value: Value| json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": value } } });
    vec![
        change("changed", own(), annotate(NAME, json!("2020-01-01T00:00:00Z")), RECORD),
        change("removed", own(), annotate(NAME, Value::Null), RECORD),
        change("all-removed", own(), json!({ "metadata": { "annotations": null } }), RECORD),
        change("added", ours("", "a"), annotate(NAME, json!("x")), RECORD),
        change("label-removed", own(), labels(Value::Null), LABEL),
        change("label-changed", own(), labels(json!("Helm")), LABEL),
        change("adopt", own(), annotate("ses-smtp.dev/adopt", json!("true")), ""),
        change("other-annotation", own(), annotate("example.com/ses-smtp.dev", json!("x")), ""),
        change("other-label", own(), json!({ "metadata": { "labels": { "team": "b" } } }), ""),
        change("data", own(), json!({ "data": { "password": "Yg==" } }), ""),
        // As garbage collection does when an object is deleted and its Secret kept.
        change("orphaned", own(), json!({ "metadata": { "ownerReferences": null } }), ""),
    ]
}

/// Secrets that aren't the operator's, or that are made to be.
fn on_others() -> Vec<Case> {
    let foreign = || without(without(ours("", "a"), "labels"), "ownerReferences");
    let becomes = || json!({ "metadata": without(ours("", "a"), "name")["metadata"] });
    vec![
        change("by-label", without(ours("", "a"), "ownerReferences"), annotate(NAME, json!("x")), RECORD),
        change("by-owner", without(ours("", "a"), "labels"), annotate(NAME, json!("x")), RECORD),
        create("forged", with_record(ours("", "a")), RECORD),
        create("forged-label", without(with_record(ours("", "a")), "ownerReferences"), RECORD),
        create("forged-owner", without(with_record(ours("", "a")), "labels"), RECORD),
        change("forged-later", with_record(foreign()), becomes(), RECORD),
        create("no-record", ours("", "a"), ""),
        create("kept", with_record(foreign()), ""),
        change("kept-annotated", foreign(), annotate(NAME, json!("x")), ""),
        change(
            "consent",
            foreign(),
            json!({ "metadata": { "labels": { "ses-smtp.dev/access-key-source": "true" } } }),
            "",
        ),
    ]
}

async fn tenant(bed: &Bed) -> Api<Secret> {
    bed.plane.apply_yaml(TENANT).await.unwrap();
    let patch = ResourceAttributes {
        namespace: Some("shop".into()),
        resource: Some("secrets".into()),
        verb: Some("patch".into()),
        ..ResourceAttributes::default()
    };
    bed.plane.until_allowed("shop", "tenant", patch).await.unwrap();
    secrets_as(bed, "shop", "tenant").await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_writes_the_record() {
    let bed = bed(Options::default()).await;
    let operator = secrets_as(&bed, "ses-smtp-operator", "ses-smtp-operator").await;
    let (tenant, admin) = (tenant(&bed).await, bed.secrets("shop"));
    for case in on_own() {
        check(&operator, &tenant, case).await;
    }
    for case in on_others() {
        check(&admin, &tenant, case).await;
    }
    // An admin isn't asked for less.
    check(
        &operator,
        &admin,
        change("by-admin", with_record(ours("", "a")), annotate(NAME, Value::Null), RECORD),
    )
    .await;
}

/// The way for an admin: a label on the namespace, which tenants have no right to set.
#[tokio::test(flavor = "multi_thread")]
async fn an_admin_can_lift_it_for_a_namespace() {
    let bed = bed(Options::default()).await;
    let admin = bed.secrets("shop");
    for (label, refusal) in [("'allowed'", ""), ("'no'", RECORD)] {
        let namespace = format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{ses-smtp.dev/record-edits: {label}}}}}}}"
        );
        bed.plane.apply_yaml(&namespace).await.unwrap();
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let forged = secret(with_record(ours("forged", "a")));
        eventually("the label to be seen", SOON, async || match admin.create(&dry, &forged).await {
            Ok(_) if refusal.is_empty() => Ok(Some(())),
            Err(error) if !refusal.is_empty() && error.to_string().contains(refusal) => Ok(Some(())),
            other => Error::wrong(format!("{other:?}")),
        })
        .await
        .unwrap();
    }
}
