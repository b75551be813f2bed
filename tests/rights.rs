//! What the operator may do, and what it gives: the permissions boundary, rights that are missing
//! and come back, and a CRD that comes late.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::Duration;

use aws_double::account::Settings;
use aws_double::{ACCOUNT, CALLER_KEY_ID, Config, Fault, FaultKind};
use testbed::{
    BOUNDARY, Bed, Error, Launch, SOON, boundary_arn, condition, eventually, mail, operator_policy,
};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
/// Allows less than the user's own policy, to show that it counts.
const NARROW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ses:SendRawEmail","Resource":"*","Condition":{"StringLike":{"ses:FromAddress":"*@shop.example.com"}}}]}"#;

fn config() -> Config {
    Config { regions: vec!["eu-central-1".into()], time_scale: 600.0, ..Config::default() }
}

async fn bed(aws: Config) -> (Bed, Launch) {
    Bed::with_shop(aws, Path::new(BINARY)).await.unwrap()
}

async fn send(bed: &Bed, name: &str, from: &'static str) -> Result<Vec<String>, Error> {
    let (credential, ca) = (bed.credential("shop", name).await?, bed.aws.ca_pem().to_owned());
    let session = move || mail::login(&credential, &ca)?.send(from, "customer@example.com");
    tokio::task::spawn_blocking(session).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_user_is_made_with_the_boundary() {
    let (bed, mut launch) = bed(config().policy(&boundary_arn(ACCOUNT), NARROW)).await;
    let operator = launch.start().await.unwrap();
    let object = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    assert_eq!(bed.user_of(&object).unwrap().boundary, Some(boundary_arn(ACCOUNT)));
    send(&bed, "mailer", "a@shop.example.com").await.unwrap();
    let refused = send(&bed, "mailer", "a@other.example.com").await.unwrap_err();
    assert!(refused.to_string().contains("554"), "{refused}");

    // Another name in the settings: the boundary of users that exist is changed too.
    operator.stop().await.unwrap();
    launch.environment.insert("SES_SMTP_PERMISSIONS_BOUNDARY_NAME".into(), "missing".into());
    let renamed = operator_policy(ACCOUNT, &bed.cluster).unwrap().replace(BOUNDARY, "missing");
    bed.aws.set_policy(CALLER_KEY_ID, Some(&renamed));
    let operator = launch.start().await.unwrap();
    let stalled = bed.reads("shop", "mailer", "Stalled", "True BoundaryMissing").await.unwrap();
    assert_eq!(condition(&stalled, "Ready"), "True Provisioned");
    let columns = bed.columns("shop", "mailer").await.unwrap();
    assert_eq!((columns["Ready"].as_str(), columns["Stalled"].as_str()), ("True", "BoundaryMissing"));
    assert_eq!(bed.user_of(&object).unwrap().boundary, Some(boundary_arn(ACCOUNT)));
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_and_heals_when_granted() {
    let (bed, launch) = bed(config()).await;
    let operator = launch.start().await.unwrap();
    for action in ["CreateUser", "PutUserPolicy", "CreateAccessKey"] {
        let name = action.to_ascii_lowercase();
        bed.aws.inject(Fault::on(action, FaultKind::Deny).user(&format!("ses-smtp-shop-{name}-*")).times(3));
        bed.apply("shop", &name, "{region: eu-central-1}").await.unwrap();
        let events = eventually("the condition to name the right", SOON, async || {
            let object = bed.objects("shop").get(&name).await?;
            let conditions = object.status.unwrap_or_default().conditions;
            let named = conditions
                .iter()
                .any(|one| one.reason == "AccessDenied" && one.message.contains(&format!("iam:{action}")));
            if named || bed.aws.pending_faults().is_empty() { Ok(Some(named)) } else { Ok(None) }
        });
        assert!(events.await.unwrap(), "{action} was not named");
        let healed = bed.ready("shop", &name).await.unwrap();
        assert_eq!(condition(&healed, "Stalled"), "");
        bed.login("shop", &name).await.unwrap();
    }
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_isn_t_ours_on_a_user_stays_and_is_named() {
    let (bed, launch) = bed(config()).await;
    let operator = launch.start().await.unwrap();
    let object = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let user = bed.user_of(&object).unwrap().name;
    bed.aws.call("CreateLoginProfile", &[("UserName", &user), ("Password", "not-a-secret-1A")]).unwrap();
    bed.delete("shop", "mailer").await.unwrap();
    let stalled = bed.reads("shop", "mailer", "Stalled", "True ForeignAttachment").await.unwrap();
    let message = &stalled.status.unwrap().conditions[1].message;
    assert!(message.contains("console password") && message.contains(&user), "{message}");
    assert!(bed.aws.user(&user).unwrap().login_profile);
    bed.aws.call("DeleteLoginProfile", &[("UserName", &user)]).unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    assert!(bed.aws.users().is_empty());
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_somebody_else_is_left_alone() {
    let (bed, launch) = bed(config()).await;
    let operator = launch.start().await.unwrap();
    let object = bed.apply("shop", "mailer", "{region: eu-central-1, suspend: true}").await.unwrap();
    bed.reads("shop", "mailer", "Suspended", "True Suspended").await.unwrap();
    assert!(bed.aws.users().is_empty());
    let uid = object.metadata.uid.unwrap();
    let digits: String = uid.chars().filter(char::is_ascii_hexdigit).take(10).collect();
    let name = format!("ses-smtp-shop-mailer-{digits}");
    bed.aws.call("CreateUser", &[("UserName", &name), ("Path", "/people/")]).unwrap();
    let before = bed.aws.user(&name).unwrap();
    bed.patch("shop", "mailer", serde_json::json!({ "suspend": false })).await.unwrap();
    bed.reads("shop", "mailer", "Stalled", "True UserNotOwned").await.unwrap();
    assert_eq!(bed.aws.user(&name).unwrap(), before);
    // Its deletion ends: nothing of ours is there.
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    assert_eq!(bed.aws.user(&name).unwrap(), before);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_withdrawn_in_mid_rotation_is_named_and_mail_goes_on() {
    for (action, said) in
        [("iam:CreateAccessKey", "iam:CreateAccessKey"), ("iam:ListAccessKeys", "iam:ListAccessKeys")]
    {
        let (bed, launch) = bed(config()).await;
        let operator = launch.start().await.unwrap();
        let object = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
        bed.ready("shop", "mailer").await.unwrap();
        let before = bed.login("shop", "mailer").await.unwrap();
        bed.aws.set_policy(CALLER_KEY_ID, Some(&without(&bed, action)));
        bed.apply("shop", "mailer", "{region: eu-central-1, rotation: {trigger: now}}").await.unwrap();
        let stalled = bed.reads("shop", "mailer", "Stalled", "True AccessDenied").await.unwrap();
        let conditions = stalled.status.as_ref().unwrap().conditions.iter();
        let message =
            conditions.filter(|it| it.type_ == "Stalled").map(|it| it.message.clone()).next_back().unwrap();
        assert!(message.contains(said), "{message}");
        assert_eq!(condition(&stalled, "Ready"), "True Provisioned");
        assert_eq!(bed.login("shop", "mailer").await.unwrap(), before, "the old key works");
        bed.aws.set_policy(CALLER_KEY_ID, Some(&operator_policy(ACCOUNT, &bed.cluster).unwrap()));
        eventually("the rotation to end", SOON, async || {
            Ok((bed.login("shop", "mailer").await?.username != before.username).then_some(()))
        })
        .await
        .unwrap();
        eventually("nothing to be left to say", SOON, async || {
            let object = bed.objects("shop").get("mailer").await?;
            Ok(condition(&object, "Stalled").is_empty().then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(bed.aws.counts()["CreateAccessKey"] - denied(&bed), 2);
        assert!(bed.user_of(&object).unwrap().keys.len() <= 2);
        operator.stop().await.unwrap();
    }
}

/// The shipped policy with a denial of one action.
fn without(bed: &Bed, action: &str) -> String {
    let mut policy: serde_json::Value =
        serde_json::from_str(&operator_policy(ACCOUNT, &bed.cluster).unwrap()).unwrap();
    let denial = serde_json::json!({ "Effect": "Deny", "Action": action, "Resource": "*" });
    policy["Statement"].as_array_mut().unwrap().push(denial);
    policy.to_string()
}

/// Mints that were denied.
fn denied(bed: &Bed) -> u64 {
    let journal = bed.aws.journal();
    let mints = journal.iter().filter(|record| record.action == "CreateAccessKey" && record.outcome != "ok");
    u64::try_from(mints.count()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_too_many_are_named_and_nothing_is_made_or_deleted() {
    // IAM's own check of the limit overlooks keys that are new.
    let quota_lag = Duration::from_hours(1);
    let settings = Settings { quota_lag, ..Settings::default() };
    let (bed, launch) = bed(Config { settings, ..config() }).await;
    let operator = launch.start().await.unwrap();
    let object = bed.apply("shop", "full", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "full").await.unwrap();
    let before = bed.login("shop", "full").await.unwrap();
    let user = bed.user_of(&object).unwrap().name;
    // More than IAM allows: racing calls have been seen to leave so many.
    for _ in 0..2 {
        bed.aws.by_hand().make_key(&user).unwrap();
    }
    let keys: Vec<String> = bed.user_of(&object).unwrap().keys.into_iter().map(|key| key.id).collect();
    assert_eq!(keys.len(), 3);
    let minted = bed.aws.counts()["CreateAccessKey"];
    bed.patch("shop", "full", serde_json::json!({ "rotation": { "trigger": "now" } })).await.unwrap();
    // Keys that no Secret names have to be two minutes old before they count.
    bed.reads("shop", "full", "Reconciling", "True Provisioning").await.unwrap();
    bed.aws.advance(Duration::from_mins(2));
    bed.patch("shop", "full", serde_json::json!({ "secret": { "labels": { "team": "a" } } })).await.unwrap();
    let full = bed.reads("shop", "full", "Stalled", "True KeyQuotaExceeded").await.unwrap();
    let conditions = full.status.unwrap().conditions;
    for key in &keys {
        assert!(conditions[1].message.contains(key), "{}", conditions[1].message);
    }
    assert_eq!(bed.login("shop", "full").await.unwrap(), before);
    assert_eq!(bed.aws.counts()["CreateAccessKey"], minted);
    assert_eq!(bed.user_of(&object).unwrap().keys.len(), 3, "nothing is deleted either");
    operator.stop().await.unwrap();
}
