//! The control plane as its users see it. One is shared by all tests of this process; tests keep apart by namespace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod lifetime;
mod plane;
mod proxy;
mod semantics;

use std::time::Duration;

use control_plane::ControlPlane;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use kube::Client;
use tokio::{sync::OnceCell, time::Instant};

/// For waits inside tests. Long, because only a failure ever waits this long.
const PATIENCE: Duration = Duration::from_mins(1);

async fn shared() -> &'static ControlPlane {
    static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    let start = || async { ControlPlane::builder().controller_manager().audit_log().start().await };
    PLANE.get_or_try_init(start).await.unwrap()
}

/// A namespace for one test, with a service account `robot` that has no rights.
async fn namespace(name: &str) -> (&'static ControlPlane, Client) {
    let plane = shared().await;
    let yaml = format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n---\n\
         {{apiVersion: v1, kind: ServiceAccount, metadata: {{name: robot, namespace: {name}}}}}\n"
    );
    plane.apply_yaml(&yaml).await.unwrap();
    (plane, plane.admin_client().unwrap())
}

/// Lets the account `robot` of a namespace do everything in it.
async fn let_robot(plane: &ControlPlane, namespace: &str) {
    let yaml = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: robot, namespace: {namespace}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}\n\
         subjects: [{{kind: ServiceAccount, name: robot, namespace: {namespace}}}]\n"
    );
    plane.apply_yaml(&yaml).await.unwrap();
    let attributes = ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        verb: Some("create".to_owned()),
        resource: Some("configmaps".to_owned()),
        ..ResourceAttributes::default()
    };
    plane.until_allowed(namespace, "robot", attributes).await.unwrap();
}

/// Asks until the answer is yes.
async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !ask().await {
        assert!(started.elapsed() < PATIENCE, "not seen: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
