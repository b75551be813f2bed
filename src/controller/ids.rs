//! Cluster id and install id: which installation users in IAM belong to.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::{Client, ResourceExt as _};
use ses_smtp_core::password::digest;

/// The namespace whose UID lives as long as its cluster.
const ANCHOR: &str = "kube-system";
/// Digits of a cluster id that is made up.
const CLUSTER_DIGITS: usize = 10;
/// Digits of an install id.
const INSTALL_DIGITS: usize = 16;

/// The ids of an installation.
pub struct Ids {
    /// In the users' path.
    pub cluster: String,
    /// In the users' tags: tells two clusters with one cluster id apart.
    pub install: String,
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
}

/// The installation's ids; `given` takes the place of the made-up cluster id.
pub async fn of(client: &Client, given: Option<String>) -> Result<Ids, IdError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let anchor = namespaces.get(ANCHOR).await.map_err(IdError::Unreadable)?;
    let hash = digest(anchor.uid().ok_or(IdError::Missing)?.as_bytes());
    let digits = |count| hash.chars().take(count).collect::<String>();
    Ok(Ids { cluster: given.unwrap_or_else(|| digits(CLUSTER_DIGITS)), install: digits(INSTALL_DIGITS) })
}
