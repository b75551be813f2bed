//! Hands on the Secret, and a Region's whole life: what is restored, what is replaced, what stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::Duration;

use aws_double::Config;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use testbed::{Bed, Credential, Error, Launch, Object, Operator, Options, SOON, condition, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGIONS: [&str; 2] = ["eu-central-1", "eu-west-1"];
/// 24 hours in 18 seconds.
const SCALE: f64 = 4800.0;
/// Overlap and soak, and as much again.
const RETIRED: Duration = Duration::from_mins(2);
/// As long for a key that is replaced and for the one that replaces it.
const SETTLED: Duration = Duration::from_mins(4);

async fn bed() -> (Bed, Operator) {
    let (bed, launch) = bed_at(SCALE).await;
    let operator = launch.start().await.unwrap();
    (bed, operator)
}

async fn bed_at(scale: f64) -> (Bed, Launch) {
    let regions = REGIONS.map(str::to_owned).to_vec();
    let aws = Config { regions, time_scale: scale, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let launch = bed.launch(Path::new(BINARY)).await.unwrap();
    (bed, launch)
}

/// Edits a Secret as somebody else would.
async fn edit(bed: &Bed, name: &str, patch: Value) {
    let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
    bed.secrets("shop").patch(name, &params, &Patch::Merge(patch)).await.unwrap();
}

const SPEC: &str =
    "{region: eu-central-1, secret: {labels: {team: a}, annotations: {example.com/reload: 'true'}}}";

#[tokio::test(flavor = "multi_thread")]
async fn edits_are_restored_without_a_new_key() {
    let (bed, operator) = bed().await;
    let edits = [
        ("host", json!({ "data": { "host": "ZXZpbA==" } })),
        ("username", json!({ "data": { "username": "ZXZpbA==" } })),
        ("port", json!({ "data": { "port": null } })),
        ("label", json!({ "metadata": { "labels": { "team": "b" } } })),
        ("ours", json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": null } } })),
        ("annotation", json!({ "metadata": { "annotations": { "example.com/reload": null } } })),
        ("owner", json!({ "metadata": { "ownerReferences": null } })),
        (
            "record",
            json!({ "metadata": { "annotations": { "ses-smtp.dev/access-key-id": "AKIAIOSFODNN7EXAMPLE" } } }),
        ),
    ];
    for (name, _) in &edits {
        bed.apply("shop", name, SPEC).await.unwrap();
    }
    let mut before = Vec::new();
    for (name, _) in &edits {
        bed.ready("shop", name).await.unwrap();
        before.push(bed.secrets("shop").get(name).await.unwrap());
    }
    let minted = bed.aws.counts()["CreateAccessKey"];
    for (name, patch) in &edits {
        edit(&bed, name, patch.clone()).await;
    }
    for ((name, _), before) in edits.iter().zip(before) {
        eventually(&format!("{name} to be restored"), SOON, async || {
            let now = bed.secrets("shop").get(name).await?;
            let same = now.data == before.data
                && now.labels() == before.labels()
                && now.annotations() == before.annotations()
                && now.owner_references() == before.owner_references();
            if same { Ok(Some(())) } else { Error::wrong(format!("{:?}", now.metadata)) }
        })
        .await
        .unwrap();
        bed.login("shop", name).await.unwrap();
    }
    assert_eq!(bed.aws.counts()["CreateAccessKey"], minted);
    // A key that somebody adds is theirs.
    edit(&bed, "host", json!({ "data": { "extra": "eA==" } })).await;
    bed.patch("shop", "host", json!({ "secret": { "labels": { "team": "c" } } })).await.unwrap();
    eventually("the label to follow the spec", SOON, async || {
        let now = bed.secrets("shop").get("host").await?;
        Ok((now.labels()["team"] == "c").then_some(()))
    })
    .await
    .unwrap();
    assert!(bed.secrets("shop").get("host").await.unwrap().data.unwrap().contains_key("extra"));
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_password_is_replaced_and_an_immutable_secret_named() {
    let (bed, operator) = bed().await;
    bed.apply("shop", "mailer", SPEC).await.unwrap();
    bed.apply("shop", "fixed", SPEC).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    bed.ready("shop", "fixed").await.unwrap();
    let lost = bed.credential("shop", "mailer").await.unwrap();
    edit(&bed, "mailer", json!({ "data": { "password": "ZXZpbA==" } })).await;
    let fresh = eventually("another key", SOON, async || {
        let fresh = bed.credential("shop", "mailer").await?;
        Ok((fresh.username != lost.username).then_some(fresh))
    });
    let fresh = fresh.await.unwrap();
    assert!(
        bed.accepts(&fresh).await.unwrap() && bed.accepts(&lost).await.unwrap(),
        "pods may still hold the old password"
    );
    // Immutable: reported, Ready as before, and never deleted.
    let before = bed.secrets("shop").get("fixed").await.unwrap();
    edit(&bed, "fixed", json!({ "immutable": true })).await;
    let fixed = bed.reads("shop", "fixed", "Stalled", "True SecretImmutable").await.unwrap();
    assert_eq!(condition(&fixed, "Ready"), "True Provisioned");
    assert_eq!(bed.secrets("shop").get("fixed").await.unwrap().uid(), before.uid());
    // It stays reported, however often it is looked at; and a status that was emptied is filled again.
    let empty = json!({ "status": { "conditions": [] } });
    bed.objects("shop").patch_status("fixed", &PatchParams::default(), &Patch::Merge(empty)).await.unwrap();
    bed.reads("shop", "fixed", "Stalled", "True SecretImmutable").await.unwrap();
    // Everything of the record gone: mail goes on, and the record is written again.
    let names: Vec<String> =
        bed.secrets("shop").get("mailer").await.unwrap().annotations().keys().cloned().collect();
    let stripped: serde_json::Map<String, Value> = names
        .into_iter()
        .filter(|name| name.starts_with("ses-smtp.dev/"))
        .map(|name| (name, Value::Null))
        .collect();
    edit(&bed, "mailer", json!({ "metadata": { "annotations": stripped } })).await;
    eventually("the record to be written again", RETIRED, async || {
        let secret = bed.secrets("shop").get("mailer").await?;
        let record = |name: &str| secret.annotations().get(&format!("ses-smtp.dev/{name}")).cloned();
        let whole = record("password-digests").is_some()
            && record("previous-access-key-id") == Some(String::new())
            && record("attempt").is_none();
        if whole { Ok(Some(())) } else { Error::wrong(format!("{:?}", secret.annotations())) }
    })
    .await
    .unwrap();
    bed.login("shop", "mailer").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_change_costs_what_it_must_and_loses_nobody() {
    let (bed, operator) = bed().await;
    let object = bed.apply("shop", "mailer", SPEC).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let old = bed.login("shop", "mailer").await.unwrap();
    bed.aws.reset_journal();
    bed.patch("shop", "mailer", json!({ "region": "eu-west-1" })).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let new = bed.login("shop", "mailer").await.unwrap();
    assert!(new.username != old.username && new.port != old.port);
    assert!(bed.accepts(&old).await.unwrap(), "the old key works through the overlap");
    let status = bed.objects("shop").get("mailer").await.unwrap().status.unwrap();
    assert_eq!(status.previous_key.unwrap().access_key_id, old.username);
    let state = |id: &str| {
        let keys = bed.user_of(&object).unwrap().keys;
        keys.into_iter().find(|key| key.id == id).map(|key| key.status)
    };
    eventually("the old key to be made Inactive", RETIRED, async || {
        Ok((state(&old.username).as_deref() == Some("Inactive")).then_some(()))
    })
    .await
    .unwrap();
    assert!(!bed.accepts(&old).await.unwrap() && bed.accepts(&new).await.unwrap());
    eventually("the old key to be deleted and forgotten", RETIRED, async || {
        let secret = bed.secrets("shop").get("mailer").await?;
        let forgotten = secret.annotations()["ses-smtp.dev/previous-access-key-id"].is_empty();
        Ok((state(&old.username).is_none() && forgotten).then_some(()))
    })
    .await
    .unwrap();
    let counts = bed.aws.counts();
    for (action, count) in
        [("ListAccessKeys", 3), ("CreateAccessKey", 1), ("UpdateAccessKey", 1), ("DeleteAccessKey", 1)]
    {
        assert_eq!(counts[action], count, "{action}");
    }
    assert!(!counts.contains_key("GetUser") && !counts.contains_key("CreateUser"), "{counts:?}");
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_change_waits_for_a_slot_and_a_port_needs_no_key() {
    let (bed, operator) = bed().await;
    let object = bed.apply("shop", "mailer", SPEC).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    // Another port of the same endpoint: the Secret follows, IAM isn't asked.
    bed.aws.reset_journal();
    let tls = bed.aws.smtp("eu-central-1").unwrap().tls;
    bed.patch("shop", "mailer", json!({ "endpoint": { "port": tls } })).await.unwrap();
    eventually("the port to follow", SOON, async || {
        Ok((bed.credential("shop", "mailer").await?.port == tls).then_some(()))
    })
    .await
    .unwrap();
    assert!(bed.iam_calls().is_empty(), "{:?}", bed.iam_calls());
    // There and back within the overlap.
    bed.patch("shop", "mailer", json!({ "region": "eu-west-1", "endpoint": null })).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    bed.patch("shop", "mailer", json!({ "region": "eu-central-1" })).await.unwrap();
    let waiting = bed.reads("shop", "mailer", "Reconciling", "True WaitingForKeySlot").await.unwrap();
    assert_eq!(condition(&waiting, "Ready"), "False WaitingForKeySlot");
    bed.reads_within(RETIRED, "shop", "mailer", "Ready", "True Provisioned").await.unwrap();
    bed.login("shop", "mailer").await.unwrap();
    eventually("one key to be left", RETIRED, async || {
        Ok((bed.user_of(&object).unwrap().keys.len() == 1).then_some(()))
    })
    .await
    .unwrap();
    bed.login("shop", "mailer").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

/// Waits until the Secret holds another key than `lost`, and logs in with it.
async fn replaced(bed: &Bed, name: &str, lost: &Credential) -> Credential {
    eventually(&format!("another key in Secret {name}"), SOON, async || {
        let fresh = bed.credential("shop", name).await?;
        Ok((fresh.username != lost.username).then_some(fresh))
    })
    .await
    .unwrap();
    bed.login("shop", name).await.unwrap()
}

async fn record(bed: &Bed, name: &str, field: &str) -> Option<String> {
    let secret = bed.secrets("shop").get(name).await.unwrap();
    secret.annotations().get(&format!("ses-smtp.dev/{field}")).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_deleted_again_and_again_is_replaced_ever_more_slowly() {
    // A pause of five minutes in five seconds.
    let (bed, launch) = bed_at(60.0).await;
    let operator = launch.start().await.unwrap();
    bed.apply("shop", "mailer", SPEC).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let first = bed.login("shop", "mailer").await.unwrap();
    bed.aws.reset_journal();
    let (secrets, delete) = (bed.secrets("shop"), DeleteParams::default());
    secrets.delete("mailer", &delete).await.unwrap();
    let second = replaced(&bed, "mailer", &first).await;
    assert_eq!(record(&bed, "mailer", "previous-access-key-id").await, Some(first.username.clone()));
    assert!(bed.accepts(&first).await.unwrap() && bed.accepts(&second).await.unwrap());
    // Nine times more, as fast as can be.
    for _ in 0..9 {
        let _ = secrets.delete("mailer", &delete).await;
    }
    let waiting = bed.reads("shop", "mailer", "Reconciling", "True Provisioning").await.unwrap();
    assert_eq!(condition(&waiting, "Ready"), "False Provisioning");
    let message = &waiting.status.as_ref().unwrap().conditions[0].message;
    assert!(message.contains("was lost 1 times in a short while"), "{message}");
    assert_eq!(bed.aws.counts()["CreateAccessKey"], 1);
    replaced(&bed, "mailer", &second).await;
    assert_eq!(bed.aws.counts()["CreateAccessKey"], 2);
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

/// Every annotation of the record, each to be stripped on its own.
const FIELDS: [&str; 14] = [
    "uid",
    "user-name",
    "access-key-id",
    "issued-at",
    "previous-access-key-id",
    "superseded-at",
    "deactivated-at",
    "policy-hash",
    "tags-hash",
    "boundary",
    "password-digests",
    "data-hash",
    "rendered-keys",
    "rendered-labels",
];

/// A name, and the record's annotations as somebody would forge them.
fn forgeries(old: &str, new: &str) -> Vec<(&'static str, Value)> {
    let past = "2020-01-01T00:00:00Z";
    vec![
        ("key-old", json!({ "ses-smtp.dev/access-key-id": old })),
        ("key-foreign", json!({ "ses-smtp.dev/access-key-id": "AKIAIOSFODNN7EXAMPLE" })),
        ("superseded", json!({ "ses-smtp.dev/superseded-at": past })),
        (
            "deactivated",
            json!({ "ses-smtp.dev/superseded-at": past, "ses-smtp.dev/deactivated-at": past, "ses-smtp.dev/issued-at": past }),
        ),
        ("previous-new", json!({ "ses-smtp.dev/previous-access-key-id": new })),
        (
            "swapped",
            json!({ "ses-smtp.dev/access-key-id": old, "ses-smtp.dev/previous-access-key-id": new, "ses-smtp.dev/superseded-at": past }),
        ),
        ("garbage", json!({ "ses-smtp.dev/superseded-at": "soon", "ses-smtp.dev/password-digests": "x" })),
    ]
}

/// An object whose Secret is tampered with in its overlap.
struct Victim {
    name: String,
    object: Object,
    old: Credential,
    new: Credential,
}

/// Objects in the overlap after a Region change.
async fn victims(bed: &Bed, names: &[String]) -> Vec<Victim> {
    let mut objects = Vec::new();
    for name in names {
        objects.push(bed.apply("shop", name, SPEC).await.unwrap());
    }
    let mut victims = Vec::new();
    for (name, object) in names.iter().zip(objects) {
        bed.ready("shop", name).await.unwrap();
        let old = bed.login("shop", name).await.unwrap();
        bed.patch("shop", name, json!({ "region": "eu-west-1" })).await.unwrap();
        victims.push(Victim { name: name.clone(), object, new: old.clone(), old });
    }
    for victim in &mut victims {
        victim.new = replaced(bed, &victim.name, &victim.old).await;
    }
    victims
}

/// When a call about a key was carried out, if it was.
fn when(bed: &Bed, action: &str, key: &str) -> Option<Timestamp> {
    let journal = bed.aws.journal();
    let found = journal.iter().find(|record| {
        record.action == action && record.key.as_deref() == Some(key) && record.outcome == "ok"
    });
    found.map(|record| record.time)
}

/// One key, the published one, works; the record is whole; and mail works at every look until then.
async fn settles(bed: &Bed, victim: &Victim) {
    let name = &victim.name;
    eventually(&format!("{name} to settle"), SETTLED, async || {
        let published = bed.login("shop", name).await.expect("mail works at every moment");
        let secret = bed.secrets("shop").get(name).await?;
        let of = |field: &str| secret.annotations().get(&format!("ses-smtp.dev/{field}")).map(String::as_str);
        let keys = bed.user_of(&victim.object).unwrap().keys;
        let settled = keys.len() == 1
            && keys[0].id == published.username
            && of("access-key-id") == Some(&published.username)
            && of("previous-access-key-id") == Some("")
            && of("attempt").is_none()
            && FIELDS.iter().all(|field| of(field).is_some());
        if settled { Ok(Some(())) } else { Error::wrong(format!("{keys:?} {:?}", secret.annotations())) }
    })
    .await
    .unwrap();
    bed.ready("shop", name).await.unwrap();
}

/// The old key was usable for the overlap and then kept for the soak, whatever the record said;
/// the soak alone ends early when its place is needed for another key.
fn retired_in_time(bed: &Bed, victim: &Victim, last: &Credential) {
    let (name, old) = (&victim.name, &victim.old.username);
    // The record's dates have seconds.
    let shortest = SignedDuration::from_secs_f64(24.0 * 3_600.0 / SCALE - 1.0);
    let published = when(bed, "CreateAccessKey", &victim.new.username).expect("made");
    let inactive = when(bed, "UpdateAccessKey", old).expect("made Inactive before it goes");
    let deleted = when(bed, "DeleteAccessKey", old).expect("deleted");
    let (overlap, soak) = (inactive.duration_since(published), deleted.duration_since(inactive));
    let replaced = last.username != victim.new.username;
    assert!(overlap >= shortest && (soak >= shortest || replaced), "{name}: {overlap:?}, {soak:?}");
}

/// Which records lose their password digests, and with them the proof that the password is right.
const UNCONFIRMED: [&str; 2] = ["no-password-digests", "garbage"];

#[tokio::test(flavor = "multi_thread")]
async fn a_stripped_or_forged_record_never_retires_a_key_early() {
    let (bed, operator) = bed().await;
    let mut names: Vec<String> = FIELDS.iter().map(|field| format!("no-{field}")).collect();
    names.extend(forgeries("", "").iter().map(|(name, _)| (*name).to_owned()));
    let victims = victims(&bed, &names).await;
    for victim in &victims {
        let (old, new) = (&victim.old.username, &victim.new.username);
        let stripped =
            victim.name.strip_prefix("no-").map(|field| json!({ format!("ses-smtp.dev/{field}"): null }));
        let forged = || forgeries(old, new).into_iter().find(|(name, _)| *name == victim.name).unwrap().1;
        let annotations = stripped.unwrap_or_else(forged);
        edit(&bed, &victim.name, json!({ "metadata": { "annotations": annotations } })).await;
    }
    for victim in &victims {
        settles(&bed, victim).await;
        let last = bed.login("shop", &victim.name).await.unwrap();
        retired_in_time(&bed, victim, &last);
        let replaced = last.username != victim.new.username;
        assert_eq!(replaced, UNCONFIRMED.contains(&victim.name.as_str()), "{}", victim.name);
    }
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_made_while_nobody_looked_are_repaired() {
    let (bed, launch) = bed_at(600.0).await;
    let operator = launch.start().await.unwrap();
    let names = ["password", "host", "label", "owner", "secret"];
    let mut before = Vec::new();
    for name in names {
        bed.apply("shop", name, SPEC).await.unwrap();
    }
    for name in names {
        bed.ready("shop", name).await.unwrap();
        before.push(bed.login("shop", name).await.unwrap());
    }
    operator.stop().await.unwrap();
    edit(&bed, "password", json!({ "data": { "password": "ZXZpbA==" } })).await;
    edit(&bed, "host", json!({ "data": { "host": "ZXZpbA==" } })).await;
    edit(&bed, "label", json!({ "metadata": { "labels": { "team": "b" } } })).await;
    edit(&bed, "owner", json!({ "metadata": { "ownerReferences": null } })).await;
    bed.secrets("shop").delete("secret", &DeleteParams::default()).await.unwrap();
    // Keys that this process never saw published have to be two minutes old.
    bed.aws.advance(Duration::from_mins(2));
    bed.aws.reset_journal();
    let operator = launch.start().await.unwrap();
    for (name, before) in names.into_iter().zip(&before) {
        if name == "password" || name == "secret" {
            replaced(&bed, name, before).await;
            assert!(bed.accepts(before).await.unwrap(), "pods may still hold the old password of {name}");
            continue;
        }
        eventually(&format!("{name} to be repaired"), SOON, async || {
            let secret = bed.secrets("shop").get(name).await?;
            let whole = Credential::of(&secret).as_ref() == Some(before)
                && secret.labels()["team"] == "a"
                && secret.owner_references().len() == 1;
            if whole { Ok(Some(())) } else { Error::wrong(format!("{:?}", secret.metadata)) }
        })
        .await
        .unwrap();
    }
    assert_eq!(bed.aws.counts()["CreateAccessKey"], 2);
    // An emptied status is filled again at the next pass.
    let objects = bed.objects("shop");
    let emptied = Patch::Merge(json!({ "status": null }));
    objects.patch_status("host", &PatchParams::default(), &emptied).await.unwrap();
    bed.patch("shop", "host", json!({ "secret": { "labels": { "team": "c" } } })).await.unwrap();
    let host = bed.ready("shop", "host").await.unwrap().status.unwrap();
    assert_eq!(host.access_key_id, Some(before[1].username.clone()));
    assert!(host.user_name.is_some() && host.issued_at.is_some() && host.endpoints.len() == 1);
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

/// Deletes a user and all that hangs on it, as somebody with a console would.
fn delete_user(bed: &Bed, object: &Object) {
    let user = bed.user_of(object).unwrap();
    let call = |action: &str, key: &str, value: &str| {
        bed.aws.call(action, &[("UserName", &user.name), (key, value)]).unwrap();
    };
    for key in &user.keys {
        call("DeleteAccessKey", "AccessKeyId", &key.id);
    }
    for policy in user.policies.keys() {
        call("DeleteUserPolicy", "PolicyName", policy);
    }
    call("DeleteUser", "Path", "/");
}

#[tokio::test(flavor = "multi_thread")]
async fn hands_on_the_user_are_found_when_iam_is_asked() {
    let (bed, launch) = bed_at(600.0).await;
    let operator = launch.start().await.unwrap();
    let names = ["gone", "inactive", "moving", "extra"];
    let (mut objects, mut before) = (Vec::new(), Vec::new());
    for name in names {
        objects.push(bed.apply("shop", name, SPEC).await.unwrap());
    }
    for name in names {
        bed.ready("shop", name).await.unwrap();
        before.push(bed.login("shop", name).await.unwrap());
    }
    let user = |n: usize| bed.user_of(&objects[n]).unwrap();
    let status = |n: usize, status: &str| {
        let (user, key) = (user(n).name, &before[n].username);
        let params = [("UserName", user.as_str()), ("AccessKeyId", key), ("Status", status)];
        bed.aws.call("UpdateAccessKey", &params).unwrap();
    };
    // The user is gone: made again with the next change.
    let id = user(0).id;
    delete_user(&bed, &objects[0]);
    bed.patch("shop", "gone", json!({ "policy": { "fromAddresses": ["*@example.com"] } })).await.unwrap();
    replaced(&bed, "gone", &before[0]).await;
    bed.ready("shop", "gone").await.unwrap();
    assert!(user(0).id != id && user(0).keys.len() == 1);
    // The published key was made Inactive: found by a pass that lists, reported, not replaced.
    status(1, "Inactive");
    let stripped = json!({ "metadata": { "annotations": { "ses-smtp.dev/previous-access-key-id": null } } });
    edit(&bed, "inactive", stripped).await;
    let inactive = bed.reads("shop", "inactive", "Stalled", "True KeyDeactivated").await.unwrap();
    let stalled = inactive.status.unwrap().conditions.into_iter().find(|it| it.type_ == "Stalled").unwrap();
    assert!(stalled.message.contains(&before[1].username), "{}", stalled.message);
    assert_eq!(bed.credential("shop", "inactive").await.unwrap(), before[1]);
    assert_eq!(user(1).keys.len(), 1);
    // It stays so until somebody makes the key Active again.
    asked(&bed, "inactive", 3).await;
    bed.reads("shop", "inactive", "Stalled", "True KeyDeactivated").await.unwrap();
    status(1, "Active");
    eventually("the problem to be over", SOON, async || {
        let object = bed.objects("shop").get("inactive").await?;
        Ok((condition(&object, "Stalled").is_empty()).then_some(()))
    })
    .await
    .unwrap();
    bed.login("shop", "inactive").await.unwrap();
    // The same, and then a Region change: that asks for a new key, and the old one stays Inactive.
    status(2, "Inactive");
    bed.patch("shop", "moving", json!({ "region": "eu-west-1" })).await.unwrap();
    replaced(&bed, "moving", &before[2]).await;
    assert!(!bed.accepts(&before[2]).await.unwrap());
    // A second key that nobody knows gives way to a Region change, once it is old enough.
    bed.aws.call("CreateAccessKey", &[("UserName", &user(3).name)]).unwrap();
    let unknown = user(3).keys.into_iter().find(|key| key.id != before[3].username).unwrap().id;
    bed.patch("shop", "extra", json!({ "region": "eu-west-1" })).await.unwrap();
    let waiting = bed.reads("shop", "extra", "Reconciling", "True Provisioning").await.unwrap();
    let message = &waiting.status.as_ref().unwrap().conditions[0].message;
    assert!(message.contains("an access key was found that no Secret names"), "{message}");
    assert_eq!(bed.login("shop", "extra").await.unwrap(), before[3]);
    bed.aws.advance(Duration::from_mins(2));
    // Asked again at the next pass, which a change of the spec brings on at once.
    bed.patch("shop", "extra", json!({ "secret": { "labels": { "team": "c" } } })).await.unwrap();
    replaced(&bed, "extra", &before[3]).await;
    let keys: Vec<String> = user(3).keys.into_iter().map(|key| key.id).collect();
    assert!(!keys.contains(&unknown) && keys.contains(&before[3].username), "{keys:?}");
    assert!(bed.accepts(&before[3]).await.unwrap());
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

/// Waits until IAM was asked so many more times for keys, whilst nothing else but `name` asks.
async fn asked(bed: &Bed, name: &str, more: u64) {
    let count = || bed.aws.counts().get("ListAccessKeys").copied().unwrap_or_default();
    let before = count();
    eventually(&format!("{more} more looks at the keys of {name}"), SOON, async || {
        Ok((count() >= before + more).then_some(()))
    })
    .await
    .unwrap();
}
