//! What of a key stays in the operator's memory once its password is derived, and that the memory
//! gets into no file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::io::{Write as _, stderr};
use std::net::Ipv4Addr;
use std::path::Path;

use aws_double::{CALLER_SECRET, Config};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testbed::{Bed, Front, Options, Peer};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
/// So many keys that one which stays by chance is seen.
const OBJECTS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_access_key_stays_in_memory() {
    let aws = Config { time_scale: 4800.0, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
    // Nothing else is to be done, which would write over what was freed.
    for look in ["SES_SMTP_DRIFT_INTERVAL", "SES_SMTP_SWEEP_INTERVAL"] {
        launch.environment.insert(look.to_owned(), "0s".to_owned());
    }
    // By way of TLS, as from AWS: its buffers hold what was said, too.
    let port = bed.aws.iam_url().rsplit(':').next().unwrap().parse().unwrap();
    let front = Front::start(Peer::Plain((Ipv4Addr::LOCALHOST, port).into())).await.unwrap();
    let ca = bed.folder().join("front-ca.crt");
    fs::write(&ca, front.ca_pem()).unwrap();
    let url = format!("https://localhost:{}", front.port());
    for (name, value) in [("AWS_ENDPOINT_URL_IAM", url), ("SSL_CERT_FILE", ca.display().to_string())] {
        launch.environment.insert(name.to_owned(), value);
    }
    let operator = launch.start().await.unwrap();
    for n in 0..OBJECTS {
        bed.apply("shop", &format!("mailer-{n}"), "{region: eu-west-1}").await.unwrap();
    }
    let mut secrets = Vec::new();
    for n in 0..OBJECTS {
        let name = format!("mailer-{n}");
        bed.reads("shop", &name, "LoginVerified", "True LoginVerified").await.unwrap();
        let id = bed.credential("shop", &name).await.unwrap().username;
        secrets.push(bed.aws.secret_of(&id).unwrap());
    }
    if !rustix::process::geteuid().is_root() {
        // The kernel keeps others of the operator's user from looking, and so this test.
        let refused = operator.memory_holds(&[CALLER_SECRET]).unwrap_err().to_string();
        assert!(refused.contains("Permission denied"), "{refused}");
        let _ = writeln!(stderr(), "skipped: the search of the operator's memory takes root");
        return;
    }
    // That the operator's own secret is found shows that the search finds what is there.
    assert!(operator.memory_holds(&[CALLER_SECRET]).unwrap()[0] > 0);
    let encoded: Vec<String> = secrets.iter().map(|secret| STANDARD.encode(secret)).collect();
    let texts: Vec<&str> = secrets.iter().chain(&encoded).map(String::as_str).collect();
    // Looked at once: what is only written over some time later is found.
    let found = operator.memory_holds(&texts).unwrap();
    assert_eq!(found, vec![0; texts.len()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_gets_into_no_core_dump() {
    let bed = Bed::start(Options::default()).await.unwrap();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    let proc = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", operator.pid()));
    let limits = proc("limits").unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}
