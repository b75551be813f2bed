//! The Helm chart, with the values that people give it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testbed::Error;

use crate::install::OPERATOR_NAME;
use crate::programs::{OPERATOR, workspace};
use crate::stage::{CLUSTER, CREDENTIALS, REGION, Stage};
use crate::tell::fact;

/// Makes the namespace and the operator's credentials, and installs a release.
pub(crate) async fn install(stage: &Stage, helm: &Path) -> Result<(), Error> {
    stage.apply("operator.yaml", &before()).await?;
    let values = stage.bed.folder().join("values.yaml");
    fs::write(&values, values_of(stage)?.to_string()).map_err(Error::io("write values.yaml"))?;
    let chart = workspace()?.join("deploy/chart").display().to_string();
    let values = values.display().to_string();
    run(stage, helm, &["install", OPERATOR_NAME, &chart, "--values", &values]).await
}

/// Removes the release, and what is kept of it on purpose: the CRD; and the namespace.
pub(crate) async fn uninstall(stage: &Stage, helm: &Path) -> Result<(), Error> {
    run(stage, helm, &["uninstall", OPERATOR_NAME, "--wait"]).await?;
    let kept = ["delete", "--timeout=120s", "crd/sessmtpcredentials.ses-smtp.dev"];
    fact(&stage.kubectl(&kept).await?);
    fact(&stage.kubectl(&["delete", "namespace", OPERATOR_NAME, "--timeout=120s"]).await?);
    Ok(())
}

async fn run(stage: &Stage, helm: &Path, arguments: &[&str]) -> Result<(), Error> {
    let kubeconfig = stage.kubectl.kubeconfig().display().to_string();
    let reach = ["--namespace", OPERATOR_NAME, "--kubeconfig", &kubeconfig];
    fact(&node::run(&helm.display().to_string(), &[arguments, &reach].concat()).await?);
    Ok(())
}

fn before() -> String {
    let label = "pod-security.kubernetes.io/enforce: restricted";
    let data = CREDENTIALS.map(|(name, value)| format!("  {name}: {value}\n")).concat();
    format!(
        "apiVersion: v1
kind: Namespace
metadata: {{name: {OPERATOR_NAME}, labels: {{{label}}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: ses-smtp-operator-aws, namespace: {OPERATOR_NAME}}}
stringData:
{data}"
    )
}

/// JSON is YAML.
fn values_of(stage: &Stage) -> Result<Value, Error> {
    let ports = stage.bed.aws.smtp(REGION);
    let ports = ports.ok_or_else(|| Error::Wrong(format!("the double has no SMTP endpoint in {REGION}")))?;
    let host = node::HOST.to_string();
    let environment = stage.settings().into_iter().filter(|(name, _)| name != "SES_SMTP_CLUSTER_ID");
    let environment: Vec<Value> =
        environment.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    Ok(json!({
        "image": { "repository": OPERATOR.0, "tag": OPERATOR.1 },
        "settings": { "clusterId": CLUSTER },
        "endpoints": { REGION: { "host": host, "starttls": [ports.starttls], "tls": [ports.tls] } },
        "smtpAuthorities": stage.bed.aws.ca_pem(),
        "extraEnv": environment,
    }))
}
