//! The permissions boundary caps whatever policy a user gets: with its own key it can send mail, and nothing else.

use std::path::Path;

use aws_double::{ACCOUNT, Config};
use testbed::{Bed, Options, boundary_arn, mail::Letter};

use crate::BINARY;
use crate::wire::Call;

/// What somebody who got hold of the operator would write.
const HOSTILE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// What the key could be good for without a boundary.
fn calls(user: &str) -> Vec<Call> {
    let of =
        |action: &str, params: &[(&str, &str)]| Call::iam(action, &[&[("UserName", user)], params].concat());
    let admin = ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess");
    let assume = [("RoleArn", "arn:aws:iam::123456789012:role/admin"), ("RoleSessionName", "test")];
    vec![
        Call::iam("CreateUser", &[("UserName", "accomplice")]),
        Call::iam("ListUsers", &[]),
        Call::iam("GetAccountAuthorizationDetails", &[]),
        of("GetUser", &[]),
        of("CreateAccessKey", &[]),
        of("ListAccessKeys", &[]),
        of("PutUserPolicy", &[("PolicyName", "more"), ("PolicyDocument", HOSTILE)]),
        of("AttachUserPolicy", &[admin]),
        of("DeleteUserPermissionsBoundary", &[]),
        of("PutUserPermissionsBoundary", &[("PermissionsBoundary", admin.1)]),
        of("CreateLoginProfile", &[("Password", "not-a-secret-1A")]),
        of("TagUser", &[("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "b")]),
        of("DeleteUser", &[]),
        Call { service: "sts", ..Call::iam("AssumeRole", &assume) },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_policy_can_do_no_more_than_send() {
    let aws = Config { regions: vec!["eu-central-1".into()], time_scale: 600.0, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
    // Nobody repairs the policy while it is tried.
    launch.environment.insert("SES_SMTP_DRIFT_INTERVAL".into(), "0s".into());
    let operator = launch.start().await.unwrap();
    let spec = "{region: eu-central-1, policy: {fromAddresses: ['*@shop.example.com']}}";
    let object = bed.apply("shop", "mailer", spec).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    operator.stop().await.unwrap();

    let user = bed.user_of(&object).unwrap();
    assert_eq!(user.boundary, Some(boundary_arn(ACCOUNT)), "the operator makes none without");
    let id = user.keys[0].id.clone();
    let secret = bed.aws.secret_of(&id).unwrap();
    let letter = Letter { from: "a@example.com", ..Letter::default() };
    let refused = bed.send("shop", "mailer", letter).await.unwrap_err().to_string();
    assert!(refused.contains("554"), "its own policy has other senders: {refused}");
    bed.aws.by_hand().put_policy(&user.name, "hostile", HOSTILE).unwrap();
    bed.send("shop", "mailer", letter).await.unwrap();
    for call in calls(&user.name) {
        let code = call.send(&bed.aws.iam_url(), (&id, &secret)).await;
        assert_eq!(code, "AccessDenied", "{}", call.action);
    }
    let now = bed.aws.user(&user.name).unwrap();
    assert_eq!((now.boundary, now.keys.len(), bed.aws.users().len()), (user.boundary, 1, 1));
    // Whose key it is, it may always ask.
    let whoami = Call { service: "sts", ..Call::iam("GetCallerIdentity", &[]) };
    assert_eq!(whoami.send(&bed.aws.iam_url(), (&id, &secret)).await, "ok");

    // It is the boundary that holds: without it the same policy gives everything away.
    bed.aws.by_hand().set_boundary(&user.name, None).unwrap();
    for call in calls(&user.name).into_iter().take(3) {
        assert_eq!(call.send(&bed.aws.iam_url(), (&id, &secret)).await, "ok", "{}", call.action);
    }
}
