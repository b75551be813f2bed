//! The HTTP endpoints: `/livez`, `/readyz`, `/metrics`.
//!
//! Liveness says that the process answers, and depends on nothing else: a restart heals neither AWS
//! nor the API server. Readiness says what is waited for. A process that stands by while another leads is
//! ready: were it not, no rolling update could end.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Metrics, metrics};

/// What `/readyz` says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Waiting(&'static str),
    StandingBy { leader: String },
    Working,
}

/// Whether the operator is at work, and else what it waits for. Clones share their state.
#[derive(Clone, Debug)]
pub struct Readiness {
    phase: watch::Sender<Phase>,
    /// What can't be worked at although the operator works; empty if nothing.
    lacking: watch::Sender<String>,
}

impl Readiness {
    /// Not ready, waiting for `what`.
    pub fn waiting(what: &'static str) -> Self {
        Self { phase: watch::Sender::new(Phase::Waiting(what)), lacking: watch::Sender::new(String::new()) }
    }

    /// Waits for `what` from now on.
    pub fn set_waiting(&self, what: &'static str) {
        self.phase.send_replace(Phase::Waiting(what));
    }

    /// Ready to take over from `leader`, from now on.
    pub fn set_standing_by(&self, leader: &str) {
        self.phase.send_replace(Phase::StandingBy { leader: leader.to_owned() });
    }

    /// At work from now on.
    pub fn set_ready(&self) {
        self.phase.send_replace(Phase::Working);
    }

    /// What can't be worked at, from now on: a line for people, or nothing.
    pub fn set_lacking(&self, what: String) {
        self.lacking.send_replace(what);
    }

    fn page(&self) -> (StatusCode, String) {
        match &*self.phase.borrow() {
            // One namespace without rights is no reason to take the operator from the others.
            Phase::Working => (StatusCode::OK, format!("ok\n{}", *self.lacking.borrow())),
            Phase::StandingBy { leader } => (StatusCode::OK, format!("standing by: {leader} leads\n")),
            Phase::Waiting(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {what}\n")),
        }
    }
}

/// Serves the endpoints until `shutdown` holds true or its sender is gone.
pub(super) async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let end = async move {
        // An error means that the sender is gone, which is the end too.
        let _ = shutdown.wait_for(|ending| *ending).await;
    };
    axum::serve(listener, router(metrics, readiness)).with_graceful_shutdown(end).await
}

fn router(metrics: Arc<Metrics>, readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(scrape).with_state(metrics))
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    readiness.page()
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn get_page(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).await.unwrap();
        page
    }

    #[tokio::test]
    async fn answers_until_shutdown() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, shutdown) = watch::channel(false);
        let readiness = Readiness::waiting("AWS credentials");
        let server = tokio::spawn(serve(listener, Arc::default(), readiness.clone(), shutdown));

        assert!(get_page(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let waiting = get_page(address, "/readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503") && waiting.contains("waiting for AWS credentials"));
        readiness.set_standing_by("pod-a_1");
        let standby = get_page(address, "/readyz").await;
        assert!(standby.starts_with("HTTP/1.1 200") && standby.contains("standing by: pod-a_1 leads"));
        readiness.set_ready();
        assert!(get_page(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        readiness.set_lacking("not served: shop\n".to_owned());
        let lacking = get_page(address, "/readyz").await;
        assert!(lacking.starts_with("HTTP/1.1 200") && lacking.ends_with("ok\nnot served: shop\n"));
        let metrics = get_page(address, "/metrics").await;
        assert!(metrics.contains(metrics::CONTENT_TYPE) && metrics.ends_with("# EOF\n"));

        end.send_replace(true);
        server.await.unwrap().unwrap();
    }
}
