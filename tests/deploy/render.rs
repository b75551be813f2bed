//! Variants of an installation, and what the tools make of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use control_plane::KUBERNETES_VERSION;
use serde_json::Value;
use tempfile::TempDir;

/// Objects by kind, namespace and name.
pub type Objects = BTreeMap<String, Value>;

/// Both generations of Helm that the chart is for.
pub const HELMS: [&str; 2] = ["helm3", "helm4"];
/// Name of release, chart and namespace.
pub const NAME: &str = "ses-smtp-operator";

/// An installation in the two ways to say it.
pub struct Variant {
    pub name: &'static str,
    overlay: &'static str,
    components: &'static [&'static str],
    /// Values of the chart, as for `--set`.
    pub values: &'static [&'static str],
}

const fn variant(
    name: &'static str,
    overlay: &'static str,
    components: &'static [&'static str],
    values: &'static [&'static str],
) -> Variant {
    Variant { name, overlay, components, values }
}

const ROLE: &str = "aws.webIdentity.roleArn=arn:aws:iam::123456789012:role/ses-smtp-operator";
const SHOP: &str = "settings.watchNamespaces={shop},settings.clusterId=production,crds.install=false";

pub const VARIANTS: [Variant; 10] = [
    variant("cluster-wide", "cluster-wide", &[], &[]),
    variant("namespaced", "namespaced", &[], &[SHOP]),
    variant("no-secret-watch", "cluster-wide", &["no-secret-watch"], &["settings.watchSecrets=false"]),
    variant(
        "namespaced-no-secret-watch",
        "namespaced",
        &["no-secret-watch"],
        &[SHOP, "settings.watchSecrets=false"],
    ),
    variant("network-policy", "cluster-wide", &["network-policy"], &["networkPolicy.enabled=true"]),
    variant("prometheus", "cluster-wide", &["prometheus"], &["prometheus.enabled=true"]),
    variant("web-identity", "cluster-wide", &["web-identity"], &[ROLE]),
    variant("admission-policy", "cluster-wide", &["admission-policy"], &["admissionPolicy.enabled=true"]),
    variant("two-replicas", "cluster-wide", &["two-replicas"], &["replicas=2"]),
    variant(
        "everything",
        "namespaced",
        &[
            "no-secret-watch",
            "network-policy",
            "prometheus",
            "web-identity",
            "admission-policy",
            "two-replicas",
        ],
        &[
            SHOP,
            ROLE,
            "settings.watchSecrets=false,networkPolicy.enabled=true,prometheus.enabled=true,admissionPolicy.enabled=true,replicas=2",
        ],
    ),
];

/// The tools, and a copy of the manifests beside which a variant can stand: kustomize takes relative paths only.
pub struct Tools {
    folder: PathBuf,
    pub copy: TempDir,
}

impl Tools {
    pub fn new() -> Self {
        let folder = std::env::var_os("DEPLOY_TOOLS").expect("DEPLOY_TOOLS isn't set: run make chart");
        let copy = TempDir::new().unwrap();
        for name in ["deploy", "crds"] {
            let from = root().join(name);
            assert!(Command::new("cp").arg("-r").arg(from).arg(copy.path()).status().unwrap().success());
        }
        Self { folder: folder.into(), copy }
    }

    pub fn chart(&self) -> PathBuf {
        self.copy.path().join("deploy/chart")
    }

    pub fn run(&self, tool: &str, arguments: &[&str]) -> Output {
        let home = self.copy.path();
        let mut command = Command::new(self.folder.join(tool));
        command.args(arguments).current_dir(home).env("HOME", home).env_remove("KUBECONFIG");
        command.output().unwrap_or_else(|error| panic!("{tool}: {error}"))
    }

    pub fn kustomize(&self, variant: &Variant) -> Objects {
        let folder = self.copy.path().join(variant.name);
        fs::create_dir_all(&folder).unwrap();
        let components = variant.components.iter().map(|name| format!("../deploy/components/{name}"));
        let text = serde_json::json!({
            "resources": [format!("../deploy/overlays/{}", variant.overlay)],
            "components": components.collect::<Vec<_>>(),
        });
        fs::write(folder.join("kustomization.yaml"), text.to_string()).unwrap();
        objects(&good(&self.run("kustomize", &["build", variant.name])))
    }

    /// What `helm template` makes, without the pod of `helm test`.
    pub fn helm(&self, helm: &str, values: &[&str]) -> Objects {
        let mut all = objects(&good(&self.template(helm, values)));
        all.retain(|_, object| object["metadata"]["annotations"]["helm.sh/hook"].is_null());
        all
    }

    pub fn template(&self, helm: &str, values: &[&str]) -> Output {
        let chart = self.chart();
        let begin = [
            "template",
            NAME,
            chart.to_str().unwrap(),
            "--namespace",
            NAME,
            "--kube-version",
            KUBERNETES_VERSION,
        ];
        let set = values.iter().flat_map(|value| ["--set", value]);
        self.run(helm, &begin.into_iter().chain(set).collect::<Vec<_>>())
    }
}

/// What a tool that succeeded has said.
pub fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn objects(yaml: &str) -> Objects {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    let mut all = Objects::new();
    for object in documents.into_iter().filter(|document| !document.is_null()) {
        let of = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        let key = format!("{} {}/{}", object["kind"].as_str().unwrap(), of("namespace"), of("name"));
        assert!(all.insert(key.clone(), object).is_none(), "{key} comes twice");
    }
    all
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
