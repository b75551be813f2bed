//! What the operator's account may write, by a token of its own: its rights in RBAC reach every Secret.

use serde_json::{Value, json};
use testbed::Options;

use super::{Case, bed, change, check, create, ours, owner, secrets_as};

const OPAQUE: &str = "type Opaque only: delete this one, or give";
const FOREIGN: &str = "changes Secrets of SesSmtpCredentials only: delete this one, give";
const SHAPE: &str = "needs the label app.kubernetes.io/managed-by=ses-smtp-operator";
const ANOTHERS: &str = "a Secret stays with its SesSmtpCredential: delete it";

/// A Secret of somebody else.
fn foreign() -> Value {
    json!({ "metadata": {}, "type": "Opaque", "data": { "token": "YQ==" } })
}

fn annotated(name: &str, value: &str) -> Value {
    let mut secret = foreign();
    secret["metadata"]["annotations"] = json!({ name: value });
    secret
}

fn tls(mut secret: Value) -> Value {
    secret["type"] = json!("kubernetes.io/tls");
    secret["data"] = json!({ "tls.crt": "YQ==", "tls.key": "YQ==" });
    secret
}

/// What makes a Secret the operator's, as a merge.
fn taken(uid: &str) -> Value {
    let mut metadata = ours("", uid)["metadata"].take();
    metadata.as_object_mut().unwrap().remove("name");
    json!({ "metadata": metadata })
}

fn with(mut secret: Value, pointer: &str, value: Value) -> Value {
    *secret.pointer_mut(pointer).unwrap() = value;
    secret
}

fn consenting(mut secret: Value) -> Value {
    secret["metadata"]["annotations"] = json!({ "ses-smtp.dev/adopt": "true", "ses-smtp.dev/uid": "a" });
    secret
}

fn created() -> Vec<Case> {
    let owned_by = |owner: Value| with(ours("", "a"), "/metadata/ownerReferences/0", owner);
    let token = json!({ "kubernetes.io/service-account.name": "ses-smtp-operator" });
    let mut account = with(ours("", "a"), "/type", json!("kubernetes.io/service-account-token"));
    account["metadata"]["annotations"] = token;
    vec![
        create("own", ours("", "a"), ""),
        create("bare", foreign(), SHAPE),
        create("unlabelled", with(ours("", "a"), "/metadata/labels", json!({})), SHAPE),
        create("unowned", with(ours("", "a"), "/metadata/ownerReferences", json!([])), SHAPE),
        create(
            "not-controlled",
            with(ours("", "a"), "/metadata/ownerReferences/0/controller", json!(false)),
            SHAPE,
        ),
        create("of-a-deployment", owned_by(owner("apps/v1", "Deployment", "a")), SHAPE),
        create(
            "of-another-group",
            owned_by(owner("ses-smtp.dev.example.com/v1", "SesSmtpCredential", "a")),
            SHAPE,
        ),
        create("certificate", tls(ours("", "a")), OPAQUE),
        create("account-token", account, OPAQUE),
    ]
}

fn changed() -> Vec<Case> {
    let data = json!({ "data": { "password": "Yg==" } });
    let adopted = annotated("ses-smtp.dev/adopt", "true");
    let adopting = consenting(taken("a"));
    let released = json!({ "metadata": { "labels": null, "ownerReferences": null } });
    let mut emptied = released.clone();
    emptied["data"] = json!({ "password": "Yg==" });
    let deployed = with(ours("", "a"), "/metadata/ownerReferences/0", owner("apps/v1", "Deployment", "a"));
    vec![
        change("own-data", ours("", "a"), data.clone(), ""),
        change("own-label", ours("", "a"), json!({ "metadata": { "labels": { "team": "b" } } }), ""),
        change("released", ours("", "a"), released.clone(), ""),
        change("adopted", adopted.clone(), taken("a"), ""),
        change("owner-given-back", annotated("ses-smtp.dev/uid", "a"), taken("a"), ""),
        change("foreign-data", foreign(), data.clone(), FOREIGN),
        change("foreign-label", foreign(), json!({ "metadata": { "labels": { "team": "b" } } }), FOREIGN),
        change("foreign-taken", foreign(), taken("a"), FOREIGN),
        change("consent-forged", foreign(), adopting, FOREIGN),
        change("consent-withheld", annotated("ses-smtp.dev/adopt", "false"), taken("a"), FOREIGN),
        change("record-of-another", annotated("ses-smtp.dev/uid", "b"), taken("a"), FOREIGN),
        change("of-another-controller", deployed.clone(), taken("a"), FOREIGN),
        change(
            "adopted-of-another",
            consenting(with(deployed, "/metadata/labels", json!({}))),
            taken("a"),
            FOREIGN,
        ),
        change("adopted-certificate", tls(adopted.clone()), taken("a"), OPAQUE),
        change("adopted-not-taken", adopted, data, SHAPE),
        change("label-dropped", ours("", "a"), json!({ "metadata": { "labels": null } }), SHAPE),
        change("owner-dropped", ours("", "a"), json!({ "metadata": { "ownerReferences": null } }), SHAPE),
        change("released-changed", ours("", "a"), emptied, SHAPE),
        change("handed-on", ours("", "a"), taken("b"), ANOTHERS),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_account_writes_its_own_secrets_and_no_other() {
    let bed = bed(Options::default()).await;
    let operator = secrets_as(&bed, "ses-smtp-operator", "ses-smtp-operator").await;
    for case in created().into_iter().chain(changed()) {
        check(&bed.secrets("shop"), &operator, case).await;
    }
}
