//! What may be used of a source, and that no text repeats a value.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::{Found, Problem, examine};
use crate::desired::{Derived, Goal};
use crate::names::{CONSENT, LABEL_SOURCE};
use crate::reason::Reason;
use crate::tenancy::Tenancy;
use crate::test::{object, settings};

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const ID_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";

fn derived() -> Derived {
    let spec = serde_json::json!({
        "region": "us-east-1",
        "additionalRegions": ["us-west-2"],
        "accessKeyFrom": { "secretRef": { "name": "vault" } },
    });
    match Goal::of(&object(spec), &settings(), &Tenancy::default()) {
        Goal::Derive(derived) => *derived,
        other => panic!("{other:?}"),
    }
}

fn read(pairs: &[(&str, &[u8])]) -> Result<Found, Problem> {
    let mut secret = Secret::default();
    secret.metadata.labels = Some(BTreeMap::from([(LABEL_SOURCE.to_owned(), CONSENT.to_owned())]));
    secret.metadata.resource_version = Some("7".to_owned());
    let data = pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec())));
    secret.data = Some(data.collect());
    examine(Some(secret), &derived())
}

fn with(id: &str, secret: &str) -> Result<Found, Problem> {
    read(&[(ID_KEY, id.as_bytes()), (SECRET_KEY, secret.as_bytes())])
}

#[test]
fn finds_the_passwords_of_every_region() {
    let expected = [
        ("us-east-1", "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"),
        ("us-west-2", "BF2PynzbSCAjX08zhZZnP/kW+T9P5zs/1Er0pi5vTEmd"),
    ];
    for padded in [SECRET.to_owned(), format!("{SECRET}\n"), format!(" \t{SECRET}\r\n")] {
        let (facts, passwords) = with(&format!("{ID}\n"), &padded).unwrap();
        assert_eq!((facts.id.as_str(), facts.version.as_str()), (ID, "7"));
        assert_eq!(facts.digests, passwords.digests());
        for (region, password) in expected {
            assert_eq!(passwords.get(region).unwrap().expose(), password);
        }
        let shown = format!("{facts:?}");
        assert!(!shown.contains(SECRET) && expected.iter().all(|(_, it)| !shown.contains(it)), "{shown}");
    }
}

#[test]
fn refuses_what_is_no_key_and_repeats_no_value() {
    let long = format!("{SECRET}x");
    let canaries = [SECRET, ID, "ASIAIOSFODNN7EXAMPLE", "akiaiosfodnn7example", "canary"];
    let invalid = Reason::SourceSecretInvalid;
    let temporary = Reason::TemporaryAccessKey;
    for (pairs, reason, says) in [
        (vec![], invalid, "no data key AWS_ACCESS_KEY_ID; it has none"),
        (vec![(ID_KEY, ID)], invalid, "no data key AWS_SECRET_ACCESS_KEY; it has AWS_ACCESS_KEY_ID."),
        (vec![(ID_KEY, " \n"), (SECRET_KEY, SECRET)], invalid, "AWS_ACCESS_KEY_ID is empty"),
        (vec![(ID_KEY, ID), (SECRET_KEY, "")], invalid, "AWS_SECRET_ACCESS_KEY is empty"),
        (
            vec![(ID_KEY, SECRET), (SECRET_KEY, ID)],
            invalid,
            "AWS_ACCESS_KEY_ID does not hold an access key id",
        ),
        (vec![(ID_KEY, "akiaiosfodnn7example"), (SECRET_KEY, SECRET)], invalid, "upper-case letters"),
        (vec![(ID_KEY, ID), (SECRET_KEY, "canary")], invalid, "AWS_SECRET_ACCESS_KEY does not hold a secret"),
        (vec![(ID_KEY, ID), (SECRET_KEY, &long)], invalid, "40 letters, digits, / and +"),
        (vec![(ID_KEY, ID), (SECRET_KEY, &SECRET.replace('/', "-"))], invalid, "40 letters"),
        (
            vec![(ID_KEY, "ASIAIOSFODNN7EXAMPLE"), (SECRET_KEY, SECRET)],
            temporary,
            "by its data key AWS_ACCESS_KEY_ID it holds temporary credentials",
        ),
        (
            vec![(ID_KEY, ID), (SECRET_KEY, SECRET), ("aws_session_token", "canary")],
            temporary,
            "by its data key aws_session_token",
        ),
    ] {
        let bytes: Vec<(&str, &[u8])> = pairs.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
        let problem = read(&bytes).unwrap_err();
        let message = problem.message("shop", &derived().source);
        assert_eq!(problem.reason(), reason, "{message}");
        assert!(message.contains(says) && message.starts_with("Secret shop/vault"), "{message}");
        let shown = format!("{message} {problem:?}");
        assert!(canaries.iter().all(|canary| !shown.contains(canary)), "{shown}");
    }
}

#[test]
fn an_empty_session_token_is_no_token_and_bytes_are_no_key() {
    assert!(
        read(&[(ID_KEY, ID.as_bytes()), (SECRET_KEY, SECRET.as_bytes()), ("AWS_SESSION_TOKEN", b"\n")])
            .is_ok()
    );
    let bytes: [u8; 40] = [0xff; 40];
    assert!(matches!(
        read(&[(ID_KEY, ID.as_bytes()), (SECRET_KEY, &bytes)]),
        Err(Problem::NotASecret { .. })
    ));
    assert!(matches!(
        read(&[(ID_KEY, &bytes), (SECRET_KEY, SECRET.as_bytes())]),
        Err(Problem::NotAnId { .. })
    ));
}

#[test]
fn an_owner_who_does_not_agree_is_asked_before_anything_is_told_of_the_data() {
    let message = |labels: &[(&str, &str)]| {
        let mut secret = Secret::default();
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        secret.metadata.labels = Some(labels.iter().map(owned).collect());
        secret.data = Some([("token".to_owned(), ByteString(b"canary".to_vec()))].into());
        examine(Some(secret), &derived()).unwrap_err().message("shop", &derived().source)
    };
    for labels in [&[][..], &[(LABEL_SOURCE, "false")], &[(LABEL_SOURCE, "")]] {
        let told = message(labels);
        let asks = "kubectl -n shop label --overwrite secret vault ses-smtp.dev/access-key-source=true";
        assert!(told.ends_with(asks) && !told.contains("token"), "{told}");
    }
    let missing = examine(None, &derived()).unwrap_err().message("shop", &derived().source);
    assert!(missing.contains("does not exist"), "{missing}");
}

#[test]
fn of_many_names_some_are_listed() {
    let names: Vec<String> = (10..30).map(|number| format!("key{number}")).collect();
    let pairs: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"x".as_slice())).collect();
    let message = read(&pairs).unwrap_err().message("shop", &derived().source);
    assert!(message.contains("key19 and 10 more") && !message.contains("key20"), "{message}");
}
