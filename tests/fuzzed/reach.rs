//! How far the author of an object gets by what stands in its spec: whatever the texts, to the object's
//! own user, its own Secret in its own namespace, AWS's hosts, and a policy that lets mail be sent.
//!
//! Admission is left out on purpose: the core has to hold by itself.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::targets;

/// What somebody could try, in any field.
const HOSTILE: [&str; 30] = [
    "",
    ".",
    "..",
    "../../kube-system/secrets/x",
    "x?fieldManager=evil",
    "x#y",
    "x/y",
    "a%2Fb",
    "A",
    "mailer\n",
    "\0",
    "ünï",
    "*",
    "?",
    "${aws:username}",
    "*@*",
    "\"],\"Action\":\"*\",\"x\":[\"",
    "arn:aws:iam::123456789012:user/*",
    "arn:aws:ses:*:*:identity/*",
    "email-smtp.eu-central-1.amazonaws.com.evil.example",
    "evil.example#.email-smtp.eu-central-1.vpce.amazonaws.com",
    "x.y.email-smtp.eu-central-1.vpce.amazonaws.com",
    "eu-central-1.evil.example",
    "ses-smtp.dev/uid",
    "kubernetes.io/service-account.name",
    "app.kubernetes.io/managed-by",
    "$(password)",
    "$(us-gov-west-1.password)",
    "AKIAIOSFODNN7EXAMPLE",
    "99999999999999999999h",
];

/// A spec with every field that takes a text.
fn full() -> Value {
    json!({
        "region": "eu-central-1",
        "additionalRegions": ["eu-west-1"],
        "endpoint": { "host": "email-smtp-fips.eu-central-1.amazonaws.com", "port": 587 },
        "secret": {
            "name": "mail",
            "preset": "grafana",
            "data": { "url": "$(url)", "other": "$(eu-west-1.url)" },
            "labels": { "team": "a" },
            "annotations": { "reload.example.com/on": "x" },
        },
        "policy": {
            "fromAddresses": ["a@example.com"],
            "feedbackAddresses": ["b@example.com"],
            "recipients": ["*@example.com"],
            "identities": [
                "arn:aws:ses:eu-central-1:123456789012:identity/example.com",
                "arn:aws:ses:eu-west-1:123456789012:identity/example.com",
            ],
            "configurationSets": [
                "arn:aws:ses:eu-central-1:123456789012:configuration-set/shop",
                "arn:aws:ses:eu-west-1:123456789012:configuration-set/shop",
            ],
            "sourceCidrs": ["192.0.2.0/24"],
        },
        "rotation": { "interval": "2160h", "overlap": "24h", "trigger": "one" },
        "revokedKeys": ["AKIAIOSFODNN7EXAMPLE"],
        "deletionPolicy": "Delete",
    })
}

/// One that derives.
fn derived() -> Value {
    json!({
        "region": "eu-central-1",
        "accessKeyFrom": { "secretRef": {
            "name": "vault", "accessKeyIdKey": "id", "secretAccessKeyKey": "secret" } },
        "secret": { "name": "mail" },
    })
}

/// JSON pointers of every text in a value, and of every key of a map whose keys are the author's.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                places(value, &format!("{at}/{n}"), found);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                places(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => {}
    }
}

/// Maps whose keys are the author's.
const MAPS: [&str; 3] = ["/secret/data", "/secret/labels", "/secret/annotations"];

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&HOSTILE[..]).prop_map(str::to_owned),
        2 => "[-a-z0-9./?#%$(){}*@:\"\\\\]{0,40}",
        1 => "\\PC{0,60}",
    ]
}

#[test]
fn a_spec_as_it_should_be_is_served() {
    assert!(targets::reach(&full()) && targets::reach(&derived()));
}

/// Every text field is tried: one that is added later is, too, once it stands in the example.
#[test]
fn every_text_field_stands_in_the_examples() {
    let schema = serde_json::to_value(ses_smtp_core::api::crd()).unwrap();
    let spec = &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut fields = Vec::new();
    texts(spec, "", &mut fields);
    assert!(fields.len() > 15, "{fields:?}");
    for field in fields {
        let there = [full(), derived()].iter().any(|spec| spec.pointer(&field).is_some());
        assert!(there, "{field} is in none of the examples");
    }
}

/// Paths of the fields of type string, or that hold such.
fn texts(schema: &Value, at: &str, found: &mut Vec<String>) {
    match schema["type"].as_str() {
        Some("string") => found.push(at.to_owned()),
        Some("array") => texts(&schema["items"], at, found),
        Some("object") => {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                texts(field, &format!("{at}/{name}"), found);
            }
            if schema["additionalProperties"].is_object() {
                found.push(at.to_owned());
            }
        }
        _ => {}
    }
}

#[test]
fn every_hostile_text_in_every_field_stays_within_reach() {
    for spec in [full(), derived()] {
        let mut at = Vec::new();
        places(&spec, "", &mut at);
        for text in HOSTILE {
            for place in &at {
                let mut spec = spec.clone();
                *spec.pointer_mut(place).unwrap() = json!(text);
                targets::reach(&spec);
            }
            for map in MAPS {
                let mut spec = spec.clone();
                if let Some(map) = spec.pointer_mut(map) {
                    map[text] = json!("x");
                    targets::reach(&spec);
                }
            }
        }
    }
}

/// Paths that aren't names are refused by the core itself.
#[test]
fn a_path_in_place_of_a_name_is_not_served() {
    for place in ["/secret/name", "/accessKeyFrom/secretRef/name"] {
        for text in ["../../kube-system/secrets/x", "x?a=b", "", "..", "x/y", "A"] {
            let mut spec = derived();
            *spec.pointer_mut(place).unwrap() = json!(text);
            assert!(!targets::reach(&spec), "{place} {text:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_texts_reach_further(derives: bool, changes in prop::collection::vec((any::<prop::sample::Index>(), hostile()), 1..4)) {
        let mut spec = if derives { derived() } else { full() };
        let mut at = Vec::new();
        places(&spec, "", &mut at);
        for (place, text) in changes {
            *spec.pointer_mut(&at[place.index(at.len())]).unwrap() = json!(text);
        }
        targets::reach(&spec);
    }
}
