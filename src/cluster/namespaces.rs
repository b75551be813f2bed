//! Namespaces: their metadata, read live.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::Api;
use kube::{Client, Error};

/// The Namespaces of the cluster.
#[derive(Clone)]
pub struct Namespaces(Client);

impl Namespaces {
    /// By way of `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// The Namespace's metadata as they are now, if there is one.
    pub async fn get(&self, name: &str) -> Result<Option<ObjectMeta>, Error> {
        let api: Api<Namespace> = Api::all(self.0.clone());
        Ok(api.get_metadata_opt(name).await?.map(|found| found.metadata))
    }
}
