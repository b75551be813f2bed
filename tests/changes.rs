//! A spec is changed and changed back: each state is the one that a fresh object of that spec reaches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use aws_double::Config;
use kube::ResourceExt as _;
use testbed::{Bed, Error, Object, Options, SOON, condition, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGIONS: [&str; 3] = ["eu-central-1", "us-east-1", "eu-west-1"];
/// A day, overlap and soak in 3.6 seconds each.
const SCALE: f64 = 24_000.0;

const PLAIN: &str = "{region: eu-central-1}";

/// What is changed, by name.
const CHANGES: [(&str, &str); 9] = [
    ("region", "{region: eu-west-1}"),
    ("more", "{region: eu-central-1, additionalRegions: [us-east-1]}"),
    ("port", "{region: eu-central-1, endpoint: {port: TLS}}"),
    ("sender", "{region: eu-central-1, policy: {fromAddresses: ['*@shop.example.com']}}"),
    (
        "labels",
        "{region: eu-central-1, secret: {labels: {team: a}, annotations: {example.com/reload: 'true'}}}",
    ),
    ("rotation", "{region: eu-central-1, rotation: {interval: 8760h, overlap: 48h}}"),
    ("trigger", "{region: eu-central-1, rotation: {trigger: now}}"),
    ("deletion", "{region: eu-central-1, deletionPolicy: Retain}"),
    ("revoked", "{region: eu-central-1, revokedKeys: [AKIAIOSFODNN7EXAMPLE]}"),
];

/// Everything that a spec decides, without what is different for each object and key.
#[derive(Debug, PartialEq, Eq)]
struct State {
    data: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    annotations: Vec<String>,
    policies: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    keys: usize,
    conditions: Vec<String>,
    endpoints: Vec<String>,
    next_rotation: bool,
}

/// The state of an object, once its previous key is gone.
async fn state(bed: &Bed, name: &str) -> Result<State, Error> {
    let object = bed.objects("shop").get(name).await?;
    let secret = bed.secrets("shop").get(name).await?;
    let Some(user) = bed.user_of(&object) else { return Error::wrong(format!("{name}: no user")) };
    let own = |key: &str| key == "username" || key.ends_with("password");
    let data = secret.data.clone().unwrap_or_default().into_iter().map(|(key, value)| {
        let shown =
            if own(&key) { "of the key".to_owned() } else { String::from_utf8_lossy(&value.0).into() };
        (key, shown)
    });
    let named = |map: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let replaced = |value: &String| value.replace(name, "NAME");
        let stays = |key: &&String| !key.ends_with("/uid");
        map.iter().filter(|(key, _)| stays(key)).map(|(key, value)| (key.clone(), replaced(value))).collect()
    };
    let status = object.status.clone().unwrap_or_default();
    Ok(State {
        data: data.collect(),
        labels: named(secret.labels()),
        annotations: secret.annotations().keys().cloned().collect(),
        policies: user.policies.clone(),
        tags: named(&user.tags),
        keys: user.keys.len(),
        conditions: status
            .conditions
            .iter()
            .map(|it| format!("{} {} {}", it.type_, it.status, it.reason))
            .collect(),
        endpoints: status.endpoints.iter().map(|it| timeless(&format!("{it:?}"))).collect(),
        next_rotation: status.next_rotation_at.is_some(),
    })
}

/// Without the time of the login.
fn timeless(endpoint: &str) -> String {
    endpoint.split("time:").next().unwrap_or_default().to_owned()
}

async fn reaches(bed: &Bed, name: &str, expected: &State, what: &str) {
    eventually(what, 3 * SOON, async || {
        let now = state(bed, name).await?;
        if now == *expected { Ok(Some(())) } else { Error::wrong(format!("{now:#?}\nis not\n{expected:#?}")) }
    })
    .await
    .unwrap();
}

async fn settled(bed: &Bed, name: &str) -> State {
    let object = bed.ready("shop", name).await.unwrap();
    assert_eq!(condition(&object, "Stalled"), "", "{name}");
    eventually("every login to be reported", SOON, async || {
        let status = bed.objects("shop").get(name).await?.status.unwrap_or_default();
        let accepted = |it: &ses_smtp_core::api::EndpointStatus| {
            it.login.as_ref().is_some_and(|it| it.outcome == "Accepted")
        };
        Ok(status.endpoints.iter().all(accepted).then_some(()))
    })
    .await
    .unwrap();
    state(bed, name).await.unwrap()
}

async fn apply(bed: &Bed, name: &str, spec: &str) -> Object {
    let tls = bed.aws.smtp("eu-central-1").unwrap().tls;
    bed.apply("shop", name, &spec.replace("TLS", &tls.to_string())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_leads_to_what_a_fresh_install_gives_and_back_again() {
    let regions = REGIONS.map(str::to_owned).to_vec();
    let aws = Config { regions, time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    for (name, spec) in CHANGES {
        apply(&bed, name, PLAIN).await;
        apply(&bed, &format!("fresh-{name}"), spec).await;
    }
    apply(&bed, "plain", PLAIN).await;
    let plain = settled(&bed, "plain").await;
    for (name, _) in CHANGES {
        assert_eq!(settled(&bed, name).await, plain, "{name}");
    }
    for (name, spec) in CHANGES {
        apply(&bed, name, spec).await;
    }
    for (name, _) in CHANGES {
        let fresh = settled(&bed, &format!("fresh-{name}")).await;
        let fresh = State {
            labels: fresh.labels.into_iter().map(|(key, value)| (key, value.replace("fresh-", ""))).collect(),
            tags: fresh.tags.into_iter().map(|(key, value)| (key, value.replace("fresh-", ""))).collect(),
            ..fresh
        };
        reaches(&bed, name, &fresh, &format!("{name} to be as a fresh one")).await;
    }
    for (name, _) in CHANGES {
        apply(&bed, name, PLAIN).await;
    }
    for (name, _) in CHANGES {
        reaches(&bed, name, &plain, &format!("{name} to be as before")).await;
        bed.login("shop", name).await.unwrap();
    }
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}
