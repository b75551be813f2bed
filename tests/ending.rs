//! Beginnings and ends that come at a bad time: no CRD yet, a namespace that goes, an object deleted
//! while its key is being made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::Duration;

use aws_double::Config;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams};
use testbed::{Bed, Error, Operator, Options, SOON, eventually, get};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const CRD: &str = "sessmtpcredentials.ses-smtp.dev";

async fn bed(aws: Config) -> Bed {
    let aws = Config { regions: vec!["eu-central-1".into()], time_scale: 600.0, ..aws };
    let bed = Bed::start(Options { aws, controller_manager: true, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    bed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_crd_is_waited_for_where_everybody_can_see_it() {
    let bed = bed(Config::default()).await;
    let crds: Api<CustomResourceDefinition> = Api::all(bed.client.clone());
    crds.delete(CRD, &DeleteParams::default()).await.unwrap();
    eventually("the CRD to be gone", SOON, async || Ok(crds.get_opt(CRD).await?.is_none().then_some(())))
        .await
        .unwrap();
    let launch = bed.launch(Path::new(BINARY)).await.unwrap();
    let mut operator = launch.spawn().unwrap();
    eventually("the probe to name the CRD", SOON, async || {
        let page = get(&launch.http, "/readyz").await?;
        let named = page.starts_with("HTTP/1.1 503") && page.contains(CRD);
        if named { Ok(Some(())) } else { Error::wrong(page) }
    })
    .await
    .unwrap();
    assert!(get(&launch.http, "/livez").await.unwrap().starts_with("HTTP/1.1 200"));
    bed.plane.apply_yaml(&crd_text()).await.unwrap();
    operator.ready().await.unwrap();
    bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_goes_takes_its_users_with_it() {
    let bed = bed(Config::default()).await;
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    for name in ["a", "b", "c"] {
        bed.apply("shop", name, "{region: eu-central-1}").await.unwrap();
        bed.ready("shop", name).await.unwrap();
    }
    bed.delete_namespace("shop").await.unwrap();
    assert!(bed.aws.users().is_empty());
    assert_eq!(bed.aws.counts()["CreateAccessKey"], 3, "nothing is made again");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_deleted_while_its_key_is_made_leaves_nothing() {
    let mut aws = Config::default();
    // Three seconds of the double's time, which is scaled.
    aws.latency.insert("CreateAccessKey".into(), Duration::from_mins(30));
    let bed = bed(aws).await;
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    eventually("the policy to be put", SOON, async || {
        Ok(bed.aws.counts().contains_key("PutUserPolicy").then_some(()))
    })
    .await
    .unwrap();
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    assert!(bed.aws.users().is_empty());
    eventually("the Secret to be collected", SOON, async || {
        Ok(bed.secrets("shop").get_opt("mailer").await?.is_none().then_some(()))
    })
    .await
    .unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crd_that_is_deleted_takes_its_objects_with_it_and_no_other_user() {
    let bed = bed(Config::default()).await;
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    let mut objects = Vec::new();
    for (name, policy) in [("a", "Delete"), ("b", "Delete"), ("kept", "Retain"), ("forced", "Delete")] {
        let spec = format!("{{region: eu-central-1, deletionPolicy: {policy}}}");
        objects.push(bed.apply("shop", name, &spec).await.unwrap());
        bed.ready("shop", name).await.unwrap();
    }
    let kept = bed.login("shop", "kept").await.unwrap();
    // Its user is an orphan, which the sweep would see to if it could tell.
    bed.strip_finalizers("shop", "forced").await.unwrap();
    bed.delete("shop", "forced").await.unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(bed.client.clone());
    crds.delete(CRD, &DeleteParams::default()).await.unwrap();
    eventually("the CRD to be gone", SOON, async || Ok(crds.get_opt(CRD).await?.is_none().then_some(())))
        .await
        .unwrap();
    assert!(bed.user_of(&objects[0]).is_none() && bed.user_of(&objects[1]).is_none());
    let orphan = || bed.user_of(&objects[3]).unwrap();
    let untouched = orphan();
    assert!(untouched.keys[0].is_active());
    let failed = "ses_smtp_sweeps_total{kind=\"orphans\",outcome=\"incomplete\"}";
    looks(&operator, failed, 2.0).await;
    assert_eq!(orphan(), untouched, "a list that can't be had has no consequence");
    bed.plane.apply_yaml(&crd_text()).await.unwrap();
    let ok = "ses_smtp_sweeps_total{kind=\"orphans\",outcome=\"ok\"}";
    looks(&operator, ok, 2.0).await;
    assert_eq!(orphan(), untouched, "nor has an empty one");
    assert_eq!(bed.credential("shop", "kept").await.unwrap(), kept);
    // The watch comes back by itself.
    bed.apply("shop", "again", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "again").await.unwrap();
    bed.login("shop", "again").await.unwrap();
    eventually("the orphan to be seen to", SOON, async || Ok((!orphan().keys[0].is_active()).then_some(())))
        .await
        .unwrap();
    operator.stop().await.unwrap();
}

fn crd_text() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/sessmtpcredentials.ses-smtp.dev.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// So many more looks at the account.
async fn looks(operator: &Operator, metric: &str, more: f64) {
    let value = async || -> Result<f64, Error> {
        let metrics = operator.metrics().await?;
        let line = metrics.lines().find(|line| line.starts_with(metric));
        Ok(line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default())
    };
    let until = value().await.unwrap() + more;
    eventually(metric, SOON, async || {
        let count = value().await?;
        if count >= until { Ok(Some(())) } else { Error::wrong(format!("{count} of {until}")) }
    })
    .await
    .unwrap();
}
