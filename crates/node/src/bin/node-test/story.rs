//! The story: what happens, in order, and what has to come of it.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use testbed::{Error, SOON, eventually};
use tokio::time::timeout;

use crate::apps::{APPS, App, CREDENTIAL, SHOP};
use crate::install::{Install, OPERATOR_NAME};
use crate::operator;
use crate::stage::{REGION, SCALE, Stage};
use crate::tell::{ensure, fact, step};

/// The overlap of the rotation, before scaling.
const OVERLAP: SignedDuration = SignedDuration::from_mins(15);
/// A key that nobody saw published has to be two minutes old before another takes its place.
const REPLACED: Duration = Duration::from_mins(4);
/// The end of a key that is used all the time: three overlaps, and some time for a busy machine.
const BRAKED: Duration = Duration::from_mins(3);

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

/// What each application has sent, and what failed.
async fn counts(stage: &Stage) -> Result<(), Error> {
    for app in APPS {
        let (sent, failed) = (app.mails(stage).len(), app.failures(stage).await?.len());
        fact(&format!(
            "{:<6} accepted mails {sent:>5}   failed sends of its present pod {failed:>3}",
            app.name()
        ));
    }
    Ok(())
}

/// A rotation that has been published.
struct Rotation {
    old: String,
    new: String,
    superseded: Timestamp,
    /// Failed sends of each application before it.
    failures: [usize; 2],
}

/// Rotates by trigger; the operator is killed while it makes the new key.
async fn rotated(stage: &Stage) -> Result<Rotation, Error> {
    step("Rotating by trigger, and killing the operator's process as soon as IAM has made the new key");
    let failures = [App::Volume.failures(stage).await?.len(), App::Env.failures(stage).await?.len()];
    let old = stage.bed.credential(SHOP, CREDENTIAL).await?.username;
    let mints =
        |count: u64| move |aws: &aws_double::Double| aws.counts().get("CreateAccessKey") > Some(&count);
    let before = stage.bed.aws.counts().get("CreateAccessKey").copied().unwrap_or_default();
    let patch = r#"{"spec":{"rotation":{"trigger":"2026-11"}}}"#;
    stage.kubectl(&["-n", SHOP, "patch", "smtpcred", CREDENTIAL, "--type", "merge", "-p", patch]).await?;
    let minted = timeout(SOON, stage.bed.aws.until(mints(before))).await;
    minted.map_err(|_| Error::Wrong("no new key was made".to_owned()))?;
    operator::killed(stage).await?;
    let published = published(stage, &old).await?;
    let rotation = Rotation { old, failures, ..published };
    fact(&format!("{} replaces {} since {}", rotation.new, rotation.old, rotation.superseded));
    both_work(stage, &rotation).await?;
    Ok(rotation)
}

async fn published(stage: &Stage, old: &str) -> Result<Rotation, Error> {
    let secrets = stage.bed.secrets(SHOP);
    eventually("another key in the Secret", REPLACED, async || {
        let secret = secrets.get(CREDENTIAL).await?;
        let annotation = |name: &str| secret.annotations().get(name).cloned().unwrap_or_default();
        let new = annotation("ses-smtp.dev/access-key-id");
        let superseded = annotation("ses-smtp.dev/superseded-at").parse().ok();
        let rotation =
            |superseded| Rotation { old: String::new(), new: new.clone(), superseded, failures: [0; 2] };
        Ok(superseded.filter(|_| new != old).map(rotation))
    })
    .await
}

/// The volume follows by itself; the environment has the old key, which works on.
async fn both_work(stage: &Stage, rotation: &Rotation) -> Result<(), Error> {
    App::Volume.goes_on(stage, &rotation.new).await?;
    App::Env.goes_on(stage, &rotation.old).await?;
    for (app, before) in APPS.into_iter().zip(rotation.failures) {
        app.failed_no_more_than(stage, before).await?;
    }
    let late = App::Env.mails(stage).iter().filter(|mail| mail.time > rotation.superseded).count();
    fact(&format!("volume sent {} mails with the new key", App::Volume.sent_with(stage, &rotation.new)));
    fact(&format!("env sent {late} mails with the old key since then"));
    counts(stage).await
}

/// The old key ends although it is used: after three overlaps at the latest. Then a restart is needed.
async fn overlap_ended(stage: &Stage, rotation: &Rotation) -> Result<(), Error> {
    step("Waiting until the old key ends, which the environment's reader still uses");
    let [volume, env] = rotation.failures;
    let said = App::Env.fails(stage, env, BRAKED).await?;
    fact(&format!("env: {said}"));
    ensure(said.contains("535"), || said.clone())?;
    let overlap = ses_smtp_core::time::shortened(OVERLAP, SCALE);
    let refused = stage.bed.aws.logins().into_iter().find(|login| {
        login.key.as_ref() == Some(&rotation.old) && !login.accepted() && login.time > rotation.superseded
    });
    let refused = refused.ok_or_else(|| Error::Wrong("no login was refused".to_owned()))?.time;
    let lasted = refused.duration_since(rotation.superseded);
    fact(&format!(
        "the old key worked for {:.1} s more, {:.1} overlaps",
        lasted.as_secs_f64(),
        lasted.div_duration_f64(overlap)
    ));
    ensure(lasted >= overlap, || "the overlap was cut short".to_owned())?;
    let events = stage.bed.events(SHOP).await?;
    ensure(events.iter().any(|(reason, _)| reason == "OldKeyStillInUse"), || {
        format!("no warning: {events:?}")
    })?;
    App::Volume.failed_no_more_than(stage, volume).await?;
    counts(stage).await?;
    restarted(stage, &rotation.new).await?;
    soaked(stage).await
}

/// A restart gives the environment's reader the key that the Secret names.
async fn restarted(stage: &Stage, key: &str) -> Result<(), Error> {
    step("Restarting the environment's reader");
    stage.kubectl(&["-n", SHOP, "rollout", "restart", "deployment/env"]).await?;
    stage.rolled_out(SHOP, App::Env.name()).await?;
    App::Env.goes_on(stage, key).await?;
    App::Env.failed_no_more_than(stage, 0).await?;
    counts(stage).await
}

/// The old key is deleted after the soak.
async fn soaked(stage: &Stage) -> Result<(), Error> {
    let keys = || stage.bed.aws.users().into_iter().flat_map(|user| user.keys).count();
    eventually("the old key to be deleted", BRAKED, async || Ok((keys() == 1).then_some(()))).await?;
    fact("the old key is deleted: one key is left");
    Ok(())
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
