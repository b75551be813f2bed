//! How far the operator reaches: the whole cluster, or some namespaces and nothing outside them.

use kube::Client;
use kube::Resource;
use kube::api::Api;
use kube::core::NamespaceResourceScope;

/// The namespaces that the operator works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All there are, watched by way of the whole cluster.
    Cluster,
    /// These, whether they exist or not, each watched by itself: nothing is asked of the cluster.
    Namespaces(Vec<String>),
}

impl Extent {
    /// What has to be listed or watched to see all resources of a kind, and the namespace that each is of;
    /// an empty one for the whole cluster.
    pub fn apis<K>(&self, client: &Client) -> Vec<(String, Api<K>)>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let within = |name: &String| (name.clone(), Api::namespaced(client.clone(), name));
        match self {
            Self::Cluster => vec![(String::new(), Api::all(client.clone()))],
            Self::Namespaces(names) => names.iter().map(within).collect(),
        }
    }
}
