//! Secrets: read live, written conditionally.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch};
use kube::{Client, Error};

use super::{patch_params, post_params};

/// The Secrets of the cluster.
#[derive(Clone)]
pub struct Secrets(Client);

impl Secrets {
    /// By way of `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    fn api(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.0.clone(), namespace)
    }

    /// The Secret as it is now, if there is one.
    pub async fn get(&self, namespace: &str, name: &str) -> Result<Option<Secret>, Error> {
        self.api(namespace).get_opt(name).await
    }

    /// Creates the Secret; refused if one of its name exists.
    pub async fn create(&self, namespace: &str, secret: &Secret) -> Result<Secret, Error> {
        self.api(namespace).create(&post_params(), secret).await
    }

    /// Replaces the Secret; refused unless it still has the version that `secret` carries.
    pub async fn replace(&self, namespace: &str, name: &str, secret: &Secret) -> Result<Secret, Error> {
        self.api(namespace).replace(name, &post_params(), secret).await
    }

    /// Merges `patch` into the Secret's metadata; refused unless it still has the version that the
    /// patch carries. Only metadata come back.
    pub async fn patch(
        &self,
        namespace: &str,
        name: &str,
        patch: &serde_json::Value,
    ) -> Result<ObjectMeta, Error> {
        let patched = self.api(namespace).patch_metadata(name, &patch_params(), &Patch::Merge(patch)).await?;
        Ok(patched.metadata)
    }
}
