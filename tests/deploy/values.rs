//! Values of the chart: what is refused, and that each setting arrives under the name that the operator reads.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::render::{HELMS, Tools, root};

/// Values that are refused, and a part of what is said.
const REFUSED: [[&str; 2]; 13] = [
    ["replica=2", "replica"],
    ["image.name=x", "name"],
    ["settings.allowedRegion={a}", "allowedRegion"],
    ["settings.watchNamespaces=shop", "watchNamespaces"],
    ["settings.watchNamespaces={shop}", "settings.watchNamespaces needs settings.clusterId"],
    ["settings.leaderElect=false,replicas=2", "only one may run"],
    ["settings.concurrency=many", "concurrency"],
    ["settings.verifyLogin=never", "verifyLogin"],
    ["settings.endpointsFile=/x", "endpointsFile"],
    ["image.digest=sha256:abc", "digest"],
    ["prometheus.labels.release=1", "release"],
    ["aws.webIdentity.expirationSeconds=60", "expirationSeconds"],
    ["networkPolicy=true", "networkPolicy"],
];

#[test]
#[ignore = "needs the tools that make chart builds"]
fn values_that_mean_nothing_are_refused() {
    let tools = Tools::new();
    for helm in HELMS {
        for [value, said] in REFUSED {
            let output = tools.template(helm, &[value]);
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && text.contains(said), "{helm}, {value}: {text}");
        }
    }
}

/// A value of the setting's form.
fn sample(property: &Value) -> String {
    match property["type"].as_str() {
        Some("array") => "{a}".to_owned(),
        Some("boolean") => "false".to_owned(),
        Some("integer") => "0".to_owned(),
        Some(_) => "x".to_owned(),
        None if property["type"].is_array() => "0.5".to_owned(),
        None => property["enum"][0].as_str().unwrap().to_owned(),
    }
}

fn variables(container: &Value) -> BTreeSet<String> {
    let names =
        container["env"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned());
    names.filter(|name| name.starts_with("SES_SMTP_")).collect()
}

/// All settings at once, 0 and false too: their variables are those of the operator's page of settings.
#[test]
#[ignore = "needs the tools that make chart builds"]
fn every_setting_arrives() {
    let tools = Tools::new();
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(tools.chart().join("values.schema.json")).unwrap()).unwrap();
    let settings = schema["properties"]["settings"]["properties"].as_object().unwrap();
    let mut values: Vec<String> =
        settings.iter().map(|(name, property)| format!("settings.{name}={}", sample(property))).collect();
    values.extend(["endpoints.eu-west-1=none".to_owned(), "smtpAuthorities=x".to_owned()]);
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let page = fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let known: BTreeSet<String> =
        page.split('`').filter(|word| word.starts_with("SES_SMTP_")).map(str::to_owned).collect();
    for helm in HELMS {
        let objects = tools.helm(helm, &values);
        let deployment = &objects["Deployment ses-smtp-operator/ses-smtp-operator"];
        assert_eq!(variables(&deployment["spec"]["template"]["spec"]["containers"][0]), known, "{helm}");
    }
}

/// Text of the values, as it comes out in the pod.
#[test]
#[ignore = "needs the tools that make chart builds"]
fn values_become_what_they_say() {
    let tools = Tools::new();
    let values = [
        "settings.allowedRegions={eu-central-1,us-east-1},settings.sweepLimit=0,settings.iamRate=0.5",
        "settings.httpAddress=0.0.0.0:9090,settings.leaseNamespace=leases",
        "image.repository=registry.example.com/op,image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "endpoints.moon-1.host=smtp.moon-1.example.com,fullnameOverride=mail,serviceAccount.name=mailer",
        "admissionPolicy.enabled=true,podLabels.team=a,priorityClassName=high,extraEnv[0].name=HTTPS_PROXY",
        "extraEnv[0].value=http://proxy:3128,resources.limits.memory=1Gi",
    ];
    let objects = tools.helm(HELMS[1], &values);
    let pod = &objects["Deployment ses-smtp-operator/mail"]["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    let value = |name: &str| {
        container["env"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!(value("SES_SMTP_ALLOWED_REGIONS"), "eu-central-1,us-east-1");
    assert_eq!((value("SES_SMTP_SWEEP_LIMIT"), value("SES_SMTP_IAM_RATE")), ("0".into(), "0.5".into()));
    assert_eq!(value("SES_SMTP_LEASE_NAME"), "mail", "two releases in a namespace have a lease each");
    assert_eq!(objects["Role leases/mail-lease"]["rules"][1]["resourceNames"][0], "mail");
    assert_eq!(value("HTTPS_PROXY"), "http://proxy:3128");
    assert_eq!(container["ports"][0]["containerPort"], 9090);
    assert!(container["image"].as_str().unwrap().starts_with("registry.example.com/op@sha256:0"));
    assert_eq!(container["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(pod["spec"]["serviceAccountName"], "mailer");
    assert_eq!(pod["spec"]["priorityClassName"], "high");
    assert_eq!(pod["metadata"]["labels"]["team"], "a");
    let file = objects["ConfigMap ses-smtp-operator/mail"]["data"]["endpoints.yaml"].as_str().unwrap();
    assert_eq!(file.trim(), "moon-1:\n  host: smtp.moon-1.example.com");
    let policy = &objects["ValidatingAdmissionPolicy /mail"]["spec"]["matchConditions"][0]["expression"];
    assert!(
        policy.as_str().unwrap().ends_with("'system:serviceaccount:ses-smtp-operator:mailer'"),
        "{policy}"
    );
    assert_eq!(
        objects["ValidatingAdmissionPolicyBinding /mail-records"]["spec"]["policyName"],
        "mail-records"
    );
}
