//! The reads of the whole account, and the detachment of a policy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ses_smtp_core::inventory::{KeySlot, ReportState, UserPage};

use super::*;

/// A user with everything that a user can have here.
const FULL: &str = "<member><Path>/p/</Path><UserName>u</UserName><UserId>AIDA1</UserId>\
    <Arn>arn:aws:iam::1:user/p/u</Arn><CreateDate>2026-11-25T12:00:00Z</CreateDate>\
    <UserPolicyList><member><PolicyName>send</PolicyName>\
    <PolicyDocument>%7B%22Sid%22%3A%20%22a%2Bb%20+%C3%A9%22%7D</PolicyDocument></member></UserPolicyList>\
    <GroupList><member>admins</member><member>mail</member></GroupList>\
    <AttachedManagedPolicies><member><PolicyName>V3</PolicyName>\
    <PolicyArn>arn:aws:iam::aws:policy/V3</PolicyArn></member></AttachedManagedPolicies>\
    <PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
    <PermissionsBoundaryArn>arn:b</PermissionsBoundaryArn></PermissionsBoundary>\
    <Tags><member><Key>k</Key><Value>v</Value></member></Tags></member>";
const BARE: &str = "<member><Path>/</Path><UserName>bare</UserName><UserId>AIDA2</UserId>\
    <Arn>arn:aws:iam::1:user/bare</Arn><CreateDate>2026-11-25T12:00:01Z</CreateDate>\
    <GroupList/><UserPolicyList/></member>";

fn page(users: &str, rest: &str) -> (u16, String) {
    ok("GetAccountAuthorizationDetails", &format!("<UserDetailList>{users}</UserDetailList>{rest}"))
}

const LAST: &str = "<IsTruncated>false</IsTruncated>";
const MORE: &str = "<IsTruncated>true</IsTruncated><Marker>a/b+c=</Marker>";

#[tokio::test]
async fn reads_a_page_of_users() {
    let bench = bench(&[page(&[FULL, BARE].concat(), MORE)]).await;
    let page = bench.client.get_account_authorization_details(None).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("a/b+c="));
    let [full, bare] = page.users.as_slice() else { panic!("{page:?}") };
    assert_eq!((full.name.as_str(), full.facts.user_id.as_str()), ("u", "AIDA1"));
    assert_eq!((full.facts.path.as_str(), full.facts.arn.as_str()), ("/p/", "arn:aws:iam::1:user/p/u"));
    assert_eq!(full.facts.tags, [("k".to_owned(), "v".to_owned())].into());
    assert_eq!(full.facts.boundary.as_deref(), Some("arn:b"));
    assert_eq!(full.created, time("2026-11-25T12:00:00Z"));
    assert_eq!(full.inline, [("send".to_owned(), r#"{"Sid": "a+b +é"}"#.to_owned())].into());
    assert_eq!(full.attached, ["arn:aws:iam::aws:policy/V3"]);
    assert_eq!(full.groups, ["admins", "mail"]);
    assert!(bare.inline.is_empty() && bare.attached.is_empty() && bare.groups.is_empty());
    assert!(bare.facts.tags.is_empty() && bare.facts.boundary.is_none());
    assert_eq!(*bench.counted.0.lock().unwrap(), [("GetAccountAuthorizationDetails", "ok")]);
}

#[tokio::test]
async fn asks_for_one_page_of_users_only() {
    let bench = bench(&[page("", MORE), page("", LAST)]).await;
    let first = bench.client.get_account_authorization_details(None).await.unwrap();
    let second = bench.client.get_account_authorization_details(first.next.as_deref()).await;
    assert_eq!(second, Ok(UserPage::default()));
    let asked = bench.script.asked();
    assert_eq!(asked.len(), 2);
    for part in ["Action=GetAccountAuthorizationDetails", "Filter.member.1=User", "MaxItems=1000"] {
        assert!(asked.iter().all(|asked| asked.contains(part)), "{part} in {asked:?}");
    }
    assert!(!asked[0].contains("Marker") && asked[1].contains("Marker=a%2Fb%2Bc%3D"));
}

#[tokio::test]
async fn a_page_with_a_hole_is_unclear() {
    let lacks = |tag: &str| {
        let (start, end) = (FULL.find(&format!("<{tag}>")).unwrap(), format!("</{tag}>"));
        let end = FULL.find(&end).unwrap() + end.len();
        page(&[&FULL[..start], &FULL[end..], BARE].concat(), LAST)
    };
    let tags =
        ["Path", "UserName", "UserId", "Arn", "CreateDate", "PolicyName", "PolicyDocument", "PolicyArn"];
    let no_text = page(&FULL.replace("%C3%A9", "%C3"), LAST);
    let no_marker = page(BARE, "<IsTruncated>true</IsTruncated>");
    for answer in tags.map(lacks).into_iter().chain([no_text, no_marker]) {
        let bench = bench(std::slice::from_ref(&answer)).await;
        let page = bench.client.get_account_authorization_details(None).await;
        assert_eq!(page, Err(Failure::Unclear), "{answer:?}");
    }
}

#[tokio::test]
async fn a_page_that_leads_to_itself_is_unclear() {
    let bench = bench(&[page(BARE, MORE)]).await;
    let page = bench.client.get_account_authorization_details(Some("a/b+c=")).await;
    assert_eq!(page, Err(Failure::Unclear));
}

/// Such a list would pass for one of all users, or of all keys.
#[tokio::test]
async fn a_cut_off_list_is_unclear() {
    let keys =
        format!("<AccessKeyMetadata>{}</AccessKeyMetadata>", key_entry("AKIAIOSFODNN7EXAMPLE", "Active"));
    for (_, body) in [page(&[FULL, BARE].concat(), LAST), ok("ListAccessKeys", &(keys + LAST))] {
        let ends = (0..body.len()).step_by(7);
        let answers: Vec<_> = ends.map(|end| (200, body[..end].to_owned())).collect();
        let bench = bench(&answers).await;
        for (_, answer) in &answers {
            let failure = if body.contains("UserDetailList") {
                bench.client.get_account_authorization_details(None).await.err()
            } else {
                bench.client.list_access_keys("u").await.err()
            };
            assert_eq!(failure, Some(Failure::Unclear), "{answer}");
        }
    }
}

#[tokio::test]
async fn tells_how_far_a_report_is() {
    let state = |state: &str| ok("GenerateCredentialReport", &format!("<State>{state}</State>"));
    let states = ["STARTED", "INPROGRESS", "COMPLETE", "ELSE"].map(state);
    let bench = bench(&[states.as_slice(), &[ok("GenerateCredentialReport", "")]].concat()).await;
    for expected in [
        Ok(ReportState::InProgress),
        Ok(ReportState::InProgress),
        Ok(ReportState::Complete),
        Err(Failure::Unclear),
        Err(Failure::Unclear),
    ] {
        assert_eq!(bench.client.generate_credential_report().await, expected);
    }
}

fn report(csv: &str) -> (u16, String) {
    let content = STANDARD.encode(csv);
    let body = format!(
        "<Content>{content}</Content><ReportFormat>text/csv</ReportFormat>\
         <GeneratedTime>2026-11-25T11:00:00Z</GeneratedTime>"
    );
    ok("GetCredentialReport", &body)
}

const COLUMNS: &str =
    "user,access_key_1_active,access_key_1_last_rotated,access_key_2_active,access_key_2_last_rotated\n";

#[tokio::test]
async fn reads_a_credential_report() {
    let row = "u,true,2026-11-25T10:00:00+00:00,false,N/A\n";
    let bench = bench(&[report(&[COLUMNS, row].concat())]).await;
    let report = bench.client.get_credential_report().await.unwrap();
    assert_eq!(report.generated, time("2026-11-25T11:00:00Z"));
    let key = KeySlot { active: true, created: time("2026-11-25T10:00:00Z") };
    assert_eq!(report.users, [("u".to_owned(), vec![key])].into());
    assert!(bench.script.asked()[0].contains("Action=GetCredentialReport"));
}

#[tokio::test]
async fn a_report_that_cannot_be_read_is_unclear() {
    let no_time = report(&[COLUMNS, "u,false,N/A,false,N/A\n"].concat());
    let no_time = (200, no_time.1.replace("GeneratedTime", "Else"));
    let no_base64 = ok("GetCredentialReport", "<Content>!</Content>");
    for answer in [report("<html>"), report(COLUMNS), no_time, no_base64, ok("GetCredentialReport", "")] {
        let bench = bench(std::slice::from_ref(&answer)).await;
        assert_eq!(bench.client.get_credential_report().await, Err(Failure::Unclear), "{answer:?}");
    }
}

#[tokio::test]
async fn a_report_that_is_not_there_is_told_apart() {
    let bench = bench(&[
        error(410, "ReportNotPresent", ""),
        error(410, "ReportExpired", ""),
        error(404, "ReportInProgress", ""),
        error(403, "AccessDenied", ""),
    ])
    .await;
    let denied = Failure::Denied { action: "iam:GetCredentialReport", resource: "*".to_owned() };
    for expected in [Failure::Absent, Failure::Absent, Failure::Busy, denied] {
        assert_eq!(bench.client.get_credential_report().await, Err(expected));
    }
}

#[tokio::test]
async fn detaches_a_policy_from_the_user_that_is_named() {
    let bench = bench(&[ok("DetachUserPolicy", ""), error(404, "NoSuchEntity", "")]).await;
    let arn = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3";
    assert_eq!(bench.client.detach_user_policy("u", arn).await, Ok(()));
    assert_eq!(bench.client.detach_user_policy("u", arn).await, Err(Failure::Absent));
    let asked = bench.script.asked().remove(0);
    for part in ["Action=DetachUserPolicy", "UserName=u", "PolicyArn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2F"] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}
