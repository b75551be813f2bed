//! A TLS server on the way to a peer of the operator's, which can show a certificate that mustn't be
//! trusted.
//!
//! With a bad certificate it never reaches the peer: it keeps what it hears under TLS, which must be
//! nothing. With the good one it hands everything on.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::Error;

/// What a client meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// A certificate for `localhost` of the front's own authority.
    Good,
    /// One that has ended.
    Expired,
    /// One for another host.
    WrongName,
    /// One of an authority that nobody knows.
    UnknownAuthority,
    /// One that signed itself.
    SelfSigned,
    /// A server that speaks TLS 1.1.
    OldTls,
}

impl Face {
    /// All that mustn't be trusted.
    pub const BAD: [Self; 5] =
        [Self::Expired, Self::WrongName, Self::UnknownAuthority, Self::SelfSigned, Self::OldTls];
}

/// What the good face hands connections on to.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// A server without TLS: TLS ends at the front.
    Plain(SocketAddr),
    /// A server with TLS and a certificate of its own, which the client sees then.
    Tls(SocketAddr),
}

/// The server; it stops when it is dropped.
pub struct Front {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    peer: Peer,
    authority: CertifiedIssuer<'static, KeyPair>,
    face: Mutex<Face>,
    met: AtomicUsize,
    heard: Mutex<Vec<u8>>,
}

impl Front {
    /// A front with its good face.
    pub async fn start(peer: Peer) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::io("open a port"))?;
        let port = listener.local_addr().map_err(Error::io("open a port"))?.port();
        let shared = Shared {
            peer,
            authority: authority("testbed front")?,
            face: Mutex::new(Face::Good),
            met: AtomicUsize::new(0),
            heard: Mutex::default(),
        };
        let shared = Arc::new(shared);
        let served = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let served = served.clone();
                tokio::spawn(async move {
                    // Whatever ends a connection, others go on.
                    let _ = served.meet(connection).await;
                });
            }
        });
        Ok(Self { port, shared, task })
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of its authority.
    pub fn ca_pem(&self) -> String {
        self.shared.authority.pem()
    }

    /// Shows another face from now on, and counts anew.
    pub fn show(&self, face: Face) {
        *lock(&self.shared.face) = face;
        self.shared.met.store(0, Ordering::SeqCst);
    }

    /// Clients that met the present face and went away or were sent away.
    pub fn met(&self) -> usize {
        self.shared.met.load(Ordering::SeqCst)
    }

    /// Every byte that clients said under a certificate that mustn't be trusted.
    pub fn heard(&self) -> Vec<u8> {
        lock(&self.shared.heard).clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    async fn meet(&self, mut connection: TcpStream) -> Result<(), Error> {
        let face = *lock(&self.face);
        match (face, self.peer) {
            (Face::Good, Peer::Tls(peer)) => return join(&mut connection, peer).await,
            (Face::Good, Peer::Plain(peer)) => {
                let mut tls = self.accept(face, connection).await?;
                return join(&mut tls, peer).await;
            }
            (Face::OldTls, _) => self.speak_old(connection).await?,
            _ => {
                if let Ok(mut tls) = self.accept(face, connection).await {
                    self.listen(&mut tls).await;
                }
            }
        }
        self.met.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn accept(
        &self,
        face: Face,
        connection: TcpStream,
    ) -> Result<tokio_rustls::server::TlsStream<TcpStream>, Error> {
        let acceptor = TlsAcceptor::from(Arc::new(self.config(face)?));
        acceptor.accept(connection).await.map_err(Error::io("accept TLS"))
    }

    /// Keeps what a client says until it goes. A client that refuses a TLS 1.3 handshake does so after
    /// the server's side of it is over, so getting here says nothing yet.
    async fn listen<S: tokio::io::AsyncRead + Unpin>(&self, stream: &mut S) {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            lock(&self.heard).extend(buffer.iter().take(read));
        }
    }

    /// Answers the first message with a choice of TLS 1.1. An alert is no secret.
    async fn speak_old(&self, mut connection: TcpStream) -> Result<(), Error> {
        let mut buffer = [0; 4096];
        let _ = connection.read(&mut buffer).await;
        connection.write_all(&old_hello()).await.map_err(Error::io("speak TLS 1.1"))?;
        let read = connection.read(&mut buffer).await.unwrap_or_default();
        let said = buffer.get(..read).unwrap_or_default();
        if said.first().is_some_and(|kind| *kind != ALERT) {
            lock(&self.heard).extend(said);
            self.listen(&mut connection).await;
        }
        Ok(())
    }

    fn config(&self, face: Face) -> Result<ServerConfig, Error> {
        let (chain, key) = self.certificate(face).map_err(|error| Error::Wrong(error.to_string()))?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|why| Error::Wrong(why.to_owned()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        config.map_err(|error| Error::Wrong(error.to_string()))
    }

    fn certificate(&self, face: Face) -> Result<(Vec<CertificateDer<'static>>, KeyPair), rcgen::Error> {
        let key = KeyPair::generate()?;
        let name = if face == Face::WrongName { "other.example.com" } else { "localhost" };
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        if face == Face::Expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let leaf = match face {
            Face::SelfSigned => params.self_signed(&key)?,
            Face::UnknownAuthority => {
                let unknown = authority("nobody").map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
                params.signed_by(&key, &unknown)?
            }
            _ => params.signed_by(&key, &self.authority)?,
        };
        Ok((vec![leaf.der().clone()], key))
    }
}

/// Hands on in both directions until one side ends.
async fn join<S>(client: &mut S, peer: SocketAddr) -> Result<(), Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut peer = TcpStream::connect(peer).await.map_err(Error::io("reach the peer"))?;
    let _ = copy_bidirectional(client, &mut peer).await;
    Ok(())
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, Error> {
    let made = || {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate()?)
    };
    made().map_err(|error: rcgen::Error| Error::Wrong(format!("no certificates: {error}")))
}

/// Type of a record that holds an alert.
const ALERT: u8 = 21;

/// A `ServerHello` of TLS 1.1 (RFC 4346, section 7.4.1.3): a handshake record, version 3.2, 32 bytes of
/// randomness, no session, `TLS_RSA_WITH_AES_128_CBC_SHA`, no compression.
fn old_hello() -> Vec<u8> {
    let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    hello
}
