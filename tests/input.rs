//! Wrong input: refused at admission, or Stalled with a reason that names the thing, and then
//! without a single call to IAM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::Duration;

use aws_double::{Config, UserSnapshot};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use testbed::{Bed, Object, Operator, Options, SOON, condition, eventually};

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
    bed.iam_calls().values().sum()
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
    let wordy = format!("{{region: eu-central-1, secret: {{data: {{x: {}}}}}}}", "a".repeat(4097));
    let keys: Vec<String> = (0..65).map(|n| format!("k{n}: x")).collect();
    let keys = format!("{{region: eu-central-1, secret: {{data: {{{}}}}}}}", keys.join(", "));
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
        ("preset", "{region: eu-central-1, secret: {preset: nobody}}", "supported values: \"alertmanager\""),
        ("datakey", "{region: eu-central-1, secret: {data: {a b: x}}}", "letters, digits, -, _ and ."),
        ("dotdot", "{region: eu-central-1, secret: {data: {..x: x}}}", "nor begin with .."),
        ("dot", "{region: eu-central-1, secret: {data: {.: x}}}", "nor begin with .."),
        ("wordy", wordy.as_str(), "4096"),
        ("keys", keys.as_str(), "at most 64"),
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
        ("more", "{region: eu-central-1, additionalRegions: [EU-WEST-1]}", "codes of AWS Regions"),
        ("itself", "{region: eu-central-1, additionalRegions: [eu-central-1]}", "served anyway"),
        ("double", "{region: eu-central-1, additionalRegions: [us-east-1, us-east-1]}", "uplicate"),
        ("port", "{region: eu-central-1, endpoint: {port: 0}}", "spec.endpoint.port"),
        ("ports", "{region: eu-central-1, endpoint: {port: 65536}}", "65535"),
        ("policy", "{region: eu-central-1, deletionPolicy: Keep}", "\"Retain\""),
        ("capital", "{region: eu-central-1, secret: {name: Mail}}", "spec.secret.name"),
        ("void", "{region: eu-central-1, policy: {fromAddresses: ['']}}", "fromAddresses[0]"),
        ("twice", "{region: eu-central-1, policy: {fromAddresses: ['*', '*']}}", "uplicate"),
        ("wide", "{region: eu-central-1, policy: {fromAddresses: ['a?@example.com']}}", "$ or ?"),
        ("unknown", "{region: eu-central-1, foo: 1}", ".spec.foo"),
        ("nested", "{region: eu-central-1, policy: {statements: [x]}}", ".spec.policy.statements"),
        ("number", "{region: 1}", "spec.region"),
        ("scalar", "{region: eu-central-1, policy: {fromAddresses: '*'}}", "fromAddresses"),
        ("type", "{region: eu-central-1, suspend: 'yes'}", ".spec.suspend"),
        ("zero", "{region: eu-central-1, rotation: {interval: 0}}", "spec.rotation.interval"),
        ("nought", "{region: eu-central-1, rotation: {interval: '0'}}", "at least 1h"),
        ("minus", "{region: eu-central-1, rotation: {interval: -1h}}", "at least 1h"),
        ("second", "{region: eu-central-1, rotation: {interval: 1s}}", "at least 1h"),
        ("years", "{region: eu-central-1, rotation: {interval: 100y}}", "at least 1h"),
        ("days", "{region: eu-central-1, rotation: {interval: 90dd}}", "at least 1h"),
        ("short", "{region: eu-central-1, rotation: {overlap: 14m}}", "at least 15m"),
        ("lap", "{region: eu-central-1, rotation: {interval: 1h, overlap: 1h}}", "shorter than interval"),
        ("revoked", "{region: eu-central-1, revokedKeys: ['akia']}", "spec.revokedKeys"),
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
            "extra",
            "{region: eu-central-1, additionalRegions: [eu-south-1]}",
            "RegionHasNoSmtpEndpoint",
            "eu-",
        ),
        (
            "foreign",
            "{region: eu-central-1, additionalRegions: [us-gov-west-1]}",
            "PartitionMismatch",
            "aws-us",
        ),
        (
            "host",
            "{region: eu-central-1, endpoint: {host: mail.example.com}}",
            "NotAllowed",
            "mail.example.com",
        ),
        ("port", "{region: eu-central-1, endpoint: {port: 26}}", "NotAllowed", "26"),
        ("large", large.as_str(), "PolicyTooLarge", "IAM allows 2048: list fewer or shorter entries"),
        ("label", "{region: eu-central-1, secret: {labels: {team: 'a b'}}}", "InvalidSpec", "team"),
    ];
    for (name, spec, reason, expected) in table {
        bed.apply("shop", name, spec).await.unwrap();
        let object = bed.reads("shop", name, "Stalled", &format!("True {reason}")).await.unwrap();
        assert_eq!(condition(&object, "Ready"), format!("False {reason}"));
        assert!(message(&object).contains(expected), "{name}: {}", message(&object));
        assert!(object.finalizers().is_empty(), "{name}: nothing to tear down");
    }
    assert_eq!(iam_calls(&bed), 0);
    // Corrected, it is served.
    bed.patch("shop", "host", serde_json::json!({ "endpoint": null })).await.unwrap();
    bed.ready("shop", "host").await.unwrap();
    bed.login("shop", "host").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

/// The message of the first condition, which is Ready.
fn message(object: &Object) -> &str {
    &object.status.as_ref().unwrap().conditions[0].message
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_s_secret_is_left_alone() {
    let (bed, operator) = bed().await;
    let other =
        "ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: 1-2-3, controller: true}]";
    for (name, owner, immutable) in [("plain", "", false), ("other", other, false), ("fixed", "", true)] {
        let yaml = format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: {name}, namespace: shop, {owner}}}, immutable: {immutable}, stringData: {{a: b}}}}"
        );
        bed.plane.apply_yaml(&yaml).await.unwrap();
    }
    bed.apply("shop", "first", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "first").await.unwrap();
    let calls = iam_calls(&bed);
    let table = [
        ("plain", "{region: eu-central-1}", "plain", "shop/plain exists and is controlled by nobody"),
        ("other", "{region: eu-central-1}", "other", "controlled by Deployment web"),
        ("fixed", "{region: eu-central-1}", "fixed", "shop/fixed exists and is controlled by nobody"),
        (
            "second",
            "{region: eu-central-1, secret: {name: first}}",
            "first",
            "shop/first exists and is controlled by SesSmtpCredential first",
        ),
    ];
    let secrets = bed.secrets("shop");
    let mut before: Vec<Secret> = Vec::new();
    for (name, spec, secret, expected) in table {
        before.push(secrets.get(secret).await.unwrap());
        bed.apply("shop", name, spec).await.unwrap();
        let object = bed.reads("shop", name, "Stalled", "True SecretNotOwned").await.unwrap();
        assert!(message(&object).contains(expected), "{name}: {}", message(&object));
        assert!(object.finalizers().is_empty());
    }
    for secret in before {
        assert_eq!(secrets.get(&secret.name_any()).await.unwrap(), secret);
    }
    assert_eq!(iam_calls(&bed), calls);
    // Out of the way, it is made.
    secrets.delete("plain", &DeleteParams::default()).await.unwrap();
    bed.ready("shop", "plain").await.unwrap();
    bed.login("shop", "plain").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

/// The name of the user that `object` will get, modelled on that of `other`, which has the same
/// namespace.
fn user_name(model: &UserSnapshot, other: &Object, object: &Object) -> String {
    let digits = |object: &Object| -> String {
        object.uid().unwrap().chars().filter(char::is_ascii_hexdigit).take(10).collect()
    };
    let name = model.name.replace(&digits(other), &digits(object));
    name.replace(&format!("-{}-", other.name_any()), &format!("-{}-", object.name_any()))
}

/// From a client that doesn't ask for strict validation.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_are_dropped_and_nulls_mean_nothing() {
    let (bed, operator) = bed().await;
    bed.apply("shop", "mailer", "{region: eu-central-1, secret: null, deletionPolicy: null}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let before = bed.login("shop", "mailer").await.unwrap();
    let calls = iam_calls(&bed);
    let nonsense = serde_json::json!({ "nonsense": { "a": 1 }, "rotation": null, "suspend": false });
    bed.patch("shop", "mailer", nonsense).await.unwrap();
    let path = "/apis/ses-smtp.dev/v1alpha1/namespaces/shop/sessmtpcredentials/mailer";
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let stored: serde_json::Value = bed.client.request(request).await.unwrap();
    assert_eq!(stored["spec"]["suspend"], false, "the patch was taken: {stored}");
    assert!(stored["spec"].get("nonsense").is_none(), "{stored}");
    bed.ready("shop", "mailer").await.unwrap();
    assert_eq!(bed.login("shop", "mailer").await.unwrap(), before);
    assert_eq!(iam_calls(&bed), calls);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_s_user_is_left_alone() {
    let (bed, operator) = bed().await;
    let first = bed.apply("shop", "first", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "first").await.unwrap();
    let model = bed.user_of(&first).unwrap();
    // At another path, and at ours without our tags.
    for (name, path) in [("elsewhere", "/"), ("untagged", model.path.as_str())] {
        let spec = "{region: eu-central-1, suspend: true}";
        let object = bed.apply("shop", name, spec).await.unwrap();
        let user = user_name(&model, &first, &object);
        bed.aws.call("CreateUser", &[("UserName", &user), ("Path", path)]).unwrap();
        let before = bed.aws.user(&user).unwrap();
        bed.aws.reset_journal();
        bed.patch("shop", name, serde_json::json!({ "suspend": false })).await.unwrap();
        let object = bed.reads("shop", name, "Stalled", "True UserNotOwned").await.unwrap();
        assert!(message(&object).contains(&user), "{name}: {}", message(&object));
        let counts = bed.aws.counts();
        // Where the operator's rights end it is told no more than that: a list of the users answers then.
        let harmless = ["CreateUser", "GetUser", "ListUsers"];
        assert!(counts.keys().all(|action| harmless.contains(&action.as_str())), "{counts:?}");
        assert!(bed.secrets("shop").get_opt(name).await.unwrap().is_none());
        assert_eq!(bed.aws.user(&user).unwrap(), before);
        if name == "elsewhere" {
            // Deletion leaves it alone too.
            bed.delete("shop", name).await.unwrap();
            bed.gone("shop", name).await.unwrap();
            assert_eq!(bed.aws.user(&user).unwrap(), before);
        } else {
            bed.aws.call("DeleteUser", &[("UserName", &user)]).unwrap();
            bed.ready("shop", name).await.unwrap();
            bed.login("shop", name).await.unwrap();
        }
    }
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
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
    assert!(message(&moved).contains("999999999999"));
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
    // The last value counts, however late it comes.
    for (name, first, last) in [("kept", "Delete", "Retain"), ("dropped", "Retain", "Delete")] {
        let spec = format!("{{region: eu-central-1, deletionPolicy: {first}}}");
        let object = bed.apply("shop", name, &spec).await.unwrap();
        bed.ready("shop", name).await.unwrap();
        bed.patch("shop", name, serde_json::json!({ "deletionPolicy": last })).await.unwrap();
        bed.delete("shop", name).await.unwrap();
        bed.gone("shop", name).await.unwrap();
        let user = bed.user_of(&object);
        assert_eq!(user.is_some(), last == "Retain", "{name}: {user:?}");
    }
    bed.login("shop", "kept").await.unwrap();
    assert!(bed.secrets("shop").get("kept").await.unwrap().owner_references().is_empty());
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

/// Every mint takes a second.
async fn slow_bed() -> (Bed, Operator) {
    let regions = REGIONS.map(str::to_owned).to_vec();
    let latency = [("CreateAccessKey".to_owned(), Duration::from_mins(10))].into();
    let aws = Config { regions, time_scale: 600.0, latency, ..Config::default() };
    let bed = Bed::start(Options { aws, controller_manager: true, ..Options::default() }).await.unwrap();
    for namespace in ["shop", "short-lived"] {
        bed.namespace(namespace).await.unwrap();
    }
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    (bed, operator)
}

async fn no_secret(bed: &Bed, namespace: &str, name: &str) {
    eventually(&format!("Secret {namespace}/{name} to be gone"), SOON, async || {
        Ok(bed.secrets(namespace).get_opt(name).await?.is_none().then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_go_at_awkward_moments_leave_nothing() {
    let (bed, operator) = slow_bed().await;
    // Deleted while the mint is under way.
    let object = bed.apply("shop", "fickle", "{region: eu-central-1}").await.unwrap();
    eventually("the mint to begin", SOON, async || {
        let user = bed.user_of(&object);
        Ok(user.filter(|user| !user.policies.is_empty()).map(|_| ()))
    })
    .await
    .unwrap();
    assert!(bed.aws.key_ids().is_empty());
    bed.delete("shop", "fickle").await.unwrap();
    bed.gone("shop", "fickle").await.unwrap();
    no_secret(&bed, "shop", "fickle").await;
    assert!(bed.aws.users().is_empty());
    // Deleted and made again at once: two users that never cross, and the first one goes.
    let first = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let (user, old) = (bed.user_of(&first).unwrap(), bed.credential("shop", "mailer").await.unwrap());
    bed.delete("shop", "mailer").await.unwrap();
    let again = eventually("the name to be free", SOON, async || {
        let again = bed.apply("shop", "mailer", "{region: eu-central-1}").await?;
        Ok((again.uid() != first.uid()).then_some(again))
    })
    .await
    .unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let new = bed.login("shop", "mailer").await.unwrap();
    let owners = bed.secrets("shop").get("mailer").await.unwrap().owner_references().to_vec();
    assert_eq!(owners.iter().map(|owner| owner.uid.clone()).collect::<Vec<_>>(), [again.uid().unwrap()]);
    assert!(new.username != old.username && bed.aws.user(&user.name).is_none());
    let users: Vec<String> = bed.aws.users().into_iter().map(|user| user.name).collect();
    assert_eq!(users, [bed.user_of(&again).unwrap().name]);
    // A namespace goes with ready objects and with one that is being made.
    for name in ["a", "b"] {
        bed.apply("short-lived", name, "{region: eu-central-1}").await.unwrap();
        bed.ready("short-lived", name).await.unwrap();
    }
    bed.apply("short-lived", "c", "{region: eu-central-1}").await.unwrap();
    bed.aws.reset_journal();
    bed.delete_namespace("short-lived").await.unwrap();
    let users: Vec<String> = bed.aws.users().into_iter().map(|user| user.name).collect();
    assert_eq!(users, [bed.user_of(&again).unwrap().name]);
    // Only the one that was being made: the others' Secrets vanish before they do, and are not made again.
    let done = |action: &str| {
        let journal = bed.aws.journal();
        journal.iter().filter(|record| record.action == action && record.outcome == "ok").count()
    };
    assert!(done("CreateUser") <= 1 && done("CreateAccessKey") <= 1, "{:?}", bed.aws.counts());
    bed.login("shop", "mailer").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}
