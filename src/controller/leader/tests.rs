//! Elections on paused time, against a Lease in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use ses_smtp_core::lease::{LEASE, RENEW_DEADLINE, RETRY};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower::{BoxError, service_fn};

use super::*;

/// How calls of a candidate fail.
#[derive(Clone, Copy)]
enum Trouble {
    Silence,
    Status(u16),
}

#[derive(Default)]
struct Server {
    stored: Option<Value>,
    version: u64,
    trouble: BTreeMap<&'static str, Trouble>,
}

type Shared = Arc<Mutex<Server>>;

impl Server {
    fn answer(&mut self, method: &Method, sent: Option<Value>) -> (u16, Value) {
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        match (method, &self.stored) {
            (&Method::GET, Some(stored)) => (200, stored.clone()),
            (&Method::GET, None) => status(404),
            (&Method::POST, Some(_)) => status(409),
            (&Method::PUT, stored) if stored.as_ref().map(version) != sent.as_ref().map(version) => {
                status(409)
            }
            _ => {
                self.version += 1;
                let mut lease = sent.unwrap();
                lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
                self.stored = Some(lease.clone());
                (200, lease)
            }
        }
    }

    fn holder(&self) -> &str {
        self.stored.as_ref().and_then(|lease| lease["spec"]["holderIdentity"].as_str()).unwrap_or_default()
    }
}

fn status(code: u16) -> (u16, Value) {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        403 => "Forbidden",
        _ => "InternalError",
    };
    (
        code,
        json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason }),
    )
}

fn client(server: &Shared, name: &'static str) -> Client {
    let server = server.clone();
    let serve = move |request: Request<Body>| {
        let server = server.clone();
        async move {
            let (parts, body) = request.into_parts();
            let sent = serde_json::from_slice(&body.collect_bytes().await?).ok();
            let trouble = server.lock().unwrap().trouble.get(name).copied();
            let (code, body) = match trouble {
                Some(Trouble::Silence) => std::future::pending().await,
                Some(Trouble::Status(code)) => status(code),
                None => server.lock().unwrap().answer(&parts.method, sent),
            };
            let response =
                Response::builder().status(code).body(Body::from(body.to_string().into_bytes()))?;
            Ok::<_, BoxError>(response)
        }
    };
    Client::new(service_fn(serve), "mail")
}

fn election(server: &Shared, name: &'static str) -> Election {
    Election {
        leases: Leases::new(client(server, name), "mail", "operator"),
        candidate: Candidate::new("operator", name, Times::default()),
        start: Instant::now(),
        leadership: Leadership::contested(),
        readiness: Readiness::waiting("AWS"),
        metrics: Arc::default(),
        lease: "mail/operator".to_owned(),
        trouble: String::new(),
    }
}

/// A candidate whose work ends when it is told to shut down.
struct Replica {
    leadership: Leadership,
    ending: watch::Sender<bool>,
    /// What `lead` gave, and when.
    led: JoinHandle<(Result<Option<()>, Lost>, Instant)>,
}

fn replica(server: &Shared, name: &'static str) -> Replica {
    let election = election(server, name);
    let (leadership, (ending, shutdown)) = (election.leadership.clone(), watch::channel(false));
    let mut told = shutdown.clone();
    let work = async move {
        let _ = told.wait_for(|ending| *ending).await;
    };
    let led = tokio::spawn(async move { (election.lead(shutdown, work).await, Instant::now()) });
    Replica { leadership, ending, led }
}

impl Replica {
    /// Waits until it leads, and gives the time.
    async fn leads(&self) -> Instant {
        let held = async {
            while !self.leadership.held() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LEASE * 10, held).await.expect("never leads");
        Instant::now()
    }
}

async fn pair() -> (Shared, Replica, Replica) {
    let server = Shared::default();
    let first = replica(&server, "a");
    first.leads().await;
    let second = replica(&server, "b");
    sleep(LEASE * 3).await;
    assert!(first.leadership.held() && !second.leadership.held());
    (server, first, second)
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_ends_before_another_leads() {
    for trouble in [Trouble::Silence, Trouble::Status(500), Trouble::Status(403)] {
        let (server, first, second) = pair().await;
        let cut = Instant::now();
        server.lock().unwrap().trouble.insert("a", trouble);
        let began = second.leads().await;
        let (lost, ended) = first.led.await.unwrap();
        assert!(lost.unwrap_err().to_string().contains("lease mail/operator is lost"));
        assert!(!first.leadership.held());
        assert!(ended - cut <= RENEW_DEADLINE && ended < began, "{:?}", ended - cut);
        assert!(began - cut <= LEASE + RETRY * 2, "{:?}", began - cut);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clean_end_hands_over_at_once() {
    let (server, first, second) = pair().await;
    first.ending.send_replace(true);
    let (led, ended) = first.led.await.unwrap();
    assert!(matches!(led, Ok(Some(()))) && !first.leadership.held());
    let began = second.leads().await;
    assert!(began - ended <= RETRY + Duration::from_millis(100), "{:?}", began - ended);
    assert_eq!(server.lock().unwrap().holder(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_took_ends_it_at_the_next_try() {
    let (server, first, _second) = pair().await;
    let taken = Instant::now();
    {
        let mut server = server.lock().unwrap();
        let mut lease = server.stored.clone().unwrap();
        lease["spec"]["holderIdentity"] = json!("c");
        server.answer(&Method::PUT, Some(lease));
    }
    let (lost, ended) = first.led.await.unwrap();
    assert!(lost.unwrap_err().to_string().contains("c holds it"));
    assert!(ended - taken <= RETRY * 2, "{:?}", ended - taken);
}

#[tokio::test(start_paused = true)]
async fn one_that_stands_by_ends_at_once_and_takes_nothing_along() {
    let (server, first, second) = pair().await;
    second.ending.send_replace(true);
    let (led, _) = second.led.await.unwrap();
    assert!(matches!(led, Ok(None)) && first.leadership.held());
    assert_eq!(server.lock().unwrap().holder(), "a");
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_waited_for() {
    let server = Shared::default();
    server.lock().unwrap().trouble.insert("a", Trouble::Status(403));
    let first = replica(&server, "a");
    sleep(LEASE * 3).await;
    assert!(!first.leadership.held() && !first.led.is_finished());
    server.lock().unwrap().trouble.clear();
    let healed = Instant::now();
    assert!(first.leads().await - healed <= RETRY * 2);
}
