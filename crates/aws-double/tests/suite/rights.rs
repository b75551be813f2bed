//! The caller's policy: actions, paths, tags, boundary and policy ARN are all held against it.

use aws_double::{ACCOUNT, CALLER_KEY_ID, Caller, Config, Double};
use aws_sdk_iam::Client;
use aws_sdk_iam::types::{EntityType, StatusType, Tag};
use serde_json::{Value, json};

use crate::support::{BOUNDARY, SEND_ONLY, client, code, fixed, is, start};

const PATH: &str = "/ses-smtp/c/";
const QUARANTINE: &str = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3";

/// The operator's policy with every statement it needs.
fn policy() -> Value {
    let users = format!("arn:aws:iam::{ACCOUNT}:user{PATH}*");
    let bounded = json!({"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}});
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["iam:CreateUser"], "Resource": users, "Condition": {"StringEquals": {
            "iam:PermissionsBoundary": BOUNDARY, "aws:RequestTag/ses-smtp.dev/managed-by": "ses-smtp-operator"}}},
        {"Effect": "Allow", "Action": ["iam:TagUser", "iam:UntagUser"], "Resource": users},
        {"Effect": "Allow", "Action": ["iam:PutUserPolicy", "iam:DeleteUserPolicy", "iam:PutUserPermissionsBoundary"],
            "Resource": users, "Condition": bounded},
        {"Effect": "Allow", "Resource": users, "Action": ["iam:GetUser", "iam:DeleteUser", "iam:CreateAccessKey",
            "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed",
            "iam:GetUserPolicy", "iam:ListUserPolicies", "iam:ListAttachedUserPolicies", "iam:ListGroupsForUser"]},
        {"Effect": "Allow", "Action": ["iam:DetachUserPolicy"], "Resource": users, "Condition": {"ArnLike": {
            "iam:PolicyARN": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine*"}}},
        {"Effect": "Allow", "Resource": "*", "Action": ["iam:ListUsers", "iam:GetAccountAuthorizationDetails",
            "iam:GenerateCredentialReport", "iam:GetCredentialReport"]}]})
}

/// All actions of the policy.
fn actions() -> Vec<String> {
    let policy = policy();
    let lists = policy["Statement"].as_array().unwrap().iter();
    lists.flat_map(|one| one["Action"].as_array().unwrap()).map(|a| a.as_str().unwrap().to_owned()).collect()
}

/// The policy without one action.
fn without(action: &str) -> String {
    let mut policy = policy();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Action"].as_array_mut().unwrap().retain(|one| one != action);
    }
    policy.to_string()
}

async fn limited(policy: &str) -> Double {
    start(Config { callers: vec![Caller::default().with_policy(policy)], ..fixed() }).await
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

async fn create(iam: &Client, path: &str, boundary: Option<&str>, owner: &str) -> Option<(String, u16)> {
    let call =
        iam.create_user().user_name("u").path(path).set_permissions_boundary(boundary.map(str::to_owned));
    let result = call.tags(tag("ses-smtp.dev/managed-by", owner)).send().await;
    if result.is_ok() { None } else { code(result) }
}

macro_rules! step {
    ($denied:ident, $call:expr) => {
        if let Err(error) = $call.send().await {
            let text = format!("{error:?}");
            let right = text.split_once("perform: ").unwrap_or_else(|| panic!("{text}")).1;
            $denied.push(right.split_once(' ').unwrap().0.to_owned());
        }
    };
}

/// Everything the operator does with a user; the rights that were denied.
async fn life(double: &Double) -> Vec<String> {
    let (iam, mut denied) = (client(double), Vec::new());
    let made = iam.create_user().user_name("u").path(PATH).permissions_boundary(BOUNDARY);
    step!(denied, made.tags(tag("ses-smtp.dev/managed-by", "ses-smtp-operator")));
    if double.user("u").is_none() {
        double
            .call("CreateUser", &[("UserName", "u"), ("Path", PATH), ("PermissionsBoundary", BOUNDARY)])
            .unwrap();
    }
    step!(denied, iam.tag_user().user_name("u").tags(tag("a", "1")));
    step!(denied, iam.untag_user().user_name("u").tag_keys("a"));
    step!(denied, iam.put_user_permissions_boundary().user_name("u").permissions_boundary(BOUNDARY));
    step!(denied, iam.put_user_policy().user_name("u").policy_name("send").policy_document(SEND_ONLY));
    if double.user("u").unwrap().policies.is_empty() {
        double.by_hand().put_policy("u", "send", SEND_ONLY).unwrap();
    }
    step!(denied, iam.get_user().user_name("u"));
    step!(denied, iam.get_user_policy().user_name("u").policy_name("send"));
    step!(denied, iam.list_user_policies().user_name("u"));
    step!(denied, iam.list_attached_user_policies().user_name("u"));
    step!(denied, iam.list_groups_for_user().user_name("u"));
    step!(denied, iam.create_access_key().user_name("u"));
    let id = match double.user("u").unwrap().keys.first() {
        Some(key) => key.id.clone(),
        None => double.by_hand().make_key("u").unwrap().id,
    };
    step!(denied, iam.list_access_keys().user_name("u"));
    step!(denied, iam.get_access_key_last_used().access_key_id(&id));
    step!(denied, iam.update_access_key().user_name("u").access_key_id(&id).status(StatusType::Inactive));
    step!(denied, iam.list_users());
    step!(denied, iam.get_account_authorization_details().filter(EntityType::User));
    step!(denied, iam.generate_credential_report());
    double.edit(aws_double::account::Account::generate_report);
    step!(denied, iam.get_credential_report());
    double.by_hand().quarantine("u").unwrap();
    step!(denied, iam.detach_user_policy().user_name("u").policy_arn(QUARANTINE));
    step!(denied, iam.delete_user_policy().user_name("u").policy_name("send"));
    step!(denied, iam.delete_access_key().user_name("u").access_key_id(&id));
    double.by_hand().recreate_user("u").unwrap();
    step!(denied, iam.delete_user().user_name("u"));
    denied
}

#[tokio::test]
async fn each_right_is_needed() {
    let double = limited(&policy().to_string()).await;
    assert!(life(&double).await.is_empty());
    for action in actions() {
        double.set_policy(CALLER_KEY_ID, Some(&without(&action)));
        let denied = life(&double).await;
        // Tags at creation need TagUser too.
        let times = if action == "iam:TagUser" { 2 } else { 1 };
        assert_eq!(denied, vec![action; times]);
        if double.user("u").is_some() {
            double.by_hand().purge_user("u").unwrap();
        }
    }
}

#[tokio::test]
async fn the_users_own_tags_can_narrow() {
    let tagged = json!({"Statement": [
        {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "iam:DeleteUser", "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:ResourceTag/owner": "us"}}},
        {"Effect": "Deny", "Action": "iam:TagUser", "Resource": "*",
            "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": ["owner"]}}}]});
    let double = limited(&tagged.to_string()).await;
    double.call("CreateUser", &[("UserName", "u")]).unwrap();
    let iam = client(&double);
    let denied = is("AccessDenied", 403);
    assert_eq!(code(iam.delete_user().user_name("u").send().await), denied);
    assert_eq!(code(iam.tag_user().user_name("u").tags(tag("owner", "us")).send().await), denied);
    iam.tag_user().user_name("u").tags(tag("other", "us")).send().await.unwrap();
    double.by_hand().set_tags("u", &[("owner", "us")]).unwrap();
    iam.delete_user().user_name("u").send().await.unwrap();
}

#[tokio::test]
async fn path_boundary_and_tags_narrow_a_creation() {
    let double = limited(&policy().to_string()).await;
    let iam = client(&double);
    let denied = is("AccessDenied", 403);
    let ours = "ses-smtp-operator";
    assert_eq!(create(&iam, "/ses-smtp/other/", Some(BOUNDARY), ours).await, denied);
    assert_eq!(create(&iam, PATH, None, ours).await, denied);
    assert_eq!(create(&iam, PATH, Some("arn:aws:iam::123456789012:policy/wide"), ours).await, denied);
    assert_eq!(create(&iam, PATH, Some(BOUNDARY), "somebody").await, denied);
    let untagged = iam.create_user().user_name("u").path(PATH).permissions_boundary(BOUNDARY).send().await;
    assert_eq!(code(untagged), denied);
    assert!(double.users().is_empty());
    assert_eq!(create(&iam, PATH, Some(BOUNDARY), ours).await, None);
    // Another user's name under our path: the name is taken, which the caller may learn.
    double.by_hand().set_path("u", "/people/").unwrap();
    assert_eq!(create(&iam, PATH, Some(BOUNDARY), ours).await, is("EntityAlreadyExists", 409));
    let moved = iam.get_user().user_name("u").send().await.unwrap_err();
    let text = format!("{moved:?}");
    assert!(text.contains("iam:GetUser on resource: arn:aws:iam::123456789012:user/people/u "), "{text}");
}

#[tokio::test]
async fn a_stripped_boundary_stops_policies_until_restored() {
    let double = limited(&policy().to_string()).await;
    let iam = client(&double);
    assert_eq!(create(&iam, PATH, Some(BOUNDARY), "ses-smtp-operator").await, None);
    double.by_hand().set_boundary("u", None).unwrap();
    let put = || iam.put_user_policy().user_name("u").policy_name("send").policy_document(SEND_ONLY).send();
    assert_eq!(code(put().await), is("AccessDenied", 403));
    let restore = iam.put_user_permissions_boundary().user_name("u").permissions_boundary(BOUNDARY);
    restore.send().await.unwrap();
    put().await.unwrap();
}

#[tokio::test]
async fn only_a_quarantine_may_be_detached_and_only_by_our_path() {
    let double = limited(&policy().to_string()).await;
    let iam = client(&double);
    double.call("CreateUser", &[("UserName", "u"), ("Path", PATH)]).unwrap();
    double.call("CreateUser", &[("UserName", "other"), ("Path", "/people/")]).unwrap();
    let other_policy = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    double.by_hand().attach_policy("u", other_policy).unwrap();
    for user in ["u", "other"] {
        double.by_hand().quarantine(user).unwrap();
    }
    let detach = |user: &str, arn: &str| iam.detach_user_policy().user_name(user).policy_arn(arn).send();
    assert_eq!(code(detach("u", other_policy).await), is("AccessDenied", 403));
    assert_eq!(code(detach("other", QUARANTINE).await), is("AccessDenied", 403));
    detach("u", QUARANTINE).await.unwrap();
    assert_eq!(double.user("u").unwrap().attached, [other_policy]);
}

#[tokio::test]
async fn account_wide_reads_need_every_resource() {
    let scoped = policy().to_string().replace("\"*\"", &format!("\"arn:aws:iam::{ACCOUNT}:user/*\""));
    let double = limited(&scoped).await;
    let iam = client(&double);
    let denied = is("AccessDenied", 403);
    assert_eq!(code(iam.list_users().send().await), denied);
    assert_eq!(code(iam.get_account_authorization_details().send().await), denied);
    assert_eq!(code(iam.generate_credential_report().send().await), denied);
    assert_eq!(code(iam.get_credential_report().send().await), denied);
    double.set_policy(CALLER_KEY_ID, Some(&policy().to_string()));
    iam.list_users().send().await.unwrap();
    double.set_policy(CALLER_KEY_ID, None);
    iam.get_account_summary().send().await.unwrap();
}
