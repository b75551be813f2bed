//! The Kubernetes client: no hidden retries, no call without an end.

use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::BoxError;
use tower::filter::{FilterLayer, Predicate};
use tower::timeout::TimeoutLayer;

use crate::leadership::Leadership;

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
    connect_as(Leadership::uncontested()).await
}

/// The same for those who may work only while `leadership` is held: no call is sent after it (rule R7).
pub async fn connect_as(leadership: Leadership) -> Result<Client, ConnectError> {
    let mut config = Config::infer().await.map_err(ConnectError::Infer)?;
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config).map_err(ConnectError::Build)?;
    let builder = builder.with_layer(&TimeoutLayer::new(TIMEOUT));
    Ok(builder.with_layer(&FilterLayer::new(Guard(leadership))).build())
}

/// Asked as a call is handed to its connection.
#[derive(Clone)]
struct Guard(Leadership);

impl<T> Predicate<T> for Guard {
    type Request = T;

    fn check(&mut self, request: T) -> Result<T, BoxError> {
        self.0.check()?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_call_is_handed_on_after_the_lease() {
        let leadership = Leadership::contested();
        let mut guard = Guard(leadership.clone());
        assert!(guard.check("call").is_err());
        leadership.set(Some(Instant::now() + Duration::from_secs(20)));
        assert_eq!(guard.check("call").unwrap(), "call");
        advance(Duration::from_secs(20)).await;
        assert!(guard.check("call").unwrap_err().to_string().contains("doesn't hold the lease"));
    }
}
