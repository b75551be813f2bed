//! The HTTP side: one listener for IAM, STS and the control endpoint, with keep-alive.
//!
//! Owns connections and bodies. What a call means is decided in `call`, `control` and `pods`.

mod call;
mod control;
mod pods;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) use call::run_unsigned;
pub(crate) use pods::PATH as POD_CREDENTIALS;

use crate::clock::http_date;
use crate::world::Shared;

/// How long to wait after a failed accept.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);
/// Largest request body.
const BODY: usize = 1 << 20;

/// A request, read whole.
pub(crate) struct Message {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A reply.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    pub(crate) request_id: String,
}

/// What a client gets.
pub(crate) enum Answer {
    Reply(Reply),
    /// The connection closes without a reply.
    Drop,
    /// The connection stays open without a reply.
    Hang,
}

/// The connection is to be closed without a reply.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped")]
struct Dropped;

/// Serves until aborted; connections end with it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&shared)));
            }
            // Out of file descriptors, most likely: let other connections end first.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Small replies on a warm connection: waiting to fill a packet only costs time.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(request, Arc::clone(&shared)));
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // An error here is a client that went away or a fault that closed the connection.
    let _ = served.await;
}

async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Dropped> {
    let message = read(request).await.ok_or(Dropped)?;
    let now = Arc::clone(&shared);
    // In a task of its own: a call that has arrived is carried out even if its client goes away.
    let answer = tokio::spawn(dispatch(shared, message)).await.unwrap_or(Answer::Drop);
    match answer {
        Answer::Reply(reply) => response(reply, &now).ok_or(Dropped),
        Answer::Drop => Err(Dropped),
        Answer::Hang => std::future::pending().await,
    }
}

async fn dispatch(shared: Arc<Shared>, message: Message) -> Answer {
    if message.path.starts_with("/_double/") {
        return Answer::Reply(control::answer(&shared, &message));
    }
    if message.path == POD_CREDENTIALS {
        return pods::answer(&shared, &message).await;
    }
    call::answer(shared, message).await
}

async fn read(request: Request<Incoming>) -> Option<Message> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY).collect().await.ok()?.to_bytes();
    Some(Message {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    })
}

fn response(reply: Reply, shared: &Shared) -> Option<Response<Full<Bytes>>> {
    Response::builder()
        .status(StatusCode::from_u16(reply.status).ok()?)
        .header("content-type", reply.content_type)
        .header("date", http_date(shared.now()))
        .header("x-amzn-requestid", reply.request_id)
        .body(Full::new(Bytes::from(reply.body)))
        .ok()
}
