//! A release's life on a real API server, and what `helm test` runs.

use std::path::Path;
use std::process::Output;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams};
use serde_json::Value;
use testbed::{Bed, Error, Options, SOON, eventually};
use tokio::process::Command;

use super::render::{HELMS, NAME, Tools, good, objects};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const CRD: &str = "sessmtpcredentials.ses-smtp.dev";

/// The pod of `helm test`, as the chart makes it.
fn test_pod(tools: &Tools) -> Value {
    let all = objects(&good(&tools.template(HELMS[1], &[])));
    let (_, pod) = all
        .into_iter()
        .find(|(_, object)| object["metadata"]["annotations"]["helm.sh/hook"] == "test")
        .unwrap();
    pod
}

/// Runs the pod's command as the pod would: with the rights of its account and the operator's AWS.
async fn run(bed: &Bed, pod: &Value, secret_key: &str) -> Output {
    let container = &pod["spec"]["containers"][0];
    let arguments = container["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap();
    let mut environment = bed.launch(Path::new(BINARY)).await.unwrap().environment;
    for variable in container["env"].as_array().unwrap() {
        environment
            .insert(variable["name"].as_str().unwrap().into(), variable["value"].as_str().unwrap().into());
    }
    let kubeconfig = bed.plane.service_account_kubeconfig(NAME, account).await.unwrap();
    let file = bed.plane.kubeconfig_file("helm-test", &kubeconfig).unwrap();
    environment.insert("KUBECONFIG".into(), file.display().to_string());
    environment.insert("AWS_SECRET_ACCESS_KEY".into(), secret_key.into());
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear().envs(environment);
    command.output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the tools that make chart builds"]
async fn the_test_of_a_release_tells_good_from_bad() {
    let (tools, bed) = (Tools::new(), Bed::start(Options::default()).await.unwrap());
    let pod = test_pod(&tools);
    let good_run = run(&bed, &pod, aws_double::CALLER_SECRET).await;
    assert!(good_run.status.success(), "{}", String::from_utf8_lossy(&good_run.stderr));
    // Its shape is what the API server takes under the restricted level.
    bed.plane.apply_yaml(&pod.to_string()).await.unwrap();

    let wrong_key = run(&bed, &pod, "not-the-secret").await;
    let said = String::from_utf8_lossy(&wrong_key.stderr).into_owned();
    assert!(!wrong_key.status.success() && said.contains("AWS credentials don't work"), "{said}");
    let crds: Api<CustomResourceDefinition> = Api::all(bed.client.clone());
    crds.delete(CRD, &DeleteParams::default()).await.unwrap();
    eventually("the kind to be gone", SOON, async || {
        let run = run(&bed, &pod, aws_double::CALLER_SECRET).await;
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        let told = !run.status.success() && said.contains("SesSmtpCredentials can't be listed");
        if told { Ok(Some(())) } else { Error::wrong(said) }
    })
    .await
    .unwrap();
}

/// Runs Helm against the plane.
fn helm(tools: &Tools, bed: &Bed, helm: &str, arguments: &[&str]) {
    let kubeconfig = bed.plane.kubeconfig_file(helm, &bed.plane.admin_kubeconfig_yaml()).unwrap();
    let reach = ["--kubeconfig", kubeconfig.to_str().unwrap(), "--namespace", NAME];
    good(&tools.run(helm, &[arguments, &reach].concat()));
}

async fn crd_of(bed: &Bed) -> CustomResourceDefinition {
    Api::<CustomResourceDefinition>::all(bed.client.clone()).get(CRD).await.unwrap()
}

fn short_names(crd: &CustomResourceDefinition) -> Vec<String> {
    crd.spec.names.short_names.clone().unwrap_or_default()
}

/// An upgrade upgrades the CRD, and an uninstall leaves it and every object.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the tools that make chart builds"]
async fn a_release_keeps_the_crd_current_and_never_takes_it_away() {
    let (tools, bed) = (Tools::new(), Bed::start(Options::default()).await.unwrap());
    bed.namespace("shop").await.unwrap();
    bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    let (chart, file) = (tools.chart(), tools.chart().join("files/crd.yaml"));
    let chart = chart.to_str().unwrap();
    let crd = std::fs::read_to_string(&file).unwrap();
    for name in HELMS {
        // What the bed applied by itself isn't a release's yet.
        helm(&tools, &bed, name, &["install", NAME, chart, "--take-ownership"]);
        let before = crd_of(&bed).await;
        assert_eq!(before.metadata.annotations.as_ref().unwrap()["helm.sh/resource-policy"], "keep");
        std::fs::write(&file, crd.replace("- smtpcred\n", &format!("- {name}\n"))).unwrap();
        helm(&tools, &bed, name, &["upgrade", NAME, chart]);
        assert_eq!(short_names(&crd_of(&bed).await), [name.to_owned()]);
        std::fs::write(&file, &crd).unwrap();
        helm(&tools, &bed, name, &["upgrade", NAME, chart]);
        assert_eq!(short_names(&crd_of(&bed).await), ["smtpcred"]);
        helm(&tools, &bed, name, &["uninstall", NAME]);
        let deployments: Api<k8s_openapi::api::apps::v1::Deployment> =
            Api::namespaced(bed.client.clone(), NAME);
        assert!(deployments.get_opt(NAME).await.unwrap().is_none());
        assert_eq!(crd_of(&bed).await.metadata.uid, before.metadata.uid);
        assert!(bed.objects("shop").get_opt("mailer").await.unwrap().is_some());
    }
}
