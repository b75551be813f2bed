//! What others refuse: an account that is full, an admission rule, an API server that fails. Each is named with
//! what to do, and heals by itself once it is over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use aws_double::{Config, Fault, FaultKind};
use control_plane::FaultProxy;
use control_plane::proxy::{Action, Rule};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, PostParams};
use testbed::{Bed, Error, Object, Operator, Options, SOON, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const SPEC: &str = "{region: eu-central-1}";

async fn bed() -> (Bed, FaultProxy, Operator) {
    let aws = Config { regions: vec!["eu-central-1".into()], time_scale: 600.0, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    for namespace in ["shop", "guarded"] {
        bed.namespace(namespace).await.unwrap();
    }
    let proxy = FaultProxy::start(&bed.plane).unwrap();
    let operator = bed.launch_behind(Path::new(BINARY), &proxy).await.unwrap().start().await.unwrap();
    (bed, proxy, operator)
}

/// The message of a condition, which has to end with what is to be done.
fn told(object: &Object, type_: &str, way_out: &str) -> String {
    let conditions = &object.status.as_ref().unwrap().conditions;
    let message = conditions.iter().find(|condition| condition.type_ == type_).unwrap().message.clone();
    assert!(message.ends_with(way_out), "{message}");
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_full_is_named_and_heals() {
    let (bed, _proxy, operator) = bed().await;
    for (name, action, reason, way_out) in [
        (
            "users",
            "CreateUser",
            "AccountLimitExceeded",
            "delete users that nothing needs, or raise the quota",
        ),
        ("keys", "CreateAccessKey", "KeyQuotaExceeded", "delete those that nothing uses"),
        ("policy", "PutUserPolicy", "PolicyTooLarge", "list fewer or shorter entries in spec.policy"),
    ] {
        let full = FaultKind::ErrorBefore { status: 409, code: "LimitExceeded".into() };
        bed.aws.inject(Fault::on(action, full).user(&format!("ses-smtp-shop-{name}-*")).times(u64::MAX));
        bed.apply("shop", name, SPEC).await.unwrap();
        let stalled = bed.reads("shop", name, "Stalled", &format!("True {reason}")).await.unwrap();
        assert!(told(&stalled, "Stalled", way_out).contains(&format!("ses-smtp-shop-{name}-")));
        bed.aws.clear_faults();
        bed.ready("shop", name).await.unwrap();
        bed.login("shop", name).await.unwrap();
    }
    bed.no_secret_leaked(Some(&operator), &["eu-central-1"]).await.unwrap();
    operator.stop().await.unwrap();
}

/// No Secret may be made in namespace `guarded`.
const GUARD: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-secrets}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: guarded}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets]}]
  validations: [{expression: "false", message: a-text-that-is-not-repeated}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-secrets}
spec: {policyName: no-secrets, validationActions: [Deny]}
"#;

async fn guard_is(bed: &Bed, up: bool) {
    let secrets = bed.secrets("guarded");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let mut probe = Secret::default();
    probe.metadata.name = Some("probe".into());
    eventually("the admission policy to take effect", SOON, async || {
        let refused = secrets.create(&dry, &probe).await.is_err();
        if refused == up { Ok(Some(())) } else { Error::wrong(format!("refused: {refused}")) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_admission_refuses_is_named_and_heals() {
    let (bed, _proxy, operator) = bed().await;
    for document in GUARD.split("---") {
        bed.plane.apply_yaml(document).await.unwrap();
    }
    guard_is(&bed, true).await;
    let object = bed.apply("guarded", "mailer", SPEC).await.unwrap();
    let stalled = bed.reads("guarded", "mailer", "Stalled", "True SecretRefused").await.unwrap();
    let message = told(&stalled, "Stalled", "look at quotas and admission rules");
    assert!(message.contains("guarded/mailer") && !message.contains("a-text-that"), "{message}");
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(bed.client.clone());
    bindings.delete("no-secrets", &DeleteParams::default()).await.unwrap();
    guard_is(&bed, false).await;
    bed.ready("guarded", "mailer").await.unwrap();
    bed.login("guarded", "mailer").await.unwrap();
    assert_eq!(bed.user_of(&object).unwrap().keys.len(), 1, "no key is left over");
    bed.no_secret_leaked(Some(&operator), &["eu-central-1"]).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_fails_is_waited_for() {
    let (bed, proxy, operator) = bed().await;
    proxy.add(Rule::new(Action::Status(500)).resource("secrets").verb("get").always());
    bed.apply("shop", "mailer", SPEC).await.unwrap();
    let waiting = bed.reads("shop", "mailer", "Reconciling", "True ApiServerUnavailable").await.unwrap();
    told(&waiting, "Reconciling", "it is tried again by itself; if it lasts, look at the control plane");
    assert_eq!(bed.iam_calls().values().sum::<u64>(), 0, "nothing is done in AWS meanwhile");
    proxy.clear_rules();
    bed.ready("shop", "mailer").await.unwrap();
    bed.login("shop", "mailer").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &["eu-central-1"]).await.unwrap();
    operator.stop().await.unwrap();
}
