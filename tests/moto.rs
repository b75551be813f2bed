//! Conformance with moto, an independent stand-in for IAM: the same calls get the same answers, but
//! for the differences that `tests/moto/known-differences.md` lists; and the operator's own main job
//! runs against it. Needs a moto server: `tests/moto/run.sh` starts one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use aws_double::{Config, Double};
use aws_sdk_iam::Client;
use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::types::{StatusType, Tag};
use kube::ResourceExt as _;
use ses_smtp_core::password::{SecretAccessKey, derive};
use ses_smtp_core::region::RegionName;
use testbed::{Bed, Error, Options, SOON, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const LIMIT: &str = "arn:aws:iam::123456789012:policy/limit";
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ses:SendRawEmail","Resource":"*"}]}"#;

/// Step to what came back.
type Observations = BTreeMap<&'static str, String>;

fn moto() -> String {
    std::env::var("MOTO_URL").expect("MOTO_URL: run tests/moto/run.sh")
}

fn client(url: &str) -> Client {
    let example = Credentials::new(aws_double::CALLER_KEY_ID, aws_double::CALLER_SECRET, None, None, "test");
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .credentials_provider(example)
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .build();
    Client::from_conf(config)
}

/// The error code, or what `ok` makes of the answer.
fn seen<T, E: ProvideErrorMetadata, S: Display>(
    answer: Result<T, SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>>,
    ok: impl FnOnce(T) -> S,
) -> String {
    match answer {
        Ok(answer) => ok(answer).to_string(),
        Err(error) => error.code().unwrap_or("no code").to_owned(),
    }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

fn done<T>(_: T) -> &'static str {
    "ok"
}

async fn users(iam: &Client, at: &mut Observations) {
    let create = |name: &str| iam.create_user().user_name(name).path("/ses-smtp/c1/");
    let made = create("mailer").tags(tag("ses-smtp.dev/uid", "1")).permissions_boundary(LIMIT).send().await;
    at.insert("a user is made", seen(made, |made| made.user.unwrap().path));
    at.insert("the same name", seen(create("mailer").send().await, done));
    at.insert("the same name in capitals", seen(create("MAILER").send().await, done));
    at.insert("a tag under aws:", seen(create("tagged").tags(tag("aws:x", "1")).send().await, done));
    let got = || iam.get_user().user_name("mailer").send();
    at.insert("its tag is shown", seen(got().await, |got| got.user.unwrap().tags.unwrap()[0].value.clone()));
    let boundary = seen(got().await, |got| {
        let boundary = got.user.unwrap().permissions_boundary.and_then(|b| b.permissions_boundary_arn);
        boundary.unwrap_or("none".into())
    });
    at.insert("the boundary is shown", boundary);
    at.insert("a user that isn't there", seen(iam.get_user().user_name("nobody").send().await, done));
}

async fn policies(iam: &Client, at: &mut Observations) {
    let put = |document: &str| {
        iam.put_user_policy().user_name("mailer").policy_name("send").policy_document(document)
    };
    at.insert("a policy is put", seen(put(POLICY).send().await, done));
    at.insert("a policy that isn't JSON", seen(put("{").send().await, done));
    let limited =
        format!("\"*\",\"Condition\":{{\"StringLike\":{{\"ses:FromAddress\":\"{}\"}}}}", "a".repeat(2_100));
    let long = POLICY.replace("\"*\"", &limited);
    let other =
        iam.put_user_policy().user_name("mailer").policy_name("long").policy_document(long).send().await;
    at.insert("a policy over 2,048 characters", seen(other, done));
    let _ = iam.delete_user_policy().user_name("mailer").policy_name("long").send().await;
    let gone = iam.delete_user_policy().user_name("mailer").policy_name("none").send().await;
    at.insert("a policy that isn't there is deleted", seen(gone, done));
}

async fn keys(iam: &Client, at: &mut Observations) {
    let make = || iam.create_access_key().user_name("mailer").send();
    let count = || async {
        seen(iam.list_access_keys().user_name("mailer").send().await, |list| list.access_key_metadata.len())
    };
    at.insert("no keys", count().await);
    let first = make().await.unwrap().access_key.unwrap().access_key_id;
    at.insert("a second key", seen(make().await, done));
    at.insert("a third key", seen(make().await, done));
    at.insert("two keys", count().await);
    let set =
        |status: StatusType| iam.update_access_key().user_name("mailer").access_key_id(&first).status(status);
    at.insert("a status that isn't one", seen(set("Asleep".into()).send().await, done));
    at.insert("a key is made Inactive", seen(set(StatusType::Inactive).send().await, done));
    at.insert("Inactive ones count", seen(make().await, done));
    let delete = || iam.delete_access_key().user_name("mailer").access_key_id(&first).send();
    at.insert("a key is deleted", seen(delete().await, done));
    at.insert("it is deleted again", seen(delete().await, done));
    at.insert("a key for nobody", seen(iam.create_access_key().user_name("nobody").send().await, done));
}

async fn deletion(iam: &Client, at: &mut Observations) {
    let delete = || iam.delete_user().user_name("mailer").send();
    at.insert("deletion with a policy", seen(delete().await, done));
    let _ = iam.delete_user_policy().user_name("mailer").policy_name("send").send().await;
    at.insert("deletion with a key", seen(delete().await, done));
    at.insert("deletion of nobody", seen(iam.delete_user().user_name("nobody").send().await, done));
}

async fn observe(url: &str) -> Observations {
    let (iam, mut at) = (client(url), Observations::new());
    users(&iam, &mut at).await;
    policies(&iam, &mut at).await;
    keys(&iam, &mut at).await;
    deletion(&iam, &mut at).await;
    at
}

/// Step, moto's answer, ours: the table's first three columns.
fn listed() -> Vec<(String, String, String)> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/moto/known-differences.md"))
            .unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        (cells[0].to_owned(), cells[1].to_owned(), cells[2].to_owned())
    };
    rows.map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MOTO_URL: run tests/moto/run.sh"]
async fn moto_and_the_double_differ_as_listed_and_no_more() {
    let double = Double::start(Config::default().policy(LIMIT, POLICY)).await.unwrap();
    let (theirs, ours) = (observe(&moto()).await, observe(&double.iam_url()).await);
    let mut differences: Vec<(String, String, String)> = theirs
        .iter()
        .filter(|(step, seen)| ours[*step] != **seen)
        .map(|(step, seen)| ((*step).to_owned(), seen.clone(), ours[step].clone()))
        .collect();
    let mut known = listed();
    differences.sort();
    known.sort();
    assert_eq!(differences, known);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MOTO_URL: run tests/moto/run.sh"]
async fn a_main_job_runs_against_moto() {
    let aws = Config {
        regions: vec!["eu-central-1".into(), "eu-west-1".into()],
        time_scale: 4800.0,
        ..Config::default()
    };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
    for service in ["AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS"] {
        launch.environment.insert(service.into(), moto());
    }
    // moto takes a boundary and never shows it again.
    launch.environment.remove("SES_SMTP_PERMISSIONS_BOUNDARY_NAME");
    // moto has no SMTP, and its listing of users comes without tags.
    launch.environment.insert("SES_SMTP_VERIFY_LOGIN".into(), "off".into());
    for interval in ["SES_SMTP_DRIFT_INTERVAL", "SES_SMTP_SWEEP_INTERVAL"] {
        launch.environment.insert(interval.into(), "0s".into());
    }
    let operator = launch.start().await.unwrap();
    let iam = client(&moto());
    bed.apply("shop", "lifecycle", "{region: eu-central-1}").await.unwrap();
    let object = bed.ready("shop", "lifecycle").await.unwrap();
    let user = object.status.as_ref().unwrap().user_name.clone().unwrap();
    let tags = iam.get_user().user_name(&user).send().await.unwrap().user.unwrap().tags.unwrap();
    assert!(
        tags.iter().any(|tag| tag.key == "ses-smtp.dev/uid" && Some(&tag.value) == object.uid().as_ref())
    );
    assert!(bed.aws.users().is_empty(), "the double is not asked");

    bed.patch("shop", "lifecycle", serde_json::json!({ "policy": { "fromAddresses": ["a@example.com"] } }))
        .await
        .unwrap();
    bed.ready("shop", "lifecycle").await.unwrap();
    let policy = iam.get_user_policy().user_name(&user).policy_name("ses-smtp-send").send().await.unwrap();
    assert!(policy.policy_document.contains("a%40example.com"), "{}", policy.policy_document);

    bed.patch("shop", "lifecycle", serde_json::json!({ "region": "eu-west-1" })).await.unwrap();
    bed.ready("shop", "lifecycle").await.unwrap();
    let keys = iam.list_access_keys().user_name(&user).send().await.unwrap().access_key_metadata;
    let credential = bed.credential("shop", "lifecycle").await.unwrap();
    assert!(keys.iter().any(|key| key.access_key_id.as_ref() == Some(&credential.username)));
    // moto has no SMTP; but it tells the secrets of its keys, from which the password must follow.
    let secret = secret_of(&credential.username).await;
    let region = RegionName::parse("eu-west-1").unwrap();
    assert_eq!(derive(&SecretAccessKey::new(&secret).unwrap(), &region).expose(), credential.password);

    bed.delete("shop", "lifecycle").await.unwrap();
    bed.gone("shop", "lifecycle").await.unwrap();
    eventually("the user to be gone", SOON, async || match iam.get_user().user_name(&user).send().await {
        Err(error) if error.code() == Some("NoSuchEntity") => Ok(Some(())),
        answer => Error::wrong(format!("{answer:?}")),
    })
    .await
    .unwrap();
    operator.stop().await.unwrap();
}

/// The secret of a key, from the page on which moto shows all its data.
async fn secret_of(key: &str) -> String {
    let address = moto().trim_start_matches("http://").to_owned();
    let page = testbed::get(&address, "/moto-api/data.json").await.unwrap();
    let from = page.find(key).unwrap_or_else(|| panic!("{key} is not shown"));
    let rest = &page[from..];
    let secret = &rest[rest.find("secret_access_key").unwrap()..];
    secret.split('"').nth(2).unwrap().to_owned()
}
