//! A credential that is derived from somebody else's access key: its whole life, and from whatever
//! others have made of source and Secret.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use proptest::prelude::*;

use super::process::{Operator, Outcome, word};
use super::sim::{Fault, REGION, Sim};
use super::went;
use crate::desired::VerifyLogin;
use crate::login::{Login, Trouble};
use crate::names::{CONSENT, LABEL_SOURCE, record as name};
use crate::password::{SecretAccessKey, derive};
use crate::reason::Reason;
use crate::region::RegionName;
use crate::step::{Effect, End, Refusal, Step};

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const OTHER_ID: &str = "AKIAI44QH8DHBEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const OTHER: &str = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY";
const ID_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
/// What a first pass does.
const MADE: &str = "ReadSecret ReadSource Derive Done";

fn source(pairs: &[(&str, &str)]) -> Secret {
    let data = pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString((*value).into())));
    Secret {
        metadata: ObjectMeta {
            labels: Some(BTreeMap::from([(LABEL_SOURCE.to_owned(), CONSENT.to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(data.collect()),
        ..Secret::default()
    }
}

/// Puts `secret` in the source's place.
pub fn put(sim: &mut Sim, secret: Option<Secret>) {
    let version = sim.next_version();
    sim.source = secret.map(|mut secret| {
        secret.metadata.resource_version = Some(version);
        secret
    });
}

pub fn put_key(sim: &mut Sim, id: &str, secret: &str) {
    put(sim, Some(source(&[(ID_KEY, id), (SECRET_KEY, secret)])));
}

/// An object that names a source, which isn't there yet.
pub fn asked() -> Sim {
    let mut sim = Sim::new();
    let spec = serde_json::json!({ "region": REGION, "accessKeyFrom": { "secretRef": { "name": "vault" } } });
    sim.object.spec = serde_json::from_value(spec).unwrap();
    sim.judge.tampered = true;
    sim
}

pub fn made() -> (Sim, Operator) {
    let (mut sim, mut operator) = (asked(), Operator::default());
    put_key(&mut sim, ID, SECRET);
    went(&sim.pass(&mut operator), MADE);
    (sim, operator)
}

/// True if the Secret holds this key's password for each wanted Region.
fn holds(sim: &Sim, id: &str, secret: &str) -> bool {
    let password = |region: &str| {
        let secret = SecretAccessKey::new(secret).unwrap();
        derive(&secret, &RegionName::parse(region).unwrap()).expose().to_owned()
    };
    let more = sim.object.spec.additional_regions.iter();
    sim.value("username") == id
        && sim.value("password") == password(&sim.object.spec.region)
        && more.clone().all(|region| sim.value(&format!("{region}.password")) == password(region))
}

fn message(outcome: &Outcome) -> String {
    match &outcome.end {
        Some(End::Blocked { message, .. }) => message.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_derived_and_then_neither_read_nor_written_again() {
    let (mut sim, mut operator) = made();
    assert!(holds(&sim, ID, SECRET));
    assert!(sim.seen().unwrap().record.is_derivation());
    went(&sim.pass(&mut operator), "Done");
    // A process that starts now reads the source once.
    let mut restarted = Operator::default();
    went(&sim.pass(&mut restarted), "ReadSource Done");
    went(&sim.pass(&mut restarted), "Done");
    assert!(!sim.facts.finalizer && sim.facts.account.is_none());
}

#[test]
fn another_key_in_the_source_is_derived_at_once() {
    let (mut sim, mut operator) = made();
    let issued = sim.seen().unwrap().record.issued_at;
    sim.pass_time(60);
    put_key(&mut sim, OTHER_ID, OTHER);
    went(&sim.pass(&mut operator), "ReadSource ReadSecret Derive Done");
    assert!(holds(&sim, OTHER_ID, OTHER));
    assert!(sim.seen().unwrap().record.issued_at > issued);
    // The same id with another secret is another credential too.
    put_key(&mut sim, OTHER_ID, SECRET);
    went(&sim.pass(&mut operator), "ReadSource ReadSecret Derive Done");
    assert!(holds(&sim, OTHER_ID, SECRET));
}

#[test]
fn a_source_that_changes_but_in_its_key_causes_no_write() {
    let (mut sim, mut operator) = made();
    let before = sim.secret.clone();
    put_key(&mut sim, &format!("{ID}\n"), &format!(" {SECRET}\r\n"));
    went(&sim.pass(&mut operator), "ReadSource Done");
    assert_eq!(sim.secret, before);
}

#[test]
fn regions_come_and_go_with_the_same_key() {
    let (mut sim, mut operator) = made();
    sim.object.spec.additional_regions = vec!["us-east-1".into()];
    went(&sim.pass(&mut operator), "ReadSource ReadSecret Derive Done");
    assert!(holds(&sim, ID, SECRET));
    sim.object.spec.region = "us-east-1".into();
    sim.object.spec.additional_regions.clear();
    // Its password is in the data already.
    went(&sim.pass(&mut operator), "ReadSecret Render Done");
    assert!(holds(&sim, ID, SECRET));
    sim.object.spec.region = "us-west-2".into();
    went(&sim.pass(&mut operator), "ReadSource ReadSecret Derive Done");
    assert!(holds(&sim, ID, SECRET));
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn what_becomes_of_the_secret_is_made_good() {
    for (edit, expected) in [
        ((|sim: &mut Sim| sim.delete_secret()) as fn(&mut Sim), "ReadSecret ReadSource Derive Done"),
        (|sim| sim.put_data("password", "oops"), "ReadSecret ReadSource Derive Done"),
        (|sim| sim.put_data("host", "evil"), "ReadSecret Render Done"),
        (|sim| sim.annotate(name::ATTEMPT, Some("x")), "Annotate Done"),
        (|sim| sim.annotate(name::ACCESS_KEY_ID, Some(OTHER_ID)), "ReadSecret Annotate Done"),
        (|sim| sim.annotate(name::ISSUED_AT, Some("2100-01-01T00:00:00Z")), "Annotate Done"),
        (|sim| sim.edit(|secret| secret.metadata.labels = None), "ReadSecret Repair Done"),
        (|sim| sim.edit(|secret| secret.metadata.owner_references = None), "ReadSecret Repair Done"),
    ] {
        let (mut sim, mut operator) = made();
        let record = sim.seen().unwrap().record;
        edit(&mut sim);
        went(&sim.pass(&mut operator), expected);
        assert!(holds(&sim, ID, SECRET));
        assert_eq!(sim.value("host"), "email-smtp.eu-central-1.amazonaws.com");
        assert_eq!(sim.seen().unwrap().record.password_digests, record.password_digests);
        went(&sim.pass(&mut operator), "Done");
    }
}

#[test]
fn a_layout_of_the_spec_s_own_is_filled_and_changed_without_another_look_at_the_source() {
    let (mut sim, mut operator) = made();
    let layout = |sim: &mut Sim, pairs: &[(&str, &str)]| {
        let data = pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        sim.object.spec.secret = Some(crate::api::SecretSpec { data, ..Default::default() });
    };
    layout(&mut sim, &[("url", "$(url)"), ("user", "$(username)")]);
    went(&sim.pass(&mut operator), "ReadSecret Render Done");
    assert_eq!((sim.value("user").as_str(), sim.value("password").as_str()), (ID, ""));
    assert!(sim.value("url").starts_with(&format!("smtp://{ID}:")));
    went(&sim.pass(&mut operator), "Done");
    went(&sim.pass(&mut Operator::default()), "ReadSource Done");
    put_key(&mut sim, OTHER_ID, OTHER);
    went(&sim.pass(&mut operator), "ReadSource ReadSecret Derive Done");
    assert!(sim.value("url").starts_with(&format!("smtp://{OTHER_ID}:")));
    went(&sim.pass(&mut operator), "Done");
    sim.put_data("url", "oops");
    went(&sim.pass(&mut operator), "ReadSecret ReadSource Derive Done");
    layout(&mut sim, &[("username", "$(username)"), ("password", "$(password)")]);
    went(&sim.pass(&mut operator), "ReadSecret Render Done");
    assert!(holds(&sim, OTHER_ID, OTHER));
    went(&sim.pass(&mut operator), "Done");
}

#[test]
fn a_key_added_by_somebody_stays() {
    let (mut sim, mut operator) = made();
    sim.put_data("extra", "x");
    went(&sim.pass(&mut operator), "ReadSecret Done");
    went(&sim.pass(&mut operator), "Done");
    put_key(&mut sim, OTHER_ID, OTHER);
    sim.pass(&mut operator);
    assert_eq!(sim.value("extra"), "x");
}

#[test]
fn a_source_that_cannot_be_used_is_told_and_heals() {
    let unlabelled = |value: Option<&str>| {
        let mut secret = source(&[(ID_KEY, ID), (SECRET_KEY, SECRET)]);
        secret.metadata.labels = value.map(|value| [(LABEL_SOURCE.to_owned(), value.to_owned())].into());
        Some(secret)
    };
    for (bad, says) in [
        (None, "shop/vault, which spec.accessKeyFrom names, does not exist"),
        (
            unlabelled(None),
            "kubectl -n shop label --overwrite secret vault ses-smtp.dev/access-key-source=true",
        ),
        (unlabelled(Some("yes")), "kubectl -n shop label --overwrite secret vault"),
        (Some(source(&[])), "no data key AWS_ACCESS_KEY_ID; it has none"),
        (Some(source(&[(ID_KEY, ID), ("secret", SECRET)])), "it has AWS_ACCESS_KEY_ID, secret"),
        (Some(source(&[(ID_KEY, ID), (SECRET_KEY, " \n")])), "AWS_SECRET_ACCESS_KEY is empty: fill it in"),
    ] {
        let (mut sim, mut operator) = (asked(), Operator::default());
        put(&mut sim, bad.clone());
        let outcome = sim.pass(&mut operator);
        went(&outcome, "ReadSecret ReadSource Blocked:SourceSecretInvalid");
        assert!(message(&outcome).contains(says), "{outcome}");
        put_key(&mut sim, ID, SECRET);
        went(&sim.pass(&mut operator), MADE);
        // What was derived stays when the source goes bad again, and is looked after still.
        put(&mut sim, bad);
        went(&sim.pass(&mut operator), "ReadSource Blocked:SourceSecretInvalid");
        sim.put_data("host", "evil");
        went(&sim.pass(&mut operator), "ReadSource ReadSecret Render Blocked:SourceSecretInvalid");
        assert!(holds(&sim, ID, SECRET));
        sim.put_data("password", "oops");
        went(&sim.pass(&mut operator), "ReadSource ReadSecret Blocked:SourceSecretInvalid");
        put_key(&mut sim, ID, SECRET);
        went(&sim.pass(&mut operator), "ReadSource ReadSecret Derive Done");
        assert!(holds(&sim, ID, SECRET));
    }
}

#[test]
fn another_reference_is_followed_and_the_record_tells_where_the_key_came_from() {
    let (mut sim, mut operator) = made();
    let refer = |sim: &mut Sim, name: &str, id_key: &str| {
        let from = &mut sim.object.spec.access_key_from.as_mut().unwrap().secret_ref;
        (from.name, from.access_key_id_key) = (name.to_owned(), id_key.to_owned());
    };
    refer(&mut sim, "vault", "id");
    went(&sim.pass(&mut operator), "ReadSource Blocked:SourceSecretInvalid");
    refer(&mut sim, "other", ID_KEY);
    let source = sim.source.take();
    went(&sim.pass(&mut operator), "ReadSource Blocked:SourceSecretInvalid");
    assert_eq!(sim.seen().unwrap().record.source.as_deref(), Some("vault"));
    sim.source = source;
    went(&sim.pass(&mut operator), "ReadSource Annotate Done");
    assert_eq!(sim.seen().unwrap().record.source.as_deref(), Some("other"));
}

#[test]
fn a_secret_that_is_altered_in_the_very_moment_of_writing_is_not_written_twice() {
    let (mut sim, mut operator) = made();
    let altered = {
        let mut other = sim.clone();
        other.put_data("password", "altered");
        other.seen().unwrap()
    };
    put_key(&mut sim, OTHER_ID, OTHER);
    sim.broken = Some(("Derive".into(), Effect::Secret(Box::new(altered))));
    went(&sim.pass(&mut operator), "ReadSource ReadSecret Derive Wait:Provisioning");
}

#[test]
fn a_secret_of_another_object_is_taken_over_if_somebody_says_so() {
    let (mut sim, mut operator) = made();
    sim.edit(|secret| secret.metadata.owner_references = None);
    sim.annotate(name::UID, Some("another"));
    went(&sim.pass(&mut operator), "Blocked:SecretNotOwned");
    sim.annotate(name::ADOPT, Some("true"));
    went(&sim.pass(&mut operator), "ReadSecret Repair ReadSource Derive Done");
    assert!(holds(&sim, ID, SECRET) && !sim.seen().unwrap().record.adopt);
}

#[test]
fn a_secret_that_is_not_ours_is_left_alone_and_the_source_unread() {
    let (mut sim, mut operator) = made();
    sim.edit(|secret| {
        let owners = secret.metadata.owner_references.as_mut().unwrap();
        (owners[0].name, owners[0].uid) = ("another".into(), "another".into());
    });
    put_key(&mut sim, OTHER_ID, OTHER);
    let before = sim.secret.clone();
    went(&sim.pass(&mut operator), "Blocked:SecretNotOwned");
    assert_eq!(sim.secret, before);
}

#[test]
fn an_immutable_secret_is_told_when_it_would_have_to_change() {
    let (mut sim, mut operator) = made();
    sim.edit(|secret| secret.immutable = Some(true));
    went(&sim.pass(&mut Operator::default()), "ReadSource Done");
    put_key(&mut sim, OTHER_ID, OTHER);
    let outcome = sim.pass(&mut operator);
    went(&outcome, "ReadSource ReadSecret Blocked:SecretImmutable");
    assert!(message(&outcome).contains("made again from Secret vault"), "{outcome}");
    assert!(holds(&sim, ID, SECRET));
    sim.delete_secret();
    went(&sim.pass(&mut operator), "ReadSecret ReadSource Derive Done");
    assert!(holds(&sim, OTHER_ID, OTHER));
}

#[test]
fn logins_are_tried_as_for_any_key_and_anew_for_another_secret() {
    let (mut sim, mut operator) = (asked(), Operator::default());
    sim.settings.verify_login = VerifyLogin::Auto;
    sim.ses = Some(Login::Refused);
    put_key(&mut sim, ID, OTHER);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Blocked:LoginRejected"), "{outcome}");
    assert!(message(&outcome).contains("are not of one key"), "{outcome}");
    sim.ses = Some(Login::Accepted);
    put_key(&mut sim, ID, SECRET);
    let outcome = sim.pass(&mut operator);
    let logins = outcome.steps.iter().filter(|step| matches!(step, Step::ProbeLogin(_))).count();
    assert_eq!((logins, outcome.end), (1, Some(End::Done { wake_at: None })));
    went(&sim.pass(&mut operator), "Done");
    // What was accepted of the id says nothing of another secret.
    sim.ses = Some(Login::Refused);
    put_key(&mut sim, ID, OTHER);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Blocked:LoginRejected"), "{outcome}");
    sim.ses = Some(Login::NotSubscribed);
    put_key(&mut sim, OTHER_ID, SECRET);
    let outcome = sim.pass(&mut operator);
    assert!(message(&outcome).starts_with("the account of the access key is not subscribed"), "{outcome}");
}

#[test]
fn a_login_reported_for_an_id_says_nothing_of_another_secret() {
    let (mut sim, _) = made();
    sim.settings.verify_login = VerifyLogin::Auto;
    let key = crate::key::KeyId::parse(ID).unwrap();
    let place = sim.goal().desired().unwrap().endpoints.primary.place();
    sim.facts.logins = vec![crate::world::Reported { key, place, accepted: true }];
    let mut operator = Operator::default();
    went(&sim.pass(&mut operator), "ReadSource Done");
    sim.ses = Some(Login::Accepted);
    put_key(&mut sim, ID, OTHER);
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().contains("Login"), "{}", outcome.steps.len());
}

#[test]
fn a_conflict_is_tried_again_and_contention_ends_the_pass() {
    let (mut sim, mut operator) = made();
    put_key(&mut sim, OTHER_ID, OTHER);
    sim.edits.insert(sim.calls + 2, |sim| sim.edit(|_| ()));
    went(&sim.pass(&mut operator), "ReadSource ReadSecret Derive ReadSecret Derive Done");
    put_key(&mut sim, ID, SECRET);
    for call in 0..30 {
        sim.edits.insert(sim.calls + call, |sim| sim.edit(|_| ()));
    }
    let outcome = sim.pass(&mut operator);
    assert!(outcome.words().ends_with("Wait:Provisioning"), "{outcome}");
    sim.edits.clear();
    sim.settle(&mut operator, 3);
    assert!(holds(&sim, ID, SECRET));
}

#[test]
fn what_the_api_server_says_of_the_source_is_told() {
    let (mut sim, mut operator) = (asked(), Operator::default());
    sim.faults.insert(1, Fault::Says(Effect::Cluster(Refusal::Denied { right: "get secrets" })));
    let outcome = sim.pass(&mut operator);
    went(&outcome, "ReadSecret ReadSource Blocked:AccessDenied");
    assert!(message(&outcome).contains("`get secrets` in namespace shop"), "{outcome}");
}

#[test]
fn suspension_and_deletion_read_and_write_nothing() {
    let (mut sim, mut operator) = made();
    sim.object.spec.suspend = true;
    put_key(&mut sim, OTHER_ID, OTHER);
    went(&sim.pass(&mut operator), "Done");
    sim.delete_object();
    went(&sim.pass(&mut operator), "Done");
    sim.facts.finalizer = true;
    went(&sim.pass(&mut operator), "RemoveFinalizer Done");
}

#[derive(Clone, Debug)]
enum Change {
    Source(usize),
    Label(bool),
    NoSource,
    Data(&'static str, &'static str),
    Record(&'static str, &'static str),
    Strip(&'static str),
    NoOwner,
    Adopt,
    OtherOwner,
    NoLabels,
    EmptyData,
    Immutable,
    NoSecret,
    Regions(usize),
    Port,
    Ses(Option<Login>),
    Verify(VerifyLogin),
    Time(i64),
    Delete,
    Suspend,
    Restart,
    Fault(usize, bool),
    Finalizer,
}

const RECORDED: [&str; 12] = [
    name::UID,
    name::ACCESS_KEY_ID,
    name::ISSUED_AT,
    name::PREVIOUS,
    name::SUPERSEDED_AT,
    name::DEACTIVATED_AT,
    name::ATTEMPT,
    name::FOUND_KEYS,
    name::SOURCE,
    name::PASSWORD_DIGESTS,
    name::DATA_HASH,
    name::RENDERED_KEYS,
];

fn change() -> impl Strategy<Value = Change> {
    use proptest::sample::select;
    let values =
        vec!["", "junk", "2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z", ID, OTHER_ID, "host,password"];
    prop_oneof![
        (0..7_usize).prop_map(Change::Source),
        (0..3_usize).prop_map(Change::Source),
        any::<bool>().prop_map(Change::Label),
        Just(Change::NoSource),
        (select(vec!["password", "username", "host", "extra"]), select(vec!["x", ID, OTHER_ID]))
            .prop_map(|(key, value)| Change::Data(key, value)),
        (select(RECORDED.to_vec()), select(values)).prop_map(|(name, value)| Change::Record(name, value)),
        select(RECORDED.to_vec()).prop_map(Change::Strip),
        Just(Change::NoOwner),
        Just(Change::Adopt),
        Just(Change::OtherOwner),
        Just(Change::NoLabels),
        Just(Change::EmptyData),
        Just(Change::Immutable),
        Just(Change::NoSecret),
        (0..3_usize).prop_map(Change::Regions),
        Just(Change::Port),
        select(vec![
            None,
            Some(Login::Accepted),
            Some(Login::Refused),
            Some(Login::NotSubscribed),
            Some(Login::Unreachable(Trouble::Connect)),
        ])
        .prop_map(Change::Ses),
        select(vec![VerifyLogin::Auto, VerifyLogin::Required, VerifyLogin::Off]).prop_map(Change::Verify),
        (1..4000_i64).prop_map(Change::Time),
        Just(Change::Delete),
        Just(Change::Suspend),
        Just(Change::Restart),
        (0..6_usize, any::<bool>()).prop_map(|(call, lost)| Change::Fault(call, lost)),
        Just(Change::Finalizer),
    ]
}

pub fn key_of(index: usize) -> Secret {
    match index {
        0 => source(&[(ID_KEY, ID), (SECRET_KEY, SECRET)]),
        1 => source(&[(ID_KEY, OTHER_ID), (SECRET_KEY, OTHER)]),
        2 => source(&[(ID_KEY, ID), (SECRET_KEY, OTHER)]),
        3 => source(&[(ID_KEY, "ASIAIOSFODNN7EXAMPLE"), (SECRET_KEY, SECRET)]),
        4 => source(&[(ID_KEY, "junk"), (SECRET_KEY, SECRET)]),
        5 => source(&[(ID_KEY, ID), (SECRET_KEY, "junk")]),
        _ => source(&[]),
    }
}

fn apply(sim: &mut Sim, operator: &mut Operator, change: &Change) {
    let there = sim.secret.is_some();
    match change {
        Change::Source(index) => put(sim, Some(key_of(*index))),
        Change::Label(on) => {
            let mut secret = sim.source.clone();
            if let Some(secret) = &mut secret {
                let label = on.then(|| (LABEL_SOURCE.to_owned(), CONSENT.to_owned()));
                secret.metadata.labels = Some(label.into_iter().collect());
            }
            put(sim, secret);
        }
        Change::NoSource => put(sim, None),
        Change::Data(key, value) if there => sim.put_data(key, value),
        Change::Record(name, value) if there => sim.annotate(name, Some(value)),
        Change::Strip(name) if there => sim.annotate(name, None),
        Change::NoOwner if there => sim.edit(|secret| secret.metadata.owner_references = None),
        Change::Adopt if there => {
            sim.edit(|secret| secret.metadata.owner_references = None);
            sim.annotate(name::ADOPT, Some("true"));
        }
        Change::OtherOwner if there => sim.edit(|secret| {
            for owner in secret.metadata.owner_references.iter_mut().flatten() {
                (owner.name, owner.uid) = ("another".into(), "another".into());
            }
        }),
        Change::NoLabels if there => sim.edit(|secret| secret.metadata.labels = None),
        Change::EmptyData if there => sim.edit(|secret| secret.data = None),
        Change::Immutable if there => sim.edit(|secret| secret.immutable = Some(true)),
        Change::NoSecret => sim.delete_secret(),
        Change::Regions(count) => {
            let more = ["us-east-1".to_owned(), "us-west-2".to_owned()];
            sim.object.spec.additional_regions = more.into_iter().take(*count).collect();
        }
        Change::Port => {
            sim.object.spec.endpoint = Some(crate::api::EndpointSpec { host: None, port: Some(465) });
        }
        Change::Ses(answer) => sim.ses = *answer,
        Change::Verify(verify) => sim.settings.verify_login = *verify,
        Change::Time(seconds) => sim.pass_time(*seconds),
        Change::Delete => sim.object.metadata.deletion_timestamp = Some(Time(sim.now)),
        Change::Suspend => sim.object.spec.suspend = true,
        Change::Restart => *operator = Operator::default(),
        Change::Fault(call, lost) => {
            let fault = if *lost { Fault::ReplyLost } else { Fault::RequestLost };
            sim.faults.insert(sim.calls + call, fault);
        }
        Change::Finalizer => sim.facts.finalizer = true,
        _ => {}
    }
}

/// Nothing but these, so no call to IAM and no write but of the Secret and the finalizer.
fn is_allowed(step: &Step) -> bool {
    let word = word(step);
    ["ReadSecret", "ReadSource", "Derive", "Repair", "Render", "Annotate", "Pause", "RemoveFinalizer"]
        .contains(&word.as_str())
        || matches!(step, Step::ProbeLogin(_))
}

fn writes(outcome: &Outcome) -> bool {
    outcome.steps.iter().any(|step| matches!(step, Step::WriteSecret(_) | Step::RemoveFinalizer))
}

/// Which key number the source holds, if one that can be used.
fn usable(sim: &Sim) -> Option<usize> {
    let source = sim.source.as_ref().filter(|_| sim.watched_source().is_some())?;
    (0..3).find(|index| source.data == key_of(*index).data)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_pass_ends_without_iam_and_the_end_is_a_fixpoint(
        rounds in proptest::collection::vec(proptest::collection::vec(change(), 0..5), 1..5),
    ) {
        let (mut sim, mut operator) = (asked(), Operator::default());
        sim.ses = Some(Login::Accepted);
        for changes in &rounds {
            for change in changes {
                apply(&mut sim, &mut operator, change);
            }
            let outcome = sim.pass(&mut operator);
            prop_assert!(outcome.steps.iter().all(is_allowed), "{outcome}");
        }
        sim.faults.clear();
        for _ in 0..3 {
            let outcome = sim.pass(&mut operator);
            prop_assert!(outcome.steps.iter().all(is_allowed), "{outcome}");
            sim.pass_time(1);
        }
        let last = sim.pass(&mut operator);
        let again = sim.pass(&mut Operator::default());
        prop_assert!(!writes(&last) && !writes(&again), "{last} and then {again}");
        prop_assert!(sim.account.users.is_empty() && sim.facts.account.is_none());
        let held = [(ID, SECRET), (OTHER_ID, OTHER), (ID, OTHER)];
        let stopped = sim.object.spec.suspend || sim.object.metadata.deletion_timestamp.is_some();
        let ended = last.words();
        let aside = ended.contains("SecretNotOwned") || ended.contains("SecretImmutable");
        if let (Some(index), false) = (usable(&sim), stopped || aside) {
            let (id, secret) = held[index];
            prop_assert!(holds(&sim, id, secret), "{last}");
        } else if !stopped && !aside {
            let told = [Reason::SourceSecretInvalid, Reason::TemporaryAccessKey];
            prop_assert!(
                matches!(&last.end, Some(End::Blocked { reason, .. }) if told.contains(reason)),
                "{last}"
            );
        }
    }

    #[test]
    fn what_is_not_ours_is_never_written(changes in proptest::collection::vec(change(), 0..6)) {
        let (mut sim, mut operator) = made();
        for change in changes.iter().chain([&Change::OtherOwner]) {
            apply(&mut sim, &mut operator, change);
        }
        let owned = sim.seen().map(|facts| facts.controller);
        if owned == Some(crate::secret::Controller::Credential { name: "another".into(), uid: "another".into() }) {
            let before = sim.secret.clone();
            sim.settle(&mut operator, 5);
            prop_assert_eq!(before, sim.secret);
        }
    }
}
