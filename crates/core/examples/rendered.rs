//! Prints the Secret's data of every preset as JSON, for each of a few places and keys, with what a mail
//! client should end up with: input for the tests with real consumers.
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use ses_smtp_core::endpoint::{Endpoint, Endpoints};
use ses_smtp_core::key::KeyId;
use ses_smtp_core::layout::Layout;
use ses_smtp_core::password::{Passwords, SecretAccessKey};
use ses_smtp_core::preset;
use ses_smtp_core::region::{RegionName, SmtpEndpoint};

/// The access key of AWS's own documentation.
const KEY: (&str, &str) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
/// The key's passwords there hold a slash, a plus, both or neither.
const PLACES: [(&str, u16); 4] =
    [("us-east-1", 587), ("us-east-2", 465), ("us-gov-west-1", 2465), ("ap-northeast-2", 25)];

fn main() {
    let cases: Vec<Value> = PLACES.iter().map(|(region, port)| case(region, *port)).collect();
    println!("{}", Value::from(cases));
}

fn case(region: &str, port: u16) -> Value {
    let region = RegionName::parse(region).expect("a Region");
    let served = SmtpEndpoint::documented(&region);
    let implicit_tls = served.tls.contains(&port);
    let primary = Endpoint { region: region.clone(), host: served.host, port, implicit_tls };
    let endpoints = Endpoints { primary, additional: Vec::new() };
    let secret = SecretAccessKey::new(KEY.1).expect("a secret key");
    let passwords = Passwords::derive(&secret, endpoints.regions());
    let presets: BTreeMap<&str, Value> =
        preset::names().into_iter().map(|name| (name, data(name, &endpoints, &passwords))).collect();
    json!({
        "host": endpoints.primary.host,
        "port": port,
        "username": KEY.0,
        "password": passwords.get(region.as_str()).expect("its password").expose(),
        "implicitTls": implicit_tls,
        "presets": presets,
    })
}

fn data(preset: &str, endpoints: &Endpoints, passwords: &Passwords) -> Value {
    let layout = Layout::choose(Some(preset), &BTreeMap::new(), endpoints, None).expect("a preset");
    let key = KeyId::parse(KEY.0).expect("a key id");
    let data = layout.render(&key).fill(passwords).expect("every password");
    let text = |value: Vec<u8>| String::from_utf8(value).expect("text");
    data.into_iter().map(|(key, value)| (key, Value::from(text(value.0)))).collect()
}
