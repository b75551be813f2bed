//! Credentials that are derived from access keys of somebody else's: what is taken, what is refused,
//! what becomes of the Secret, and not one call to IAM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use aws_double::Config;
use aws_double::account::NewUser;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use testbed::{Bed, Credential, Error, Launch, Object, Operator, Options, SOON, condition, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGIONS: [&str; 2] = ["eu-central-1", "eu-west-1"];
const SPEC: &str = "{region: eu-central-1, accessKeyFrom: {secretRef: {name: vault}}}";
const ID_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
/// AWS's published example keys.
const EXAMPLE_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const EXAMPLE_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

async fn bed() -> (Bed, Launch) {
    bed_at(600.0).await
}

async fn bed_at(scale: f64) -> (Bed, Launch) {
    let regions = REGIONS.map(str::to_owned).to_vec();
    let aws = Config { regions, time_scale: scale, ..Config::default() };
    let bed = Bed::start(Options { aws, controller_manager: true, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let launch = bed.launch(Path::new(BINARY)).await.unwrap();
    (bed, launch)
}

/// An access key of a user that the operator knows nothing of.
struct Key {
    id: String,
    secret: String,
}

fn make_key(bed: &Bed, user: &str) -> Key {
    bed.aws
        .edit(|account, now| {
            let new = NewUser { name: user.to_owned(), path: None, tags: Vec::new(), boundary: None };
            account.create_user(new, now).unwrap();
            let key = account.create_access_key(user, now).unwrap();
            Key { id: key.id, secret: key.secret }
        })
        .unwrap()
}

/// Applies a source as its owner's tool would; what was applied before and isn't now goes.
async fn put(bed: &Bed, name: &str, label: Option<&str>, pairs: &[(&str, &str)]) -> Secret {
    let data = pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString((*value).into())));
    let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
    secret.metadata.name = Some(name.to_owned());
    secret.metadata.labels = label.map(|value| [(LABEL.to_owned(), value.to_owned())].into());
    let params = PatchParams::apply("vault").force();
    bed.secrets("shop").patch(name, &params, &Patch::Apply(&secret)).await.unwrap()
}

const LABEL: &str = "ses-smtp.dev/access-key-source";

async fn put_key(bed: &Bed, name: &str, key: &Key) {
    put(bed, name, Some("true"), &[(ID_KEY, &key.id), (SECRET_KEY, &key.secret)]).await;
}

/// Edits a Secret as somebody would.
async fn edit(bed: &Bed, name: &str, patch: Value) {
    let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
    bed.secrets("shop").patch(name, &params, &Patch::Merge(patch)).await.unwrap();
}

/// Waits until the Secret holds this key's password for the Region.
async fn holds(bed: &Bed, name: &str, key: &Key, region: &str) -> Credential {
    let password = bed.aws.password_of(&key.id, region).unwrap();
    eventually(&format!("Secret {name} to hold {}", key.id), SOON, async || {
        let credential = bed.credential("shop", name).await?;
        let same = credential.username == key.id && credential.password == password;
        if same { Ok(Some(credential)) } else { Error::wrong(format!("{credential:?}")) }
    })
    .await
    .unwrap()
}

/// Waits until the object isn't Stalled.
async fn healed(bed: &Bed, name: &str) -> Object {
    eventually(&format!("{name} not to be Stalled"), SOON, async || {
        let object = bed.objects("shop").get(name).await?;
        let ready = condition(&object, "Ready") == "True Provisioned";
        Ok((ready && condition(&object, "Stalled").is_empty()).then_some(object))
    })
    .await
    .unwrap()
}

fn stalled(object: &Object) -> String {
    let conditions = &object.status.as_ref().unwrap().conditions;
    conditions.iter().find(|it| it.type_ == "Stalled").map(|it| it.message.clone()).unwrap_or_default()
}

/// Writes of this kind to the API server that this process has made.
async fn writes(operator: &Operator, kind: &str) -> u64 {
    let page = operator.metrics().await.unwrap();
    let counted = format!("ses_smtp_kube_writes_total{{kind=\"{kind}\",outcome=\"ok\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&counted));
    line.map_or(0, |count| count.parse().unwrap())
}

/// Passes over objects that have ended so far.
async fn passes(operator: &Operator) -> u64 {
    let page = operator.metrics().await.unwrap();
    let lines = page.lines().filter(|line| line.starts_with("ses_smtp_reconciles_total{"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// What holds at the end of every test: no call to IAM, no finalizer, nothing leaked or echoed.
async fn finished(bed: &Bed, operator: Operator, canaries: &[&str]) {
    assert_eq!(bed.iam_calls().values().sum::<u64>(), 0, "{:?}", bed.aws.counts());
    let objects = bed.objects("shop").list(&ListParams::default()).await.unwrap();
    for object in &objects {
        assert!(object.finalizers().is_empty() && object.annotations().is_empty(), "{}", object.name_any());
        let status = object.status.clone().unwrap_or_default();
        assert_eq!((status.user_name, status.user_arn, status.issued_at), (None, None, None));
    }
    if !bed.aws.key_ids().is_empty() {
        bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    }
    let statuses: Vec<_> = objects.iter().map(|object| object.status.clone()).collect();
    let events = bed.events("shop").await.unwrap();
    let said = [
        serde_json::to_string(&statuses).unwrap(),
        serde_json::to_string(&events).unwrap(),
        bed.log(),
        operator.metrics().await.unwrap(),
    ];
    for canary in canaries {
        assert!(said.iter().all(|text| !text.contains(canary)), "{canary} is repeated");
    }
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn admission_keeps_them_apart_from_ordinary_objects() {
    let (bed, launch) = bed().await;
    let operator = launch.start().await.unwrap();
    let derive = |more: &str| format!("{{region: eu-central-1, accessKeyFrom: {{secretRef: {more}}}");
    let with = |more: &str| format!("{}, {more}}}", derive("{name: vault}"));
    let excluded = "with spec.accessKeyFrom there is no IAM user";
    let table = [
        (with("policy: {fromAddresses: ['*']}"), excluded),
        (with("policy: {}"), excluded),
        (with("rotation: {interval: 2160h}"), excluded),
        (with(&format!("revokedKeys: [{EXAMPLE_ID}]")), excluded),
        (with("deletionPolicy: Retain"), excluded),
        (with("deletionPolicy: Deactivate"), excluded),
        (with("secret: {name: vault}"), "is the Secret that is to be written"),
        (format!("{}}}", derive("{name: mailer}")), "is the Secret that is to be written"),
        (format!("{}}}", derive("{name: ../x}")), "secretRef.name"),
        (format!("{}}}", derive("{name: Vault}")), "secretRef.name"),
        (format!("{}}}", derive("{}")), "secretRef.name"),
        (format!("{}}}", derive("{name: vault, accessKeyIdKey: 'a b'}")), "accessKeyIdKey"),
        (format!("{}}}", derive("{name: vault, secretAccessKeyKey: ''}")), "secretAccessKeyKey"),
        (
            format!("{}}}", derive("{name: vault, accessKeyIdKey: x, secretAccessKeyKey: x}")),
            "must name two different data keys",
        ),
        (format!("{}}}", derive("{name: vault, namespace: other}")), "secretRef.namespace"),
    ];
    for (spec, expected) in table {
        let refused = bed.apply("shop", "mailer", &spec).await.expect_err(&spec);
        let refused =
            format!("{refused}: {:?}", std::error::Error::source(&refused).map(ToString::to_string));
        assert!(refused.contains(expected), "{spec}: {refused}");
    }
    // What excludes one another can be left at its default by name.
    bed.apply("shop", "mailer", &with("deletionPolicy: Delete, suspend: true")).await.unwrap();
    bed.apply("shop", "plain", "{region: eu-central-1, suspend: true}").await.unwrap();
    let fixed = "can't be added or removed later";
    for (name, change) in [
        ("mailer", json!({ "accessKeyFrom": null })),
        ("plain", json!({ "accessKeyFrom": { "secretRef": { "name": "vault" } } })),
    ] {
        let refused = bed.patch("shop", name, change).await.expect_err(name);
        let refused =
            format!("{refused}: {:?}", std::error::Error::source(&refused).map(ToString::to_string));
        assert!(refused.contains(fixed), "{name}: {refused}");
    }
    bed.patch("shop", "mailer", json!({ "accessKeyFrom": { "secretRef": { "name": "other" } } }))
        .await
        .unwrap();
    finished(&bed, operator, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_derived_followed_and_let_go() {
    let (bed, launch) = bed().await;
    let operator = launch.start().await.unwrap();
    let (first, second) = (make_key(&bed, "vault-1"), make_key(&bed, "vault-2"));
    put_key(&bed, "vault", &first).await;
    bed.apply("shop", "mailer", SPEC).await.unwrap();
    let object = bed.ready("shop", "mailer").await.unwrap();
    assert_eq!(condition(&object, "LoginVerified"), "True LoginVerified");
    let status = object.status.as_ref().unwrap();
    assert_eq!(status.access_key_id.as_ref(), Some(&first.id));
    assert_eq!(status.secret_name.as_deref(), Some("mailer"));
    assert_eq!(status.endpoints.len(), 1);
    let old = holds(&bed, "mailer", &first, "eu-central-1").await;
    assert_eq!(bed.login("shop", "mailer").await.unwrap(), old);
    assert_eq!(writes(&operator, "Secret").await, 1);
    // Another annotation on the source, and a line break that some tool added: read, and nothing written.
    let before = passes(&operator).await;
    let broken = [(ID_KEY, first.id.as_str()), (SECRET_KEY, &format!("{}\n", first.secret))];
    put(&bed, "vault", Some("true"), &broken).await;
    eventually("another pass", SOON, async || Ok((passes(&operator).await > before).then_some(())))
        .await
        .unwrap();
    assert_eq!(writes(&operator, "Secret").await, 1);
    // Another key: derived at once, and the old one is its owner's to end.
    put_key(&bed, "vault", &second).await;
    let new = holds(&bed, "mailer", &second, "eu-central-1").await;
    assert!(bed.accepts(&new).await.unwrap() && bed.accepts(&old).await.unwrap());
    assert_eq!(writes(&operator, "Secret").await, 2);
    bed.ready("shop", "mailer").await.unwrap();
    // Another Region and one more: the same key, other passwords.
    let regions = json!({ "region": "eu-west-1", "additionalRegions": ["eu-central-1"] });
    bed.patch("shop", "mailer", regions).await.unwrap();
    holds(&bed, "mailer", &second, "eu-west-1").await;
    let object = bed.ready("shop", "mailer").await.unwrap();
    let told = object.status.unwrap();
    let told: Vec<&str> = told.endpoints.iter().map(|endpoint| endpoint.region.as_str()).collect();
    assert_eq!(told, ["eu-west-1", "eu-central-1"]);
    let data = bed.secrets("shop").get("mailer").await.unwrap().data.unwrap();
    for region in REGIONS {
        let password = bed.aws.password_of(&second.id, region).unwrap();
        assert_eq!(data[&format!("{region}.password")].0, password.into_bytes(), "{region}");
    }
    assert_eq!(writes(&operator, "Secret").await, 3);
    let reasons: Vec<String> =
        bed.events("shop").await.unwrap().into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["Derived"; 3]);
    // Another source: followed from now on, and the first one no more.
    put_key(&bed, "other", &first).await;
    bed.patch("shop", "mailer", json!({ "accessKeyFrom": { "secretRef": { "name": "other" } } }))
        .await
        .unwrap();
    holds(&bed, "mailer", &first, "eu-west-1").await;
    put_key(&bed, "other", &second).await;
    holds(&bed, "mailer", &second, "eu-west-1").await;
    bed.ready("shop", "mailer").await.unwrap();
    // Suspended, it follows nothing; deleted, the Secret goes by its owner reference, and no finalizer waits.
    bed.patch("shop", "mailer", json!({ "suspend": true })).await.unwrap();
    let object = bed.reads("shop", "mailer", "Suspended", "True Suspended").await.unwrap();
    assert_eq!(condition(&object, "Ready"), "True Provisioned");
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    eventually("the Secret to go", SOON, async || {
        Ok(bed.secrets("shop").get_opt("mailer").await?.is_none().then_some(()))
    })
    .await
    .unwrap();
    assert!(bed.secrets("shop").get_opt("vault").await.unwrap().is_some(), "the source is its owner's");
    assert_eq!(bed.aws.key_ids().len(), 2);
    finished(&bed, operator, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_used_is_named_and_heals_at_once() {
    let (bed, launch) = bed().await;
    let operator = launch.start().await.unwrap();
    let key = make_key(&bed, "vault");
    let good = [(ID_KEY, key.id.as_str()), (SECRET_KEY, key.secret.as_str())];
    let long = format!("{}canary-long", key.secret);
    let yes = Some("true");
    let invalid = "SourceSecretInvalid";
    let table = [
        ("missing", None, invalid, "shop/src-missing, which spec.accessKeyFrom names, does not exist"),
        (
            "unlabelled",
            Some((None, good.to_vec())),
            invalid,
            "kubectl -n shop label --overwrite secret src-unlabelled",
        ),
        ("refused", Some((Some("false"), good.to_vec())), invalid, "ses-smtp.dev/access-key-source=true"),
        (
            "names",
            Some((yes, vec![("access_key", key.id.as_str()), ("secret_key", &key.secret)])),
            invalid,
            "no data key AWS_ACCESS_KEY_ID; it has access_key, secret_key",
        ),
        ("half", Some((yes, good[..1].to_vec())), invalid, "no data key AWS_SECRET_ACCESS_KEY"),
        (
            "temporary",
            Some((yes, vec![(ID_KEY, "ASIAIOSFODNN7EXAMPLE"), good[1]])),
            "TemporaryAccessKey",
            "holds temporary credentials",
        ),
        (
            "token",
            Some((yes, vec![good[0], good[1], ("AWS_SESSION_TOKEN", "canary-token")])),
            "TemporaryAccessKey",
            "by its data key AWS_SESSION_TOKEN",
        ),
        ("blank", Some((yes, vec![good[0], (SECRET_KEY, " \n")])), invalid, "AWS_SECRET_ACCESS_KEY is empty"),
        ("noid", Some((yes, vec![(ID_KEY, ""), good[1]])), invalid, "AWS_ACCESS_KEY_ID is empty"),
        (
            "malformed",
            Some((yes, vec![(ID_KEY, "canary-id"), good[1]])),
            invalid,
            "AWS_ACCESS_KEY_ID does not hold an access key id",
        ),
        (
            "swapped",
            Some((yes, vec![(ID_KEY, good[1].1), (SECRET_KEY, good[0].1)])),
            invalid,
            "AWS_ACCESS_KEY_ID",
        ),
        (
            "long",
            Some((yes, vec![good[0], (SECRET_KEY, &long)])),
            invalid,
            "does not hold a secret access key",
        ),
    ];
    for (name, source, ..) in &table {
        if let Some((label, pairs)) = source {
            put(&bed, &format!("src-{name}"), *label, pairs).await;
        }
        let spec = format!("{{region: eu-central-1, accessKeyFrom: {{secretRef: {{name: src-{name}}}}}}}");
        bed.apply("shop", name, &spec).await.unwrap();
    }
    for (name, _, reason, expected) in &table {
        let object = bed.reads("shop", name, "Stalled", &format!("True {reason}")).await.unwrap();
        assert_eq!(condition(&object, "Ready"), format!("False {reason}"));
        let told = stalled(&object);
        assert!(told.contains(expected), "{name}: {told}");
        assert!(bed.secrets("shop").get_opt(name).await.unwrap().is_none());
    }
    assert_eq!(writes(&operator, "Secret").await, 0);
    // The owner agrees; the others are corrected; each is served at once.
    for name in ["unlabelled", "refused"] {
        edit(&bed, &format!("src-{name}"), json!({ "metadata": { "labels": { LABEL: "true" } } })).await;
    }
    for (name, ..) in &table {
        put_key(&bed, &format!("src-{name}"), &key).await;
    }
    for (name, ..) in &table {
        bed.ready("shop", name).await.unwrap();
        assert_eq!(bed.login("shop", name).await.unwrap().username, key.id);
    }
    assert_eq!(writes(&operator, "Secret").await, u64::try_from(table.len()).unwrap());
    finished(&bed, operator, &["canary-long", "canary-token", "canary-id", "ASIAIOSFODNN7EXAMPLE"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_derived_stays_and_is_restored() {
    let (bed, launch) = bed().await;
    let operator = launch.start().await.unwrap();
    let key = make_key(&bed, "vault");
    put_key(&bed, "vault", &key).await;
    bed.apply("shop", "mailer", SPEC).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let credential = holds(&bed, "mailer", &key, "eu-central-1").await;
    let before = bed.secrets("shop").get("mailer").await.unwrap();
    // Edited, stripped, deleted: the same credential again.
    for patch in [
        json!({ "data": { "password": "Y2FuYXJ5LXBhc3N3b3Jk" } }),
        json!({ "data": { "host": "ZXZpbA==" } }),
        json!({ "metadata": { "labels": null } }),
        json!({ "metadata": { "ownerReferences": null } }),
        json!({ "metadata": { "annotations": { "ses-smtp.dev/password-digests": "eu-central-1=0" } } }),
        json!({ "metadata": { "annotations": {
            "ses-smtp.dev/previous-access-key-id": EXAMPLE_ID,
            "ses-smtp.dev/superseded-at": "2000-01-01T00:00:00Z",
            "ses-smtp.dev/deactivated-at": "",
        } } }),
    ] {
        edit(&bed, "mailer", patch.clone()).await;
        eventually("the Secret to be restored", SOON, async || {
            let now = bed.secrets("shop").get("mailer").await?;
            let same = now.data == before.data
                && now.labels() == before.labels()
                && now.owner_references() == before.owner_references()
                && undated(&now) == undated(&before);
            if same { Ok(Some(())) } else { Error::wrong(format!("{patch}: {:?}", now.metadata)) }
        })
        .await
        .unwrap();
    }
    bed.secrets("shop").delete("mailer", &DeleteParams::default()).await.unwrap();
    assert_eq!(holds(&bed, "mailer", &key, "eu-central-1").await, credential);
    // Without its source it stays, works and is looked after; Ready is what it was, also for a new process.
    bed.secrets("shop").delete("vault", &DeleteParams::default()).await.unwrap();
    let object = bed.reads("shop", "mailer", "Stalled", "True SourceSecretInvalid").await.unwrap();
    assert_eq!(condition(&object, "Ready"), "True Provisioned");
    edit(&bed, "mailer", json!({ "data": { "port": "MQ==" } })).await;
    assert_eq!(holds_all(&bed, &credential).await, credential);
    operator.kill().await.unwrap();
    edit(&bed, "mailer", json!({ "data": { "port": "MQ==" } })).await;
    let operator = launch.start().await.unwrap();
    assert_eq!(holds_all(&bed, &credential).await, credential);
    let object = bed.reads("shop", "mailer", "Stalled", "True SourceSecretInvalid").await.unwrap();
    assert_eq!(condition(&object, "Ready"), "True Provisioned");
    assert!(bed.accepts(&credential).await.unwrap());
    // The owner's consent back and gone again.
    put_key(&bed, "vault", &key).await;
    healed(&bed, "mailer").await;
    edit(&bed, "vault", json!({ "metadata": { "labels": { LABEL: null } } })).await;
    let object = bed.reads("shop", "mailer", "Stalled", "True SourceSecretInvalid").await.unwrap();
    assert!(stalled(&object).contains("kubectl -n shop label"), "{}", stalled(&object));
    assert_eq!(holds_all(&bed, &credential).await, credential);
    finished(&bed, operator, &["canary-password", "Y2FuYXJ5"]).await;
}

/// Annotations but for the time.
fn undated(secret: &Secret) -> std::collections::BTreeMap<String, String> {
    let mut annotations = secret.annotations().clone();
    annotations.remove("ses-smtp.dev/issued-at");
    annotations
}

async fn holds_all(bed: &Bed, wanted: &Credential) -> Credential {
    eventually("the Secret to be whole", SOON, async || {
        let now = bed.credential("shop", "mailer").await?;
        Ok((now == *wanted).then_some(now))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_cannot_be_written_are_left_alone() {
    let (bed, launch) = bed().await;
    let operator = launch.start().await.unwrap();
    let (first, second) = (make_key(&bed, "vault-1"), make_key(&bed, "vault-2"));
    put_key(&bed, "vault", &first).await;
    let foreign =
        "{apiVersion: v1, kind: Secret, metadata: {name: foreign, namespace: shop}, stringData: {a: b}}";
    bed.plane.apply_yaml(foreign).await.unwrap();
    let before = bed.secrets("shop").get("foreign").await.unwrap();
    bed.apply("shop", "foreign", SPEC).await.unwrap();
    bed.reads("shop", "foreign", "Stalled", "True SecretNotOwned").await.unwrap();
    bed.apply("shop", "fixed", SPEC).await.unwrap();
    bed.ready("shop", "fixed").await.unwrap();
    edit(&bed, "fixed", json!({ "immutable": true })).await;
    put_key(&bed, "vault", &second).await;
    let object = bed.reads("shop", "fixed", "Stalled", "True SecretImmutable").await.unwrap();
    assert_eq!(condition(&object, "Ready"), "True Provisioned");
    assert!(
        stalled(&object).contains("delete it, it is made again from Secret vault"),
        "{}",
        stalled(&object)
    );
    assert_eq!(bed.login("shop", "fixed").await.unwrap().username, first.id);
    assert_eq!(bed.secrets("shop").get("foreign").await.unwrap(), before);
    for name in ["fixed", "foreign"] {
        bed.secrets("shop").delete(name, &DeleteParams::default()).await.unwrap();
        holds(&bed, name, &second, "eu-central-1").await;
        healed(&bed, name).await;
    }
    finished(&bed, operator, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_log_in_is_told_and_another_secret_tried() {
    let (bed, launch) = bed().await;
    let operator = launch.start().await.unwrap();
    let key = make_key(&bed, "vault");
    // The form of a secret access key, and not the one of this id.
    put(&bed, "vault", Some("true"), &[(ID_KEY, &key.id), (SECRET_KEY, EXAMPLE_SECRET)]).await;
    bed.apply("shop", "mailer", SPEC).await.unwrap();
    let object = bed.reads("shop", "mailer", "Stalled", "True LoginRejected").await.unwrap();
    assert_eq!(condition(&object, "Ready"), "False LoginRejected");
    assert!(stalled(&object).contains("are not of one key"), "{}", stalled(&object));
    put_key(&bed, "vault", &key).await;
    let object = healed(&bed, "mailer").await;
    assert_eq!(condition(&object, "LoginVerified"), "True LoginVerified");
    // The other way round: what was verified of the id counts no longer.
    put(&bed, "vault", Some("true"), &[(ID_KEY, &key.id), (SECRET_KEY, EXAMPLE_SECRET)]).await;
    bed.reads("shop", "mailer", "Stalled", "True LoginRejected").await.unwrap();
    finished(&bed, operator, &[EXAMPLE_SECRET]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_corrected_while_logins_are_tried_is_not_waited_for() {
    // The five minutes for which SES may refuse a key are 30 s.
    let (bed, launch) = bed_at(10.0).await;
    let operator = launch.start().await.unwrap();
    let key = make_key(&bed, "vault");
    put(&bed, "vault", Some("true"), &[(ID_KEY, &key.id), (SECRET_KEY, EXAMPLE_SECRET)]).await;
    bed.apply("shop", "mailer", SPEC).await.unwrap();
    eventually("a first login", SOON, async || Ok((!bed.aws.logins().is_empty()).then_some(())))
        .await
        .unwrap();
    put_key(&bed, "vault", &key).await;
    healed(&bed, "mailer").await;
    let events = bed.events("shop").await.unwrap();
    let reasons: Vec<&str> = events.iter().map(|(reason, _)| reason.as_str()).collect();
    assert!(!reasons.contains(&"LoginRejected"), "{reasons:?}");
    finished(&bed, operator, &[EXAMPLE_SECRET]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_pair_gives_the_published_password() {
    let (bed, mut launch) = bed().await;
    // Nobody has this key, so nobody can be asked about it.
    launch.environment.insert("SES_SMTP_VERIFY_LOGIN".into(), "off".into());
    let operator = launch.start().await.unwrap();
    let padded = format!("  {EXAMPLE_SECRET}\r\n");
    put(&bed, "ack", Some("true"), &[("id", EXAMPLE_ID), ("secret", &padded)]).await;
    let spec = "{region: eu-central-1, secret: {name: mail}, accessKeyFrom: {secretRef: {name: ack, accessKeyIdKey: id, secretAccessKeyKey: secret}}}";
    bed.apply("shop", "mailer", spec).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let credential = bed.credential("shop", "mail").await.unwrap();
    assert_eq!(credential.username, EXAMPLE_ID);
    let derive = std::process::Command::new(BINARY)
        .args(["derive", "--region", "eu-central-1", "--from-env"])
        .env("AWS_SECRET_ACCESS_KEY", EXAMPLE_SECRET)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(derive.stdout).unwrap().trim(), credential.password);
    assert!(credential.password.starts_with('B') && credential.password.len() == 44);
    finished(&bed, operator, &[EXAMPLE_SECRET, credential.password.as_str()]).await;
}
