//! Every right that each variant gives the operator, in one file: a change of it has to be seen.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use super::render::{Objects, Tools, VARIANTS, objects, root};

const FILE: &str = "tests/deploy/rights.txt";
const HEAD: &str = "# Every right of the operator's service account: where, API group, resource, name (* is any), verb.\n\
                    # Generated from the manifests: UPDATE_DOCS=1 make chart. A line more is a right more: think.\n";
/// What differs between variants is watched namespaces and Secrets: the rest gives no right.
const SHOWN: [&str; 4] = ["cluster-wide", "namespaced", "no-secret-watch", "namespaced-no-secret-watch"];

fn texts(rule: &Value, field: &str) -> Vec<String> {
    let all = rule[field].as_array();
    all.map(|all| all.iter().map(|one| one.as_str().unwrap().to_owned()).collect()).unwrap_or_default()
}

/// A line for each right, sorted.
fn lines(objects: &Objects) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, role) in objects.iter().filter(|(_, object)| object["rules"].is_array()) {
        let place = role["metadata"]["namespace"].as_str().unwrap_or("cluster");
        assert!(bound(objects, key), "{key} is bound to nobody");
        for rule in role["rules"].as_array().unwrap() {
            assert!(rule["nonResourceURLs"].is_null(), "{rule}");
            let names = Some(texts(rule, "resourceNames")).filter(|names| !names.is_empty());
            for group in texts(rule, "apiGroups") {
                for resource in texts(rule, "resources") {
                    for name in names.clone().unwrap_or_else(|| vec!["*".to_owned()]) {
                        for verb in texts(rule, "verbs") {
                            let group = if group.is_empty() { "core" } else { &group };
                            lines.push(format!("{place} {group} {resource} {name} {verb}"));
                        }
                    }
                }
            }
        }
    }
    lines.sort();
    lines
}

/// A role has a binding of its name to the operator's account and to no other.
fn bound(objects: &Objects, role: &str) -> bool {
    let (kind, name) = role.split_once(' ').unwrap();
    let binding = &objects[&format!("{kind}Binding {name}")];
    let subjects = serde_json::json!([
        { "kind": "ServiceAccount", "name": "ses-smtp-operator", "namespace": "ses-smtp-operator" }
    ]);
    let short = name.split_once('/').unwrap().1;
    binding["subjects"] == subjects
        && binding["roleRef"]["kind"] == kind
        && binding["roleRef"]["name"] == short
}

#[test]
#[ignore = "needs the tools that make chart builds"]
fn rights_are_those_in_the_file() {
    let tools = Tools::new();
    let mut text = HEAD.to_owned();
    for variant in VARIANTS.iter().filter(|variant| SHOWN.contains(&variant.name)) {
        writeln!(text, "\n[{}]", variant.name).unwrap();
        for line in lines(&tools.kustomize(variant)) {
            writeln!(text, "{line}").unwrap();
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(FILE), &text).unwrap();
    }
    let written = fs::read_to_string(root().join(FILE)).unwrap_or_default();
    assert!(written == text, "{FILE} differs from the manifests, which give:\n{text}");
}

/// The other variants give the rights of the one that they build on.
#[test]
#[ignore = "needs the tools that make chart builds"]
fn other_components_give_no_right() {
    let tools = Tools::new();
    let of = |name: &str| lines(&tools.kustomize(VARIANTS.iter().find(|it| it.name == name).unwrap()));
    for variant in VARIANTS.iter().filter(|variant| !SHOWN.contains(&variant.name)) {
        let plain = if variant.name == "everything" { "namespaced-no-secret-watch" } else { "cluster-wide" };
        assert_eq!(of(variant.name), of(plain), "{}", variant.name);
    }
    assert!(of("namespaced").iter().all(|line| !line.starts_with("cluster ")));
}

/// Roles that take another's place by hand give what the component makes of it.
#[test]
#[ignore = "needs the tools that make chart builds"]
fn roles_that_are_applied_by_hand_give_the_same() {
    let tools = Tools::new();
    for (file, variant, role) in [
        ("clusterrole", "no-secret-watch", "ClusterRole /ses-smtp-operator"),
        ("role", "namespaced-no-secret-watch", "Role shop/ses-smtp-operator"),
    ] {
        let file = format!("deploy/components/no-secret-watch/{file}.yaml");
        let text = fs::read_to_string(root().join(&file)).unwrap().replace("NAMESPACE", "shop");
        let variant = VARIANTS.iter().find(|it| it.name == variant).unwrap();
        assert_eq!(objects(&text)[role]["rules"], tools.kustomize(variant)[role]["rules"], "{file}");
    }
}
