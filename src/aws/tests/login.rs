//! Login probes against the AWS double's SMTP and against servers that don't keep to SMTP.

use std::path::Path;

use aws_double::{ACCOUNT, Config, Double, Fault, FaultKind, Ses};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use ses_smtp_core::login::{Login, Trouble};
use ses_smtp_core::password::SmtpPassword;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

const REGION: &str = "eu-west-1";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// Forms of TLS.
const STARTTLS: bool = false;
const IMPLICIT: bool = true;

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn some_password() -> SmtpPassword {
    SmtpPassword::parse(PASSWORD.as_bytes()).unwrap()
}

/// A double with a user's key: its id and its password.
async fn mailer(config: Config) -> (Double, String, SmtpPassword) {
    let double = Double::start(config).await.unwrap();
    double.call("CreateUser", &[("UserName", "m")]).unwrap();
    double.call("CreateAccessKey", &[("UserName", "m")]).unwrap();
    let id = double.user("m").unwrap().keys[0].id.clone();
    let password = SmtpPassword::parse(double.password_of(&id, REGION).unwrap().as_bytes()).unwrap();
    (double, id, password)
}

/// A probe that trusts `ca_pem`.
fn probe(ca_pem: &str) -> SmtpProbe {
    SmtpProbe::new(Some(file(ca_pem).path())).unwrap()
}

fn at(host: &str, port: u16, implicit_tls: bool) -> SmtpServer<'_> {
    SmtpServer { host, port, implicit_tls }
}

/// Tries a login at the double.
async fn login(double: &Double, implicit_tls: bool, id: &str, password: &SmtpPassword) -> Login {
    let ports = double.smtp(REGION).unwrap();
    let port = if implicit_tls { ports.tls } else { ports.starttls };
    probe(double.ca_pem()).login(at("localhost", port, implicit_tls), id, password).await
}

#[tokio::test]
async fn accepts_a_key_over_both_forms_of_tls() {
    let (double, id, password) = mailer(Config::default()).await;
    for form in [STARTTLS, IMPLICIT] {
        assert_eq!(login(&double, form, &id, &password).await, Login::Accepted, "{form}");
    }
    assert_eq!(double.logins().len(), 2);
    assert!(double.mails().is_empty());
}

#[tokio::test]
async fn takes_a_name_and_an_address() {
    let (double, id, password) = mailer(Config::default()).await;
    let probe = probe(double.ca_pem());
    let port = double.smtp(REGION).unwrap().starttls;
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(probe.login(at(host, port, STARTTLS), &id, &password).await, Login::Accepted, "{host}");
    }
}

#[tokio::test]
async fn a_wrong_password_an_inactive_and_an_unknown_key_are_refused() {
    let (double, id, password) = mailer(Config::default()).await;
    assert_eq!(login(&double, STARTTLS, &id, &some_password()).await, Login::Refused);
    assert_eq!(login(&double, STARTTLS, KEY, &password).await, Login::Refused);
    let inactive = [("UserName", "m"), ("AccessKeyId", id.as_str()), ("Status", "Inactive")];
    double.call("UpdateAccessKey", &inactive).unwrap();
    assert_eq!(login(&double, IMPLICIT, &id, &password).await, Login::Refused);
}

#[tokio::test]
async fn an_account_without_ses_is_told_apart() {
    let ses = Ses { unsubscribed: vec![ACCOUNT.to_owned()], ..Ses::default() };
    let (double, id, password) = mailer(Config { ses, ..Config::default() }).await;
    assert_eq!(login(&double, STARTTLS, &id, &password).await, Login::NotSubscribed);
}

#[tokio::test]
async fn reads_each_reply_to_auth() {
    let (double, id, password) = mailer(Config::default()).await;
    let temporary = Login::Unreachable(Trouble::Temporary);
    let protocol = Login::Unreachable(Trouble::Protocol);
    for (reply, expected) in [
        ("454 Temporary authentication failure", temporary),
        ("421 Too many concurrent SMTP connections", temporary),
        ("451 Temporary service failure", temporary),
        ("432 later", temporary),
        ("535 Authentication Credentials Invalid", Login::Refused),
        ("535-Account NOT\r\n535 SUBSCRIBED to SES", Login::NotSubscribed),
        ("554 Account not subscribed to SES", protocol),
        ("530 Must issue a STARTTLS command first", protocol),
        ("250 fine", protocol),
        ("334 more", protocol),
        ("2350 almost", protocol),
    ] {
        double.inject(Fault::on("AUTH", FaultKind::Smtp { reply: reply.to_owned() }));
        assert_eq!(login(&double, STARTTLS, &id, &password).await, expected, "{reply}");
    }
    double.inject(Fault::on("AUTH", FaultKind::LostReply));
    assert_eq!(login(&double, STARTTLS, &id, &password).await, protocol);
}

#[tokio::test]
async fn trusts_no_other_authority() {
    let (double, id, password) = mailer(Config::default()).await;
    let (other, ..) = mailer(Config::default()).await;
    let port = double.smtp(REGION).unwrap().starttls;
    let probes = [probe(other.ca_pem()), SmtpProbe::new(None).unwrap()];
    for probe in probes {
        let login = probe.login(at("localhost", port, STARTTLS), &id, &password).await;
        assert_eq!(login, Login::Unreachable(Trouble::Tls));
    }
    assert!(double.logins().is_empty());
}

/// Starts a server and gives its port. `serve` gets each connection.
async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection));
        }
    });
    port
}

/// A server that says each text, all but the first after something was asked, and closes.
async fn script(says: &'static [&'static str]) -> u16 {
    server(move |mut connection| async move {
        for (count, text) in says.iter().enumerate() {
            if count > 0 && connection.read(&mut [0; 1024]).await.unwrap_or_default() == 0 {
                return;
            }
            connection.write_all(text.as_bytes()).await.unwrap();
        }
        // Closed by the client, lest it lose what was said.
        if !says.is_empty() {
            let _ = connection.read(&mut [0; 1024]).await;
        }
    })
    .await
}

/// What a probe of a hand-made server comes to, without TLS from the first byte.
async fn trouble(port: u16) -> Trouble {
    let probe = SmtpProbe::new(None).unwrap();
    match probe.login(at("127.0.0.1", port, STARTTLS), KEY, &some_password()).await {
        Login::Unreachable(trouble) => trouble,
        said => panic!("{said:?}"),
    }
}

#[tokio::test]
async fn what_is_no_smtp_is_trouble() {
    const OFFER: &str = "250-host\r\n250 STARTTLS\r\n";
    let table: [(&[&str], Trouble); 12] = [
        (&["421 busy\r\n"], Trouble::Temporary),
        (&["554 go away\r\n"], Trouble::Protocol),
        (&["235 you are in\r\n"], Trouble::Protocol),
        (&["HTTP/1.1 400 Bad Request\r\n\r\n"], Trouble::Protocol),
        (&["\0\0\0\n"], Trouble::Protocol),
        (&[], Trouble::Protocol),
        (&["220 hi\r\n", "451 later\r\n"], Trouble::Temporary),
        (&["220 hi\r\n", "502 what?\r\n"], Trouble::Protocol),
        (&["220 hi\r\n", "250-host\r\n250 AUTH PLAIN\r\n"], Trouble::Tls),
        (&["220 hi\r\n", OFFER, "454 no TLS now\r\n"], Trouble::Temporary),
        (&["220 hi\r\n", OFFER, "502 no TLS\r\n"], Trouble::Tls),
        (&["220 hi\r\n", OFFER, "220 go\r\n", "no TLS"], Trouble::Tls),
    ];
    for (says, expected) in table {
        assert_eq!(trouble(script(says).await).await, expected, "{says:?}");
    }
}

#[tokio::test]
async fn believes_nothing_that_was_said_before_tls() {
    let port = script(&["220 hi\r\n", "250-h\r\n250 STARTTLS\r\n", "220 go\r\n250 h\r\n235 in\r\n"]).await;
    assert_eq!(trouble(port).await, Trouble::Tls);
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_host_are_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    assert_eq!(trouble(port).await, Trouble::Connect);
    let probe = SmtpProbe::new(None).unwrap();
    for host in ["", "no such host", "host.invalid"] {
        let login = probe.login(at(host, 587, STARTTLS), KEY, &some_password()).await;
        assert_eq!(login, Login::Unreachable(Trouble::Connect), "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_in_ten_seconds() {
    for (form, says) in
        [(STARTTLS, ""), (STARTTLS, "220 hi\r\n"), (STARTTLS, "220 hi\r\n250-"), (IMPLICIT, "")]
    {
        let port = server(move |mut connection| async move {
            let _ = connection.write_all(says.as_bytes()).await;
            std::future::pending::<()>().await;
        });
        let (probe, port) = (SmtpProbe::new(None).unwrap(), port.await);
        let started = tokio::time::Instant::now();
        let login = probe.login(at("127.0.0.1", port, form), KEY, &some_password()).await;
        assert_eq!(login, Login::Unreachable(Trouble::Timeout), "{form} {says}");
        assert!(started.elapsed() <= Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn an_endless_greeting_is_cut_short() {
    for endless in ["220 hi hi hi hi", "220-hi\r\n"] {
        let port = server(move |mut connection| {
            let text = endless.repeat(4096);
            async move { while connection.write_all(text.as_bytes()).await.is_ok() {} }
        });
        let started = std::time::Instant::now();
        assert_eq!(trouble(port.await).await, Trouble::Protocol);
        // Far less than the time limit: nobody reads on to it.
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

/// A server with TLS from the first byte and a certificate of its own for `name`: port and certificate.
async fn tls_server(name: &str, says: &'static str) -> (u16, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let port = server(move |connection| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut tls) = acceptor.accept(connection).await else { return };
            let _ = tls.write_all(says.as_bytes()).await;
            std::future::pending::<()>().await;
        }
    });
    (port.await, certificate.pem())
}

#[tokio::test]
async fn wants_the_name_that_it_goes_to() {
    let (port, pem) = tls_server("localhost", "421 busy\r\n").await;
    let login = async |host: &str| probe(&pem).login(at(host, port, IMPLICIT), KEY, &some_password()).await;
    assert_eq!(login("localhost").await, Login::Unreachable(Trouble::Temporary));
    assert_eq!(login("127.0.0.1").await, Login::Unreachable(Trouble::Tls));
}

#[tokio::test]
async fn the_verdict_stands_when_nobody_answers_quit() {
    let (port, pem) = tls_server("localhost", "220 hi\r\n250 host\r\n235 in\r\n").await;
    let started = tokio::time::Instant::now();
    let login = probe(&pem).login(at("localhost", port, IMPLICIT), KEY, &some_password()).await;
    assert_eq!(login, Login::Accepted);
    assert!(started.elapsed() <= Duration::from_secs(10));
}

#[tokio::test]
async fn names_a_useless_ca_file_and_what_is_expected() {
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, problem) in [
        ("", "no certificate in it"),
        ("not PEM", "no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "no valid PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "no valid PEM"),
        (damaged, "damaged"),
    ] {
        let file = file(text);
        let error = SmtpProbe::new(Some(file.path())).err().unwrap().to_string();
        let path = file.path().display().to_string();
        for part in [path.as_str(), problem, "PEM file of CA certificates"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
    let error = SmtpProbe::new(Some(Path::new("/no/such/file"))).err().unwrap().to_string();
    assert!(error.contains("/no/such/file: can't be read: No such file"), "{error}");
}
