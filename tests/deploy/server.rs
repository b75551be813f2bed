//! A real API server takes everything that is rendered, knows every field of it, and lets the pod in.

use std::fs;
use std::path::PathBuf;

use control_plane::ControlPlane;
use serde_json::{Value, json};

use super::render::{HELMS, Objects, Tools, VARIANTS};

/// Kinds that others have to know before an object of theirs can be applied.
const FIRST: [&str; 3] = ["Namespace", "CustomResourceDefinition", "ServiceAccount"];

/// The kinds of the Prometheus operator, as its own release has them.
fn foreign_kinds() -> Vec<String> {
    let folder = PathBuf::from(std::env::var_os("PROMETHEUS_OPERATOR").expect("run make chart"));
    let read = |kind: &str| {
        let file = format!("example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml");
        fs::read_to_string(folder.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    ["podmonitors", "prometheusrules"].map(read).to_vec()
}

async fn taken(plane: &ControlPlane, objects: &Objects) {
    let order = |kind: &str| FIRST.iter().position(|first| *first == kind).unwrap_or(FIRST.len());
    let mut sorted: Vec<_> = objects.iter().collect();
    sorted.sort_by_key(|(_, object)| order(object["kind"].as_str().unwrap()));
    for (key, object) in sorted {
        plane.apply_yaml(&object.to_string()).await.unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

/// The Deployment's pod is let into the namespace, whose Pod Security level is the restricted one.
async fn let_in(plane: &ControlPlane, objects: &Objects, name: &str) {
    let mut pod: Value =
        objects["Deployment ses-smtp-operator/ses-smtp-operator"]["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["namespace"] = json!("ses-smtp-operator");
    plane.apply_yaml(&pod.to_string()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the tools that make chart builds"]
async fn a_strict_server_takes_every_variant() {
    let tools = Tools::new();
    let plane = ControlPlane::builder().start().await.unwrap();
    for name in ["shop", "ses-smtp-operator"] {
        let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}");
        plane.apply_yaml(&namespace).await.unwrap();
    }
    for crd in foreign_kinds() {
        plane.apply_yaml(&crd).await.unwrap();
    }
    for variant in &VARIANTS {
        let objects = tools.kustomize(variant);
        taken(&plane, &objects).await;
        let_in(&plane, &objects, variant.name).await;
        for helm in HELMS {
            let objects = tools.helm(helm, variant.values);
            taken(&plane, &objects).await;
            let_in(&plane, &objects, &format!("{}-{helm}", variant.name)).await;
        }
    }
}
