//! An IAM, or an API server, that answers with malice or nonsense: the operator goes on, within bounds
//! of memory and time, says that it got no answer, makes nothing twice, and heals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::Duration;

use aws_double::Config;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use control_plane::FaultProxy;
use control_plane::proxy::{Action, Rule};
use http::StatusCode;
use kube::api::{Patch, PatchParams};
use testbed::{Bed, Error, Impostor, Operator, Options, SOON, Said, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
/// 24 hours in 18 seconds.
const SCALE: f64 = 4800.0;
const MIB: usize = 1 << 20;

/// An operator whose IAM is the impostor's; STS is the double's.
async fn bed(settings: &[(&str, &str)]) -> (Bed, Impostor, Operator) {
    let aws = Config { time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let port = bed.aws.iam_url().rsplit(':').next().unwrap().parse().unwrap();
    let impostor = Impostor::start(port).await.unwrap();
    let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
    launch.environment.insert("AWS_ENDPOINT_URL_IAM".to_owned(), impostor.url());
    for (name, value) in settings {
        launch.environment.insert((*name).to_owned(), (*value).to_owned());
    }
    let operator = launch.start().await.unwrap();
    (bed, impostor, operator)
}

/// A reply of an action with this inside its result.
fn reply(action: &str, inside: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result>{inside}\
         </{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
}

/// Ten entities of which each is ten times the one before: a gigabyte, if anybody expands it.
fn bomb(action: &str) -> String {
    let first = "<?xml version=\"1.0\"?><!DOCTYPE b [<!ENTITY a0 \"aaaaaaaaaa\">".to_owned();
    let entity = |n: usize| format!("<!ENTITY a{n} \"{}\">", format!("&a{};", n - 1).repeat(10));
    let text = (1..9).map(entity).fold(first, |text, entity| text + &entity);
    text + "]>" + &reply(action, "<AccessKey><UserName>&a8;</UserName></AccessKey>")
}

/// What is said to a call that makes a user, and what the log calls it.
fn lies(action: &str) -> Vec<(&'static str, Said, &'static str)> {
    let deep = "<a>".repeat(200_000);
    let long = reply(action, &"x".repeat(2 * MIB));
    vec![
        (
            "endless",
            Said::Endless(b"<a>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</a>".repeat(1000)),
            "longer than any of IAM's",
        ),
        ("two MiB", Said::ok(long.as_bytes()), "longer than any of IAM's"),
        ("a bomb", Said::ok(bomb(action).as_bytes()), ""),
        ("deep", Said::ok(deep.as_bytes()), ""),
        ("NULs", Said::ok(&[0; 4096]), ""),
        ("no UTF-8", Said::ok(&[0xff, 0xfe, 0xc3, 0x28].repeat(100)), ""),
        ("nothing", Said::ok(b""), ""),
        ("no HTTP", Said::Bytes(b"\0\xff garbage\r\n\r\n".to_vec()), ""),
        (
            "headers for ever",
            Said::Bytes([b"HTTP/1.1 200 OK\r\n".as_slice(), &b"x: y\r\n".repeat(100_000)].concat()),
            "",
        ),
        ("a drip", Said::Drip(vec![b'x'; 600], Duration::from_millis(100)), "no whole answer in time"),
    ]
}

/// Most memory that the operator may take beyond what it had taken before, whatever is said to it.
fn bounded(operator: &Operator, before: u64, mib: u64, what: &str) {
    let now = operator.usage().unwrap().peak_memory;
    // What is tried is endless, or would be a gigabyte.
    assert!(now < before + (mib << 20), "{what}: {} MiB after {} MiB", now >> 20, before >> 20);
}

/// Waits until a lie was told and the log says what was made of it.
async fn met(bed: &Bed, impostor: &Impostor, action: &str, told: &str, seen: usize) {
    eventually(&format!("{action} to be lied to, and {told:?}"), SOON, async || {
        let log = bed.log();
        let named = log.lines().skip(seen).any(|line| line.contains(action) && line.contains(told));
        let times = impostor.told(action);
        if times > 0 && named { Ok(Some(())) } else { Error::wrong(format!("{times} times")) }
    })
    .await
    .unwrap();
}

fn lines(bed: &Bed) -> usize {
    bed.log().lines().count()
}

/// No looks at the whole account.
const NO_SWEEPS: [(&str, &str); 2] = [("SES_SMTP_DRIFT_INTERVAL", "0s"), ("SES_SMTP_SWEEP_INTERVAL", "0s")];

#[tokio::test(flavor = "multi_thread")]
async fn answers_about_one_user_are_bounded_and_heal() {
    let (bed, impostor, mut operator) = bed(&NO_SWEEPS).await;
    bed.apply("shop", "before", "{region: eu-west-1}").await.unwrap();
    bed.ready("shop", "before").await.unwrap();
    let before = operator.usage().unwrap().peak_memory;
    for action in ["CreateUser", "CreateAccessKey"] {
        for (n, (what, said, told)) in lies(action).into_iter().enumerate() {
            // One drip is enough: it takes its time.
            if told.contains("in time") && action != "CreateUser" {
                continue;
            }
            let (name, seen) = (format!("{}-{n}", action.to_lowercase()), lines(&bed));
            impostor.say(action, said);
            bed.apply("shop", &name, "{region: eu-west-1}").await.unwrap();
            met(&bed, &impostor, action, told, seen).await;
            impostor.be_honest();
            bed.ready("shop", &name).await.unwrap();
            assert!(operator.is_running());
            bounded(&operator, before, 32, &format!("{action} with {what}"));
        }
    }
    bed.no_secret_leaked(Some(&operator), &["eu-west-1"]).await.unwrap();
}

/// Keys of a user: none on this page, and always another page.
const KEYS: &str =
    "<AccessKeyMetadata></AccessKeyMetadata><IsTruncated>true</IsTruncated><Marker>m{n}</Marker>";
/// The same of users.
const USERS: &str = "<UserDetailList></UserDetailList><IsTruncated>true</IsTruncated><Marker>m{n}</Marker>";
/// A list of keys is given up after so many pages, one of users after so many.
const PAGES: (usize, usize) = (20, 1000);

#[tokio::test(flavor = "multi_thread")]
async fn lists_without_an_end_are_given_up() {
    let (bed, impostor, operator) = bed(&NO_SWEEPS).await;
    // A key whose making was unclear is looked for in the list.
    impostor.say("CreateAccessKey", Said::ok(b"no answer"));
    impostor.say("ListAccessKeys", Said::Page(reply("ListAccessKeys", KEYS)));
    bed.apply("shop", "mailer", "{region: eu-west-1}").await.unwrap();
    eventually("the list to be given up, and tried again", SOON, async || {
        let told = impostor.told("ListAccessKeys");
        if told >= 2 * PAGES.0 { Ok(Some(())) } else { Error::wrong(told.to_string()) }
    })
    .await
    .unwrap();
    let object = bed.reads("shop", "mailer", "Ready", "False AwsUnavailable").await.unwrap();
    assert!(bed.user_of(&object).unwrap().keys.is_empty());
    impostor.be_honest();
    bed.ready("shop", "mailer").await.unwrap();
    operator.stop().await.unwrap();

    let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
    launch.environment.insert("AWS_ENDPOINT_URL_IAM".to_owned(), impostor.url());
    for (marker, pages) in [("m{n}", PAGES.1), ("m", 2)] {
        let seen = lines(&bed);
        let action = "GetAccountAuthorizationDetails";
        impostor.say(action, Said::Page(reply(action, &USERS.replace("m{n}", marker))));
        let operator = launch.start().await.unwrap();
        eventually("the look to be given up", SOON, async || {
            let given_up = bed.log().lines().skip(seen).any(|line| line.contains("a look was not completed"));
            let told = impostor.told(action);
            if given_up { Ok(Some(())) } else { Error::wrong(format!("{told} pages")) }
        })
        .await
        .unwrap();
        assert!(impostor.told(action) >= pages, "{}", impostor.told(action));
        impostor.be_honest();
        operator.stop().await.unwrap();
    }
    bed.login("shop", "mailer").await.unwrap();
}

/// A credential report of so many bytes before its encoding.
fn report(size: usize) -> Said {
    let head = "user,arn,user_creation_time,password_enabled,access_key_1_active,access_key_1_last_rotated,\
                access_key_2_active,access_key_2_last_rotated,cert_1_active\n<root_account>,arn:aws:iam::1:root,\
                2015-01-01T00:00:00+00:00,not_supported,false,not_supported,false,N/A,false\n";
    let row = |n: usize| {
        format!("user-{n:08},{},2026-01-01T00:00:00+00:00,false,false,N/A,false,N/A,false\n", "a".repeat(200))
    };
    let text = (0..size / row(0).len()).map(row).fold(head.to_owned(), |text, row| text + &row);
    let inside = format!(
        "<Content>{}</Content><ReportFormat>text/csv</ReportFormat>\
         <GeneratedTime>2026-11-25T12:00:00Z</GeneratedTime>",
        STANDARD.encode(text)
    );
    Said::ok(reply("GetCredentialReport", &inside).as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_large_and_bounded() {
    let (bed, impostor, mut operator) = bed(&[]).await;
    bed.apply("shop", "mailer", "{region: eu-west-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let before = operator.usage().unwrap().peak_memory;
    let action = "GetCredentialReport";
    let unread = |bed: &Bed, seen: usize| {
        bed.log()
            .lines()
            .skip(seen)
            .filter(|line| line.contains(action))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // Twice the largest that IAM can make.
    let seen = lines(&bed);
    impostor.say(action, report(10 * MIB));
    eventually("a large report to be read", SOON, async || {
        if impostor.told(action) > 1 { Ok(Some(())) } else { Error::wrong("not yet") }
    })
    .await
    .unwrap();
    assert_eq!(unread(&bed, seen), Vec::<String>::new());
    let seen = lines(&bed);
    impostor.say(action, report(24 * MIB));
    met(&bed, &impostor, action, "longer than any of IAM's", seen).await;
    let bomb = Said::Endless(b"<Content>QUFB</Content>".repeat(4096));
    impostor.say(action, bomb);
    met(&bed, &impostor, action, "longer than any of IAM's", lines(&bed)).await;
    bounded(&operator, before, 160, "reports");
    assert!(operator.is_running());
    impostor.be_honest();
    bed.login("shop", "mailer").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_answers_nonsense_is_waited_for() {
    let aws = Config { time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let proxy = FaultProxy::start(&bed.plane).unwrap();
    let launch = bed.launch_behind(Path::new(BINARY), &proxy).await.unwrap();
    let mut operator = launch.start().await.unwrap();
    bed.apply("shop", "mailer", "{region: eu-west-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let (before, calls) = (operator.usage().unwrap().peak_memory, bed.iam_calls());
    let credential = bed.credential("shop", "mailer").await.unwrap();
    let nonsense: [Vec<u8>; 6] = [
        Vec::new(),
        vec![0; 4096],
        [0xff, 0xfe, 0xc3, 0x28].repeat(100),
        b"{\"a\":".repeat(100_000),
        b"[]".to_vec(),
        [b"{\"metadata\":{\"name\":\"".as_slice(), &b"x".repeat(2 * MIB)].concat(),
    ];
    for (n, body) in nonsense.into_iter().enumerate() {
        let told = proxy.add(
            Rule::new(Action::Respond(StatusCode::OK, body.into())).verb("get").resource("secrets").always(),
        );
        // An edit makes the operator read the Secret.
        let edit = serde_json::json!({ "data": { "host": STANDARD.encode(format!("evil-{n}")) } });
        bed.secrets("shop").patch("mailer", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
        bed.reads("shop", "mailer", "Reconciling", "True ApiServerUnavailable").await.unwrap();
        assert!(told.fired() > 0);
        proxy.clear_rules();
        bed.reads("shop", "mailer", "Reconciling", "").await.unwrap();
        let after = bed.login("shop", "mailer").await.unwrap();
        assert_eq!((&after.username, &after.password), (&credential.username, &credential.password), "{n}");
    }
    assert!(operator.is_running());
    bounded(&operator, before, 32, "nonsense");
    assert_eq!(bed.iam_calls().get("CreateAccessKey"), calls.get("CreateAccessKey"));
    bed.no_secret_leaked(Some(&operator), &["eu-west-1"]).await.unwrap();
}
