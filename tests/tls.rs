//! Whom the operator trusts: each of its three peers with certificates that mustn't be trusted. No
//! credential may be said to one, somebody has to be told, and a right certificate heals it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use aws_double::Config;
use control_plane::FaultProxy;
use testbed::{Bed, Error, Face, Front, Launch, Options, Peer, SOON, condition, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
/// 24 hours in 18 seconds.
const SCALE: f64 = 4800.0;

async fn bed() -> (Bed, Launch) {
    let aws = Config { time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let launch = bed.launch(Path::new(BINARY)).await.unwrap();
    (bed, launch)
}

/// The address in a URL of loopback.
fn address(url: &str) -> SocketAddr {
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    (Ipv4Addr::LOCALHOST, port).into()
}

fn file(bed: &Bed, name: &str, text: &str) -> PathBuf {
    let path = bed.folder().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn set(launch: &mut Launch, name: &str, value: &dyn std::fmt::Display) {
    launch.environment.insert(name.to_owned(), value.to_string());
}

/// What the log calls the certificate's fault.
fn fault(face: Face) -> &'static str {
    match face {
        Face::Good => "",
        Face::Expired => "certificate expired",
        Face::WrongName => "not valid for name",
        Face::UnknownAuthority | Face::SelfSigned => "UnknownIssuer",
        Face::OldTls => "peer is incompatible",
    }
}

/// Waits until the operator met the face and the log has a line with all of `parts` and the fault.
async fn told(bed: &Bed, front: &Front, face: Face, parts: &[&str], seen: usize) {
    eventually(&format!("{face:?} to be met and named"), SOON, async || {
        let log = bed.log();
        let fits = |line: &str| line.contains(fault(face)) && parts.iter().all(|part| line.contains(part));
        let named = log.lines().skip(seen).any(fits);
        if front.met() > 0 && named {
            Ok(Some(()))
        } else {
            Error::wrong(format!("met {} times\n{}", front.met(), log.lines().last().unwrap_or_default()))
        }
    })
    .await
    .unwrap();
    assert_eq!(String::from_utf8_lossy(&front.heard()), "", "{face:?}");
}

fn lines(bed: &Bed) -> usize {
    bed.log().lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_an_iam_that_cannot_prove_itself() {
    let (bed, mut launch) = bed().await;
    let front = Front::start(Peer::Plain(address(&bed.aws.iam_url()))).await.unwrap();
    let url = format!("https://localhost:{}", front.port());
    set(&mut launch, "AWS_ENDPOINT_URL_IAM", &url);
    set(&mut launch, "AWS_ENDPOINT_URL_STS", &url);
    set(&mut launch, "SSL_CERT_FILE", &file(&bed, "front-ca.pem", &front.ca_pem()).display());

    set(&mut launch, "SES_SMTP_DRIFT_INTERVAL", &"0s");
    set(&mut launch, "SES_SMTP_SWEEP_INTERVAL", &"0s");

    // STS, before anything else is done.
    front.show(Face::Expired);
    let mut operator = launch.spawn().unwrap();
    told(&bed, &front, Face::Expired, &["GetCallerIdentity failed"], 0).await;
    assert_eq!(bed.aws.counts(), [].into());
    front.show(Face::Good);
    operator.ready().await.unwrap();
    operator.stop().await.unwrap();

    // IAM. An open connection would be used on, so the operator begins anew under each face.
    set(&mut launch, "AWS_ENDPOINT_URL_STS", &bed.aws.iam_url());
    for face in Face::BAD {
        front.show(face);
        let operator = launch.start().await.unwrap();
        let seen = lines(&bed);
        bed.aws.reset_journal();
        let name = format!("under-{face:?}").to_lowercase();
        bed.apply("shop", &name, "{region: eu-west-1}").await.unwrap();
        told(&bed, &front, face, &["IAM gave no answer", "CreateUser"], seen).await;
        let object = bed.reads("shop", &name, "Ready", "False AwsUnavailable").await.unwrap();
        assert!(message(&object, "Ready").contains("IAM gave no clear answer"));
        assert_eq!(bed.iam_calls(), [].into(), "{face:?}");
        front.show(Face::Good);
        bed.ready("shop", &name).await.unwrap();
        operator.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_said_to_an_api_server_that_cannot_prove_itself() {
    let (bed, mut launch) = bed().await;
    let proxy = FaultProxy::start(&bed.plane).unwrap();
    let token = bed.plane.service_account_token("ses-smtp-operator", "ses-smtp-operator").await.unwrap();
    let front = Front::start(Peer::Plain(address(&proxy.url()))).await.unwrap();
    let ca = file(&bed, "front-ca.pem", &front.ca_pem());
    let kubeconfig = proxy.kubeconfig(&token).replace(
        &format!("server: \"{}\"", proxy.url()),
        &format!(
            "server: \"https://localhost:{}\", certificate-authority: \"{}\"",
            front.port(),
            ca.display()
        ),
    );
    assert!(kubeconfig.contains("https://"), "{kubeconfig}");
    set(&mut launch, "KUBECONFIG", &file(&bed, "front.kubeconfig", &kubeconfig).display());
    bed.apply("shop", "mailer", "{region: eu-west-1}").await.unwrap();
    for face in Face::BAD {
        let seen = lines(&bed);
        front.show(face);
        let mut operator = launch.spawn().unwrap();
        told(&bed, &front, face, &["not ready", "the Kubernetes API"], seen).await;
        assert_eq!(proxy.journal().len(), 0, "{face:?}");
        if face == Face::OldTls {
            front.show(Face::Good);
            operator.ready().await.unwrap();
            bed.ready("shop", "mailer").await.unwrap();
        }
        operator.kill().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_said_to_an_smtp_server_that_cannot_prove_itself() {
    let (bed, mut launch) = bed().await;
    let ports = bed.aws.smtp("eu-west-1").unwrap();
    let front = Front::start(Peer::Tls((Ipv4Addr::LOCALHOST, ports.tls).into())).await.unwrap();
    let cas = [bed.aws.ca_pem(), &front.ca_pem()].concat();
    set(&mut launch, "SES_SMTP_SMTP_CA_FILE", &file(&bed, "cas.pem", &cas).display());
    let endpoints = format!("eu-west-1: {{host: localhost, starttls: [], tls: [{}]}}\n", front.port());
    set(&mut launch, "SES_SMTP_ENDPOINTS_FILE", &file(&bed, "front-endpoints.yaml", &endpoints).display());
    let operator = launch.start().await.unwrap();
    for face in Face::BAD {
        let (seen, logins) = (lines(&bed), bed.aws.logins().len());
        front.show(face);
        let name = format!("under-{face:?}").to_lowercase();
        let spec = format!("{{region: eu-west-1, endpoint: {{port: {}}}}}", front.port());
        bed.apply("shop", &name, &spec).await.unwrap();
        told(&bed, &front, face, &["localhost"], seen).await;
        let object = bed.reads("shop", &name, "LoginVerified", "Unknown EndpointUnreachable").await.unwrap();
        let text = message(&object, "LoginVerified").to_owned();
        assert!(text.contains("localhost") && text.contains("log says why"), "{text}");
        assert_eq!(bed.aws.logins().len(), logins, "{face:?}");
        front.show(Face::Good);
        bed.reads("shop", &name, "LoginVerified", "True LoginVerified").await.unwrap();
        bed.delete("shop", &name).await.unwrap();
        bed.gone("shop", &name).await.unwrap();
    }
    bed.no_secret_leaked(Some(&operator), &["eu-west-1"]).await.unwrap();
}

fn message<'a>(object: &'a testbed::Object, type_: &str) -> &'a str {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    assert!(!condition(object, type_).is_empty());
    conditions.iter().find(|condition| condition.type_ == type_).map_or("", |condition| &condition.message)
}
