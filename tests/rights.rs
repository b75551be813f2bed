//! What the operator may do, and what it gives: the permissions boundary, rights that are missing
//! and come back, and a CRD that comes late.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use aws_double::{ACCOUNT, Config, Fault, FaultKind};
use testbed::{Bed, Error, Launch, Options, SOON, condition, eventually, mail};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const BOUNDARY: &str = "ses-smtp-boundary";
/// Allows less than the user's own policy, to show that it counts.
const NARROW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ses:SendRawEmail","Resource":"*","Condition":{"StringLike":{"ses:FromAddress":"*@shop.example.com"}}}]}"#;

fn config() -> Config {
    Config { regions: vec!["eu-central-1".into()], time_scale: 600.0, ..Config::default() }
}

async fn bed(aws: Config) -> (Bed, Launch) {
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let launch = bed.launch(Path::new(BINARY)).await.unwrap();
    (bed, launch)
}

async fn send(bed: &Bed, name: &str, from: &'static str) -> Result<Vec<String>, Error> {
    let (credential, ca) = (bed.credential("shop", name).await?, bed.aws.ca_pem().to_owned());
    let session = move || mail::login(&credential, &ca)?.send(from, "customer@example.com");
    tokio::task::spawn_blocking(session).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_user_is_made_with_the_boundary() {
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/{BOUNDARY}");
    let (bed, mut launch) = bed(config().policy(&arn, NARROW)).await;
    launch.environment.insert("SES_SMTP_PERMISSIONS_BOUNDARY_NAME".into(), BOUNDARY.into());
    let operator = launch.start().await.unwrap();
    let object = bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    assert_eq!(bed.user_of(&object).unwrap().boundary, Some(arn.clone()));
    send(&bed, "mailer", "a@shop.example.com").await.unwrap();
    let refused = send(&bed, "mailer", "a@other.example.com").await.unwrap_err();
    assert!(refused.to_string().contains("554"), "{refused}");

    // Another name in the settings: the boundary of users that exist is changed too.
    operator.stop().await.unwrap();
    launch.environment.insert("SES_SMTP_PERMISSIONS_BOUNDARY_NAME".into(), "missing".into());
    let operator = launch.start().await.unwrap();
    let stalled = bed.reads("shop", "mailer", "Stalled", "True BoundaryMissing").await.unwrap();
    assert_eq!(condition(&stalled, "Ready"), "True Provisioned");
    assert_eq!(bed.user_of(&object).unwrap().boundary, Some(arn));
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
