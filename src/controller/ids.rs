//! Cluster id and install id: which installation users in IAM belong to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::{Client, ResourceExt as _};
use ses_smtp_core::identity::install_id;
use ses_smtp_core::password::digest;

use crate::cluster::{Extent, Namespaces};

/// The namespace whose UID lives as long as its cluster.
const ANCHOR: &str = "kube-system";
/// Digits of a cluster id that is made up.
const CLUSTER_DIGITS: usize = 10;

/// The ids of an installation.
pub struct Ids {
    /// In the users' path.
    pub cluster: String,
    /// In the users' tags: tells two clusters with one cluster id apart. `None`: each Namespace's own UID
    /// makes that of its users.
    pub install: Option<String>,
}

/// Why there are no ids.
#[derive(Debug, thiserror::Error)]
pub enum IdError {
    /// The namespace can't be read.
    #[error(
        "namespace {ANCHOR} can't be read, whose UID tells this cluster from others: grant `get` on it ({0})"
    )]
    Unreadable(#[source] kube::Error),
    /// The namespace has no UID.
    #[error("namespace {ANCHOR} has no UID")]
    Missing,
    /// A namespace of the list can't be read.
    #[error("namespace {0} can't be read, whose UID tells whose its users are: grant `get` on it ({1})")]
    Namespace(String, #[source] kube::Error),
    /// A namespace of the list doesn't exist.
    #[error(
        "namespace {0} doesn't exist, so it can't be told which users are its own: leave it out of the list"
    )]
    NoNamespace(String),
}

/// The installation's ids; `given` takes the place of the made-up cluster id. An operator of some namespaces
/// reads nothing else, so there it has to be given.
pub async fn of(client: &Client, extent: &Extent, given: Option<String>) -> Result<Ids, IdError> {
    if let (Extent::Namespaces(_), Some(cluster)) = (extent, &given) {
        return Ok(Ids { cluster: cluster.clone(), install: None });
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let anchor = namespaces.get(ANCHOR).await.map_err(IdError::Unreadable)?;
    let uid = anchor.uid().ok_or(IdError::Missing)?;
    let made_up = || digest(uid.as_bytes()).chars().take(CLUSTER_DIGITS).collect();
    Ok(Ids { cluster: given.unwrap_or_else(made_up), install: Some(install_id(&uid)) })
}

/// The install id of each namespace's users, where each has its own.
pub async fn of_namespaces(client: &Client, names: &[String]) -> Result<BTreeMap<String, String>, IdError> {
    let namespaces = Namespaces::new(client.clone());
    let mut installs = BTreeMap::new();
    for name in names {
        let found = namespaces.get(name).await.map_err(|error| IdError::Namespace(name.clone(), error))?;
        let uid =
            found.and_then(|metadata| metadata.uid).ok_or_else(|| IdError::NoNamespace(name.clone()))?;
        installs.insert(name.clone(), install_id(&uid));
    }
    Ok(installs)
}
