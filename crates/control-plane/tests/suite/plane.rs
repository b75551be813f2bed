//! Starting, access, apply and audit.

use control_plane::{ControlPlane, Error, audit, client_from_kubeconfig};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{Api, ResourceExt, api::ListParams};

use crate::{PATIENCE, namespace, shared, until};

#[tokio::test]
async fn reports_the_pinned_version_and_its_addresses() {
    let plane = shared().await;
    let version = plane.admin_client().unwrap().apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "36"));
    assert_eq!(version.git_version, format!("v{}", control_plane::KUBERNETES_VERSION));
    assert!(plane.url().starts_with("https://127.0.0.1:"));
    assert!(plane.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
}

#[tokio::test]
async fn applies_manifests_and_lists_them() {
    let (plane, client) = namespace("apply").await;
    let yaml =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: apply}\ndata: {port: \"587\"}\n";
    plane.apply_yaml(yaml).await.unwrap();
    plane.apply_yaml(yaml).await.unwrap();
    let map = Api::<ConfigMap>::namespaced(client.clone(), "apply").get("a").await.unwrap();
    assert_eq!(map.data.unwrap()["port"], "587");
    let names = Api::<Namespace>::all(client).list_metadata(&ListParams::default()).await.unwrap();
    assert!(names.iter().any(|namespace| namespace.name_any() == "apply"));
}

#[tokio::test]
async fn apply_is_strict_about_unknown_fields() {
    let (plane, _) = namespace("strict").await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: strict}\ndatta: {a: b}\n";
    let error = plane.apply_yaml(yaml).await.unwrap_err();
    let Error::Api { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().contains("datta"), "{source}");
}

#[tokio::test]
async fn a_crd_can_be_used_right_after_apply() {
    let (plane, _) = namespace("crd").await;
    let crd = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: letters.post.example.org}
spec:
  group: post.example.org
  scope: Namespaced
  names: {plural: letters, singular: letter, kind: Letter, listKind: LetterList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {to: {type: string}}}}}
---
{apiVersion: post.example.org/v1, kind: Letter, metadata: {name: a, namespace: crd}, spec: {to: b}}
";
    let applied = plane.apply_yaml(crd).await.unwrap();
    assert_eq!(applied[1].data["spec"]["to"], "b");
}

#[tokio::test]
async fn a_service_account_has_only_its_rights_and_is_named_in_the_audit_log() {
    let (plane, _) = namespace("rights").await;
    let kubeconfig = plane.service_account_kubeconfig("rights", "robot").await.unwrap();
    let client = client_from_kubeconfig(&kubeconfig).await.unwrap();
    let error = Api::<Secret>::namespaced(client, "rights").get("x").await.unwrap_err();
    assert!(matches!(&error, kube::Error::Api(status) if status.code == 403), "{error}");

    let user = "system:serviceaccount:rights:robot";
    let mine = |entries: &[audit::Entry]| entries.iter().any(|entry| entry.user == user);
    let entries = plane.audit_until(PATIENCE, mine).await.unwrap();
    let entry = entries.iter().find(|entry| entry.user == user).unwrap();
    assert_eq!((entry.verb.as_str(), entry.resource.as_str(), entry.name.as_str()), ("get", "secrets", "x"));
    assert_eq!((entry.namespace.as_str(), entry.code), ("rights", 403));
}

#[tokio::test]
async fn audit_counts_calls_by_user_resource_and_verb() {
    let (plane, client) = namespace("counts").await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "counts");
    for _ in 0..3 {
        assert!(maps.get_opt("none").await.unwrap().is_none());
    }
    let here = |entries: &[audit::Entry]| {
        let mine: Vec<_> =
            entries.iter().filter(|entry| entry.uri.contains("/counts/configmaps/none")).collect();
        mine.len() == 3 && mine.iter().all(|entry| entry.code == 404 && entry.user == "admin")
    };
    let entries = plane.audit_until(PATIENCE, here).await.unwrap();
    let key = entries.iter().find(|entry| entry.name == "none").unwrap().key();
    assert_eq!((key.verb.as_str(), key.resource.as_str()), ("get", "configmaps"));
    assert!(audit::counts(&entries)[&key] >= 3);
}

#[tokio::test]
async fn kubeconfig_files_work_and_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let plane = shared().await;
    let path = plane.kubeconfig_file("test", &plane.admin_kubeconfig_yaml()).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let client = client_from_kubeconfig(&std::fs::read_to_string(path).unwrap()).await.unwrap();
    client.apiserver_version().await.unwrap();
}

#[tokio::test]
async fn the_controller_manager_makes_default_accounts_and_removes_namespaces() {
    use k8s_openapi::api::core::v1::ServiceAccount;
    let (_, client) = namespace("ending").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "ending");
    until("the default account", async || accounts.get_opt("default").await.unwrap().is_some()).await;
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete("ending", &kube::api::DeleteParams::default()).await.unwrap();
    until("the end of the namespace", async || namespaces.get_opt("ending").await.unwrap().is_none()).await;
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let outcome = ControlPlane::builder().api_server_flag("--no-such-flag").start().await;
    let Err(error) = outcome else { panic!("started") };
    assert!(error.to_string().contains("no-such-flag"), "{error}");
}
