//! IAM as somebody plays it who means harm: hands calls on to the double, and says to chosen actions
//! whatever it is told to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Error;

/// What is said in place of an answer.
#[derive(Clone, Debug)]
pub enum Said {
    /// These bytes, then the connection closes.
    Bytes(Vec<u8>),
    /// A page of a list, after which another is promised at a marker: `{n}` in the text is the number of
    /// the call.
    Page(String),
    /// The bytes again and again, until the client goes.
    Endless(Vec<u8>),
    /// One byte at a time with a pause after each.
    Drip(Vec<u8>, Duration),
}

impl Said {
    /// An answer with status 200 and this body.
    pub fn ok(body: &[u8]) -> Self {
        Self::Bytes([head(&format!("Content-Length: {}", body.len())).as_bytes(), body].concat())
    }
}

/// Status 200 and the headers that IAM gives.
fn head(length: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nDate: Wed, 25 Nov 2026 13:00:00 GMT\r\n\
         x-amzn-RequestId: impostor\r\nConnection: close\r\n{length}\r\n\r\n"
    )
}

/// What each action is told, and how often it asked.
type Book = BTreeMap<String, (Said, usize)>;

/// The server; it stops when it is dropped.
pub struct Impostor {
    port: u16,
    book: Arc<Mutex<Book>>,
    task: JoinHandle<()>,
}

impl Impostor {
    /// One that hands everything on to `port`.
    pub async fn start(port: u16) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::io("open a port"))?;
        let own = listener.local_addr().map_err(Error::io("open a port"))?.port();
        let book = Arc::new(Mutex::new(Book::new()));
        let (peer, read) = (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), book.clone());
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let read = read.clone();
                tokio::spawn(async move {
                    // Whatever ends a connection, others go on.
                    let _ = serve(connection, peer, &read).await;
                });
            }
        });
        Ok(Self { port: own, book, task })
    }

    /// Its address, for `AWS_ENDPOINT_URL_IAM`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Says this to `action` from now on.
    pub fn say(&self, action: &str, what: Said) {
        self.book().insert(action.to_owned(), (what, 0));
    }

    /// Hands every call on again.
    pub fn be_honest(&self) {
        self.book().clear();
    }

    /// How often `action` was lied to since it was chosen.
    pub fn told(&self, action: &str) -> usize {
        self.book().get(action).map_or(0, |(_, times)| *times)
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request, one answer, and the connection closes: so each call is looked at anew.
async fn serve(mut connection: TcpStream, peer: SocketAddr, book: &Mutex<Book>) -> std::io::Result<()> {
    let (head, body) = request(&mut connection).await?;
    let action = body.strip_prefix("Action=").and_then(|rest| rest.split('&').next()).unwrap_or_default();
    let lie = book.lock().unwrap_or_else(PoisonError::into_inner).get_mut(action).map(|(said, times)| {
        *times += 1;
        (said.clone(), *times)
    });
    if let Some((said, nth)) = lie {
        say(&mut connection, said, nth).await?;
        return connection.shutdown().await;
    }
    let mut peer = TcpStream::connect(peer).await?;
    // No part of the signature.
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    peer.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await?;
    copy(&mut peer, &mut connection).await.map(drop)
}

async fn say(connection: &mut TcpStream, said: Said, nth: usize) -> std::io::Result<()> {
    match said {
        Said::Bytes(bytes) => connection.write_all(&bytes).await,
        Said::Page(text) => {
            let body = text.replace("{n}", &nth.to_string());
            let head = head(&format!("Content-Length: {}", body.len()));
            connection.write_all((head + &body).as_bytes()).await
        }
        Said::Endless(bytes) => {
            connection.write_all(head("X-Length: none").as_bytes()).await?;
            loop {
                connection.write_all(&bytes).await?;
            }
        }
        Said::Drip(bytes, pause) => {
            connection.write_all(head(&format!("Content-Length: {}", bytes.len())).as_bytes()).await?;
            for byte in bytes {
                connection.write_all(&[byte]).await?;
                tokio::time::sleep(pause).await;
            }
            Ok(())
        }
    }
}

/// Head and body of a request with a length.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(String, String)> {
    let mut text = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let shown = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = shown.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length =
                lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok((format!("{head}\r\n\r\n"), body.to_owned()));
            }
        }
        match stream.read(&mut buffer).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => text.extend(buffer.iter().take(read)),
        }
    }
}
