//! Readings of the whole account: authorization details and the credential report.

use std::time::{Duration, Instant};

use aws_double::account::KeyState;
use aws_double::{Config, Double};
use aws_sdk_iam::types::{EntityType, ReportStateType};

use crate::support::{BOUNDARY, FROM_EXAMPLE, SEND_ONLY, client, code, fixed, is, start};

#[tokio::test]
async fn details_tell_all_but_keys() {
    let double = start(fixed()).await;
    let made = [("UserName", "U"), ("Path", "/ses-smtp/c/"), ("PermissionsBoundary", BOUNDARY)];
    double.call("CreateUser", &made).unwrap();
    let hand = double.by_hand();
    hand.set_tags("u", &[("managed-by", "ses-smtp-operator"), ("uid", "1")]).unwrap();
    hand.put_policy("u", "send", FROM_EXAMPLE).unwrap();
    hand.put_policy("u", "too", SEND_ONLY).unwrap();
    hand.quarantine("u").unwrap();
    double.call("CreateGroup", &[("GroupName", "staff")]).unwrap();
    double.call("AddUserToGroup", &[("UserName", "u"), ("GroupName", "staff")]).unwrap();
    double.call("CreateUser", &[("UserName", "v")]).unwrap();

    let all = client(&double).get_account_authorization_details().filter(EntityType::User).send().await;
    let all = all.unwrap();
    assert!(!all.is_truncated && all.marker.is_none());
    let [u, v] = all.user_detail_list() else { panic!("{all:?}") };
    assert_eq!(
        (u.user_name(), u.path(), u.arn()),
        (Some("U"), Some("/ses-smtp/c/"), Some("arn:aws:iam::123456789012:user/ses-smtp/c/U"))
    );
    assert_eq!(u.user_id(), Some(double.user("u").unwrap().id.as_str()));
    assert_eq!(u.create_date().unwrap().secs(), double.now().as_second());
    let tags: Vec<_> = u.tags().iter().map(|tag| (tag.key(), tag.value())).collect();
    assert_eq!(tags, [("managed-by", "ses-smtp-operator"), ("uid", "1")]);
    assert_eq!(u.permissions_boundary().unwrap().permissions_boundary_arn(), Some(BOUNDARY));
    let policies: Vec<_> = u.user_policy_list().iter().map(|p| p.policy_name().unwrap()).collect();
    assert_eq!(policies, ["send", "too"]);
    let document = u.user_policy_list()[1].policy_document().unwrap();
    assert!(document.starts_with("%7B%22Version%22%3A%222012-10-17%22%2C"), "{document}");
    assert_eq!(u.group_list(), ["staff"]);
    let attached = &u.attached_managed_policies()[0];
    assert_eq!(attached.policy_name(), Some("AWSCompromisedKeyQuarantineV3"));
    assert_eq!(attached.policy_arn(), Some("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"));
    assert_eq!((v.user_name(), v.tags().len(), v.permissions_boundary()), (Some("v"), 0, None));
    assert!(v.user_policy_list().is_empty() && v.group_list().is_empty());
}

#[tokio::test]
async fn details_come_in_pages_and_by_kind() {
    let mut config = fixed();
    config.settings.page_cap = Some(3);
    let double = start(config).await;
    for n in 0..7 {
        double.call("CreateUser", &[("UserName", &format!("U{n}"))]).unwrap();
    }
    let iam = client(&double);
    let ask = || iam.get_account_authorization_details();
    let mut pages = ask().filter(EntityType::User).max_items(5).into_paginator().send();
    let (mut names, mut sizes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let users = page.unwrap().user_detail_list.unwrap_or_default();
        sizes.push(users.len());
        names.extend(users.into_iter().filter_map(|user| user.user_name));
    }
    assert_eq!((sizes, names.join(" ")), (vec![3, 3, 1], "U0 U1 U2 U3 U4 U5 U6".to_owned()));
    let roles = ask().filter(EntityType::Role).send().await.unwrap();
    assert!(roles.user_detail_list().is_empty() && !roles.is_truncated);
    assert_eq!(code(ask().filter("Users".into()).send().await), is("ValidationError", 400));
    assert_eq!(code(ask().max_items(1001).send().await), is("ValidationError", 400));
}

#[tokio::test]
async fn details_of_5000_users_are_5_pages() {
    let double = start(fixed()).await;
    for n in 0..5000 {
        let name = format!("user-{n}");
        double.call("CreateUser", &[("UserName", &name), ("PermissionsBoundary", BOUNDARY)]).unwrap();
        double.by_hand().put_policy(&name, "send", FROM_EXAMPLE).unwrap();
    }
    let iam = client(&double);
    let begun = Instant::now();
    let mut pages = iam.get_account_authorization_details().max_items(1000).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().user_detail_list().len());
    }
    assert_eq!(sizes, [1000; 5]);
    // Two orders of magnitude above what it takes: catches a page that costs the whole account.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

/// The report's rows, split at the commas, without the heading.
async fn rows(double: &Double) -> Vec<Vec<String>> {
    let report = client(double).get_credential_report().send().await.unwrap();
    assert_eq!(report.report_format.unwrap().as_str(), "text/csv");
    let text = String::from_utf8(report.content.unwrap().into_inner()).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

async fn generate(double: &Double) -> ReportStateType {
    client(double).generate_credential_report().send().await.unwrap().state.unwrap()
}

#[tokio::test]
async fn a_report_is_remade_every_4_hours() {
    let mut config = Config { time_scale: 10.0, ..fixed() };
    config.settings.report_delay = Duration::from_secs(100);
    let double = start(config).await;
    let get = async || code(client(&double).get_credential_report().send().await);
    assert_eq!(get().await, is("ReportNotPresent", 410));
    assert_eq!(generate(&double).await, ReportStateType::Started);
    assert_eq!(generate(&double).await, ReportStateType::Inprogress);
    assert_eq!(get().await, is("ReportInProgress", 404));
    double.call("CreateUser", &[("UserName", "late")]).unwrap();
    double.advance(Duration::from_secs(10));
    assert_eq!(generate(&double).await, ReportStateType::Complete);
    assert_eq!(rows(&double).await.len(), 1, "a report shows the moment at which it was begun");
    double.advance(Duration::from_secs(1429));
    assert_eq!(generate(&double).await, ReportStateType::Complete);
    assert_eq!(rows(&double).await.len(), 1);
    double.advance(Duration::from_secs(1));
    assert_eq!(get().await, is("ReportExpired", 410));
    assert_eq!(generate(&double).await, ReportStateType::Started);
    double.advance(Duration::from_secs(10));
    assert_eq!(rows(&double).await[1][0], "late");
}

#[tokio::test]
async fn a_report_tells_of_both_keys() {
    let double = start(fixed()).await;
    double.call("CreateUser", &[("UserName", "u"), ("Path", "/p/")]).unwrap();
    double.call("CreateUser", &[("UserName", "w,x")]).unwrap();
    let hand = double.by_hand();
    let first = hand.make_key("u").unwrap();
    hand.add_login_profile("u").unwrap();
    double.advance(Duration::from_mins(1));
    let second = hand.make_key("u").unwrap();
    hand.set_key("u", &first.id, KeyState::Inactive).unwrap();
    double.edit(|account, now| account.record_use(&second.id, "eu-west-1", "ses-smtp", now));
    assert_eq!(generate(&double).await, ReportStateType::Started);
    let report = client(&double).get_credential_report().send().await.unwrap();
    let text = String::from_utf8(report.content.unwrap().into_inner()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0],
        "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
         password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,\
         access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,\
         access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,\
         access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,\
         cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
    );
    assert!(lines[1].starts_with("<root_account>,arn:aws:iam::123456789012:root,"), "{}", lines[1]);
    assert_eq!(
        lines[2],
        "u,arn:aws:iam::123456789012:user/p/u,2026-11-01T00:00:00+00:00,true,no_information,\
         2026-11-01T00:00:00+00:00,N/A,false,false,2026-11-01T00:00:00+00:00,N/A,N/A,N/A,true,\
         2026-11-01T00:01:00+00:00,2026-11-01T00:01:00+00:00,eu-west-1,ses-smtp,false,N/A,false,N/A"
    );
    assert_eq!(
        lines[3],
        "\"w,x\",\"arn:aws:iam::123456789012:user/w,x\",2026-11-01T00:00:00+00:00,false,N/A,N/A,N/A,false,\
         false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A"
    );
    assert_eq!(lines.len(), 4);
    assert!(!text.contains("AKIA") && !text.contains(&second.secret));
}
