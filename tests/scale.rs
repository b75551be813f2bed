//! Many objects at once: calls counted by equality, everybody served, every password tried; and
//! what it cost the operator.
//!
//! `OPERATOR_BINARY` names another binary than the test's own, such as a release build, for which
//! the figures mean something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, reason = "figures for people")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_double::{Bucket, Config};
use futures::{StreamExt as _, stream};
use kube::ResourceExt as _;
use kube::api::{ListParams, PostParams};
use ses_smtp_core::api::SesSmtpCredential;
use testbed::{Bed, Error, Operator, Options, condition, eventually, mail};

const NAMESPACE: &str = "many";
const REGION: &str = "eu-central-1";
/// Requests of the test in flight.
const IN_FLIGHT: usize = 16;
const SERVED: Duration = Duration::from_mins(5);

fn binary() -> PathBuf {
    std::env::var_os("OPERATOR_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_ses-smtp-operator").into(), PathBuf::from)
}

fn object(n: usize) -> SesSmtpCredential {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "ses-smtp.dev/v1alpha1",
        "kind": "SesSmtpCredential",
        "metadata": { "name": format!("mailer-{n}"), "namespace": NAMESPACE },
        "spec": { "region": REGION },
    }))
    .unwrap()
}

/// Creates `count` objects at once and waits until every one is ready. Gives the time it took, and
/// for each object how long it took from its creation on, as its condition says, in seconds.
async fn burst(bed: &Bed, count: usize) -> (Duration, Vec<i64>) {
    let began = Instant::now();
    let api = bed.objects(NAMESPACE);
    let params = PostParams::default();
    let created = stream::iter(0..count).map(|n| {
        let (api, params) = (&api, &params);
        async move { api.create(params, &object(n)).await.unwrap() }
    });
    created.buffer_unordered(IN_FLIGHT).collect::<Vec<_>>().await;
    let all = eventually("every object to be ready", SERVED, async || {
        let all = api.list(&ListParams::default()).await?.items;
        let ready = all.iter().filter(|one| condition(one, "Ready") == "True Provisioned").count();
        if ready == count { Ok(Some(all)) } else { Error::wrong(format!("{ready} of {count} are ready")) }
    });
    let all = all.await.unwrap();
    (began.elapsed(), all.iter().map(age_when_ready).collect())
}

fn age_when_ready(object: &SesSmtpCredential) -> i64 {
    let status = object.status.as_ref().unwrap();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
    let created = object.creation_timestamp().unwrap().0;
    ready.last_transition_time.0.duration_since(created).as_secs()
}

/// Logs in with every Secret's credential.
async fn all_log_in(bed: &Bed, count: usize) {
    let ca = bed.aws.ca_pem().to_owned();
    let logins = stream::iter(0..count).map(|n| {
        let ca = ca.clone();
        async move {
            let credential = bed.credential(NAMESPACE, &format!("mailer-{n}")).await.unwrap();
            tokio::task::spawn_blocking(move || mail::login(&credential, &ca).map(|_| ()))
                .await
                .unwrap()
                .unwrap();
        }
    });
    logins.buffer_unordered(IN_FLIGHT).collect::<Vec<_>>().await;
}

fn report(what: &str, count: usize, took: Duration, operator: &Operator) {
    let usage = operator.usage().unwrap();
    println!(
        "{what}: {count} objects in {:.1} s, peak memory {:.1} MB, CPU {:.2} ms an object",
        took.as_secs_f64(),
        usage.peak_memory as f64 / 1e6,
        usage.cpu.as_secs_f64() * 1e3 / count as f64,
    );
}

async fn stage(aws: Config) -> Bed {
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace(NAMESPACE).await.unwrap();
    bed
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_objects_at_once() {
    let bed = stage(Config { regions: vec![REGION.into()], ..Config::default() }).await;
    let operator = bed.launch(&binary()).await.unwrap().start().await.unwrap();
    let (took, _) = burst(&bed, 500).await;
    report("burst", 500, took, &operator);
    let counts = bed.aws.counts();
    for action in ["CreateUser", "PutUserPolicy", "CreateAccessKey", "AUTH"] {
        assert_eq!(counts[action], 500, "{action}");
    }
    assert_eq!(counts.len(), 5, "{counts:?}");
    all_log_in(&bed, 500).await;
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_account_starves_nobody() {
    let mut aws = Config { regions: vec![REGION.into()], ..Config::default() };
    aws.buckets.insert("*".into(), Bucket { rate: 10.0, burst: 10.0 });
    let bed = stage(aws).await;
    let mut launch = bed.launch(&binary()).await.unwrap();
    launch.environment.insert("SES_SMTP_IAM_RATE".into(), "30".into());
    launch.environment.insert("SES_SMTP_IAM_BURST".into(), "10".into());
    let operator = launch.start().await.unwrap();
    let (took, mut ages) = burst(&bed, 200).await;
    report("throttled", 200, took, &operator);
    let journal = bed.aws.journal();
    let throttled = journal.iter().filter(|record| record.outcome == "Throttling").count();
    let served = journal.iter().filter(|record| record.outcome == "ok").count();
    ages.sort_unstable();
    println!(
        "throttled: {throttled} throttled calls on {served} served ones ({:.3} each); ready after {} s at most, median {} s",
        throttled as f64 / served as f64,
        ages[ages.len() - 1],
        ages[ages.len() / 2],
    );
    assert_eq!(bed.aws.users().len(), 200);
    assert!(bed.aws.users().iter().all(|user| user.keys.len() == 1));
    all_log_in(&bed, 200).await;
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}
