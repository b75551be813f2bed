//! One valid spec, and one change for each rule.

mod policy;

use serde_json::{Value, json};

use super::{Desired, Goal, Invalid, Settings};
use crate::api::SesSmtpCredential;
use crate::reason::Reason;
use crate::region::{RegionName, RegionState, SmtpEndpoint};
use crate::tenancy::Tenancy;
use crate::test::owner;

fn settings() -> Settings {
    let mut settings = crate::test::settings();
    settings.installation.boundary_name = Some("limits".into());
    settings
}

fn valid() -> Value {
    json!({
        "region": "eu-central-1",
        "endpoint": { "host": "email-smtp-fips.eu-central-1.amazonaws.com", "port": 465 },
        "secret": { "name": "mail", "labels": { "team": "a" }, "annotations": { "reload/on": "x y" } },
        "policy": { "fromAddresses": ["a@example.com", "*@example.com", "*@*.example.com", "*"] },
    })
}

fn object(spec: Value) -> SesSmtpCredential {
    let mut object = SesSmtpCredential::new("mailer", serde_json::from_value(spec).unwrap());
    object.metadata.namespace = Some(owner().namespace);
    object.metadata.uid = Some(owner().uid);
    object
}

/// The valid spec with the value at a JSON pointer replaced.
fn changed(pointer: &str, value: Value) -> Value {
    let mut spec = valid();
    *spec.pointer_mut(pointer).unwrap() = value;
    spec
}

fn parse(spec: Value, settings: &Settings) -> Result<Box<Desired>, Invalid> {
    match Goal::of(&object(spec), settings, &Tenancy::default()) {
        Goal::Serve(desired) => Ok(desired),
        Goal::Invalid(_, invalid) => Err(invalid),
        other => panic!("{other:?}"),
    }
}

#[test]
fn takes_a_valid_spec() {
    let desired = parse(valid(), &settings()).unwrap();
    assert_eq!(
        (desired.endpoints.primary.host.as_str(), desired.endpoints.primary.port),
        ("email-smtp-fips.eu-central-1.amazonaws.com", 465)
    );
    assert_eq!(desired.identity.secret_name, "mail");
    assert_eq!(desired.boundary(), "arn:aws:iam::123456789012:policy/limits");
    assert_eq!(desired.all_labels().len(), 3);
    let smallest = parse(json!({ "region": "eu-central-1" }), &settings()).unwrap();
    assert_eq!(
        (smallest.endpoints.primary.host.as_str(), smallest.endpoints.primary.port),
        ("email-smtp.eu-central-1.amazonaws.com", 587)
    );
    assert_eq!(smallest.identity.secret_name, "mailer");
}

#[test]
fn refuses_each_broken_rule_with_its_reason_and_the_way_out() {
    let many: Vec<String> = (0..21).map(|n| format!("a{n}@example.com")).collect();
    for (pointer, value, reason, says) in [
        ("/region", json!("EU-central-1"), Reason::InvalidSpec, "\"EU-central-1\" is not a Region code: use"),
        (
            "/region",
            json!("eu-central-1\n"),
            Reason::InvalidSpec,
            "is not a Region code: use one such as eu-central-1",
        ),
        ("/region", json!(""), Reason::InvalidSpec, "is not a Region code"),
        ("/region", json!("cn-north-1"), Reason::PartitionMismatch, "use a Region of aws"),
        ("/region", json!("us-gov-west-1"), Reason::PartitionMismatch, "partition aws-us-gov"),
        ("/region", json!("me-south-1"), Reason::RegionHasNoSmtpEndpoint, "doesn't have an SMTP endpoint"),
        (
            "/endpoint/host",
            json!("evil.example.com"),
            Reason::NotAllowed,
            "use email-smtp.eu-central-1.amazonaws.com",
        ),
        ("/endpoint/host", json!("email-smtp.us-east-1.amazonaws.com"), Reason::NotAllowed, "is not allowed"),
        (
            "/endpoint/host",
            json!("a.b.email-smtp.eu-central-1.vpce.amazonaws.com"),
            Reason::NotAllowed,
            "vpce",
        ),
        ("/endpoint/port", json!(80), Reason::NotAllowed, "listens on: 25, 587, 2587, 465, 2465"),
        ("/endpoint/port", json!(-1), Reason::NotAllowed, "spec.endpoint.port -1"),
        ("/secret/labels", json!({ "ses-smtp.dev/x": "a" }), Reason::InvalidSpec, "spec.secret.labels"),
        ("/secret/labels", json!({ "app.kubernetes.io/managed-by": "a" }), Reason::InvalidSpec, "reserved"),
        ("/secret/labels", json!({ "team": "not a value" }), Reason::InvalidSpec, "\"team\""),
        ("/secret/labels", json!({ "a b": "x" }), Reason::InvalidSpec, "\"a b\""),
        ("/secret/annotations", json!({ "x.k8s.io/y": "a" }), Reason::InvalidSpec, "spec.secret.annotations"),
        ("/policy/fromAddresses", json!(many), Reason::InvalidSpec, "has 21 entries: list 20 at most"),
        ("/policy/fromAddresses", json!(["*example.com"]), Reason::InvalidSpec, "user@domain, *@domain"),
        ("/policy/fromAddresses", json!(["${aws:username}@a.b"]), Reason::InvalidSpec, "is not allowed: use"),
    ] {
        let invalid = parse(changed(pointer, value.clone()), &settings()).unwrap_err();
        assert_eq!(invalid.reason, reason, "{pointer} {value}");
        assert!(invalid.message.contains(says), "{pointer} {value}: {}", invalid.message);
    }
}

#[test]
fn a_key_of_somebody_else_excludes_what_is_about_a_user() {
    let with = |more: Value| {
        let mut spec =
            json!({ "region": "eu-central-1", "accessKeyFrom": { "secretRef": { "name": "vault" } } });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Goal::of(&object(spec), &settings(), &Tenancy::default())
    };
    let Goal::Derive(derived) =
        with(json!({ "deletionPolicy": "Delete", "additionalRegions": ["us-east-1"] }))
    else {
        panic!("not derived")
    };
    let source = &derived.source;
    assert_eq!(
        (source.name.as_str(), source.id_key.as_str(), source.secret_key.as_str()),
        ("vault", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    );
    assert!(derived.desired.identity.derives);
    let excluded = "leave out spec.policy, spec.rotation and spec.revokedKeys";
    for (more, says) in [
        (json!({ "policy": {} }), excluded),
        (json!({ "rotation": { "trigger": "x" } }), excluded),
        (json!({ "revokedKeys": ["AKIAIOSFODNN7EXAMPLE"] }), excluded),
        (json!({ "deletionPolicy": "Retain" }), excluded),
        (json!({ "secret": { "name": "vault" } }), "is the Secret that is to be written"),
    ] {
        let Goal::Invalid(_, invalid) = with(more.clone()) else { panic!("served: {more}") };
        assert_eq!(invalid.reason, Reason::InvalidSpec);
        assert!(invalid.message.contains(says), "{more}: {}", invalid.message);
    }
    // The key's account may be of another partition than the operator's.
    let Goal::Derive(derived) = with(json!({ "region": "us-gov-west-1" })) else { panic!("not derived") };
    assert_eq!(derived.desired.endpoints.primary.host, "email-smtp.us-gov-west-1.amazonaws.com");
    assert!(matches!(with(json!({ "region": "me-south-1" })), Goal::Invalid(..)));
    let suspended = with(json!({ "suspend": true }));
    assert!(matches!(&suspended, Goal::Suspended(identity) if identity.derives));
}

#[test]
fn names_the_nearest_regions_of_an_unknown_one() {
    let invalid = parse(json!({ "region": "eu-central-9" }), &settings()).unwrap_err();
    assert_eq!(invalid.reason, Reason::RegionUnknown);
    assert!(invalid.message.contains("eu-central-1"), "{}", invalid.message);
    let hosted = changed("/region", json!("eu-central-9"));
    let host = json!("email-smtp.eu-central-9.amazonaws.com");
    let mut spec = hosted;
    *spec.pointer_mut("/endpoint/host").unwrap() = host;
    assert!(parse(spec, &settings()).is_ok(), "a host of AWS's own in a Region that is too new to be known");
}

#[test]
fn takes_what_the_admin_lists() {
    let mut settings = settings();
    let region = RegionName::parse("me-south-1").unwrap();
    settings.regions.set(&region, RegionState::Smtp(SmtpEndpoint::with_host("mail.example.com".into())));
    let desired = parse(json!({ "region": "me-south-1" }), &settings).unwrap();
    assert_eq!(desired.endpoints.primary.host, "mail.example.com");
}

#[test]
fn takes_vpc_endpoints_of_the_region() {
    let host = "vpce-0a1b-2c3d.email-smtp.eu-central-1.vpce.amazonaws.com";
    assert_eq!(
        parse(changed("/endpoint/host", json!(host)), &settings()).unwrap().endpoints.primary.host,
        host
    );
}

#[test]
fn deletion_comes_before_suspension_and_that_before_errors() {
    let mut broken = object(json!({ "region": "nonsense", "suspend": true }));
    assert!(matches!(Goal::of(&broken, &settings(), &Tenancy::default()), Goal::Suspended(_)));
    broken.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(crate::test::time(0)));
    assert!(matches!(Goal::of(&broken, &settings(), &Tenancy::default()), Goal::Teardown(_)));
}

#[test]
fn a_long_name_is_hashed_in_the_label() {
    assert_eq!(super::credential_label("mailer"), "mailer");
    let label = super::credential_label(&"m".repeat(64));
    assert_eq!(label.len(), 63);
    assert!(super::checks::is_label_value(&label));
}

const EXAMPLE: &str = "arn:aws:ses:eu-central-1:123456789012:identity/example.com";
const SHOP: &str = "arn:aws:ses:eu-central-1:123456789012:configuration-set/shop";
