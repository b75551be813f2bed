//! Moving requests and answers. Knows how to carry out an action, not when.

use std::{convert::Infallible, fmt, net, sync::Arc, time::Duration};

use http::{
    HeaderMap, Request, Response, StatusCode, Uri,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING},
};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::{net::TcpStream, sync::watch};

use super::{Action, Call, Callback, Shared, When};
use crate::Error;

type Body = BoxBody<Bytes, hyper::Error>;

/// Headers of one connection only; hyper sets those of the next.
const HOP_HEADERS: [HeaderName; 4] = [HOST, CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH];

/// How long to wait before accepting again when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Stands for "close the connection without an answer": hyper does that when a service fails.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("connection closed by the fault proxy")
    }
}

impl std::error::Error for Cut {}

/// The API server as the proxy reaches it.
pub(super) struct Upstream {
    url: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Upstream {
    pub(super) fn new(url: &str, authority: &str) -> Result<Self, Error> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls(authority)?);
        let connector = builder.https_only().enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { url: url.to_owned(), client })
    }

    /// Sends a call on; whatever goes wrong there looks to the client like a lost connection.
    async fn send(&self, call: Call) -> Result<Response<Incoming>, Cut> {
        let path = call.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let mut request = Request::new(Full::new(call.body));
        *request.uri_mut() = format!("{}{path}", self.url).parse::<Uri>().map_err(|_| Cut)?;
        *request.method_mut() = call.method;
        *request.headers_mut() = end_to_end(call.headers);
        self.client.request(request).await.map_err(|_| Cut)
    }
}

fn tls(authority: &str) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(Error::certificate)?;
    roots.add(certificate).map_err(Error::certificate)?;
    // Named, so that no choice of a default provider elsewhere in the process matters.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(Error::certificate)?.with_root_certificates(roots).with_no_client_auth())
}

fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in HOP_HEADERS {
        headers.remove(name);
    }
    headers
}

/// Accepts connections until the runtime goes.
pub(super) async fn serve(listener: net::TcpListener, shared: Arc<Shared>, cut: watch::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(&shared), cut.clone()))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut cut: watch::Receiver<()>) {
    let _ = stream.set_nodelay(true);
    cut.mark_unchanged();
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Both a client that went away and one that we cut off end here; neither is an event.
    tokio::select! {
        _ = served => {}
        _ = cut.changed() => {}
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let call = Call::new(parts, body);
    match shared.action_for(&call) {
        Some(action) => carry_out(action, shared, call).await,
        None => stream_through(&shared, call).await,
    }
}

async fn carry_out(action: Action, shared: Arc<Shared>, call: Call) -> Result<Response<Body>, Cut> {
    match action {
        Action::Hook { when, callback } => {
            if when == When::AfterEffect {
                effect(shared, call, Duration::ZERO).await?;
            }
            run(callback).await;
            Err(Cut)
        }
        Action::Observe(callback) => {
            let answer = effect(shared, call, Duration::ZERO).await?;
            run(callback).await;
            Ok(answer.map(whole))
        }
        Action::LostRequest => Err(Cut),
        Action::LostReply => effect(shared, call, Duration::ZERO).await.and(Err(Cut)),
        Action::LateEffect(after) => {
            drop(tokio::spawn(effect(shared, call, after)));
            Err(Cut)
        }
        Action::Hang => std::future::pending().await,
        Action::Status(code) => status(code, &call),
        Action::StatusAfterEffect(code) => {
            let refusal = status(code, &call);
            effect(shared, call, Duration::ZERO).await?;
            refusal
        }
        Action::Malformed => Ok(effect(shared, call, Duration::ZERO).await?.map(|bytes| whole(half(&bytes)))),
        Action::Respond(code, body) => Ok(json(code, body)),
        Action::Delay(time) => {
            tokio::time::sleep(time).await;
            stream_through(&shared, call).await
        }
    }
}

/// Sends a call on and streams the answer, so that watch events pass as they come.
async fn stream_through(shared: &Shared, call: Call) -> Result<Response<Body>, Cut> {
    shared.count_forwarded(&call.target);
    let (mut parts, body) = shared.upstream.send(call).await?.into_parts();
    parts.headers = end_to_end(parts.headers);
    Ok(Response::from_parts(parts, body.boxed()))
}

/// Sends a call on and reads the whole answer, in a task of its own: a client that gives up must not take the effect
/// back.
async fn effect(shared: Arc<Shared>, call: Call, after: Duration) -> Result<Response<Bytes>, Cut> {
    let task = tokio::spawn(async move {
        tokio::time::sleep(after).await;
        let (parts, body) = stream_through(&shared, call).await?.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        Ok(Response::from_parts(parts, body))
    });
    task.await.map_err(|_| Cut)?
}

/// Callbacks may block, and must not hold up other calls meanwhile.
async fn run(callback: Callback) {
    let _ = tokio::task::spawn_blocking(move || callback()).await;
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed()
}

fn half(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len() / 2)
}

fn json(code: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A failure as the API server words it, since clients decide by its reason.
fn status(code: u16, call: &Call) -> Result<Response<Body>, Cut> {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "injected by the fault proxy", "reason": reason(code, call), "code": code,
    });
    let code = StatusCode::from_u16(code).map_err(|_| Cut)?;
    Ok(json(code, body.to_string().into()))
}

/// `metav1.StatusReason` that goes with a status.
fn reason(code: u16, call: &Call) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 if call.target.verb == "create" => "AlreadyExists",
        409 => "Conflict",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    }
}
