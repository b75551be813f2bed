//! The two ways in which people install the operator, and remove it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testbed::Error;

use crate::chart;
use crate::programs::{OPERATOR, workspace};
use crate::stage::{CREDENTIALS, FILES, Stage};
use crate::tell::{fact, step};

/// The operator's namespace, and the name of everything of it.
pub(crate) const OPERATOR_NAME: &str = "ses-smtp-operator";

/// What installs one operator for all namespaces.
const MANIFESTS: &str = "deploy/overlays/cluster-wide";

/// A way to install it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Install {
    /// `kubectl apply -k`, with an overlay over the project's own.
    Kustomize,
    /// `helm install` of the project's chart, by this helm.
    Helm(PathBuf),
}

impl Install {
    /// The ways that there are here. The second needs a helm, which `HELM` names.
    pub(crate) fn helm() -> Option<Self> {
        std::env::var_os("HELM").filter(|path| !path.is_empty()).map(|path| Self::Helm(path.into()))
    }

    /// Installs it and waits until it is rolled out.
    pub(crate) async fn apply(&self, stage: &Stage) -> Result<(), Error> {
        match self {
            Self::Kustomize => {
                step("Installing the operator: kubectl apply -k");
                let folder = overlay(stage)?;
                stage.kubectl(&["apply", "-k", &folder.display().to_string()]).await?;
            }
            Self::Helm(helm) => {
                step("Installing the operator: helm install");
                chart::install(stage, helm).await?;
            }
        }
        stage.rolled_out(OPERATOR_NAME, OPERATOR_NAME).await?;
        fact(&stage.kubectl(&["-n", OPERATOR_NAME, "get", "pods", "-o", "wide"]).await?);
        Ok(())
    }

    /// Removes it and waits until all of it is gone.
    pub(crate) async fn remove(&self, stage: &Stage) -> Result<(), Error> {
        match self {
            Self::Kustomize => {
                let folder = overlay(stage)?.display().to_string();
                fact(&stage.kubectl(&["delete", "-k", &folder, "--timeout=120s"]).await?);
            }
            Self::Helm(helm) => chart::uninstall(stage, helm).await?,
        }
        Ok(())
    }
}

/// An overlay as people write one: image, credentials, settings.
fn overlay(stage: &Stage) -> Result<PathBuf, Error> {
    let folder = stage.bed.folder().join("overlay");
    fs::create_dir_all(&folder).map_err(Error::io("make the overlay"))?;
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).map_err(Error::io(format!("write {name}")))
    };
    write("endpoints.yaml", &stage.bed.aws.endpoints_yaml())?;
    write("ca.pem", stage.bed.aws.ca_pem())?;
    let base = relative(&folder, &workspace()?.join(MANIFESTS))?;
    write("kustomization.yaml", &kustomization(&base, stage).to_string())?;
    Ok(folder)
}

/// JSON is YAML.
fn kustomization(base: &Path, stage: &Stage) -> Value {
    let credentials: Vec<String> =
        CREDENTIALS.iter().map(|(name, value)| format!("{name}={value}")).collect();
    json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [base],
        "images": [{ "name": OPERATOR_NAME, "newName": OPERATOR.0, "newTag": OPERATOR.1 }],
        "generatorOptions": { "disableNameSuffixHash": true },
        "configMapGenerator": [
            { "name": "double", "namespace": OPERATOR_NAME, "files": ["endpoints.yaml", "ca.pem"] },
        ],
        "secretGenerator": [
            { "name": "ses-smtp-operator-aws", "namespace": OPERATOR_NAME, "literals": credentials },
        ],
        "patches": [{ "target": { "kind": "Deployment" }, "patch": patch(stage).to_string() }],
    })
}

fn patch(stage: &Stage) -> Value {
    let files = [("ENDPOINTS_FILE", "endpoints.yaml"), ("SMTP_CA_FILE", "ca.pem")];
    let files = files.map(|(name, file)| (format!("SES_SMTP_{name}"), format!("{FILES}/{file}")));
    let environment = stage.settings().into_iter().chain(files);
    let environment: Vec<Value> =
        environment.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": OPERATOR_NAME },
        "spec": { "template": { "spec": {
            "volumes": [{ "name": "double", "configMap": { "name": "double" } }],
            "containers": [{
                "name": "operator",
                "env": environment,
                "volumeMounts": [{ "name": "double", "mountPath": FILES }],
            }],
        } } },
    })
}

/// kustomize takes relative paths only.
fn relative(from: &Path, to: &Path) -> Result<PathBuf, Error> {
    let from = from.canonicalize().map_err(Error::io("find the overlay"))?;
    let up = from.components().skip(1).map(|_| "..");
    let root: PathBuf = up.collect();
    Ok(root.join(to.strip_prefix("/").unwrap_or(to)))
}
