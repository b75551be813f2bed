//! The login probe: whether an SES SMTP endpoint takes a key. It sends no mail.
//!
//! Owns the way to AUTH, TLS and its trust, and what each end of it means. It must not try again,
//! and it never sends, logs or shows a password anywhere but in AUTH under TLS. The conversation is
//! our own: a mail client's library keeps copies of the password, reads lines without a limit and
//! takes what was said before TLS for an answer under it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use ses_smtp_core::login::{Login, Trouble};
use ses_smtp_core::password::SmtpPassword;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::smtp::{Answer, Talk};

/// How long a probe may take until AUTH is answered.
const CONVERSATION: Duration = Duration::from_secs(9);
/// How long it may take to leave.
const GOODBYE: Duration = Duration::from_secs(1);
/// Where to log in.
#[derive(Clone, Copy, Debug)]
pub struct SmtpServer<'a> {
    /// Host name, which the certificate must be for.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// True if TLS begins with the first byte; STARTTLS else.
    pub implicit_tls: bool,
}

/// Who tries logins.
pub trait LoginProbe: Send + Sync + 'static {
    /// Tries `username` (an access key id) with `password`, once, within ten seconds.
    fn login<'a>(
        &'a self,
        server: SmtpServer<'a>,
        username: &'a str,
        password: &'a SmtpPassword,
    ) -> BoxFuture<'a, Login>;
}

/// Why there is no probe.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The CA file is of no use.
    #[error("CA file {}: {problem}; expected a PEM file of CA certificates (BEGIN CERTIFICATE)", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The TLS library refused the configuration.
    #[error("TLS for login probes: {0}")]
    Tls(#[from] rustls::Error),
}

/// Tries logins over the network.
pub struct SmtpProbe {
    tls: TlsConnector,
}

impl SmtpProbe {
    /// A probe that trusts the system's authorities, as the AWS client does, and those in `ca_file`.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, ProbeError> {
        let roots = roots(ca_file)?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)) })
    }

    async fn probe(
        &self,
        server: SmtpServer<'_>,
        username: &str,
        password: &SmtpPassword,
    ) -> Result<Login, Trouble> {
        let tried = timeout(CONVERSATION, async {
            let mut talk = self.connect(server).await?;
            talk.hello().await?;
            let answer = talk.auth(username, password).await?;
            Ok((verdict(&answer)?, talk))
        });
        let (login, mut talk) = tried.await.map_err(|_| Trouble::Timeout)??;
        // The verdict stands, whatever comes of leaving politely.
        let _ = timeout(GOODBYE, talk.ask("QUIT")).await;
        Ok(login)
    }

    /// Connects up to where EHLO is said under TLS.
    async fn connect(&self, server: SmtpServer<'_>) -> Result<Talk<TlsStream<TcpStream>>, Trouble> {
        let SmtpServer { host, port, implicit_tls } = server;
        let tcp = TcpStream::connect((host, port)).await.map_err(|error| {
            tracing::debug!(host, port, %error, "no connection for a login probe");
            Trouble::Connect
        })?;
        if implicit_tls {
            let mut talk = Talk::new(self.encrypt(host, tcp).await?);
            talk.greeting().await?;
            return Ok(talk);
        }
        let plain = start_tls(Talk::new(tcp)).await?;
        Ok(Talk::new(self.encrypt(host, plain).await?))
    }

    async fn encrypt(&self, host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Trouble> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Trouble::Tls)?;
        self.tls.connect(name, tcp).await.map_err(|error| {
            // Told at once: it may be somebody else who answers there.
            tracing::warn!(host, %error, "no TLS for a login probe; no password was sent");
            Trouble::Tls
        })
    }
}

impl LoginProbe for SmtpProbe {
    fn login<'a>(
        &'a self,
        server: SmtpServer<'a>,
        username: &'a str,
        password: &'a SmtpPassword,
    ) -> BoxFuture<'a, Login> {
        Box::pin(async move {
            let SmtpServer { host, port, .. } = server;
            self.probe(server, username, password).await.unwrap_or_else(|trouble| {
                // The condition sends its reader here.
                tracing::warn!(host, port, cause = trouble.as_str(), "an SMTP endpoint could not be asked");
                Login::Unreachable(trouble)
            })
        })
    }
}

/// Asks for TLS in the clear (RFC 3207) and gives the stream that TLS is to begin on.
async fn start_tls(mut talk: Talk<TcpStream>) -> Result<TcpStream, Trouble> {
    talk.greeting().await?;
    if !talk.hello().await?.offers("STARTTLS") {
        return Err(Trouble::Tls);
    }
    match talk.ask("STARTTLS").await?.code {
        220 => talk.into_stream(),
        400..500 => Err(Trouble::Temporary),
        _ => Err(Trouble::Tls),
    }
}

/// What the reply to AUTH says. Source: Amazon SES Developer Guide, "SMTP response codes".
fn verdict(answer: &Answer) -> Result<Login, Trouble> {
    match answer.code {
        235 => Ok(Login::Accepted),
        535 if answer.says("not subscribed") => Ok(Login::NotSubscribed),
        535 => Ok(Login::Refused),
        400..500 => Err(Trouble::Temporary),
        _ => Err(Trouble::Protocol),
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, ProbeError> {
    let mut roots = RootCertStore::empty();
    // As the AWS client does: an authority that can't be read is one less to trust.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        add(&mut roots, path).map_err(|problem| ProbeError::CaFile { path: path.to_owned(), problem })?;
    }
    Ok(roots)
}

/// Adds the authorities in a file, or says what is wrong with it.
fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let text = std::fs::read(path).map_err(|error| format!("can't be read: {error}"))?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, pem::Error>>();
    let certificates = certificates.map_err(|error| format!("no valid PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| format!("a certificate in it is damaged: {error}"))?;
    }
    Ok(())
}
