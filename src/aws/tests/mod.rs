//! The SDK adapter against a local HTTP server that speaks IAM's query protocol.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use ses_smtp_core::iam::KeyStatus;
use ses_smtp_core::password::derive;
use ses_smtp_core::region::{Partition, RegionName};

use super::*;
use testbed::Log;

mod failures;
mod inventory;
mod login;

const ACCOUNT: &str = "123456789012";
const DATE: &str = "Wed, 25 Nov 2026 13:00:00 GMT";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// What the server says, in order, and what it was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(script): State<Script>, body: String) -> impl IntoResponse {
    script.asked.lock().unwrap().push(body);
    let (status, body) = script.answers.lock().unwrap().pop_front().unwrap_or((500, String::new()));
    let headers = [("date", DATE), ("x-amzn-requestid", "request-1"), ("content-type", "text/xml")];
    (StatusCode::from_u16(status).unwrap(), headers, body)
}

#[derive(Default)]
struct Counted(Mutex<Vec<(&'static str, &'static str)>>);

impl CallRecorder for Counted {
    fn called(&self, action: &'static str, outcome: &'static str, _: Duration) {
        self.0.lock().unwrap().push((action, outcome));
    }
}

struct Bench {
    client: Client,
    session: Session,
    script: Script,
    counted: Arc<Counted>,
}

async fn bench(answers: &[(u16, String)]) -> Bench {
    let script =
        Script { answers: Arc::new(Mutex::new(answers.iter().cloned().collect())), ..Script::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let counted = Arc::new(Counted::default());
    let session = Session::at(&endpoint).await;
    let client = Client::new(&session, ACCOUNT, counted.clone());
    Bench { client, session, script, counted }
}

fn error(status: u16, code: &str, message: &str) -> (u16, String) {
    let body = format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    );
    (status, body)
}

fn ok(action: &str, result: &str) -> (u16, String) {
    let body = format!(
        "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
         <{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    );
    (200, body)
}

fn key_entry(id: &str, status: &str) -> String {
    format!(
        "<member><UserName>u</UserName><AccessKeyId>{id}</AccessKeyId><Status>{status}</Status>\
         <CreateDate>2026-11-25T12:00:00Z</CreateDate></member>"
    )
}

fn minted() -> (u16, String) {
    let key = format!(
        "<AccessKey><UserName>u</UserName><AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId>\
         <Status>Active</Status><SecretAccessKey>{SECRET}</SecretAccessKey>\
         <CreateDate>2026-11-25T12:59:59Z</CreateDate></AccessKey>"
    );
    ok("CreateAccessKey", &key)
}

/// What the secret of [`minted`] yields for us-east-1.
const PASSWORD: &str = "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9";

fn password(minted: &MintedKey) -> String {
    derive(&minted.secret, &RegionName::parse("us-east-1").unwrap()).expose().to_owned()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test]
async fn knows_the_caller() {
    let identity = |arn: &str| {
        let body = format!("<Arn>{arn}</Arn><UserId>AIDA</UserId><Account>123456789012</Account>");
        ok("GetCallerIdentity", &body)
    };
    let answers = [
        identity("arn:aws-us-gov:sts::123456789012:assumed-role/op/x"),
        identity("arn:aws-else:iam::123456789012:user/op"),
        error(403, "InvalidClientTokenId", "The security token included in the request is invalid."),
    ];
    let bench = bench(&answers).await;
    let caller = identify(&bench.session).await.unwrap();
    assert_eq!((caller.account.as_str(), caller.partition), ("123456789012", Partition::UsGov));
    assert!(identify(&bench.session).await.is_err());
    let refused = identify(&bench.session).await.unwrap_err().to_string();
    assert!(refused.contains("InvalidClientTokenId") && !refused.contains("Response {"), "{refused}");
}

#[tokio::test]
async fn makes_a_user_in_one_call() {
    let user = "<User><Path>/p/</Path><UserName>u</UserName><UserId>AIDA</UserId><Arn>a</Arn>\
                <CreateDate>2026-11-25T12:00:00Z</CreateDate></User>";
    let bench = bench(&[ok("CreateUser", user)]).await;
    let tags = [("ses-smtp.dev/uid".to_owned(), "1".to_owned())].into();
    let spec = UserSpec { name: "u".into(), path: "/p/".into(), tags, boundary: Some("arn:b".into()) };
    bench.client.create_user(&spec).await.unwrap();
    let asked = bench.script.asked().concat();
    for part in
        ["Action=CreateUser", "UserName=u", "Path=%2Fp%2F", "PermissionsBoundary=arn%3Ab", "Tags.member.1"]
    {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    assert_eq!(*bench.counted.0.lock().unwrap(), [("CreateUser", "ok")]);
}

#[tokio::test]
async fn reads_a_user() {
    let user = "<User><Path>/p/</Path><UserName>u</UserName><UserId>AIDA1</UserId><Arn>arn:aws:iam::1:user/p/u</Arn>\
                <CreateDate>2026-11-25T12:00:00Z</CreateDate>\
                <PermissionsBoundary><PermissionsBoundaryArn>arn:b</PermissionsBoundaryArn></PermissionsBoundary>\
                <Tags><member><Key>k</Key><Value>v</Value></member></Tags></User>";
    let bench = bench(&[ok("GetUser", user)]).await;
    let facts = bench.client.get_user("u").await.unwrap();
    assert_eq!((facts.user_id.as_str(), facts.path.as_str()), ("AIDA1", "/p/"));
    assert_eq!(facts.boundary.as_deref(), Some("arn:b"));
    assert_eq!(facts.tags.get("k").map(String::as_str), Some("v"));
}

#[tokio::test]
async fn lists_all_pages() {
    let first = "<AccessKeyMetadata>".to_owned() + &key_entry("AKIAIOSFODNN7EXAMPL1", "Active");
    let first = ok(
        "ListAccessKeys",
        &(first + "</AccessKeyMetadata><IsTruncated>true</IsTruncated><Marker>m</Marker>"),
    );
    let keys = key_entry("AKIAIOSFODNN7EXAMPL2", "Inactive") + &key_entry("AKIAIOSFODNN7EXAMPL3", "Expired");
    let second = format!("<AccessKeyMetadata>{keys}</AccessKeyMetadata><IsTruncated>false</IsTruncated>");
    let bench = bench(&[first, ok("ListAccessKeys", &second)]).await;
    let list = bench.client.list_access_keys("u").await.unwrap();
    let statuses: Vec<_> = list.keys.iter().map(|key| key.status).collect();
    assert_eq!(statuses, [KeyStatus::Active, KeyStatus::Inactive, KeyStatus::Other]);
    assert_eq!(list.keys[0].created, time("2026-11-25T12:00:00Z"));
    assert_eq!(list.server_time, time("2026-11-25T13:00:00Z"));
    assert!(bench.script.asked()[1].contains("Marker=m"));
    assert!(bench.script.asked().iter().all(|asked| asked.contains("UserName=u")));
}

#[tokio::test]
async fn tells_last_use() {
    let key = KeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap();
    let used = "<UserName>u</UserName><AccessKeyLastUsed><LastUsedDate>2026-11-25T12:00:00Z</LastUsedDate>\
                <ServiceName>ses</ServiceName><Region>eu-west-1</Region></AccessKeyLastUsed>";
    let never = "<UserName>u</UserName><AccessKeyLastUsed><ServiceName>N/A</ServiceName><Region>N/A</Region>\
                 </AccessKeyLastUsed>";
    let bench = bench(&[ok("GetAccessKeyLastUsed", used), ok("GetAccessKeyLastUsed", never)]).await;
    let client = &bench.client;
    assert_eq!(client.get_access_key_last_used("u", &key).await, Ok(Some(time("2026-11-25T12:00:00Z"))));
    assert_eq!(client.get_access_key_last_used("u", &key).await, Ok(None));
}

#[tokio::test]
async fn every_key_call_names_the_user() {
    let key = KeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap();
    let bench = bench(&[]).await;
    let _ = bench.client.create_access_key("u").await;
    let _ = bench.client.list_access_keys("u").await;
    let _ = bench.client.update_access_key("u", &key, Activity::Inactive).await;
    let _ = bench.client.delete_access_key("u", &key).await;
    assert_eq!(bench.script.asked().len(), 4);
    assert!(bench.script.asked().iter().all(|asked| asked.contains("UserName=u")));
}

#[tokio::test]
async fn audits_a_mint_without_its_material() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    // Global, because tracing forgets call sites that other threads met without a subscriber.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let bench = bench(&[minted()]).await;
    let subject = Subject { namespace: "shop".into(), name: "mailer".into(), uid: "uid-1".into() };
    let mint = on_behalf_of(subject, bench.client.create_access_key("audited"));
    let minted = mint.await.unwrap();
    assert_eq!(password(&minted), PASSWORD);
    assert_eq!(minted.server_time, time("2026-11-25T13:00:00Z"));
    // Whoever waits for this one goes before it is answered.
    let mut forsaken = bench.client.delete_user("forsaken");
    assert!(futures::poll!(&mut forsaken).is_pending());
    drop(forsaken);
    let log = log.text();
    let told = |user: &str, parts: &[&str]| {
        let of = |line: &&str| line.contains(" audit: ") && line.contains(user);
        let lines: Vec<_> = log.lines().filter(of).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        for part in parts {
            assert!(lines[0].contains(part), "{part} in {lines:?}");
        }
    };
    let (key, id) = ("AKIAIOSFODNN7EXAMPLE", "request-1");
    told("audited", &["CreateAccessKey", ACCOUNT, key, "outcome=\"ok\"", id, "shop", "mailer", "uid-1"]);
    told("forsaken", &["DeleteUser", ACCOUNT, "outcome=\"unclear\""]);
    assert!(!log.contains(SECRET) && !format!("{minted:?}").contains(SECRET));
}

#[tokio::test]
async fn a_cut_off_mint_gives_the_whole_key_or_none() {
    let (_, body) = minted();
    let answers: Vec<_> = (0..body.len()).map(|end| (200, body[..end].to_owned())).collect();
    let bench = bench(&answers).await;
    for _ in &answers {
        match bench.client.create_access_key("u").await {
            Ok(minted) => assert_eq!(password(&minted), PASSWORD),
            Err(failure) => assert_eq!(failure, Failure::Unclear),
        }
    }
}
