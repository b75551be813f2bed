//! A user's life through the real SDK.

use aws_double::{CALLER_KEY_ID, CALLER_SECRET, Config};
use aws_sdk_iam::types::{StatusType, Tag};

use crate::support::{BOUNDARY, FROM_EXAMPLE, client, client_as, code, is, start};

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

#[tokio::test]
async fn a_user_lives_and_dies() {
    let double = start(Config::default()).await;
    let iam = client(&double);
    let create = iam.create_user().user_name("u").path("/ses-smtp/c/").permissions_boundary(BOUNDARY);
    let made = create.tags(tag("managed-by", "ses-smtp-operator")).tags(tag("uid", "a & <b>")).send();
    assert_eq!(code(made.await), is("ValidationError", 400), "the tag holds characters that IAM refuses");
    let create = iam.create_user().user_name("u").path("/ses-smtp/c/").permissions_boundary(BOUNDARY);
    let made = create.tags(tag("managed-by", "ses-smtp-operator")).tags(tag("uid", "")).send().await.unwrap();
    let made = made.user.unwrap();
    assert!(made.user_id.starts_with("AIDA") && made.user_id.len() == 21, "{}", made.user_id);
    assert_eq!(made.arn, "arn:aws:iam::123456789012:user/ses-smtp/c/u");

    let got = iam.get_user().user_name("U").send().await.unwrap().user.unwrap();
    assert_eq!(got.tags().len(), 2);
    assert_eq!(got.permissions_boundary.unwrap().permissions_boundary_arn.unwrap(), BOUNDARY);

    iam.put_user_policy()
        .user_name("u")
        .policy_name("send")
        .policy_document(FROM_EXAMPLE)
        .send()
        .await
        .unwrap();
    let policy = iam.get_user_policy().user_name("u").policy_name("send").send().await.unwrap();
    assert!(policy.policy_document.starts_with("%7B%22Version%22"), "{}", policy.policy_document);

    let key = iam.create_access_key().user_name("u").send().await.unwrap().access_key.unwrap();
    assert!(key.access_key_id.starts_with("AKIA") && key.access_key_id.len() == 20);
    assert_eq!(key.secret_access_key.len(), 40);
    let second = iam.create_access_key().user_name("u").send().await.unwrap().access_key.unwrap();
    let update = iam.update_access_key().user_name("u").access_key_id(&second.access_key_id);
    update.status(StatusType::Inactive).send().await.unwrap();
    let third = iam.create_access_key().user_name("u").send().await.unwrap_err();
    assert!(format!("{third:?}").contains("Cannot exceed quota for AccessKeysPerUser: 2"), "{third:?}");
    assert_eq!(code::<(), _>(Err(third)), is("LimitExceeded", 409));

    let listed = iam.list_access_keys().user_name("u").send().await.unwrap().access_key_metadata;
    let statuses: Vec<_> = listed.iter().map(|k| k.status.clone().unwrap()).collect();
    assert_eq!(statuses, [StatusType::Active, StatusType::Inactive]);
    let used = iam.get_access_key_last_used().access_key_id(&key.access_key_id).send().await.unwrap();
    let used = used.access_key_last_used.unwrap();
    assert_eq!((used.service_name.as_str(), used.last_used_date), ("N/A", None));

    assert_eq!(code(iam.delete_user().user_name("u").send().await), is("DeleteConflict", 409));
    for id in [&key.access_key_id, &second.access_key_id] {
        iam.delete_access_key().user_name("u").access_key_id(id).send().await.unwrap();
    }
    assert_eq!(code(iam.delete_user().user_name("u").send().await), is("DeleteConflict", 409));
    iam.delete_user_policy().user_name("u").policy_name("send").send().await.unwrap();
    iam.delete_user().user_name("u").send().await.unwrap();
    assert_eq!(code(iam.get_user().user_name("u").send().await), is("NoSuchEntity", 404));

    let again = iam.create_user().user_name("u").send().await.unwrap().user.unwrap();
    assert_ne!(again.user_id, made.user_id);
    assert_eq!(double.counts()["CreateUser"], 3);
    let lines = format!("{:?}", double.journal());
    assert!(!lines.contains(&key.secret_access_key) && !lines.contains(CALLER_SECRET));
}

#[tokio::test]
async fn signatures_are_checked() {
    let double = start(Config::default()).await;
    let wrong = client_as(&double, CALLER_KEY_ID, "wrong");
    assert_eq!(code(wrong.list_users().send().await), is("SignatureDoesNotMatch", 403));
    let unknown = client_as(&double, "AKIAUNKNOWNUNKNOWN00", CALLER_SECRET);
    assert_eq!(code(unknown.list_users().send().await), is("InvalidClientTokenId", 403));

    let (id, password) = crate::support::mailer(&double, "u", "eu-west-1", FROM_EXAMPLE);
    let with_password = client_as(&double, &id, &password);
    assert_eq!(code(with_password.list_users().send().await), is("SignatureDoesNotMatch", 403));
    let with_secret = client_as(&double, &id, &double.secret_of(&id).unwrap());
    assert_eq!(code(with_secret.list_users().send().await), is("AccessDenied", 403));
}

#[tokio::test]
async fn users_come_in_pages() {
    let mut config = Config::default();
    config.settings.page_cap = Some(3);
    let double = start(config).await;
    for n in 0..8 {
        let path = if n == 7 { "/other/" } else { "/ours/" };
        double.call("CreateUser", &[("UserName", &format!("U{n}")), ("Path", path)]).unwrap();
    }
    let pages = client(&double).list_users().path_prefix("/ours/").max_items(5).into_paginator().send();
    let mut pages = pages;
    let mut names = Vec::new();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.users.len());
        names.extend(page.users.into_iter().map(|user| user.user_name));
    }
    assert_eq!(names, ["U0", "U1", "U2", "U3", "U4", "U5", "U6"]);
    assert_eq!(sizes, [3, 3, 1]);
}

#[tokio::test]
async fn sts_tells_the_caller() {
    let double = start(Config::default()).await;
    let credentials = aws_sdk_sts::config::Credentials::new(CALLER_KEY_ID, CALLER_SECRET, None, None, "test");
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
        .region(aws_sdk_sts::config::Region::new("eu-west-1"))
        .endpoint_url(double.iam_url())
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let who = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await.unwrap();
    assert_eq!(who.account(), Some("123456789012"));
    assert!(who.arn().unwrap().contains("assumed-role/ses-smtp-operator"));
}

/// Run by `endpoint_from_the_environment` in a process of its own: the environment is the process's.
#[tokio::test]
#[ignore = "needs AWS_ENDPOINT_URL_IAM, which endpoint_from_the_environment sets"]
async fn environment_child() {
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .load()
        .await;
    aws_sdk_iam::Client::new(&config).create_user().user_name("from-env").send().await.unwrap();
}

#[tokio::test]
async fn endpoint_from_the_environment() {
    let double = start(Config::default()).await;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "lifecycle::environment_child", "--ignored"]);
    child.env("AWS_ENDPOINT_URL_IAM", double.iam_url()).env("AWS_REGION", "us-east-1");
    child.env("AWS_ACCESS_KEY_ID", CALLER_KEY_ID).env("AWS_SECRET_ACCESS_KEY", CALLER_SECRET);
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(double.user("from-env").is_some());
}
