//! The Kubernetes client: no hidden retries, no call without an end.

use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::timeout::TimeoutLayer;

/// How long a call may take until its answer begins. The API server ends requests after 60 s; ours
/// must be over before a pass runs out of time. Watches are spared: their answer begins at once.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a kubeconfig nor a service account.
    #[error("no way to the Kubernetes API: set KUBECONFIG or run in a pod with a service account ({0})")]
    Infer(#[source] kube::config::InferConfigError),
    /// The configuration can't be used.
    #[error("the Kubernetes client can't be built: {0}")]
    Build(#[source] kube::Error),
}

/// A client by KUBECONFIG or the pod's service account.
///
/// kube's own retry is off: it repeats any verb, creation too, and would hide from the decisions
/// that a write was sent more than once.
pub async fn connect() -> Result<Client, ConnectError> {
    let mut config = Config::infer().await.map_err(ConnectError::Infer)?;
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config).map_err(ConnectError::Build)?;
    Ok(builder.with_layer(&TimeoutLayer::new(TIMEOUT)).build())
}
