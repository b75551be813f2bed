//! SES's SMTP interface: one STARTTLS and one implicit-TLS listener per Region.
//!
//! Owns listeners and what they record. The dialogue is in `session`, its rules in `auth` and `send`.

mod auth;
mod derive;
mod message;
mod send;
mod session;
mod talk;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub(crate) use derive::password;
pub(crate) use send::domain;
use session::{End, Session};
use talk::Talk;

use crate::http::PAUSE;
use crate::world::Shared;

/// A try to log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Login {
    /// When.
    pub time: Timestamp,
    /// Region of the endpoint.
    pub region: String,
    /// The user name given, if it has the form of an access key id.
    pub key: Option<String>,
    /// The IAM user that owns the key.
    pub user: Option<String>,
    /// The reply.
    pub reply: String,
}

impl Login {
    /// Whether it was accepted.
    pub fn accepted(&self) -> bool {
        self.reply.starts_with("235")
    }
}

/// An accepted mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// The id in the reply.
    pub id: String,
    /// When.
    pub time: Timestamp,
    /// Region of the endpoint.
    pub region: String,
    /// Access key id.
    pub key: String,
    /// IAM user.
    pub user: String,
    /// Envelope sender.
    pub envelope_from: String,
    /// Address in the From header; the envelope's if there is none.
    pub from: String,
    /// Envelope recipients.
    pub to: Vec<String>,
    /// Header fields in their order.
    pub headers: Vec<(String, String)>,
    /// Octets of the message.
    pub size: usize,
}

/// One listener's part of the world.
pub(crate) struct Endpoint {
    pub(crate) shared: Arc<Shared>,
    pub(crate) region: String,
    pub(crate) tls: TlsAcceptor,
    /// TLS from the first byte.
    pub(crate) implicit: bool,
}

/// Serves until aborted; connections end with it.
pub(crate) async fn serve(listener: TcpListener, endpoint: Arc<Endpoint>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&endpoint)));
            }
            // Out of file descriptors, most likely: let other connections end first.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, endpoint: Arc<Endpoint>) {
    // Without it every reply waits for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    // An error is a client that went away or speaks no TLS: nothing to tell anybody.
    let _ = converse(stream, endpoint).await;
}

async fn converse(stream: TcpStream, endpoint: Arc<Endpoint>) -> std::io::Result<()> {
    let peer = stream.peer_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
    let acceptor = endpoint.tls.clone();
    let mut session = Session::new(endpoint, peer);
    if session.implicit() {
        session.secured();
        return session.run(&mut Talk::new(acceptor.accept(stream).await?), true).await.map(|_| ());
    }
    let mut talk = Talk::new(stream);
    if session.run(&mut talk, true).await? == End::StartTls {
        // What was sent in the clear behind STARTTLS is thrown away (RFC 3207 section 4.2).
        let secure = acceptor.accept(talk.into_stream()).await?;
        session.secured();
        session.run(&mut Talk::new(secure), false).await?;
    }
    Ok(())
}
