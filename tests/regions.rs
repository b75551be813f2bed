//! One credential for several Regions, and hosts other than a Region's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use aws_double::Config;
use testbed::{Bed, Credential, Error, Launch, Options, SOON, condition, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGIONS: [&str; 3] = ["eu-central-1", "us-east-1", "eu-west-1"];
/// 24 hours in 18 seconds.
const SCALE: f64 = 4800.0;

async fn bed() -> (Bed, Launch) {
    let regions = REGIONS.map(str::to_owned).to_vec();
    let aws = Config { regions, time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let launch = bed.launch(Path::new(BINARY)).await.unwrap();
    (bed, launch)
}

/// What the Secret holds for each of the Regions.
async fn credentials(bed: &Bed, name: &str, regions: &[&str]) -> BTreeMap<String, Credential> {
    let data = bed.secrets("shop").get(name).await.unwrap().data.unwrap();
    let text = |key: String| String::from_utf8(data[&key].0.clone()).unwrap();
    let of = |region: &&str| Credential {
        host: text(format!("{region}.host")),
        port: text(format!("{region}.port")).parse().unwrap(),
        username: text("username".into()),
        password: text(format!("{region}.password")),
    };
    regions.iter().map(|region| ((*region).to_owned(), of(region))).collect()
}

/// `Region: outcome` of each endpoint in the status.
async fn logins(bed: &Bed, name: &str, expected: &[&str]) {
    eventually("the logins to be reported", SOON, async || {
        let status = bed.objects("shop").get(name).await?.status.unwrap_or_default();
        let told = status.endpoints.iter().map(|endpoint| {
            let outcome = endpoint.login.as_ref().map_or("-", |login| login.outcome.as_str());
            format!("{}: {outcome}", endpoint.region)
        });
        let told: Vec<String> = told.collect();
        if told == expected { Ok(Some(())) } else { Error::wrong(format!("{told:?}")) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_name_logs_in_everywhere_with_a_password_of_each_region() {
    let (bed, launch) = bed().await;
    let operator = launch.start().await.unwrap();
    bed.apply("shop", "mailer", "{region: eu-central-1, additionalRegions: [us-east-1]}").await.unwrap();
    let object = bed.ready("shop", "mailer").await.unwrap();
    logins(&bed, "mailer", &["eu-central-1: Accepted", "us-east-1: Accepted"]).await;
    assert_eq!(bed.iam_calls()["CreateAccessKey"], 1);
    let each = credentials(&bed, "mailer", &["eu-central-1", "us-east-1"]).await;
    for (region, credential) in &each {
        assert!(bed.accepts(credential).await.unwrap(), "{region}");
        let message = condition_message(&object);
        assert!(message.contains(region), "{message}");
    }
    let crossed = Credential { password: each["us-east-1"].password.clone(), ..each["eu-central-1"].clone() };
    assert!(!bed.accepts(&crossed).await.unwrap(), "a password is good in its own Region alone");
    assert_eq!(bed.login("shop", "mailer").await.unwrap(), each["eu-central-1"]);
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

fn condition_message(object: &testbed::Object) -> String {
    let conditions = &object.status.as_ref().unwrap().conditions;
    conditions.iter().find(|condition| condition.type_ == "Ready").unwrap().message.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_a_region_rotates_and_removing_one_does_not() {
    let (bed, launch) = bed().await;
    let operator = launch.start().await.unwrap();
    bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let old = bed.login("shop", "mailer").await.unwrap();
    bed.apply("shop", "mailer", "{region: eu-central-1, additionalRegions: [us-east-1, eu-west-1]}")
        .await
        .unwrap();
    let both = ["eu-central-1: Accepted", "us-east-1: Accepted", "eu-west-1: Accepted"];
    logins(&bed, "mailer", &both).await;
    assert!(bed.accepts(&old).await.unwrap(), "the old key overlaps");
    for (region, credential) in credentials(&bed, "mailer", &REGIONS).await {
        assert!(bed.accepts(&credential).await.unwrap(), "{region}");
        assert_ne!(credential.username, old.username);
    }
    let calls = bed.iam_calls()["CreateAccessKey"];
    assert_eq!(calls, 2);
    let rotated = bed.login("shop", "mailer").await.unwrap();
    // Another order, and one Region fewer: the same key, and its passwords found again.
    bed.apply("shop", "mailer", "{region: us-east-1, additionalRegions: [eu-central-1]}").await.unwrap();
    logins(&bed, "mailer", &["us-east-1: Accepted", "eu-central-1: Accepted"]).await;
    let now = bed.login("shop", "mailer").await.unwrap();
    assert_eq!(now.username, rotated.username);
    assert_ne!(now.password, rotated.password);
    let data = bed.secrets("shop").get("mailer").await.unwrap().data.unwrap();
    assert!(!data.keys().any(|key| key.starts_with("eu-west-1")), "{:?}", data.keys());
    assert_eq!(bed.iam_calls()["CreateAccessKey"], calls);
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_ports_of_a_region_and_the_three_states_of_the_table() {
    let (bed, mut launch) = bed().await;
    let known = std::fs::read_to_string(&launch.environment["SES_SMTP_ENDPOINTS_FILE"]).unwrap();
    let file = bed.folder().join("more-endpoints.yaml");
    let more = "mx-central-1: {host: mail.example.com}\nca-central-1: none\n";
    std::fs::write(&file, format!("{known}{more}")).unwrap();
    let set = |launch: &mut Launch, key: &str, value: &str| {
        launch.environment.insert(key.into(), value.into());
    };
    set(&mut launch, "SES_SMTP_ENDPOINTS_FILE", &file.display().to_string());
    set(&mut launch, "SES_SMTP_VERIFY_LOGIN", "off");
    let operator = launch.start().await.unwrap();
    let vpc = "vpce-0a1b2c3d-e4f5.email-smtp.eu-west-2.vpce.amazonaws.com";
    let served = [
        ("listed", "{region: mx-central-1}".to_owned(), "mail.example.com:587"),
        ("built-in", "{region: eu-west-2}".to_owned(), "email-smtp.eu-west-2.amazonaws.com:587"),
        ("vpc", format!("{{region: eu-west-2, endpoint: {{host: {vpc}}}}}"), &format!("{vpc}:587")),
        (
            "fips",
            "{region: us-west-2, endpoint: {host: email-smtp-fips.us-west-2.amazonaws.com, port: 465}}"
                .to_owned(),
            "email-smtp-fips.us-west-2.amazonaws.com:465",
        ),
        (
            "too-new",
            "{region: ap-east-2, endpoint: {host: email-smtp.ap-east-2.amazonaws.com}}".to_owned(),
            "email-smtp.ap-east-2.amazonaws.com:587",
        ),
    ];
    for (name, spec, at) in served {
        bed.apply("shop", name, &spec).await.unwrap();
        bed.ready("shop", name).await.unwrap();
        let credential = bed.credential("shop", name).await.unwrap();
        assert_eq!(format!("{}:{}", credential.host, credential.port), at, "{name}");
    }
    let calls = bed.iam_calls();
    let refused = [
        ("none", "{region: ca-central-1}", "RegionHasNoSmtpEndpoint"),
        ("unknown", "{region: ap-southeast-7}", "RegionUnknown"),
        ("gov", "{region: us-gov-west-1}", "PartitionMismatch"),
        ("also-gov", "{region: eu-west-2, additionalRegions: [us-gov-east-1]}", "PartitionMismatch"),
        ("china", "{region: cn-north-1}", "PartitionMismatch"),
        ("also-none", "{region: eu-west-2, additionalRegions: [ca-central-1]}", "RegionHasNoSmtpEndpoint"),
        ("port", "{region: eu-west-2, endpoint: {port: 26}}", "NotAllowed"),
    ];
    for (name, spec, reason) in refused {
        bed.apply("shop", name, spec).await.unwrap();
        let object = bed.reads("shop", name, "Stalled", &format!("True {reason}")).await.unwrap();
        assert_eq!(condition(&object, "Ready"), format!("False {reason}"));
        assert!(bed.secrets("shop").get_opt(name).await.unwrap().is_none(), "{name}");
    }
    assert_eq!(bed.iam_calls(), calls, "nothing is done in AWS");
    operator.stop().await.unwrap();
}
