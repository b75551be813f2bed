//! The chapter about a rotation: by trigger, with a crash in the middle, to the end of the old key.

use std::time::Duration;

use aws_double::Double;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use testbed::{Error, SOON, eventually};
use tokio::time::timeout;

use crate::apps::{APPS, App, CREDENTIAL, SHOP, counts};
use crate::operator;
use crate::stage::{SCALE, Stage};
use crate::tell::{ensure, fact, step};

/// The overlap of the rotation, before scaling.
const OVERLAP: SignedDuration = SignedDuration::from_mins(15);
/// A key that nobody saw published has to be two minutes old before another takes its place.
const REPLACED: Duration = Duration::from_mins(4);
/// The end of a key that is used all the time: three overlaps, and some time for a busy machine.
const BRAKED: Duration = Duration::from_mins(3);

/// A rotation that has been published.
pub(crate) struct Rotation {
    old: String,
    new: String,
    triggered: Timestamp,
    superseded: Timestamp,
    /// Failed sends of each application before it.
    failures: [usize; 2],
}

/// Rotates by trigger; the operator is killed while it makes the new key.
pub(crate) async fn rotated(stage: &Stage) -> Result<Rotation, Error> {
    step("Rotating by trigger, and killing the operator's process as soon as IAM has made the new key");
    let failures = [App::Volume.failures(stage).await?.len(), App::Env.failures(stage).await?.len()];
    let old = stage.bed.credential(SHOP, CREDENTIAL).await?.username;
    let triggered = stage.bed.aws.now();
    minted(stage).await?;
    operator::killed(stage).await?;
    let (new, superseded) = published(stage, &old).await?;
    fact(&format!("{new} replaces {old} since {superseded}"));
    let rotation = Rotation { old, new, triggered, superseded, failures };
    both_work(stage, &rotation).await?;
    Ok(rotation)
}

/// Asks for a rotation as people do, and returns as soon as IAM has made a key.
async fn minted(stage: &Stage) -> Result<(), Error> {
    let made = |aws: &Double| aws.counts().get("CreateAccessKey").copied().unwrap_or_default();
    let before = made(&stage.bed.aws);
    let patch = r#"{"spec":{"rotation":{"trigger":"2026-11"}}}"#;
    stage.kubectl(&["-n", SHOP, "patch", "smtpcred", CREDENTIAL, "--type", "merge", "-p", patch]).await?;
    let minted = timeout(SOON, stage.bed.aws.until(|aws| made(aws) > before)).await;
    minted.map_err(|_| Error::Wrong("no new key was made".to_owned()))
}

/// Waits until the Secret names another key, and gives it with the time of the change.
async fn published(stage: &Stage, old: &str) -> Result<(String, Timestamp), Error> {
    let secrets = stage.bed.secrets(SHOP);
    eventually("another key in the Secret", REPLACED, async || {
        let secret = secrets.get(CREDENTIAL).await?;
        let annotation = |name: &str| secret.annotations().get(name).cloned().unwrap_or_default();
        let new = annotation("ses-smtp.dev/access-key-id");
        let superseded = annotation("ses-smtp.dev/superseded-at").parse().ok();
        Ok(superseded.filter(|_| new != old).map(|superseded| (new, superseded)))
    })
    .await
}

/// The volume follows by itself; the environment has the old key, which works on.
async fn both_work(stage: &Stage, rotation: &Rotation) -> Result<(), Error> {
    App::Volume.goes_on(stage, &rotation.new).await?;
    App::Env.goes_on(stage, &rotation.old).await?;
    for (app, before) in APPS.into_iter().zip(rotation.failures) {
        app.failed_no_more_than(stage, before).await?;
        let times = app.mails(stage).into_iter().map(|mail| mail.time);
        let (after, earlier): (Vec<_>, Vec<_>) = times.partition(|time| *time > rotation.superseded);
        let during = earlier.iter().filter(|time| **time > rotation.triggered).count();
        let (name, before, after) = (app.name(), earlier.len() - during, after.len());
        ensure(during > 0 && after > 0, || format!("{name} paused"))?;
        fact(&format!(
            "{name:<6} accepted mails: {before} before, {during} during, {after} after; failed sends since then: 0"
        ));
    }
    Ok(())
}

/// The old key ends although it is used: after three overlaps at the latest. Then a restart is needed.
pub(crate) async fn overlap_ended(stage: &Stage, rotation: &Rotation) -> Result<(), Error> {
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
pub(crate) async fn restarted(stage: &Stage, key: &str) -> Result<(), Error> {
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
