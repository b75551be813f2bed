//! The policy that the program prints, what an operator can do with it, and what it can't: enforced by the AWS
//! double.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod cap;
mod each_action;
mod forbidden;
mod matrix;
mod wire;

use std::collections::BTreeMap;
use std::path::Path;

use aws_double::{ACCOUNT, Caller, Config};
use testbed::{Bed, Error, Launch, SOON, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");

fn config() -> Config {
    Config { regions: vec!["eu-central-1".into()], time_scale: 600.0, ..Config::default() }
}

async fn bed(aws: Config) -> (Bed, Launch) {
    Bed::with_shop(aws, Path::new(BINARY)).await.unwrap()
}

/// The built program, run to its end with `environment` and nothing else.
async fn run(arguments: &[&str], environment: &BTreeMap<String, String>) -> String {
    let mut command = tokio::process::Command::new(BINARY);
    let output = command.args(arguments).env_clear().envs(environment).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that the policy has to allow, once: make, change, rotate, retire, find gone, quarantine,
/// delete.
async fn whole_life(bed: &Bed, region: &str) {
    let spec = format!("{{region: {region}, rotation: {{overlap: 15m}}}}");
    let object = bed.apply("shop", "mailer", &spec).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let user = bed.user_of(&object).unwrap();
    let senders = serde_json::json!({ "policy": { "fromAddresses": ["*@shop.example.com"] } });
    bed.patch("shop", "mailer", senders).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    bed.aws.by_hand().set_boundary(&user.name, None).unwrap();
    bed.aws.by_hand().quarantine(&user.name).unwrap();
    eventually("another key, the boundary, and no quarantine", SOON, async || {
        let now = bed.aws.user(&user.name).unwrap();
        let replaced = now.keys.len() == 1 && now.keys[0].id != user.keys[0].id;
        let healed = replaced && now.attached.is_empty() && now.boundary == user.boundary;
        if healed { Ok(Some(())) } else { Error::wrong(format!("{now:?}")) }
    })
    .await
    .unwrap();
    let trigger = serde_json::json!({ "rotation": { "trigger": "again" } });
    bed.patch("shop", "mailer", trigger).await.unwrap();
    eventually("the key before to be retired", SOON, async || {
        let object = bed.objects("shop").get("mailer").await?;
        let status = object.status.unwrap_or_default();
        let rotated = bed.aws.counts().contains_key("UpdateAccessKey") && status.previous_key.is_none();
        if rotated { Ok(Some(())) } else { Error::wrong(format!("{status:?}")) }
    })
    .await
    .unwrap();
    bed.login("shop", "mailer").await.unwrap();
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    assert!(bed.aws.user(&user.name).is_none());
}

/// Partition, Region of it, path, cluster id and name of the boundary.
const PLACES: [[&str; 5]; 3] = [
    ["aws", "eu-central-1", "/ses-smtp/", "prod", "ses-smtp-boundary"],
    ["aws-us-gov", "us-gov-west-1", "/teams/Mail_1/", "gov-2", "Limits@mail"],
    ["aws-eusc", "eusc-de-east-1", "/a+b=c,d/e/", "0", "b"],
];

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_policy_is_enough_in_every_place_and_for_no_other() {
    for [partition, region, path, cluster, boundary] in PLACES {
        let place = [
            ["--account", ACCOUNT],
            ["--partition", partition],
            ["--user-path", path],
            ["--cluster-id", cluster],
            ["--boundary-name", boundary],
        ];
        let arguments = [&["iam-policy"], place.as_flattened()].concat();
        let none = BTreeMap::new();
        let (policy, bound) = (run(&arguments, &none).await, run(&["iam-policy", "--boundary"], &none).await);
        let arn = format!("arn:{partition}:iam::{ACCOUNT}:policy/{boundary}");
        let mut aws = Config { regions: vec![region.to_owned()], ..config() }.policy(&arn, &bound);
        aws.settings.partition = partition.to_owned();
        let caller = Caller::default().with_policy(&policy);
        aws.callers =
            vec![Caller { arn: caller.arn.replace("arn:aws:", &format!("arn:{partition}:")), ..caller }];
        let (bed, mut launch) = bed(aws).await;
        let settings =
            [("USER_PATH", path), ("CLUSTER_ID", cluster), ("PERMISSIONS_BOUNDARY_NAME", boundary)];
        for (name, value) in settings {
            launch.environment.insert(format!("SES_SMTP_{name}"), value.to_owned());
        }
        let operator = launch.start().await.unwrap();
        whole_life(&bed, region).await;
        operator.stop().await.unwrap();
        let denied = bed.aws.journal().into_iter().filter(|call| call.outcome == "AccessDenied").count();
        assert_eq!(denied, 0, "{partition}");
        // Beside the place it allows nothing.
        launch.environment.insert("SES_SMTP_CLUSTER_ID".into(), "another".into());
        let operator = launch.start().await.unwrap();
        let spec = format!("{{region: {region}}}");
        bed.apply("shop", "elsewhere", &spec).await.unwrap();
        let stalled = bed.reads("shop", "elsewhere", "Stalled", "True AccessDenied").await.unwrap();
        let message = &stalled.status.unwrap().conditions[0].message;
        assert!(message.contains("iam:CreateUser") && message.contains("-elsewhere-"), "{message}");
        assert!(bed.aws.users().is_empty());
        operator.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_is_printed_for_the_callers_account_and_this_cluster() {
    let (bed, launch) = bed(config()).await;
    let printed = run(&["iam-policy"], &launch.environment).await;
    let operator = launch.start().await.unwrap();
    let object = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let path = bed.user_of(&object).unwrap().path;
    let policy: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let users = format!("arn:aws:iam::{ACCOUNT}:user{path}*");
    assert_eq!(policy["Statement"][0]["Resource"], users);
    // A partition that isn't the caller's is refused.
    let mut command = tokio::process::Command::new(BINARY);
    command.args(["iam-policy", "--partition", "aws-cn"]).env_clear().envs(&launch.environment);
    let output = command.output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(ACCOUNT) && said.contains("aws-cn") && said.contains("--account"), "{said}");
    operator.stop().await.unwrap();
}
