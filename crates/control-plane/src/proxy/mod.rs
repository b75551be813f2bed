//! A plain-HTTP proxy on loopback before the API server that makes chosen calls fail in chosen ways.
//!
//! The client under test talks HTTP to the proxy with its own token; the proxy talks TLS to the API server, streams
//! watches through, and asks its [`Rule`]s about every call. It runs on a thread of its own, so it also serves while a
//! test or a hook blocks. Upgraded connections (exec, port-forward) are not supported.

mod call;
mod forward;
mod rule;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{runtime::Runtime, sync::watch};

pub use self::{
    call::{Call, Target},
    rule::{Action, Callback, Rule, RuleHandle, When},
};
use self::{forward::Upstream, rule::ActiveRule};
use crate::{ControlPlane, Error, access};

/// The proxy; dropping it closes all its connections.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Each change closes the connections of the moment.
    cut: watch::Sender<()>,
    // Taken only by drop, because a runtime must not be dropped plainly in async code.
    runtime: Option<Runtime>,
}

/// What all connections share.
struct Shared {
    upstream: Upstream,
    rules: Mutex<Vec<Arc<ActiveRule>>>,
    journal: Mutex<Vec<Target>>,
    forwarded: Mutex<BTreeMap<(String, String), usize>>,
}

/// A panic in somebody's matcher must not hide behind a second one here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Every rule sees every call, so that each counts its own; the first one that fires decides.
    fn action_for(&self, call: &Call) -> Option<Action> {
        lock(&self.journal).push(call.target.clone());
        let rules = lock(&self.rules).clone();
        rules.iter().filter_map(|rule| rule.fires(call)).fold(None, |first, action| first.or(Some(action)))
    }

    fn count_forwarded(&self, target: &Target) {
        *lock(&self.forwarded).entry((target.verb.clone(), target.resource.clone())).or_default() += 1;
    }
}

impl FaultProxy {
    /// Starts a proxy without rules on a free port.
    pub fn start(plane: &ControlPlane) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            upstream: Upstream::new(&plane.url(), plane.ca_pem())?,
            rules: Mutex::default(),
            journal: Mutex::default(),
            forwarded: Mutex::default(),
        });
        let (cut, watched) = watch::channel(());
        let (listener, address) = listen().map_err(Error::io(|| "open the proxy's port".to_owned()))?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("fault-proxy").enable_all().build();
        let runtime = runtime.map_err(Error::io(|| "start the proxy's thread".to_owned()))?;
        runtime.spawn(forward::serve(listener, Arc::clone(&shared), watched));
        Ok(Self { address, shared, cut, runtime: Some(runtime) })
    }

    /// Address for clients, such as `http://127.0.0.1:40002`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kubeconfig text for a client that goes through the proxy with this token.
    pub fn kubeconfig(&self, token: &str) -> String {
        access::plain_kubeconfig(&self.url(), token)
    }

    /// Adds a rule. The handle tells how often it has fired.
    pub fn add(&self, rule: Rule) -> RuleHandle {
        let rule = Arc::new(ActiveRule::from(rule));
        lock(&self.shared.rules).push(Arc::clone(&rule));
        RuleHandle::new(rule)
    }

    /// Forgets all rules; calls that a rule holds at this moment stay held.
    pub fn clear_rules(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Everything that arrived so far, in order, forwarded or not.
    pub fn journal(&self) -> Vec<Target> {
        lock(&self.shared.journal).clone()
    }

    /// Number of calls that were sent on to the API server, by verb and resource (`patch`, `pods/status`).
    pub fn forwarded(&self) -> BTreeMap<(String, String), usize> {
        lock(&self.shared.forwarded).clone()
    }

    /// Starts journal and counts anew.
    pub fn reset_counts(&self) {
        lock(&self.shared.journal).clear();
        lock(&self.shared.forwarded).clear();
    }

    /// Closes every connection of this moment, running watches too. New ones are served.
    pub fn disconnect_all(&self) {
        self.cut.send_replace(());
    }
}

fn listen() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
