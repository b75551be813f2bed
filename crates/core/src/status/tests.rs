//! Conditions, fields and events for each way a pass can end.

mod events;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{compute, differs, note};
use crate::api::{SesSmtpCredential, SesSmtpCredentialStatus};
use crate::desired::{Desired, Goal};
use crate::reason::Reason;
use crate::record::{Previous, Record};
use crate::secret::{Controller, SecretFacts};
use crate::step::{End, SecretWrite, Step};
use crate::tenancy::Tenancy;
use crate::test::{installation, key, object, owner, record, settings, time};
use crate::world::{Memo, ObjectFacts, World};

fn goal(change: impl FnOnce(&mut SesSmtpCredential)) -> Goal {
    let mut object = object(serde_json::json!({ "region": "eu-central-1" }));
    change(&mut object);
    Goal::of(&object, &settings(), &Tenancy::default())
}

fn serve() -> Box<Desired> {
    match goal(|_| ()) {
        Goal::Serve(desired) => desired,
        other => panic!("{other:?}"),
    }
}

/// A world that knows a Secret of this object with `record`, or none.
fn world(record: Option<Record>) -> World {
    let facts = record.map(|record| SecretFacts {
        resource_version: "1".into(),
        created: Some(time(0)),
        deleting: false,
        controller: Controller::Credential { name: "mailer".into(), uid: owner().uid },
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        record,
        touched: false,
        content: None,
    });
    let object = ObjectFacts { finalizer: true, account: Some(installation().account), logins: Vec::new() };
    World::new(object, facts, Memo::default(), "n".into(), time(0))
}

/// The record of a credential that serves the spec.
fn serving() -> Record {
    let desired = serve();
    let rendering = desired.rendering(&key(1));
    Record {
        policy_hash: Some(desired.policy.hash.clone()),
        data_hash: rendering.hash(&[("eu-central-1".to_owned(), "d".to_owned())].into()),
        rendered_keys: Some(rendering.keys()),
        ..record(&key(1))
    }
}

fn done() -> End {
    End::Done { wake_at: None }
}

fn waits() -> End {
    End::Wait { until: None, reason: Reason::AwsUnavailable, message: "later".into() }
}

fn blocked() -> End {
    End::Blocked { reason: Reason::AccessDenied, message: "grant iam:CreateUser".into() }
}

fn status(goal: &Goal, world: &World, end: &End) -> SesSmtpCredentialStatus {
    compute(goal, world, end, Some(3), &SesSmtpCredentialStatus::default(), time(5))
}

/// Conditions as `Type=Status:Reason`.
fn shown(status: &SesSmtpCredentialStatus) -> Vec<String> {
    let conditions = status.conditions.iter();
    conditions.map(|it| format!("{}={}:{}", it.type_, it.status, it.reason)).collect()
}

#[test]
fn conditions_follow_the_end_and_what_the_secret_holds() {
    let goal = Goal::Serve(serve());
    for (record, end, expected) in [
        (Some(serving()), done(), vec!["Ready=True:Provisioned"]),
        (Some(serving()), waits(), vec!["Ready=True:Provisioned", "Reconciling=True:AwsUnavailable"]),
        (Some(serving()), blocked(), vec!["Ready=True:Provisioned", "Stalled=True:AccessDenied"]),
        (None, waits(), vec!["Ready=False:AwsUnavailable", "Reconciling=True:AwsUnavailable"]),
        (None, blocked(), vec!["Ready=False:AccessDenied", "Stalled=True:AccessDenied"]),
    ] {
        let status = status(&goal, &world(record), &end);
        assert_eq!(shown(&status), expected);
        assert!(status.conditions.iter().all(|it| it.observed_generation == Some(3)));
    }
}

#[test]
fn a_credential_that_does_not_match_the_spec_is_not_ready() {
    let goal = Goal::Serve(serve());
    for stale in [
        Record { policy_hash: Some("another".into()), ..serving() },
        Record { data_hash: Some("another".into()), ..serving() },
        Record { password_digests: [("us-east-1".into(), "d".into())].into(), ..serving() },
        Record { key: None, ..serving() },
    ] {
        let status = status(&goal, &world(Some(stale)), &waits());
        assert_eq!(shown(&status)[0], "Ready=False:AwsUnavailable");
    }
}

#[test]
fn suspension_keeps_ready_and_is_neither_stalled_nor_reconciling() {
    let suspended = goal(|object| object.spec.suspend = true);
    let kept = status(&suspended, &world(Some(serving())), &done());
    assert_eq!(shown(&kept), ["Ready=True:Provisioned", "Suspended=True:Suspended"]);
    let fresh = status(&suspended, &world(None), &done());
    assert_eq!(shown(&fresh), ["Ready=False:Provisioning", "Suspended=True:Suspended"]);
}

/// An object with somebody else's key, and the record of a credential that serves it.
fn derived() -> (Goal, Record) {
    let from = serde_json::json!({ "secretRef": { "name": "vault" } });
    let goal = goal(|object| object.spec.access_key_from = Some(serde_json::from_value(from).unwrap()));
    let record = Record {
        source: Some("vault".into()),
        user_name: None,
        policy_hash: None,
        tags_hash: None,
        previous: None,
        rotation_trigger: None,
        boundary: None,
        ..serving()
    };
    (goal, record)
}

#[test]
fn a_derived_credential_is_ready_without_a_user() {
    let (goal, record) = derived();
    let told = status(&goal, &world(Some(record.clone())), &done());
    assert_eq!(shown(&told), ["Ready=True:Provisioned"]);
    assert_eq!(told.access_key_id.as_deref(), Some(key(1).as_str()));
    assert_eq!((told.user_name, told.user_arn, told.issued_at), (None, None, None));
    assert_eq!(told.endpoints.len(), 1);
    let end = End::Blocked { reason: Reason::SourceSecretInvalid, message: "m".into() };
    let expected = ["Ready=True:Provisioned", "Stalled=True:SourceSecretInvalid"];
    assert_eq!(shown(&status(&goal, &world(Some(record.clone())), &end)), expected);
    for stale in [
        Record { source: None, ..record.clone() },
        Record { data_hash: Some("another".into()), ..record.clone() },
        Record { password_digests: BTreeMap::new(), ..record.clone() },
    ] {
        let told = status(&goal, &world(Some(stale)), &end);
        assert_eq!(shown(&told)[0], "Ready=False:SourceSecretInvalid");
    }
    let from = serde_json::json!({ "secretRef": { "name": "vault" } });
    let suspended = self::goal(|object| {
        object.spec.access_key_from = Some(serde_json::from_value(from).unwrap());
        object.spec.suspend = true;
    });
    let told = status(&suspended, &world(Some(record)), &done());
    assert_eq!(shown(&told), ["Ready=True:Provisioned", "Suspended=True:Suspended"]);
    assert_eq!((told.user_name, told.issued_at), (None, None));
    let other = status(&suspended, &world(Some(Record { source: None, ..serving() })), &done());
    assert_eq!(shown(&other)[0], "Ready=False:Provisioning");
}

#[test]
fn the_event_of_a_derivation_names_key_secret_and_source() {
    let (goal, record) = derived();
    let mut world = world(Some(record.clone()));
    world.did = vec![Step::WriteSecret(SecretWrite::Derive(record))];
    let told = note(&goal, &world, &done(), &SesSmtpCredentialStatus::default()).unwrap();
    assert_eq!((told.reason, told.warning), ("Derived", false));
    for named in [key(1).as_str(), "Secret mailer", "Secret vault"] {
        assert!(told.text.contains(named), "{}", told.text);
    }
}

#[test]
fn an_invalid_spec_is_stalled_and_deletion_is_told() {
    let invalid = goal(|object| object.spec.region = "me-south-1".into());
    let end = End::Blocked { reason: Reason::RegionHasNoSmtpEndpoint, message: "m".into() };
    let expected = ["Ready=False:RegionHasNoSmtpEndpoint", "Stalled=True:RegionHasNoSmtpEndpoint"];
    assert_eq!(shown(&status(&invalid, &world(Some(serving())), &end)), expected);
    let kept = &status(&invalid, &world(Some(serving())), &end).conditions[0].message;
    assert!(
        kept.ends_with("Secret mailer stays as it is: it works on, and is neither changed nor rotated"),
        "{kept}"
    );
    assert_eq!(status(&invalid, &world(None), &end).conditions[0].message, "m");
    let deleted = goal(|object| object.metadata.deletion_timestamp = Some(Time(time(0))));
    let expected = ["Ready=False:Deleting", "Reconciling=True:Deleting"];
    assert_eq!(shown(&status(&deleted, &world(Some(serving())), &waits())), expected);
    assert_eq!(shown(&status(&deleted, &world(None), &blocked()))[1], "Stalled=True:AccessDenied");
}

#[test]
fn transition_times_are_carried_until_a_status_changes() {
    let (goal, world) = (Goal::Serve(serve()), world(Some(serving())));
    let first = compute(&goal, &world, &done(), Some(1), &SesSmtpCredentialStatus::default(), time(5));
    let same = compute(&goal, &world, &done(), Some(1), &first, time(99));
    assert_eq!(same.conditions[0].last_transition_time, Time(time(5)));
    assert!(!differs(&first, &same));
    let worse = compute(&goal, &self::world(None), &blocked(), Some(1), &same, time(99));
    assert_eq!(worse.conditions[0].last_transition_time, Time(time(99)));
    assert!(differs(&first, &worse));
}

#[test]
fn only_times_of_transition_make_no_difference() {
    let (goal, world) = (Goal::Serve(serve()), world(Some(serving())));
    let a = compute(&goal, &world, &done(), Some(1), &SesSmtpCredentialStatus::default(), time(5));
    let mut b = a.clone();
    b.conditions[0].last_transition_time = Time(time(9));
    assert!(!differs(&a, &b));
    b.observed_generation = Some(2);
    assert!(differs(&a, &b));
}

#[test]
fn fields_come_from_the_record_of_our_own_secret() {
    let goal = Goal::Serve(serve());
    let previous = Previous { key: key(2), superseded_at: time(0), deactivated_at: None };
    let status = status(&goal, &world(Some(Record { previous: Some(Some(previous)), ..serving() })), &done());
    assert_eq!(status.access_key_id.as_deref(), Some(key(1).as_str()));
    assert_eq!(status.endpoints[0].host, "email-smtp.eu-central-1.amazonaws.com");
    let previous = status.previous_key.unwrap();
    assert_eq!((previous.state.as_str(), previous.delete_at), ("Active", Time(time(48 * 3600))));
    let mut foreign = world(Some(serving()));
    if let crate::world::SecretView::Cached(facts) = &mut foreign.secret {
        facts.controller = Controller::Nobody;
    }
    let none = super::tests::status(&goal, &foreign, &blocked());
    assert_eq!((none.access_key_id, none.user_name, none.endpoints.len()), (None, None, 0));
}
