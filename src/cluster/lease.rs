//! Leases: read live, written conditionally; and the namespace in which this process has its own.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use kube::config::Kubeconfig;
use kube::{Client, Error};

use super::post_params;

/// Where a pod finds the namespace that it runs in.
const OWN_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// The Lease of that name in one namespace.
#[derive(Clone)]
pub struct Leases {
    api: Api<Lease>,
    name: String,
}

/// There is no namespace for the Lease.
#[derive(Debug, thiserror::Error)]
#[error(
    "--lease-namespace is needed: this process runs in no pod, and the kubeconfig's current context names \
     no namespace. Set it, or --leader-elect=false for an operator that runs alone"
)]
pub struct NoNamespace;

impl Leases {
    /// By way of `client`, which must repeat nothing by itself.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned() }
    }

    /// The Lease as it is now, if there is one.
    pub async fn get(&self) -> Result<Option<Lease>, Error> {
        self.api.get_opt(&self.name).await
    }

    /// Creates the Lease; refused if there is one.
    pub async fn create(&self, lease: &Lease) -> Result<Lease, Error> {
        self.api.create(&post_params(), lease).await
    }

    /// Replaces the Lease; refused unless it still has the version that `lease` carries.
    pub async fn replace(&self, lease: &Lease) -> Result<Lease, Error> {
        self.api.replace(&self.name, &post_params(), lease).await
    }
}

/// The namespace that this process is in: its pod's, or else the one that the kubeconfig's current context
/// names.
pub fn own_namespace() -> Result<String, NoNamespace> {
    let pods = std::fs::read_to_string(OWN_NAMESPACE).ok().map(|text| text.trim().to_owned());
    pods.or_else(|| of_context(Kubeconfig::read().ok()?)).filter(|name| !name.is_empty()).ok_or(NoNamespace)
}

fn of_context(config: Kubeconfig) -> Option<String> {
    let current = config.current_context?;
    let named = config.contexts.into_iter().find(|named| named.name == current)?;
    named.context?.namespace
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "{current-context: b, clusters: [], users: [], contexts: [\
         {name: a, context: {cluster: c, user: u, namespace: other}}, \
         {name: b, context: {cluster: c, user: u, namespace: mail}}, \
         {name: bare, context: {cluster: c, user: u}}]}";

    #[test]
    fn takes_the_current_context_s_namespace() {
        let read = |text: &str| of_context(Kubeconfig::from_yaml(text).unwrap());
        assert_eq!(read(CONFIG), Some("mail".to_owned()));
        assert_eq!(read(&CONFIG.replace("current-context: b", "current-context: bare")), None);
        assert_eq!(read("{clusters: [], users: [], contexts: []}"), None);
    }
}
