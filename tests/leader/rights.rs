//! The rights to the Lease are missing, and come later.

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, DeleteParams};
use testbed::{Error, SOON, eventually};

use crate::stage::{HOME, Stage};

const BINDING: &str = "ses-smtp-operator-lease";

#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_are_named_and_waited_for() {
    let stage = Stage::set(3.0).await;
    let bindings: Api<RoleBinding> = Api::namespaced(stage.bed.client.clone(), HOME);
    let mut binding = bindings.get(BINDING).await.unwrap();
    bindings.delete(BINDING, &DeleteParams::default()).await.unwrap();
    let replica = stage.spawned(0).await;
    eventually("the right to be named", SOON, async || {
        let page = replica.operator.readiness().await?;
        let named = page.starts_with("HTTP/1.1 503")
            && page.contains("the right to get, create and update the lease");
        if named { Ok(Some(())) } else { Error::wrong(page) }
    })
    .await
    .unwrap();
    assert_eq!(stage.told("the lease can't be had"), 1, "{}", stage.bed.log());
    binding.metadata.resource_version = None;
    binding.metadata.uid = None;
    binding.metadata.managed_fields = None;
    bindings.create(&kube::api::PostParams::default(), &binding).await.unwrap();
    replica.leads().await;
    replica.operator.stop().await.unwrap();
    assert_eq!(stage.record().await.unwrap().holder, "", "released");
}
