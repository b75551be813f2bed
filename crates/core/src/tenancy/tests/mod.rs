//! What namespaces may do under settings.

mod lists;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Allowed, Home, Place, Role, RoleArn, Tenancy, list, places};
use crate::api::SesSmtpCredential;
use crate::desired::{Goal, Invalid, Settings};
use crate::reason::Reason;
use crate::test::{installation, owner};

const ROLE: &str = "arn:aws:iam::210987654321:role/mail/tenant";
const OTHER: &str = "arn:aws:iam::333333333333:role/tenant";

fn settings() -> Settings {
    Settings {
        allowed: Allowed {
            roles: [ROLE, OTHER].map(|arn| RoleArn::parse(arn).unwrap()).to_vec(),
            ..Allowed::default()
        },
        ..crate::test::settings()
    }
}

fn limited(regions: &str, senders: &str) -> Settings {
    let mut settings = settings();
    settings.allowed.regions = (!regions.is_empty()).then(|| list(regions).unwrap());
    settings.allowed.senders = (!senders.is_empty()).then(|| list(senders).unwrap());
    settings
}

fn tenancy(annotations: &[(&str, &str)]) -> Tenancy {
    let annotations: BTreeMap<String, String> =
        annotations.iter().map(|(key, value)| (format!("ses-smtp.dev/{key}"), (*value).to_owned())).collect();
    Tenancy::of(&annotations)
}

fn object(spec: Value) -> SesSmtpCredential {
    let mut object = SesSmtpCredential::new("mailer", serde_json::from_value(spec).unwrap());
    object.metadata.namespace = Some(owner().namespace);
    object.metadata.uid = Some(owner().uid);
    object
}

fn refused(spec: Value, settings: &Settings, tenancy: &Tenancy) -> Invalid {
    match Goal::of(&object(spec), settings, tenancy) {
        Goal::Invalid(_, invalid) => invalid,
        other => panic!("{other:?}"),
    }
}

/// The policy's document.
fn policy(spec: Value, settings: &Settings, tenancy: &Tenancy) -> String {
    match Goal::of(&object(spec), settings, tenancy) {
        Goal::Serve(desired) => desired.policy.document,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_object_that_asks_for_more_is_told_what_is_allowed() {
    let spec = |from: &[&str]| json!({"region": "eu-central-1", "policy": {"fromAddresses": from}});
    let by_namespace = tenancy(&[
        ("allowed-regions", "eu-central-1, eu-west-1"),
        ("allowed-from-addresses", "*@shop.example.com,a@example.com"),
    ]);
    for (spec, settings, tenancy, says) in [
        (
            json!({"region": "us-east-1"}),
            limited("eu-central-1,eu-west-1", ""),
            Tenancy::default(),
            "spec.region us-east-1 is not allowed by the operator's --allowed-regions: allowed are \
             eu-central-1, eu-west-1",
        ),
        (
            json!({"region": "eu-central-1", "additionalRegions": ["eu-west-1", "us-east-1"]}),
            settings(),
            by_namespace.clone(),
            "spec.additionalRegions us-east-1 is not allowed by annotation ses-smtp.dev/allowed-regions of \
             namespace shop: allowed are eu-central-1, eu-west-1",
        ),
        (
            json!({"region": "eu-west-1"}),
            limited("eu-central-1,us-east-1", ""),
            by_namespace.clone(),
            "spec.region eu-west-1 is not allowed by annotation ses-smtp.dev/allowed-regions of namespace shop \
             and the operator's --allowed-regions: allowed are eu-central-1",
        ),
        (
            spec(&["a@shop.example.com", "*@example.com"]),
            settings(),
            by_namespace.clone(),
            "spec.policy.fromAddresses *@example.com is not allowed by annotation \
             ses-smtp.dev/allowed-from-addresses of namespace shop: allowed are *@shop.example.com, a@example.com",
        ),
        (
            spec(&["*"]),
            limited("", "*@*.example.com"),
            Tenancy::default(),
            "spec.policy.fromAddresses * is not allowed by the operator's --allowed-from-addresses: allowed are \
             *@*.example.com",
        ),
        (
            spec(&["a@example.com"]),
            limited("", "*@*.example.com"),
            by_namespace.clone(),
            "spec.policy.fromAddresses a@example.com is not allowed by annotation \
             ses-smtp.dev/allowed-from-addresses of namespace shop and the operator's --allowed-from-addresses: \
             allowed are *@shop.example.com",
        ),
    ] {
        let invalid = refused(spec, &settings, &tenancy);
        assert_eq!((invalid.reason, invalid.message.as_str()), (Reason::NotAllowed, says));
    }
    policy(spec(&["b@shop.example.com", "a@example.com"]), &settings(), &by_namespace);
}

#[test]
fn an_object_that_names_no_senders_gets_the_narrowest_list() {
    let bare = || json!({"region": "eu-central-1"});
    let narrow = tenancy(&[("allowed-from-addresses", "a@example.com, *@elsewhere.example")]);
    for (settings, tenancy, senders) in [
        (limited("", "*@example.com"), Tenancy::default(), json!(["*@example.com"])),
        (settings(), narrow.clone(), json!(["a@example.com", "*@elsewhere.example"])),
        (limited("", "*@example.com"), narrow, json!(["a@example.com"])),
    ] {
        let document: Value = serde_json::from_str(&policy(bare(), &settings, &tenancy)).unwrap();
        assert_eq!(document["Statement"][0]["Condition"]["StringLike"]["ses:FromAddress"], senders);
    }
    assert!(!policy(bare(), &settings(), &Tenancy::default()).contains("Condition"));
    let long: Vec<String> = (0..60).map(|n| format!("{n}@{}.example.com", "a".repeat(40))).collect();
    let invalid = refused(bare(), &settings(), &tenancy(&[("allowed-from-addresses", &long.join(","))]));
    assert_eq!(invalid.reason, Reason::PolicyTooLarge);
    let source = "inherited from annotation ses-smtp.dev/allowed-from-addresses of namespace shop)";
    assert!(invalid.message.contains(source), "{}", invalid.message);
}

#[test]
fn an_annotation_that_cannot_be_read_lets_nothing_through() {
    let long = "x".repeat(300);
    for (key, value, says) in [
        ("allowed-regions", "eu-central-1,moon", "\"moon\" is not a Region code such as eu-central-1"),
        ("allowed-regions", "", "an entry is empty"),
        ("allowed-regions", "eu-central-1,,eu-west-1", "an entry is empty"),
        ("allowed-regions", &long, "xxx\" is not a Region code"),
        ("allowed-from-addresses", "*example.com", "\"*example.com\" is not of the form user@domain"),
        ("allowed-from-addresses", " ", "an entry is empty"),
        ("role-arn", "tenant", "\"tenant\" is not the ARN of a role such as arn:aws:iam::123456789012:role"),
        ("role-arn", "", "\"\" is not the ARN of a role"),
        (
            "role-arn",
            "arn:aws:iam::210987654321:role/mail/other",
            "is not one of the operator's --allowed-roles",
        ),
    ] {
        let invalid = refused(json!({"region": "eu-central-1"}), &settings(), &tenancy(&[(key, value)]));
        assert_eq!(invalid.reason, Reason::NotAllowed, "{key}={value}");
        let begins = format!("annotation ses-smtp.dev/{key} of namespace shop: ");
        assert!(
            invalid.message.starts_with(&begins) && invalid.message.contains(says),
            "{}",
            invalid.message
        );
        assert!(
            invalid.message.ends_with(super::REPAIR) && invalid.message.len() < 350,
            "{}",
            invalid.message
        );
    }
    let nothing = tenancy(&[("allowed-regions", "us-east-1")]);
    let invalid = refused(json!({"region": "us-east-1"}), &limited("eu-west-1", ""), &nothing);
    assert!(invalid.message.contains("allows nothing of it, only eu-west-1"), "{}", invalid.message);
}

#[test]
fn a_role_makes_the_user_in_its_account() {
    let settings = settings();
    let there = tenancy(&[("role-arn", ROLE)]);
    let goal = Goal::of(&object(json!({"region": "eu-central-1"})), &settings, &there);
    let identity = goal.identity();
    assert_eq!(identity.account, "210987654321");
    assert!(identity.user_arn.starts_with("arn:aws:iam::210987654321:user/ses-smtp/c1/"));
    let role = identity.role.as_ref().unwrap();
    assert_eq!((role.arn.as_str(), role.external_id.as_str()), (ROLE, "c1/shop"));
    assert!(matches!(goal, Goal::Serve(_)));
    let wrong = refused(json!({"region": "cn-north-1"}), &settings, &there);
    assert_eq!(wrong.reason, Reason::PartitionMismatch);
    assert!(wrong.message.contains("210987654321"), "{}", wrong.message);
    let mut bounded = settings;
    bounded.installation.boundary_name = Some("limits".into());
    let goal = Goal::of(&object(json!({"region": "eu-central-1"})), &bounded, &there);
    assert_eq!(goal.identity().user.boundary.as_deref(), Some("arn:aws:iam::210987654321:policy/limits"));
}

#[test]
fn a_role_of_another_partition_is_refused() {
    let mut settings = settings();
    let arn = "arn:aws-cn:iam::210987654321:role/tenant";
    settings.allowed.roles.push(RoleArn::parse(arn).unwrap());
    let invalid = refused(json!({"region": "cn-north-1"}), &settings, &tenancy(&[("role-arn", arn)]));
    assert_eq!(invalid.reason, Reason::PartitionMismatch);
    assert!(invalid.message.contains("roles don't cross partitions"), "{}", invalid.message);
}

/// Where to delete is as unknown as where to make: the finalizer stays.
#[test]
fn without_a_usable_role_a_deletion_waits_too() {
    let unusable = tenancy(&[("role-arn", "nonsense")]);
    let mut object = object(json!({"region": "eu-central-1"}));
    let recorded = [(crate::names::AWS_ACCOUNT.to_owned(), "210987654321".to_owned())];
    object.metadata.annotations = Some(recorded.into());
    object.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(crate::test::time(0)));
    let goal = Goal::of(&object, &settings(), &unusable);
    assert!(matches!(&goal, Goal::Invalid(_, invalid) if invalid.reason == Reason::NotAllowed));
    assert_eq!(goal.identity().account, "210987654321");
    // Limits of what may be asked for don't keep anything from being deleted.
    let limits = tenancy(&[("allowed-regions", "nonsense"), ("role-arn", ROLE)]);
    assert!(matches!(Goal::of(&object, &settings(), &limits), Goal::Teardown(_)));
    object.metadata.deletion_timestamp = None;
    object.spec.suspend = true;
    assert!(matches!(Goal::of(&object, &settings(), &unusable), Goal::Suspended(_)));
}

#[test]
fn reads_arns_of_roles() {
    for good in [ROLE, "arn:aws-us-gov:iam::123456789012:role/a+b=c.d@e_f-g"] {
        assert_eq!(RoleArn::parse(good).unwrap().as_str(), good);
    }
    let long = format!("{ROLE}{}", "a".repeat(600));
    for bad in [
        "",
        "tenant",
        "arn:aws:iam::210987654321:user/tenant",
        "arn:aws:iam::21098765432:role/tenant",
        "arn:aws:iam::210987654321:role/",
        "arn:aws:iam::210987654321:role//tenant",
        "arn:aws:iam::210987654321:role/a,b",
        "arn:aws:iam::210987654321:role/*",
        "arn:aws:sts::210987654321:role/tenant",
        "arn:moon:iam::210987654321:role/tenant",
        &long,
    ] {
        assert_eq!(RoleArn::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_session_name_is_one_that_sts_takes() {
    let wide = crate::identity::Installation {
        cluster_id: "c".repeat(32),
        install_id: "0123456789abcdef".into(),
        ..installation()
    };
    let role = Role::of(&RoleArn::parse(ROLE).unwrap(), "shop", &wide);
    assert!((2..=64).contains(&role.session_name.len()), "{}", role.session_name);
    assert!(role.session_name.ends_with("0123456789abcdef"), "nothing of it is cut off");
}

#[test]
fn every_account_in_use_is_a_place_once() {
    let settings = settings();
    let says = |namespace: &str, role: &str| (namespace.to_owned(), tenancy(&[("role-arn", role)]));
    let own = "arn:aws:iam::123456789012:role/here";
    let namespaces = [
        says("b", ROLE),
        says("a", ROLE),
        says("c", OTHER),
        says("d", "nonsense"),
        says("e", own),
        ("f".to_owned(), Tenancy::default()),
    ];
    let role = |namespace: &str, arn: &str| {
        let Home { role, .. } =
            Home::by_role(&RoleArn::parse(arn).unwrap(), namespace, &settings.installation);
        role.unwrap()
    };
    let place = |account: &str, roles: Vec<Role>| Place { account: account.into(), roles };
    assert_eq!(
        places(&settings, namespaces.iter().map(|(namespace, tenancy)| (namespace, tenancy))),
        [
            place("123456789012", Vec::new()),
            place("210987654321", vec![role("a", ROLE), role("b", ROLE)]),
            place("333333333333", vec![role("c", OTHER)]),
        ]
    );
}

#[test]
fn a_namespace_may_have_an_install_id_of_its_own() {
    let mut settings = settings();
    settings.allowed.roles = vec![RoleArn::parse(ROLE).unwrap()];
    for said in [vec![], vec![("role-arn", ROLE)], vec![("role-arn", "nonsense")]] {
        let tenancy = Tenancy { install_id: Some("of-shop".into()), ..tenancy(&said) };
        let goal = Goal::of(&object(json!({ "region": "eu-central-1" })), &settings, &tenancy);
        let identity = goal.identity();
        assert_eq!(identity.user.tags["ses-smtp.dev/install"], "of-shop", "{said:?}");
        if let Some(role) = &identity.role {
            assert!(role.session_name.ends_with("-of-shop"), "{}", role.session_name);
        }
    }
    let goal = Goal::of(&object(json!({ "region": "eu-central-1" })), &settings, &Tenancy::default());
    assert_eq!(goal.identity().user.tags["ses-smtp.dev/install"], settings.installation.install_id);
}
