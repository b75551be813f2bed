//! Roles: whom they let in, what a session may do, and how it ends.

use std::time::Duration;

use aws_double::{CALLER_KEY_ID, CALLER_SECRET, Caller, Config, Double, Role};
use aws_sdk_iam::config::{Credentials, Region};
use aws_sdk_sts::config::BehaviorVersion;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use serde_json::json;

use crate::support::{code, fixed, is, start};

const ACCOUNT: &str = "210987654321";
const ROLE: &str = "arn:aws:iam::210987654321:role/mail/tenant";
/// The role that the default caller is a session of.
const OPERATOR: &str = "arn:aws:iam::123456789012:role/ses-smtp-operator";

fn config() -> Config {
    Config { roles: vec![Role::new(ROLE, OPERATOR, &["c1/shop"])], ..fixed() }
}

fn sts(double: &Double, keys: Credentials) -> aws_sdk_sts::Client {
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(double.iam_url())
        .credentials_provider(keys)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

fn iam(double: &Double, keys: Credentials) -> aws_sdk_iam::Client {
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(double.iam_url())
        .credentials_provider(keys)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_iam::Client::from_conf(config)
}

fn own() -> Credentials {
    Credentials::new(CALLER_KEY_ID, CALLER_SECRET, None, None, "test")
}

fn wish(double: &Double, external_id: &str) -> AssumeRoleFluentBuilder {
    let wish = sts(double, own()).assume_role().role_arn(ROLE).role_session_name("ses-smtp-c1");
    wish.external_id(external_id)
}

async fn session(double: &Double) -> aws_sdk_sts::types::Credentials {
    wish(double, "c1/shop").send().await.unwrap().credentials.unwrap()
}

fn keys(of: &aws_sdk_sts::types::Credentials, token: Option<&str>) -> Credentials {
    Credentials::new(of.access_key_id(), of.secret_access_key(), token.map(str::to_owned), None, "test")
}

#[tokio::test]
async fn a_session_works_in_the_role_s_account_and_nowhere_else() {
    let double = start(config()).await;
    let session = session(&double).await;
    assert!(session.access_key_id().starts_with("ASIA"));
    let all = keys(&session, Some(session.session_token()));
    let who = sts(&double, all.clone()).get_caller_identity().send().await.unwrap();
    assert_eq!(who.account(), Some(ACCOUNT));
    assert_eq!(who.arn(), Some("arn:aws:sts::210987654321:assumed-role/tenant/ses-smtp-c1"));
    iam(&double, all).create_user().user_name("there").send().await.unwrap();
    iam(&double, own()).create_user().user_name("here").send().await.unwrap();
    let names =
        |account: &str| double.users_in(account).into_iter().map(|user| user.name).collect::<Vec<_>>();
    assert_eq!((names(ACCOUNT), names(aws_double::ACCOUNT)), (vec!["there".into()], vec!["here".into()]));
}

#[tokio::test]
async fn a_session_is_three_values_and_ends_by_the_clock() {
    let double = start(config()).await;
    let session = session(&double).await;
    let (now, ends) = (double.now().as_second(), session.expiration().secs());
    assert_eq!(ends - now, 3600);
    let unknown = is("InvalidClientTokenId", 403);
    for token in [None, Some("another")] {
        let iam = iam(&double, keys(&session, token));
        assert_eq!(code(iam.list_users().send().await), unknown, "{token:?}");
    }
    let with_token = Credentials::new(CALLER_KEY_ID, CALLER_SECRET, Some("x".to_owned()), None, "test");
    assert_eq!(code(iam(&double, with_token).list_users().send().await), unknown);
    let iam = iam(&double, keys(&session, Some(session.session_token())));
    double.advance(Duration::from_secs(3599));
    iam.list_users().send().await.unwrap();
    double.advance(Duration::from_secs(1));
    assert_eq!(code(iam.list_users().send().await), is("ExpiredToken", 403));
}

#[tokio::test]
async fn a_revoked_session_is_unknown() {
    let double = start(config()).await;
    let session = session(&double).await;
    let iam = iam(&double, keys(&session, Some(session.session_token())));
    iam.list_users().send().await.unwrap();
    double.end_sessions();
    assert_eq!(code(iam.list_users().send().await), is("InvalidClientTokenId", 403));
}

#[tokio::test]
async fn who_isn_t_trusted_is_denied() {
    let double = start(config()).await;
    let denied = is("AccessDenied", 403);
    assert_eq!(code(wish(&double, "c1/other").send().await), denied, "another external id");
    assert_eq!(code(wish(&double, "c1/shop").set_external_id(None).send().await), denied);
    let absent = ROLE.replace("tenant", "absent");
    assert_eq!(code(wish(&double, "c1/shop").role_arn(absent).send().await), denied);
    double.set_role(Role::new(ROLE, "arn:aws:iam::123456789012:role/somebody", &["*"]));
    assert_eq!(code(wish(&double, "c1/shop").send().await), denied, "another principal");
    for principal in [OPERATOR, aws_double::ACCOUNT, "arn:aws:iam::123456789012:root"] {
        double.set_role(Role::new(ROLE, principal, &["c1/*"]));
        wish(&double, "c1/shop").send().await.unwrap();
    }
}

#[tokio::test]
async fn the_caller_s_and_the_role_s_policy_both_count() {
    let grant = |action: &str, resource: &str| {
        json!({"Statement": {"Effect": "Allow", "Action": action, "Resource": resource}}).to_string()
    };
    let caller = Caller::default().with_policy(&grant("sts:AssumeRole", ROLE));
    let role = Role::new(ROLE, OPERATOR, &["*"]).with_policy(&grant("iam:ListUsers", "*"));
    let double = start(Config { callers: vec![caller], roles: vec![role], ..fixed() }).await;
    let session = session(&double).await;
    let iam = iam(&double, keys(&session, Some(session.session_token())));
    iam.list_users().send().await.unwrap();
    assert_eq!(code(iam.create_user().user_name("u").send().await), is("AccessDenied", 403));
    double.set_policy(CALLER_KEY_ID, Some(&grant("sts:AssumeRole", "arn:aws:iam::210987654321:role/other")));
    assert_eq!(code(wish(&double, "c1/shop").send().await), is("AccessDenied", 403));
}

#[tokio::test]
async fn checks_what_sts_checks() {
    let double = start(config()).await;
    let invalid = is("ValidationError", 400);
    assert_eq!(code(wish(&double, "c1 shop").send().await), invalid);
    assert_eq!(code(wish(&double, "c1/shop").role_session_name("x").send().await), invalid);
    assert_eq!(code(wish(&double, "c1/shop").role_session_name("a/b").send().await), invalid);
    for seconds in [899, 3601, 43_201] {
        let sent = wish(&double, "c1/shop").duration_seconds(seconds).send().await;
        assert_eq!(code(sent), invalid, "{seconds}: a session begins none of more than an hour");
    }
    let short = wish(&double, "c1/shop").duration_seconds(900).send().await.unwrap().credentials.unwrap();
    assert_eq!(short.expiration().secs() - double.now().as_second(), 900);
}
