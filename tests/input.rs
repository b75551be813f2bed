//! Wrong input: refused at admission, or Stalled with a reason that names the thing, and then
//! without a single call to IAM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use aws_double::Config;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use testbed::{Bed, Operator, Options, SOON, condition, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGIONS: [&str; 1] = ["eu-central-1"];

async fn bed() -> (Bed, Operator) {
    let regions = REGIONS.map(str::to_owned).to_vec();
    let aws = Config { regions, time_scale: 600.0, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    (bed, operator)
}

fn addresses(count: usize, length: usize) -> String {
    let all: Vec<String> = (0..count).map(|n| format!("'{}{n}@example.com'", "a".repeat(length))).collect();
    format!("{{region: eu-central-1, policy: {{fromAddresses: [{}]}}}}", all.join(", "))
}

/// Calls to IAM so far, whoever they were for.
fn iam_calls(bed: &Bed) -> u64 {
    let counts = bed.aws.counts();
    counts.iter().filter(|(action, _)| *action != "GetCallerIdentity").map(|(_, count)| count).sum()
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(chain).unwrap_or_default();
    format!("{error}: {cause}")
}

#[tokio::test(flavor = "multi_thread")]
async fn admission_refuses_what_can_t_be() {
    let (bed, operator) = bed().await;
    bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let calls = iam_calls(&bed);
    let long_name = format!("{{region: eu-central-1, secret: {{name: {}}}}}", "a".repeat(254));
    let long_region = format!("{{region: {}}}", "a".repeat(10_000));
    let many = addresses(21, 1);
    let table = [
        ("empty", "{}", "spec.region"),
        ("nothing", "{region: null}", "spec.region"),
        ("blank", "{region: ''}", "spec.region"),
        ("upper", "{region: EU-CENTRAL-1}", "such as eu-central-1"),
        ("trailing", "{region: 'eu-central-1 '}", "such as eu-central-1"),
        ("newline", "{region: \"eu-central-1\\n\"}", "such as eu-central-1"),
        ("long", long_region.as_str(), "32"),
        ("mailer", "{region: eu-central-1, secret: {name: other}}", "can't be changed"),
        ("path", "{region: eu-central-1, secret: {name: ../x}}", "spec.secret.name"),
        ("name", long_name.as_str(), "253"),
        ("label", "{region: eu-central-1, secret: {labels: {ses-smtp.dev/uid: x}}}", "reserved"),
        (
            "managed",
            "{region: eu-central-1, secret: {labels: {app.kubernetes.io/managed-by: x}}}",
            "reserved",
        ),
        ("annotation", "{region: eu-central-1, secret: {annotations: {x.k8s.io/y: z}}}", "reserved"),
        ("many", many.as_str(), "at most 20"),
        ("evil", "{region: eu-central-1, policy: {fromAddresses: ['*example.com']}}", "*@domain"),
        (
            "quotes",
            "{region: eu-central-1, policy: {fromAddresses: ['\"a\"@example.com']}}",
            "without quotes",
        ),
        (
            "variable",
            "{region: eu-central-1, policy: {fromAddresses: ['${aws:username}@example.com']}}",
            "without quotes, $",
        ),
        ("unicode", "{region: eu-central-1, policy: {fromAddresses: ['ä@example.com']}}", "in ASCII"),
        ("port", "{region: eu-central-1, endpoint: {port: 0}}", "spec.endpoint.port"),
        ("ports", "{region: eu-central-1, endpoint: {port: 65536}}", "65535"),
        ("policy", "{region: eu-central-1, deletionPolicy: Keep}", "\"Retain\""),
        ("unknown", "{region: eu-central-1, foo: 1}", ".spec.foo"),
        ("type", "{region: eu-central-1, suspend: 'yes'}", ".spec.suspend"),
    ];
    for (name, spec, expected) in table {
        let refused = chain(&bed.apply("shop", name, spec).await.expect_err(name));
        assert!(refused.contains(expected), "{name}: {refused}");
    }
    for spec in
        ["{region: eu-central-1, policy: {fromAddresses: ['*', '*@*.example.com']}}", &addresses(20, 1)]
    {
        bed.apply("shop", "mailer", spec).await.unwrap();
        bed.ready("shop", "mailer").await.unwrap();
    }
    assert_eq!(iam_calls(&bed), calls + 2, "two policies and nothing else");
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_served_is_stalled_and_named() {
    let (bed, operator) = bed().await;
    let large = addresses(20, 200);
    let table = [
        ("unknown", "{region: mx-central-1}", "RegionUnknown", "eu-central-1"),
        ("none", "{region: eu-south-1}", "RegionHasNoSmtpEndpoint", "eu-"),
        ("partition", "{region: us-gov-west-1}", "PartitionMismatch", "aws-us-gov"),
        (
            "host",
            "{region: eu-central-1, endpoint: {host: mail.example.com}}",
            "NotAllowed",
            "mail.example.com",
        ),
        ("port", "{region: eu-central-1, endpoint: {port: 26}}", "NotAllowed", "26"),
        ("large", large.as_str(), "PolicyTooLarge", "IAM allows 2048"),
        ("label", "{region: eu-central-1, secret: {labels: {team: 'a b'}}}", "InvalidSpec", "team"),
    ];
    for (name, spec, reason, expected) in table {
        bed.apply("shop", name, spec).await.unwrap();
        let object = bed.reads("shop", name, "Stalled", &format!("True {reason}")).await.unwrap();
        assert_eq!(condition(&object, "Ready"), format!("False {reason}"));
        let message = &object.status.as_ref().unwrap().conditions[0].message;
        assert!(message.contains(expected), "{name}: {message}");
        assert!(object.finalizers().is_empty(), "{name}: nothing to tear down");
    }
    assert_eq!(iam_calls(&bed), 0);
    // Corrected, it is served.
    bed.patch("shop", "host", serde_json::json!({ "endpoint": null })).await.unwrap();
    bed.ready("shop", "host").await.unwrap();
    bed.login("shop", "host").await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_s_secret_is_left_alone() {
    let (bed, operator) = bed().await;
    for (name, immutable) in [("plain", false), ("fixed", true)] {
        let yaml = format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: {name}, namespace: shop}}, immutable: {immutable}, stringData: {{a: b}}}}"
        );
        bed.plane.apply_yaml(&yaml).await.unwrap();
    }
    bed.apply("shop", "first", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "first").await.unwrap();
    let calls = iam_calls(&bed);
    let secrets = bed.secrets("shop");
    let before: Vec<Secret> = [
        secrets.get("plain").await.unwrap(),
        secrets.get("fixed").await.unwrap(),
        secrets.get("first").await.unwrap(),
    ]
    .into();
    for (name, spec) in [
        ("plain", "{region: eu-central-1}"),
        ("fixed", "{region: eu-central-1}"),
        ("second", "{region: eu-central-1, secret: {name: first}}"),
    ] {
        bed.apply("shop", name, spec).await.unwrap();
        let object = bed.reads("shop", name, "Stalled", "True SecretNotOwned").await.unwrap();
        assert!(object.finalizers().is_empty());
    }
    for secret in before {
        assert_eq!(secrets.get(&secret.name_any()).await.unwrap(), secret);
    }
    assert_eq!(iam_calls(&bed), calls);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_around_an_object_do_what_is_documented() {
    let (bed, operator) = bed().await;
    // Another account's object.
    let yaml = "{apiVersion: ses-smtp.dev/v1alpha1, kind: SesSmtpCredential, metadata: {name: moved, namespace: shop, \
                annotations: {ses-smtp.dev/aws-account: '999999999999'}}, spec: {region: eu-central-1}}";
    bed.plane.apply_yaml(yaml).await.unwrap();
    let moved = bed.reads("shop", "moved", "Stalled", "True AccountMismatch").await.unwrap();
    assert!(moved.status.unwrap().conditions[0].message.contains("999999999999"));
    assert_eq!(iam_calls(&bed), 0);
    // Suspended: nothing, until it isn't; deletion works all the same.
    bed.apply("shop", "idle", "{region: eu-central-1, suspend: true}").await.unwrap();
    bed.reads("shop", "idle", "Suspended", "True Suspended").await.unwrap();
    assert_eq!(iam_calls(&bed), 0);
    bed.patch("shop", "idle", serde_json::json!({ "suspend": false })).await.unwrap();
    bed.ready("shop", "idle").await.unwrap();
    bed.patch("shop", "idle", serde_json::json!({ "suspend": true })).await.unwrap();
    let idle = bed.reads("shop", "idle", "Suspended", "True Suspended").await.unwrap();
    assert_eq!(condition(&idle, "Ready"), "True Provisioned");
    bed.delete("shop", "idle").await.unwrap();
    bed.gone("shop", "idle").await.unwrap();
    assert!(bed.aws.users().is_empty());
    // The tag follows the deletion policy, in one call.
    let object = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    bed.aws.reset_journal();
    bed.patch("shop", "mailer", serde_json::json!({ "deletionPolicy": "Retain" })).await.unwrap();
    eventually("the tag to follow", SOON, async || {
        let tags = bed.user_of(&object).unwrap().tags;
        Ok((tags["ses-smtp.dev/deletion-policy"] == "Retain").then_some(()))
    })
    .await
    .unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    assert_eq!((iam_calls(&bed), bed.aws.counts()["TagUser"]), (1, 1));
    bed.patch("shop", "mailer", serde_json::json!({ "deletionPolicy": "Delete" })).await.unwrap();
    // Deleted and made again at once: two users, the first one gone.
    let first = bed.user_of(&object).unwrap();
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    let again = bed.apply("shop", "mailer", "{region: eu-central-1}").await;
    assert!(again.is_ok(), "{again:?}");
    assert_ne!(bed.objects("shop").get("mailer").await.unwrap().uid(), object.uid());
    assert!(bed.aws.user(&first.name).is_none());
    operator.stop().await.unwrap();
}
