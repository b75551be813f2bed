//! An operator of some namespaces, and one that doesn't watch Secrets: the whole life of a credential with
//! exactly the rights of the manifests, by the API server's own audit log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_double::account::{NewUser, Tag};
use aws_double::{Config, UserSnapshot};
use control_plane::audit::Entry;
use k8s_openapi::ByteString;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use ses_smtp_core::identity::install_id;
use testbed::{Bed, Credential, Error, Launch, Object, Operator, Options, SOON, condition, eventually, get};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const USER: &str = "system:serviceaccount:ses-smtp-operator:ses-smtp-operator";
const REGIONS: [&str; 2] = ["eu-central-1", "eu-west-1"];
const SPEC: &str = "{region: eu-central-1}";
/// An hour in six seconds, five minutes in half a second.
const SCALE: f64 = 600.0;
const ROLE: &str = "deploy/overlays/namespaced/role.yaml";
const NO_WATCH_ROLE: &str = "deploy/components/no-secret-watch/role.yaml";
const NO_WATCH_CLUSTER_ROLE: &str = "deploy/components/no-secret-watch/clusterrole.yaml";
/// The one thing outside its namespaces that an operator of some namespaces asks for: is there the CRD?
const DISCOVERY: &str = "/apis/ses-smtp.dev/v1alpha1";
const INSTALL: &str = "ses-smtp.dev/install";

/// A bed without any right for the operator, or with those for the whole cluster.
async fn bed(no_rights: bool) -> Bed {
    let regions = REGIONS.map(str::to_owned).to_vec();
    let aws = Config { regions, time_scale: SCALE, ..Config::default() };
    Bed::start(Options { aws, controller_manager: true, audit: true, no_rights }).await.unwrap()
}

/// An operator of these namespaces; of all without any.
async fn launch(bed: &Bed, namespaces: &[&str]) -> Launch {
    let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
    let cluster = bed.cluster.clone();
    set(&mut launch, "CLUSTER_ID", &cluster);
    if !namespaces.is_empty() {
        set(&mut launch, "WATCH_NAMESPACES", &namespaces.join(","));
    }
    launch
}

fn set(launch: &mut Launch, name: &str, value: &str) {
    launch.environment.insert(format!("SES_SMTP_{name}"), value.to_owned());
}

/// One that may not watch Secrets, with the rights of that for the whole cluster, and a namespace to work in.
async fn launch_polling(bed: &Bed) -> Launch {
    grant(bed, NO_WATCH_CLUSTER_ROLE, "").await;
    bed.namespace("shop").await.unwrap();
    let mut launch = launch(bed, &[]).await;
    set(&mut launch, "WATCH_SECRETS", "false");
    launch
}

/// Applies a file of rights, for a namespace if it is of one.
async fn grant(bed: &Bed, file: &str, namespace: &str) {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    bed.plane.apply_yaml(&text.replace("NAMESPACE", namespace)).await.unwrap();
}

/// A namespace with rights for the operator.
async fn served(bed: &Bed, namespace: &str) {
    bed.namespace(namespace).await.unwrap();
    grant(bed, ROLE, namespace).await;
    allowed(bed, namespace).await;
}

/// Waits until the rights in the namespace have taken effect.
async fn allowed(bed: &Bed, namespace: &str) {
    let asked = ResourceAttributes {
        verb: Some("create".into()),
        resource: Some("secrets".into()),
        namespace: Some(namespace.to_owned()),
        ..ResourceAttributes::default()
    };
    bed.plane.until_allowed("ses-smtp-operator", "ses-smtp-operator", asked).await.unwrap();
}

async fn provisioned(bed: &Bed, namespace: &str, name: &str) -> (Object, Credential) {
    let object = bed.apply(namespace, name, SPEC).await.unwrap();
    bed.ready(namespace, name).await.unwrap();
    (object, bed.login(namespace, name).await.unwrap())
}

/// What the operator asked of the API server so far.
fn asked(bed: &Bed) -> Vec<Entry> {
    bed.plane.audit().unwrap().into_iter().filter(|entry| entry.user == USER).collect()
}

/// Nothing was refused for want of a right, and nothing was asked outside these namespaces.
fn kept_to(bed: &Bed, namespaces: &[&str]) -> Vec<Entry> {
    let asked = asked(bed);
    for entry in &asked {
        assert_ne!(entry.code, 403, "{entry:?}");
        let within = namespaces.contains(&entry.namespace.as_str());
        assert!(within || entry.uri == DISCOVERY, "{entry:?}");
    }
    asked
}

/// True if such a call was made in the namespace.
fn has(asked: &[Entry], verb: &str, resource: &str, namespace: &str) -> bool {
    let same =
        |entry: &Entry| entry.verb == verb && entry.resource == resource && entry.namespace == namespace;
    asked.iter().any(same)
}

/// Waits until the Secret holds another key, one that logs in.
async fn replaced(bed: &Bed, namespace: &str, name: &str, before: &Credential) -> Credential {
    eventually("another key", SOON, async || {
        let Ok(now) = bed.login(namespace, name).await else { return Ok(None) };
        Ok((now.username != before.username).then_some(now))
    })
    .await
    .unwrap()
}

/// Edits the password in the Secret as somebody would.
async fn spoil(bed: &Bed, namespace: &str, name: &str) {
    let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({ "stringData": { "password": "edited" } }));
    bed.secrets(namespace).patch(name, &params, &patch).await.unwrap();
}

/// Deletes the Secret and waits until it is there again.
async fn restored(bed: &Bed, namespace: &str, name: &str) -> Credential {
    bed.secrets(namespace).delete(name, &DeleteParams::default()).await.unwrap();
    eventually("the Secret to come back", SOON, async || Ok(bed.login(namespace, name).await.ok()))
        .await
        .unwrap()
}

async fn annotate(bed: &Bed, namespace: &str, key: &str, value: Option<&str>) {
    let patch = json!({"metadata": {"annotations": {format!("ses-smtp.dev/{key}"): value}}});
    let namespaces = Api::<Namespace>::all(bed.client.clone());
    namespaces.patch(namespace, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// The sum of a metric's lines.
async fn metric(operator: &Operator, name: &str) -> u64 {
    let page = operator.metrics().await.unwrap();
    let lines = page.lines().filter(|line| line.starts_with(name));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

async fn passes(operator: &Operator) -> u64 {
    metric(operator, "ses_smtp_reconciles_total{").await
}

async fn at_least(operator: &Operator, name: &str, least: u64) {
    eventually(&format!("{least} of {name}"), SOON, async || {
        let count = metric(operator, name).await;
        if count >= least { Ok(Some(())) } else { Error::wrong(count.to_string()) }
    })
    .await
    .unwrap();
}

/// Waits for so many more looks for orphans.
async fn looks(operator: &Operator, more: u64) {
    let name = "ses_smtp_sweeps_total{kind=\"orphans\",outcome=\"ok\"}";
    at_least(operator, name, metric(operator, name).await + more).await;
}

/// Waits until the condition holds of the user with this name; gone is `None`.
async fn user_is(bed: &Bed, name: &str, what: &str, wanted: impl Fn(Option<&UserSnapshot>) -> bool) {
    eventually(what, SOON, async || {
        let user = bed.aws.user(name);
        if wanted(user.as_ref()) { Ok(Some(())) } else { Error::wrong(format!("{user:?}")) }
    })
    .await
    .unwrap();
}

/// The object goes without its finalizer having run.
async fn force_deleted(bed: &Bed, namespace: &str, name: &str) {
    bed.delete(namespace, name).await.unwrap();
    bed.strip_finalizers(namespace, name).await.unwrap();
    bed.gone(namespace, name).await.unwrap();
}

/// Ends the operator, starts it anew and waits for a pass over every object: no call to IAM.
async fn restarted(bed: &Bed, operator: Operator, launch: &Launch, objects: u64) -> Operator {
    operator.stop().await.unwrap();
    let before = bed.iam_calls();
    let operator = launch.start().await.unwrap();
    at_least(&operator, "ses_smtp_reconciles_total{", objects).await;
    assert_eq!(bed.iam_calls(), before, "a restart asks IAM for nothing");
    operator
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_two_namespaces_asks_for_nothing_outside_them() {
    let bed = bed(true).await;
    for namespace in ["shop", "billing"] {
        served(&bed, namespace).await;
    }
    bed.namespace("other").await.unwrap();
    let launch = launch(&bed, &["shop", "billing"]).await;
    let operator = launch.start().await.unwrap();
    let other = bed.apply("other", "mailer", SPEC).await.unwrap();
    let (_, first) = provisioned(&bed, "shop", "mailer").await;
    let (_, second) = provisioned(&bed, "billing", "mailer").await;

    bed.patch("shop", "mailer", json!({ "rotation": { "trigger": "now" } })).await.unwrap();
    replaced(&bed, "shop", "mailer", &first).await;
    spoil(&bed, "billing", "mailer").await;
    replaced(&bed, "billing", "mailer", &second).await;
    restored(&bed, "shop", "mailer").await;

    // What the Namespace says is read now and then.
    annotate(&bed, "shop", "allowed-regions", Some("eu-west-1")).await;
    bed.reads("shop", "mailer", "Stalled", "True NotAllowed").await.unwrap();
    annotate(&bed, "shop", "allowed-regions", None).await;
    for namespace in ["shop", "billing"] {
        eventually("the object to be healed", SOON, async || {
            let object = bed.objects(namespace).get("mailer").await?;
            let good = condition(&object, "Ready") == "True Provisioned";
            Ok((good && condition(&object, "Reconciling").is_empty()).then_some(()))
        })
        .await
        .unwrap();
    }
    looks(&operator, 2).await;
    let operator = restarted(&bed, operator, &launch, 2).await;

    for namespace in ["shop", "billing"] {
        bed.delete(namespace, "mailer").await.unwrap();
        bed.gone(namespace, "mailer").await.unwrap();
    }
    assert!(bed.aws.users().is_empty());
    // The third namespace was never looked at.
    let untouched = bed.objects("other").get("mailer").await.unwrap();
    assert_eq!(untouched.resource_version(), other.resource_version());
    assert!(bed.secrets("other").get_opt("mailer").await.unwrap().is_none());
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
    let asked = kept_to(&bed, &["shop", "billing"]);
    for namespace in ["shop", "billing"] {
        assert!(has(&asked, "watch", "secrets", namespace) && has(&asked, "get", "namespaces", namespace));
        assert!(!has(&asked, "watch", "namespaces", namespace));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_missing_keeps_no_other_waiting_and_is_served_when_it_comes() {
    let bed = bed(true).await;
    served(&bed, "shop").await;
    let launch = launch(&bed, &["late", "shop"]).await;
    let operator = launch.start().await.unwrap();
    provisioned(&bed, "shop", "mailer").await;
    let page = get(&launch.http, "/readyz").await.unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("namespaces not served: late ("), "{page}");
    let told = |log: &str, call: &str| {
        let line =
            |line: &&str| line.contains("isn't served") && line.contains("late") && line.contains(call);
        log.lines().filter(line).count()
    };
    let log = bed.log();
    for call in ["list sessmtpcredentials", "list secrets", "get namespaces"] {
        assert_eq!(told(&log, call), 1, "{call} is told once:\n{log}");
    }

    let mut installs = Vec::new();
    for _ in 0..2 {
        served(&bed, "late").await;
        let (object, _) = provisioned(&bed, "late", "mailer").await;
        eventually("nothing to be missing", SOON, async || {
            let page = get(&launch.http, "/readyz").await?;
            if page.ends_with("ok\n") { Ok(Some(())) } else { Error::wrong(page) }
        })
        .await
        .unwrap();
        let namespaces = Api::<Namespace>::all(bed.client.clone());
        let uid = namespaces.get("late").await.unwrap().uid().unwrap();
        let install = bed.user_of(&object).unwrap().tags[INSTALL].clone();
        assert_eq!(install, install_id(&uid), "by the namespace's own UID");
        installs.push(install);
        bed.delete("late", "mailer").await.unwrap();
        bed.gone("late", "mailer").await.unwrap();
        bed.delete_namespace("late").await.unwrap();
    }
    assert_ne!(installs[0], installs[1]);
    bed.login("shop", "mailer").await.unwrap();
    assert_eq!(bed.aws.users().len(), 1);
    operator.stop().await.unwrap();
}

/// While Secrets can't be listed nobody tells of them, and what the operator remembers is its own writes: the
/// first list shows what became of them meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_list_secrets_that_comes_late_shows_what_happened_before() {
    let bed = bed(true).await;
    served(&bed, "shop").await;
    served(&bed, "billing").await;
    grant(&bed, NO_WATCH_ROLE, "shop").await;
    let launch = launch(&bed, &["shop", "billing"]).await;
    let operator = launch.start().await.unwrap();
    let (_, first) = provisioned(&bed, "shop", "mailer").await;
    let page = get(&launch.http, "/readyz").await.unwrap();
    assert!(page.ends_with("ok\nnamespaces not served: shop (list secrets)\n"), "{page}");
    bed.secrets("shop").delete("mailer", &DeleteParams::default()).await.unwrap();
    grant(&bed, ROLE, "shop").await;
    // The Secret comes back with another key, since nobody knows the password of the first.
    replaced(&bed, "shop", "mailer", &first).await;
    operator.stop().await.unwrap();
}

/// A Role goes with its namespace, in no set order: then nobody may take the finalizers off, but the users
/// are deleted, and rights in the whole cluster end it.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_takes_the_rights_with_it_leaves_no_user_behind() {
    let bed = bed(true).await;
    served(&bed, "shop").await;
    let operator = launch(&bed, &["shop"]).await.start().await.unwrap();
    let (object, _) = provisioned(&bed, "shop", "mailer").await;
    let user = bed.user_of(&object).unwrap().name;
    let bindings = Api::<RoleBinding>::namespaced(bed.client.clone(), "shop");
    bindings.delete("ses-smtp-operator", &DeleteParams::default()).await.unwrap();
    eventually("the rights to be gone", SOON, async || {
        let refused = |entry: &Entry| entry.code == 403 && entry.resource == "namespaces";
        Ok(asked(&bed).iter().any(refused).then_some(()))
    })
    .await
    .unwrap();
    let namespaces = Api::<Namespace>::all(bed.client.clone());
    namespaces.delete("shop", &DeleteParams::default()).await.unwrap();
    user_is(&bed, &user, "the user to go", |user| user.is_none()).await;
    assert!(bed.objects("shop").get("mailer").await.unwrap().metadata.deletion_timestamp.is_some());
    grant(&bed, "deploy/overlays/cluster-wide/rbac.yaml", "").await;
    bed.namespace_gone(Duration::from_mins(4), "shop").await.unwrap();
    assert!(bed.aws.users().is_empty());
    operator.stop().await.unwrap();
}

/// Runs `orphans` with the operator's own environment.
async fn orphans(launch: &Launch, arguments: &[&str]) -> (i32, String, String) {
    let mut command = tokio::process::Command::new(BINARY);
    command.env_clear().envs(&launch.environment).arg("orphans").args(arguments).stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Two operators with disjoint namespaces share a cluster, a cluster id and an account.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_another_operator_s_namespace_is_no_orphan() {
    let bed = bed(true).await;
    let mut launches = BTreeMap::new();
    for namespace in ["shop", "billing"] {
        served(&bed, namespace).await;
        let mut launch = launch(&bed, &[namespace]).await;
        set(&mut launch, "SWEEP_INTERVAL", "10m");
        set(&mut launch, "SWEEP_SOAK", "15m");
        launches.insert(namespace, launch);
    }
    let mut users = BTreeMap::new();
    for (namespace, launch) in &launches {
        let operator = launch.start().await.unwrap();
        provisioned(&bed, namespace, "stays").await;
        let (object, _) = provisioned(&bed, namespace, "lost").await;
        users.insert(*namespace, bed.user_of(&object).unwrap());
        operator.stop().await.unwrap();
        force_deleted(&bed, namespace, "lost").await;
    }
    // One that another cluster with this cluster id has made for a namespace of the same name.
    let mut tags = users["shop"].tags.clone();
    tags.insert(INSTALL.to_owned(), "of-another".to_owned());
    tags.insert("ses-smtp.dev/uid".to_owned(), "of-another".to_owned());
    let path = users["shop"].path.clone();
    let new = NewUser {
        name: "theirs".into(),
        path: Some(path),
        tags: tags.into_iter().map(|(key, value)| Tag { key, value }).collect(),
        boundary: None,
    };
    bed.aws.edit(|account, now| account.create_user(new, now).map(drop)).unwrap().unwrap();
    let theirs = bed.aws.user("theirs").unwrap();

    let (code, listed, said) = orphans(&launches["shop"], &[]).await;
    assert_eq!((code, listed.lines().count()), (0, 2), "{listed}{said}");
    assert!(listed.contains(&users["shop"].name), "{listed}");
    let (_, listed, _) = orphans(&launches["shop"], &["--install", "of-another"]).await;
    assert!(listed.lines().count() == 2 && listed.contains("theirs"), "{listed}");

    let operator = launches["shop"].start().await.unwrap();
    user_is(&bed, &users["shop"].name, "the orphan of shop to go", |user| user.is_none()).await;
    looks(&operator, 3).await;
    assert_eq!(bed.aws.user(&users["billing"].name).unwrap(), users["billing"], "left to its own operator");
    assert_eq!(bed.aws.user("theirs").unwrap(), theirs);
    operator.stop().await.unwrap();

    let (code, _, said) = orphans(&launches["billing"], &["--delete"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("deleted {}\n", users["billing"].name)), "{said}");
    assert_eq!(bed.aws.users().len(), 3, "both that stay, and theirs");
    for namespace in ["shop", "billing"] {
        bed.login(namespace, "stays").await.unwrap();
    }
    kept_to(&bed, &["shop", "billing"]);
}

/// With namespaces of its own the operator has other install ids: known by their records, its users get
/// the new one, and nothing else changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_from_the_whole_cluster_to_a_namespace_costs_a_tag() {
    let bed = bed(false).await;
    served(&bed, "shop").await;
    let operator = launch(&bed, &[]).await.start().await.unwrap();
    let (object, before) = provisioned(&bed, "shop", "mailer").await;
    let whole = bed.user_of(&object).unwrap().tags[INSTALL].clone();
    operator.stop().await.unwrap();
    let mut calls = bed.iam_calls();
    let mut launch = launch(&bed, &["shop"]).await;
    // Else a look for drift could be faster than the first pass.
    set(&mut launch, "DRIFT_INTERVAL", "0s");
    let operator = launch.start().await.unwrap();
    user_is(&bed, &bed.user_of(&object).unwrap().name, "the namespace's install id", |user| {
        user.is_some_and(|user| user.tags[INSTALL] != whole)
    })
    .await;
    at_least(&operator, "ses_smtp_reconciles_total{", 1).await;
    *calls.entry("TagUser".to_owned()).or_default() += 1;
    assert_eq!(bed.iam_calls(), calls);
    let operator = restarted(&bed, operator, &launch, 1).await;
    assert_eq!(bed.login("shop", "mailer").await.unwrap(), before);
    operator.stop().await.unwrap();
}

/// Overlapping lists are a mistake, but none that loses a key or never comes to rest.
#[tokio::test(flavor = "multi_thread")]
async fn two_operators_of_one_namespace_come_to_rest() {
    let bed = bed(true).await;
    served(&bed, "shop").await;
    let operators = [
        launch(&bed, &["shop"]).await.start().await.unwrap(),
        launch(&bed, &["shop", "missing"]).await.start().await.unwrap(),
    ];
    let object = bed.apply("shop", "mailer", SPEC).await.unwrap();
    eventually("the object to be ready", Duration::from_mins(4), async || {
        let object = bed.objects("shop").get("mailer").await?;
        Ok((condition(&object, "Ready") == "True Provisioned").then_some(()))
    })
    .await
    .unwrap();
    bed.login("shop", "mailer").await.unwrap();
    let quiet =
        eventually("no call of a pass between two looks for drift", Duration::from_mins(4), async || {
            let before = bed.iam_calls();
            looks(&operators[0], 2).await;
            Ok((bed.iam_calls() == before).then_some(()))
        });
    quiet.await.unwrap();
    assert_eq!(bed.aws.users().len(), 1);
    assert!(bed.user_of(&object).unwrap().keys.len() <= 2);
    bed.login("shop", "mailer").await.unwrap();
    for operator in operators {
        operator.stop().await.unwrap();
    }
}

/// Lists and watches of Secrets by the operator.
fn watched_secrets(bed: &Bed) -> Vec<Entry> {
    let looks =
        |entry: &Entry| entry.resource == "secrets" && ["list", "watch"].contains(&entry.verb.as_str());
    asked(bed).into_iter().filter(looks).collect()
}

/// Reads of one Secret by the operator.
fn reads(bed: &Bed, name: &str) -> u64 {
    let of_it = |entry: &Entry| entry.resource == "secrets" && entry.verb == "get" && entry.name == name;
    u64::try_from(asked(bed).into_iter().filter(of_it).count()).unwrap()
}

/// Writes a source of an access key as its owner would, and gives the key's id.
async fn put_source(bed: &Bed, user: &str) -> String {
    let key = bed
        .aws
        .edit(|account, now| {
            let new = NewUser { name: user.to_owned(), path: None, tags: Vec::new(), boundary: None };
            account.create_user(new, now).unwrap();
            account.create_access_key(user, now).unwrap()
        })
        .unwrap();
    let pairs = [("AWS_ACCESS_KEY_ID", key.id.clone()), ("AWS_SECRET_ACCESS_KEY", key.secret)];
    let data = pairs.into_iter().map(|(name, value)| (name.to_owned(), ByteString(value.into())));
    let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
    secret.metadata.name = Some("vault".to_owned());
    secret.metadata.labels = Some([("ses-smtp.dev/access-key-source".into(), "true".into())].into());
    let params = PatchParams::apply("vault").force();
    bed.secrets("shop").patch("vault", &params, &Patch::Apply(&secret)).await.unwrap();
    key.id
}

/// Waits until the Secret holds this key.
async fn holds(bed: &Bed, name: &str, key: &str) {
    eventually(&format!("{name} to hold {key}"), SOON, async || {
        let credential = bed.credential("shop", name).await?;
        if credential.username == key { Ok(Some(())) } else { Error::wrong(credential.username) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_watch_of_secrets_a_poll_finds_what_changed() {
    let bed = bed(false).await;
    let launch = launch_polling(&bed).await;
    let operator = launch.start().await.unwrap();
    let (_, first) = provisioned(&bed, "shop", "mailer").await;
    let key = put_source(&bed, "vault-1").await;
    let spec = "{region: eu-central-1, accessKeyFrom: {secretRef: {name: vault}}}";
    bed.apply("shop", "derived", spec).await.unwrap();
    bed.ready("shop", "derived").await.unwrap();
    holds(&bed, "derived", &key).await;

    bed.patch("shop", "mailer", json!({ "rotation": { "trigger": "now" } })).await.unwrap();
    let second = replaced(&bed, "shop", "mailer", &first).await;
    spoil(&bed, "shop", "mailer").await;
    replaced(&bed, "shop", "mailer", &second).await;
    restored(&bed, "shop", "mailer").await;
    let key = put_source(&bed, "vault-2").await;
    holds(&bed, "derived", &key).await;
    let operator = restarted(&bed, operator, &launch, 2).await;

    bed.delete("shop", "derived").await.unwrap();
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    assert_eq!(bed.aws.users().len(), 2, "those of the source's owner");
    assert_eq!(watched_secrets(&bed), []);
    assert!(asked(&bed).iter().all(|entry| entry.code != 403));
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_of_a_credential_costs_one_read_and_no_call_to_iam() {
    let bed = bed(false).await;
    let launch = launch_polling(&bed).await;
    let operator = launch.start().await.unwrap();
    provisioned(&bed, "shop", "mailer").await;
    assert_eq!(
        bed.iam_calls().into_iter().collect::<Vec<_>>(),
        [("CreateAccessKey".into(), 1), ("CreateUser".into(), 1), ("PutUserPolicy".into(), 1)]
    );
    operator.stop().await.unwrap();
    let (calls, before) = (bed.iam_calls(), reads(&bed, "mailer"));
    let operator = launch.start().await.unwrap();
    at_least(&operator, "ses_smtp_reconciles_total{", 12).await;
    // Between two passes, each has made one read.
    eventually("as many reads as passes", SOON, async || {
        let (passes, reads) = (passes(&operator).await, reads(&bed, "mailer") - before);
        if reads == passes { Ok(Some(())) } else { Error::wrong(format!("{reads} reads in {passes} passes")) }
    })
    .await
    .unwrap();
    assert_eq!(bed.iam_calls(), calls);
    // And its deletion the three calls that it takes with a watch.
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    let mut expected = calls;
    for action in ["DeleteAccessKey", "DeleteUserPolicy", "DeleteUser"] {
        expected.insert(action.to_owned(), 1);
    }
    assert_eq!(bed.iam_calls(), expected);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_together_take_the_fewest_rights() {
    let bed = bed(true).await;
    served(&bed, "shop").await;
    grant(&bed, NO_WATCH_ROLE, "shop").await;
    let mut launch = launch(&bed, &["shop"]).await;
    set(&mut launch, "WATCH_SECRETS", "false");
    let operator = launch.start().await.unwrap();
    let (_, first) = provisioned(&bed, "shop", "mailer").await;
    spoil(&bed, "shop", "mailer").await;
    replaced(&bed, "shop", "mailer", &first).await;
    restored(&bed, "shop", "mailer").await;
    looks(&operator, 2).await;
    let operator = restarted(&bed, operator, &launch, 1).await;
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    assert!(bed.aws.users().is_empty());
    operator.stop().await.unwrap();
    kept_to(&bed, &["shop"]);
    assert_eq!(watched_secrets(&bed), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_without_a_cluster_id_are_refused() {
    let mut command = tokio::process::Command::new(BINARY);
    command.env_clear().args(["run", "--watch-namespaces", "shop"]).stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["--watch-namespaces", "--cluster-id", "kube-system"] {
        assert!(said.contains(part), "{said}");
    }
}
