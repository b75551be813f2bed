//! A mail client: logs in with what a Secret holds, and sends.

use std::time::Duration;

use lettre::Address;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, SmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;

use crate::{Credential, Error};

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A session that is logged in.
pub struct Session {
    connection: SmtpConnection,
    /// What the server answered so far, a line each.
    pub answers: Vec<String>,
}

/// A short message.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// Its sender.
    pub from: &'a str,
    /// Where bounces go: the sender of the envelope.
    pub bounces: &'a str,
    /// Its recipients.
    pub to: &'a [&'a str],
    /// The configuration set that it asks for.
    pub configuration_set: Option<&'a str>,
}

impl Default for Letter<'_> {
    fn default() -> Self {
        Self {
            from: "a@example.com",
            bounces: "a@example.com",
            to: &["b@example.net"],
            configuration_set: None,
        }
    }
}

impl Letter<'_> {
    fn text(&self) -> String {
        let set = self.configuration_set.map(|set| format!("X-SES-CONFIGURATION-SET: {set}\r\n"));
        format!(
            "From: {}\r\nTo: {}\r\n{}Subject: hello\r\n\r\nSent with the Secret's credential.\r\n",
            self.from,
            self.to.join(", "),
            set.unwrap_or_default()
        )
    }
}

/// Logs in over STARTTLS, trusting the given CA only.
pub fn login(credential: &Credential, ca_pem: &str) -> Result<Session, Error> {
    let hello = ClientId::Domain("mailer.example.com".to_owned());
    let tls = tls(&credential.host, ca_pem).map_err(failed)?;
    let server = (credential.host.as_str(), credential.port);
    let mut connection =
        SmtpConnection::connect(server, Some(TIMEOUT), &hello, None, None).map_err(failed)?;
    connection.starttls(&tls, &hello).map_err(failed)?;
    let secret = Credentials::new(credential.username.clone(), credential.password.clone());
    let answer = connection.auth(&[Mechanism::Plain], &secret).map_err(failed)?;
    let encrypted = "STARTTLS: connection encrypted, certificate verified".to_owned();
    Ok(Session { connection, answers: vec![encrypted, line("AUTH", &answer)] })
}

impl Session {
    /// Sends a short message and ends the session.
    pub fn send(self, from: &str, to: &str) -> Result<Vec<String>, Error> {
        self.post(&Letter { from, bounces: from, to: &[to], ..Letter::default() })
    }

    /// Sends a message and ends the session.
    pub fn post(mut self, letter: &Letter<'_>) -> Result<Vec<String>, Error> {
        let address = |text: &str| text.parse::<Address>().map_err(failed);
        let to: Result<Vec<Address>, Error> = letter.to.iter().map(|to| address(to)).collect();
        let envelope = Envelope::new(Some(address(letter.bounces)?), to?).map_err(failed)?;
        let answer = self.connection.send(&envelope, letter.text().as_bytes()).map_err(failed)?;
        self.answers.push(line("DATA", &answer));
        let answer = self.connection.quit().map_err(failed)?;
        self.answers.push(line("QUIT", &answer));
        Ok(self.answers)
    }
}

fn line(command: &str, answer: &Response) -> String {
    let text: Vec<&str> = answer.message().collect();
    format!("{command}: {} {}", answer.code(), text.join(" "))
}

fn tls(host: &str, ca_pem: &str) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let certificate = Certificate::from_pem(ca_pem.as_bytes())?;
    let builder = TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::None);
    builder.add_root_certificate(certificate).build_rustls()
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Wrong(format!("SMTP: {error}"))
}
