//! The rules of the real API server that the operator relies on.

use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{namespace, until};

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

/// A Secret, and the resource version it had before its last change.
async fn changed_secret(api: &Api<Secret>) -> (Secret, String) {
    let secret = Secret { metadata: named("s"), ..Secret::default() };
    let created = api.create(&PostParams::default(), &secret).await.unwrap();
    let old = created.metadata.resource_version.unwrap();
    let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    (api.patch("s", &PatchParams::default(), &patch).await.unwrap(), old)
}

fn assert_conflict<T>(outcome: kube::Result<T>) {
    let Err(kube::Error::Api(status)) = outcome else { panic!("no refusal by the API server") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
}

#[tokio::test]
async fn a_secret_put_with_an_old_resource_version_conflicts() {
    let (_, client) = namespace("put").await;
    let api: Api<Secret> = Api::namespaced(client, "put");
    let (mut secret, old) = changed_secret(&api).await;
    secret.metadata.resource_version = Some(old);
    assert_conflict(api.replace("s", &PostParams::default(), &secret).await);
}

#[tokio::test]
async fn a_secret_put_without_a_resource_version_is_accepted() {
    let (_, client) = namespace("blind").await;
    let api: Api<Secret> = Api::namespaced(client, "blind");
    let (mut secret, _) = changed_secret(&api).await;
    secret.metadata.resource_version = None;
    api.replace("s", &PostParams::default(), &secret).await.unwrap();
}

#[tokio::test]
async fn a_metadata_merge_patch_with_an_old_resource_version_conflicts() {
    let (_, client) = namespace("merge").await;
    let api: Api<Secret> = Api::namespaced(client, "merge");
    let (secret, old) = changed_secret(&api).await;
    let annotate = |version: &str| {
        Patch::Merge(json!({"metadata": {"resourceVersion": version, "annotations": {"a": "b"}}}))
    };
    assert_conflict(api.patch_metadata("s", &PatchParams::default(), &annotate(&old)).await);
    let current = secret.metadata.resource_version.unwrap();
    api.patch_metadata("s", &PatchParams::default(), &annotate(&current)).await.unwrap();
}

#[tokio::test]
async fn an_owned_secret_goes_with_its_owner() {
    let (_, client) = namespace("owned").await;
    let owners: Api<ConfigMap> = Api::namespaced(client.clone(), "owned");
    let secrets: Api<Secret> = Api::namespaced(client, "owned");
    let owner = ConfigMap { metadata: named("owner"), ..ConfigMap::default() };
    let owner = owners.create(&PostParams::default(), &owner).await.unwrap();
    let mut metadata = named("s");
    metadata.owner_references = owner.controller_owner_ref(&()).map(|reference| vec![reference]);
    let secret = Secret { metadata, ..Secret::default() };
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    owners.delete("owner", &DeleteParams::default()).await.unwrap();
    until("the collection of the Secret", async || secrets.get_opt("s").await.unwrap().is_none()).await;
}
