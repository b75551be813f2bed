//! One valid spec, and one change for each rule.

use serde_json::{Value, json};

use super::{Desired, Goal, Invalid, Settings, VerifyLogin};
use crate::api::SesSmtpCredential;
use crate::identity::Installation;
use crate::reason::Reason;
use crate::region::{RegionName, RegionState, RegionTable, SmtpEndpoint};
use crate::tenancy::{Allowed, Tenancy};
use crate::test::{installation, owner};
use crate::time::Durations;

fn settings() -> Settings {
    Settings {
        installation: Installation { boundary_name: Some("limits".into()), ..installation() },
        regions: RegionTable::default(),
        durations: Durations::default(),
        time_scale: 1.0,
        verify_login: VerifyLogin::Off,
        allowed: Allowed::default(),
    }
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

fn limited(policy: &Value) -> Result<Box<Desired>, Invalid> {
    parse(json!({ "region": "eu-central-1", "policy": policy }), &settings())
}

#[test]
fn every_field_of_the_policy_ends_up_in_it() {
    let desired = limited(&json!({
        "fromAddresses": ["*@Bücher.example", "*@xn--bcher-kva.example"],
        "feedbackAddresses": ["bounces@example.com"],
        "recipients": ["*@*.example.net"],
        "identities": [EXAMPLE],
        "configurationSets": [SHOP],
        "sourceCidrs": ["192.0.2.0/24", "2001:DB8::/32"],
    }));
    let policy: Value = serde_json::from_str(&desired.unwrap().policy.document).unwrap();
    let statement = &policy["Statement"][0];
    assert_eq!(statement["Resource"], json!([EXAMPLE, SHOP]));
    assert_eq!(
        statement["Condition"],
        json!({
            "StringLike": {
                "ses:FromAddress": ["*@xn--bcher-kva.example"],
                "ses:FeedbackAddress": ["bounces@example.com"],
            },
            "ForAllValues:StringLike": { "ses:Recipients": ["*@*.example.net"] },
            "Null": { "ses:Recipients": "false" },
            "IpAddress": { "aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"] },
        })
    );
}

#[test]
fn refuses_each_wrong_entry_of_the_policy_by_field_and_value() {
    let form = "is not allowed: use user@domain, *@domain, *@*.domain or *";
    let other = |partition: &str, region: &str| {
        format!("arn:{partition}:ses:{region}:123456789012:identity/example.com")
    };
    for (field, entry, reason, says) in [
        ("feedbackAddresses", "*@*".to_owned(), Reason::InvalidSpec, form),
        ("recipients", "*@xn--a.example".to_owned(), Reason::InvalidSpec, form),
        ("identities", "example.com".to_owned(), Reason::InvalidSpec, EXAMPLE),
        ("identities", SHOP.to_owned(), Reason::InvalidSpec, "use an ARN like"),
        ("identities", other("aws", "*"), Reason::InvalidSpec, "without wildcards"),
        ("identities", other("aws-cn", "cn-north-1"), Reason::PartitionMismatch, "use one of aws"),
        ("identities", other("aws", "us-east-1"), Reason::InvalidSpec, "no ARN in Region eu-central-1"),
        ("configurationSets", EXAMPLE.to_owned(), Reason::InvalidSpec, SHOP),
        ("configurationSets", SHOP.replace("eu-central-1", "us-east-1"), Reason::InvalidSpec, "add one"),
        ("sourceCidrs", "192.0.2.0".to_owned(), Reason::InvalidSpec, "CIDR form"),
        (
            "sourceCidrs",
            "192.0.2.7/24".to_owned(),
            Reason::InvalidSpec,
            "write 192.0.2.0/24 for the network, or 192.0.2.7/32",
        ),
        (
            "sourceCidrs",
            "2001:db8::1/64".to_owned(),
            Reason::InvalidSpec,
            "2001:db8::/64 for the network, or 2001:db8::1/128",
        ),
    ] {
        let invalid = limited(&json!({ field: [entry] })).unwrap_err();
        assert_eq!(invalid.reason, reason, "{field} {entry}: {}", invalid.message);
        assert!(invalid.message.contains(says), "{field} {entry}: {}", invalid.message);
        assert!(invalid.message.contains(&format!("spec.policy.{field}")), "{}", invalid.message);
    }
    for field in
        ["fromAddresses", "feedbackAddresses", "recipients", "identities", "configurationSets", "sourceCidrs"]
    {
        let many = vec!["x"; 21];
        let invalid = limited(&json!({ field: many })).unwrap_err();
        assert_eq!(invalid.message, format!("spec.policy.{field} has 21 entries: list 20 at most"));
    }
    let shown = limited(&json!({ "recipients": ["x".repeat(10_000)] })).unwrap_err().message;
    assert!(shown.len() < 300, "{shown}");
}

/// The address that the Secret tells as a sender is one that the policy lets pass.
#[test]
fn the_secret_tells_an_address_as_the_policy_has_it() {
    let spec = |sender: &str| {
        let data = json!({ "login": "$(url)", "from": "$(fromAddress)" });
        json!({
            "region": "eu-central-1",
            "secret": { "data": data },
            "policy": { "fromAddresses": ["*@example.com", sender] },
        })
    };
    for (sender, told) in
        [("Shop@Bücher.example", "Shop@xn--bcher-kva.example"), ("shop@EXAMPLE.com", "shop@example.com")]
    {
        let layout = |sender: &str| parse(spec(sender), &settings()).unwrap().layout.clone();
        assert_eq!(layout(sender), layout(told));
        assert_ne!(layout(sender), layout("b@example.com"));
    }
}

#[test]
fn every_region_needs_an_identity() {
    let mut spec = json!({
        "region": "eu-central-1",
        "additionalRegions": ["us-east-1"],
        "policy": { "identities": [EXAMPLE] },
    });
    let invalid = parse(spec.clone(), &settings()).unwrap_err();
    assert!(invalid.message.contains("no ARN in Region us-east-1"), "{}", invalid.message);
    spec["policy"]["identities"] = json!([EXAMPLE, EXAMPLE.replace("eu-central-1", "us-east-1")]);
    assert!(parse(spec, &settings()).is_ok());
}

#[test]
fn a_policy_that_is_too_large_names_the_longest_fields_first() {
    let long: Vec<String> = (0..20).map(|n| format!("a{n:0100}@example.com")).collect();
    let invalid = limited(&json!({ "sourceCidrs": ["0.0.0.0/0"], "recipients": long })).unwrap_err();
    assert_eq!(invalid.reason, Reason::PolicyTooLarge);
    let expected = "the policy has 2558 characters, IAM allows 2048: list fewer or shorter entries in \
                    spec.policy.recipients (about 2320), spec.policy.sourceCidrs (about 12), or use *@domain";
    assert_eq!(invalid.message, expected);
}

#[test]
fn cautions_name_what_sends_may_be_missing() {
    let caution = |spec: Value| parse(spec, &settings()).unwrap().caution.clone();
    let of = |policy: Value| caution(json!({ "region": "eu-central-1", "policy": policy }));
    assert_eq!(of(json!({ "fromAddresses": ["*"], "recipients": ["*"], "sourceCidrs": ["::/0"] })), "");
    assert!(of(json!({ "identities": [EXAMPLE] })).contains("in spec.policy.identities too"));
    assert!(of(json!({ "configurationSets": [SHOP] })).contains("in spec.policy.configurationSets too"));
    let host = "vpce-0a1b-2c3d.email-smtp.eu-central-1.vpce.amazonaws.com";
    let by_vpc = |policy: Value| {
        caution(json!({ "region": "eu-central-1", "endpoint": { "host": host }, "policy": policy }))
    };
    assert!(by_vpc(json!({ "sourceCidrs": ["192.0.2.0/24"] })).contains("VPC endpoint"));
    assert_eq!(by_vpc(json!({ "fromAddresses": ["*"] })), "");
}
