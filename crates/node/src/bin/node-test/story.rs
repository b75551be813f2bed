//! The story: what happens, in order, and what has to come of it.

use kube::ResourceExt as _;
use testbed::{Error, SOON, eventually};

use crate::apps::{APPS, App, CREDENTIAL, SHOP, counts};
use crate::install::{Install, OPERATOR_NAME};
use crate::operator;
use crate::rotation::{overlap_ended, restarted, rotated};
use crate::stage::{REGION, Stage};
use crate::tell::{ensure, fact, step};

/// Everything, on one node.
pub(crate) async fn all(cgroup: &str) -> Result<(), Error> {
    let mut stage = Stage::set(cgroup).await?;
    let outcome = both(&mut stage).await;
    if outcome.is_err() {
        operator::show(&stage).await;
    }
    kept(&stage).await?;
    outcome
}

/// The whole story, and a shorter one after another kind of installation.
async fn both(stage: &mut Stage) -> Result<(), Error> {
    whole(stage, &Install::Kustomize).await?;
    let Some(helm) = Install::helm() else {
        step("skipped: the installation by Helm: HELM names no helm");
        return Ok(());
    };
    stage.new_account().await?;
    short(stage, &helm).await
}

/// With KEEP=1 the node stays until Ctrl-C.
async fn kept(stage: &Stage) -> Result<(), Error> {
    if std::env::var("KEEP").is_ok_and(|keep| keep == "1") {
        step("KEEP=1: the node stays until Ctrl-C. From another terminal:");
        fact("nsenter --all --target $(pgrep -nf 'node-test inside') \\");
        fact(&format!("  env KUBECONFIG={} kubectl get pods -A", stage.kubectl.kubeconfig().display()));
        tokio::signal::ctrl_c().await.map_err(Error::io("wait for Ctrl-C"))?;
    }
    Ok(())
}

async fn whole(stage: &Stage, how: &Install) -> Result<(), Error> {
    how.apply(stage).await?;
    operator::hardened(stage).await?;
    provisioned(stage).await?;
    let rotation = rotated(stage).await?;
    overlap_ended(stage, &rotation).await?;
    secret_deleted(stage).await?;
    credential_deleted(stage).await?;
    namespace_deleted(stage).await?;
    removed(stage, how).await
}

async fn short(stage: &Stage, how: &Install) -> Result<(), Error> {
    how.apply(stage).await?;
    operator::hardened(stage).await?;
    provisioned(stage).await?;
    rotated(stage).await?;
    credential_deleted(stage).await?;
    stage.kubectl(&["delete", "namespace", SHOP, "--timeout=120s"]).await?;
    removed(stage, how).await
}

/// Object and pods are applied together: the pods wait for the Secret.
async fn provisioned(stage: &Stage) -> Result<(), Error> {
    step("Applying a credential together with two applications that send mail with it");
    let ca = stage.bed.aws.ca_pem().replace('\n', "\n    ");
    let before = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {SHOP}\n  labels: {{pod-security.kubernetes.io/enforce: restricted}}\n\
         ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: smtp-ca, namespace: {SHOP}}}\ndata:\n  ca.pem: |\n    {ca}\n"
    );
    let all = APPS.map(App::manifest).concat();
    stage.apply("shop.yaml", &format!("{before}---\n{}\n{all}", credential(SHOP))).await?;
    stage.bed.ready(SHOP, CREDENTIAL).await?;
    let key = stage.bed.credential(SHOP, CREDENTIAL).await?.username;
    for app in APPS {
        app.goes_on(stage, &key).await?;
    }
    fact(&stage.kubectl(&["-n", SHOP, "get", "smtpcred,secrets,pods"]).await?);
    counts(stage).await
}

fn credential(namespace: &str) -> String {
    testbed::manifest(
        namespace,
        CREDENTIAL,
        &format!(
            "{{region: {REGION}, policy: {{fromAddresses: ['*@shop.example.com']}}, rotation: {{overlap: 15m}}}}"
        ),
    )
}

async fn secret_deleted(stage: &Stage) -> Result<(), Error> {
    step("Deleting the Secret");
    let before = stage.bed.secrets(SHOP).get(CREDENTIAL).await?;
    let old = stage.bed.credential(SHOP, CREDENTIAL).await?.username;
    let (failures, since) = (App::Volume.failures(stage).await?.len(), stage.bed.aws.now());
    stage.kubectl(&["-n", SHOP, "delete", "secret", CREDENTIAL]).await?;
    let new = eventually("the Secret with a new key", SOON, async || {
        let secret = stage.bed.secrets(SHOP).get(CREDENTIAL).await?;
        let now = testbed::Credential::of(&secret).filter(|now| now.username != old);
        Ok(now.filter(|_| secret.uid() != before.uid()))
    });
    let new = new.await?.username;
    stage.bed.ready(SHOP, CREDENTIAL).await?;
    App::Volume.goes_on(stage, &new).await?;
    fact(&format!("it came back with {new} in place of {old}, whose password was lost"));
    let refused = stage.bed.aws.logins();
    let mut refused = refused.iter().filter(|login| login.time > since && !login.accepted());
    ensure(refused.all(|login| login.key.as_ref() == Some(&new)), || {
        format!("{old} was refused although it has an overlap")
    })?;
    App::Env.goes_on(stage, &old).await?;
    let failed = App::Volume.failures(stage).await?.len() - failures;
    fact(&format!("{failed} sends of volume failed until SES knew the new key; {old} works on for env"));
    restarted(stage, &new).await
}

async fn credential_deleted(stage: &Stage) -> Result<(), Error> {
    step("Deleting the credential");
    let before = App::Volume.failures(stage).await?.len();
    fact(&stage.kubectl(&["-n", SHOP, "delete", "smtpcred", CREDENTIAL, "--timeout=60s"]).await?);
    ensure(stage.bed.aws.users().is_empty(), || format!("{:?}", stage.bed.aws.users()))?;
    fact("the IAM user is gone");
    let secrets = stage.bed.secrets(SHOP);
    eventually("the Secret to be collected", SOON, async || {
        Ok(secrets.get_opt(CREDENTIAL).await?.is_none().then_some(()))
    })
    .await?;
    fact("the Secret was collected");
    fact(&format!("volume: {}", App::Volume.fails(stage, before, SOON).await?));
    counts(stage).await
}

/// Deletion of a namespace deletes object and Secret in any order; the finalizer must not block it.
async fn namespace_deleted(stage: &Stage) -> Result<(), Error> {
    step("Deleting a namespace with a credential in it, and that of the applications");
    stage.bed.namespace("closing").await?;
    stage.apply("closing.yaml", &credential("closing")).await?;
    stage.bed.ready("closing", CREDENTIAL).await?;
    fact(&stage.kubectl(&["delete", "namespace", "closing", SHOP, "--timeout=120s"]).await?);
    ensure(stage.bed.aws.users().is_empty(), || format!("{:?}", stage.bed.aws.users()))?;
    fact("the IAM user is gone");
    Ok(())
}

async fn removed(stage: &Stage, how: &Install) -> Result<(), Error> {
    step("Removing the operator");
    how.remove(stage).await?;
    let left = stage.bed.aws.users();
    ensure(left.is_empty(), || format!("left in IAM: {left:?}"))?;
    let namespaces = stage.kubectl(&["get", "namespaces", "-o", "name"]).await?;
    ensure(!namespaces.contains(OPERATOR_NAME), || namespaces.clone())?;
    let calls = stage.bed.aws.counts();
    let calls: Vec<String> = calls.iter().map(|(action, count)| format!("{action} {count}")).collect();
    fact(&format!("users left in IAM: 0; calls to AWS: {}", calls.join(", ")));
    Ok(())
}
