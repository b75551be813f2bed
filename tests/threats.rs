//! What people with some rights try: a reader of the Secret, a tenant that keeps the operator busy, and
//! one that forges what the operator writes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use aws_double::Config;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use ses_smtp_operator::aws::{Session, identify};
use testbed::{Bed, Error, Operator, Options, SOON, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
/// 24 hours in 18 seconds.
const SCALE: f64 = 4800.0;

async fn bed(settings: &[(&str, &str)]) -> (Bed, Operator) {
    let aws = Config { time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    for namespace in ["shop", "evil"] {
        bed.namespace(namespace).await.unwrap();
    }
    let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
    for (name, value) in settings {
        launch.environment.insert((*name).to_owned(), (*value).to_owned());
    }
    let operator = launch.start().await.unwrap();
    (bed, operator)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_signs_no_call_to_aws() {
    let (bed, _operator) = bed(&[]).await;
    bed.apply("shop", "mailer", "{region: eu-west-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let credential = bed.credential("shop", "mailer").await.unwrap();
    let (id, password) = (credential.username.as_str(), credential.password.as_str());
    let url = bed.aws.iam_url();
    // That the key itself may ask who it is shows that nothing but the password keeps the other out.
    let secret = bed.aws.secret_of(id).unwrap();
    assert!(identify(&Session::with_key(&url, id, &secret).await).await.is_ok());
    let refused = identify(&Session::with_key(&url, id, password).await).await.unwrap_err().to_string();
    assert!(refused.contains("SignatureDoesNotMatch"), "{refused}");
}

/// Calls of users of a namespace, and their places in the order of all calls of users.
fn calls(bed: &Bed, namespace: &str) -> Vec<usize> {
    let user = format!("ses-smtp-{namespace}-");
    let journal = bed.aws.journal();
    let of_users: Vec<_> =
        journal.iter().filter(|call| call.user.is_some() && call.action != "AUTH").collect();
    let ours = |call: &aws_double::Record| call.user.as_ref().is_some_and(|name| name.starts_with(&user));
    (0..of_users.len()).filter(|at| ours(of_users[*at])).collect()
}

/// One tenant edits, deletes and makes anew as fast as the API server lets it. IAM's calls are few
/// enough that they queue, so another tenant's delay is told by whose calls came between its own.
#[tokio::test(flavor = "multi_thread")]
async fn churn_of_one_tenant_costs_few_calls_and_holds_others_up_by_no_more_than_as_many() {
    let (bed, operator) =
        bed(&[("SES_SMTP_IAM_RATE", "20"), ("SES_SMTP_IAM_BURST", "1"), ("SES_SMTP_LOG", "trace")]).await;
    bed.apply("evil", "churn", "{region: eu-west-1}").await.unwrap();
    bed.ready("evil", "churn").await.unwrap();
    bed.aws.reset_journal();
    let churn = async {
        let mut deeds = 0_usize;
        loop {
            let trigger = json!({ "rotation": { "trigger": deeds.to_string() } });
            let _ = bed.patch("evil", "churn", trigger).await;
            let _ = bed.secrets("evil").delete("churn", &DeleteParams::default()).await;
            deeds += 2;
            if deeds.is_multiple_of(20) {
                let _ = bed.delete("evil", "churn").await;
                let _ = bed.apply("evil", "churn", "{region: eu-west-1}").await;
            }
            if deeds >= 200 {
                return deeds;
            }
        }
    };
    let others = async {
        for n in 0..5 {
            let name = format!("mailer-{n}");
            bed.apply("shop", &name, "{region: eu-west-1}").await.unwrap();
            bed.ready("shop", &name).await.unwrap();
        }
    };
    let (deeds, ()) = tokio::join!(churn, others);
    let (evil, shop) = (calls(&bed, "evil"), calls(&bed, "shop"));
    // A new object is three calls. However often the other was changed, the calls of both together are
    // no more than twice those that the first tenant would have waited for alone.
    let (first, last) = (*shop.first().unwrap(), *shop.last().unwrap());
    let between = evil.iter().filter(|at| (first..last).contains(at)).count();
    assert!(between <= shop.len() + 5, "{between} of another's calls between {} of one's own", shop.len());
    assert!(evil.len() < deeds, "{} calls for {deeds} deeds", evil.len());
    bed.no_secret_leaked(Some(&operator), &["eu-west-1"]).await.unwrap();
}

/// The whole status, forged in favour of a foreign key, then emptied.
fn forgeries(id: &str) -> Vec<Value> {
    let now = "2020-01-01T00:00:00Z";
    let condition = |type_: &str, status: &str| {
        json!({ "type": type_, "status": status, "reason": "Forged", "message": "",
            "lastTransitionTime": now, "observedGeneration": 1 })
    };
    vec![
        json!({ "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "other", "issuedAt": now }),
        json!({ "previousKey": { "accessKeyId": id, "supersededAt": now, "state": "Inactive", "deleteAt": now } }),
        json!({ "conditions": [condition("Ready", "False")], "observedGeneration": 99 }),
        json!({ "endpoints": [{ "region": "eu-west-1", "host": "localhost", "port": 1,
            "login": { "outcome": "Refused", "time": now } }] }),
        json!({}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_status_deletes_nothing_and_makes_nothing() {
    let (bed, _operator) = bed(&[]).await;
    bed.apply("shop", "mailer", "{region: eu-west-1}").await.unwrap();
    bed.reads("shop", "mailer", "LoginVerified", "True LoginVerified").await.unwrap();
    let before = bed.credential("shop", "mailer").await.unwrap();
    let calls = bed.iam_calls();
    for status in forgeries(&before.username) {
        let patch = Patch::Merge(json!({ "status": status }));
        let forged =
            bed.objects("shop").patch_status("mailer", &PatchParams::default(), &patch).await.unwrap();
        let version = forged.metadata.resource_version.clone();
        // A pass has been over it when the status was written again.
        bed.patch("shop", "mailer", json!({ "rotation": { "interval": "2160h" } })).await.unwrap();
        bed.patch("shop", "mailer", json!({ "rotation": null })).await.unwrap();
        eventually("the status to be written again", SOON, async || {
            let object = bed.objects("shop").get("mailer").await?;
            let status = object.status.clone().unwrap_or_default();
            let ours = status.access_key_id.as_deref() == Some(before.username.as_str())
                && status.observed_generation == object.metadata.generation
                && status.conditions.iter().all(|condition| condition.reason != "Forged");
            if ours && object.metadata.resource_version != version {
                Ok(Some(()))
            } else {
                Error::wrong(format!("{status:?}"))
            }
        })
        .await
        .unwrap();
    }
    let after = bed.login("shop", "mailer").await.unwrap();
    assert_eq!((after.username, after.password), (before.username, before.password));
    let made: Vec<_> =
        bed.iam_calls().into_iter().filter(|(action, count)| calls.get(action) != Some(count)).collect();
    assert!(
        made.iter().all(|(action, _)| action.starts_with("Get") || action.starts_with("List")),
        "{made:?}"
    );
}
