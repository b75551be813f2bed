//! Helm and kustomize make the same objects, but for what is listed here.

use std::collections::BTreeSet;

use control_plane::KUBERNETES_VERSION;
use serde_json::Value;

use super::render::{HELMS, NAME, Objects, Tools, VARIANTS, good};

/// Labels that only Helm's objects carry. Nothing is selected by them.
const HELM_LABELS: [&str; 4] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
];
/// Keeps the CRD when the release is uninstalled. The CRD of the manifests has neither annotations nor labels.
const KEPT: &str = "helm.sh/resource-policy";
/// Made by `helm install --create-namespace`.
const NAMESPACE: &str = "Namespace /ses-smtp-operator";

/// Without Helm's labels wherever labels stand.
fn without_labels(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if let (true, Some(labels)) = (name == "labels", field.as_object_mut()) {
                    labels.retain(|label, _| !HELM_LABELS.contains(&label.as_str()));
                }
                without_labels(field);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_labels),
        _ => {}
    }
}

/// Environment variables by name: their order means nothing.
fn sort_environment(object: &mut Value) {
    if let Some(env) = object.pointer_mut("/spec/template/spec/containers/0/env") {
        env.as_array_mut().unwrap().sort_by_key(|variable| variable["name"].to_string());
    }
}

fn plain(mut objects: Objects) -> Objects {
    for object in objects.values_mut() {
        without_labels(object);
        sort_environment(object);
    }
    objects
}

fn of_helm(objects: Objects) -> Objects {
    let mut objects = plain(objects);
    for (key, object) in &mut objects {
        if key.starts_with("CustomResourceDefinition") {
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.remove("labels");
            assert_eq!(metadata.remove("annotations").unwrap(), serde_json::json!({ KEPT: "keep" }));
        }
    }
    objects
}

/// Where two objects differ, and how.
fn differences(path: &str, made: &Value, wanted: &Value) -> Vec<String> {
    let under =
        |name: &str, made: &Value, wanted: &Value| differences(&format!("{path}/{name}"), made, wanted);
    match (made, wanted) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            names.into_iter().flat_map(|name| under(name, &made[name], &wanted[name])).collect()
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            pairs.flat_map(|(at, (left, right))| under(&at.to_string(), left, right)).collect()
        }
        _ if made == wanted => Vec::new(),
        _ => vec![format!("{path}: {made}, not {wanted}")],
    }
}

#[test]
#[ignore = "needs the tools that make chart builds"]
fn helm_and_kustomize_make_the_same_objects() {
    let tools = Tools::new();
    for variant in &VARIANTS {
        let mut wanted = plain(tools.kustomize(variant));
        let namespaced = wanted.contains_key("Role shop/ses-smtp-operator");
        assert_eq!(wanted.remove(NAMESPACE).is_some(), !namespaced, "{}", variant.name);
        for helm in HELMS {
            let made = of_helm(tools.helm(helm, variant.values));
            let keys = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&made), keys(&wanted), "{helm}, {}", variant.name);
            for (key, object) in &wanted {
                let different = differences(key, &made[key], object);
                assert!(different.is_empty(), "{helm}, {}: {different:#?}", variant.name);
            }
        }
    }
}

/// Helm's own labels are on each object, so that the comparison leaves out what is there.
#[test]
#[ignore = "needs the tools that make chart builds"]
fn helms_objects_carry_its_labels() {
    let tools = Tools::new();
    for (key, object) in tools.helm(HELMS[1], VARIANTS[VARIANTS.len() - 1].values) {
        let labels = object["metadata"]["labels"].as_object().unwrap();
        assert!(HELM_LABELS.iter().all(|label| labels.contains_key(*label)), "{key}: {labels:?}");
    }
}

#[test]
#[ignore = "needs the tools that make chart builds"]
fn nothing_is_to_be_said_about_the_chart() {
    let tools = Tools::new();
    let chart = tools.chart();
    for helm in HELMS {
        for variant in &VARIANTS {
            let set = variant.values.iter().flat_map(|value| ["--set", value]);
            let begin = [
                "lint",
                "--strict",
                chart.to_str().unwrap(),
                "--namespace",
                NAME,
                "--kube-version",
                KUBERNETES_VERSION,
            ];
            let said = good(&tools.run(helm, &begin.into_iter().chain(set).collect::<Vec<_>>()));
            assert!(said.contains("0 chart(s) failed") && !said.contains("WARNING"), "{helm}: {said}");
        }
    }
}
