//! Values that the tests of this crate build on.

pub mod dice;

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use crate::api::SesSmtpCredential;
use crate::desired::{Settings, VerifyLogin};
use crate::endpoint::{Endpoint, Endpoints};
use crate::identity::{Installation, Owner};
use crate::key::KeyId;
use crate::record::Record;
use crate::region::{Partition, RegionName, RegionTable};
use crate::tenancy::Allowed;
use crate::time::Durations;

/// An installation in account 123456789012.
pub fn installation() -> Installation {
    Installation {
        cluster_id: "c1".into(),
        install_id: "i1".into(),
        account: "123456789012".into(),
        partition: Partition::Commercial,
        user_path: "/ses-smtp/".into(),
        user_prefix: "ses-smtp-".into(),
        boundary_name: None,
    }
}

/// The object `mailer` in namespace `shop`.
pub fn owner() -> Owner {
    Owner {
        namespace: "shop".into(),
        name: "mailer".into(),
        uid: "0f9d3c1a-22bb-4c3d-8e4f-5a6b7c8d9e0f".into(),
    }
}

/// Settings of that installation, without limits and without logins.
pub fn settings() -> Settings {
    Settings {
        installation: installation(),
        regions: RegionTable::default(),
        durations: Durations::default(),
        time_scale: 1.0,
        verify_login: VerifyLogin::Off,
        allowed: Allowed::default(),
    }
}

/// That object with a spec.
pub fn object(spec: serde_json::Value) -> SesSmtpCredential {
    let Owner { namespace, name, uid } = owner();
    let mut object = SesSmtpCredential::new(&name, serde_json::from_value(spec).unwrap());
    object.metadata.namespace = Some(namespace);
    object.metadata.uid = Some(uid);
    object
}

/// The documented endpoints of these Regions, the first one as primary.
pub fn endpoints(regions: &[&str]) -> Endpoints {
    let endpoint = |code: &&str| Endpoint {
        region: RegionName::parse(code).unwrap(),
        host: format!("email-smtp.{code}.amazonaws.com"),
        port: 587,
        implicit_tls: false,
    };
    let mut all: Vec<Endpoint> = regions.iter().map(endpoint).collect();
    Endpoints { primary: all.remove(0), additional: all }
}

/// The n-th key id.
pub fn key(n: u32) -> KeyId {
    KeyId::parse(&format!("AKIAEXAMPLE{n:09}")).unwrap()
}

/// `seconds` after the tests' beginning of time.
pub fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A complete record that publishes `key`.
pub fn record(key: &KeyId) -> Record {
    Record {
        uid: Some(owner().uid),
        user_name: Some("ses-smtp-shop-mailer-0f9d3c1a22".into()),
        key: Some(key.clone()),
        issued_at: Some(time(0)),
        previous: Some(None),
        rotation_trigger: Some(String::new()),
        policy_hash: Some("p".into()),
        tags_hash: Some("t".into()),
        boundary: Some(String::new()),
        password_digests: BTreeMap::from([("eu-central-1".into(), "d".into())]),
        data_hash: Some("h".into()),
        rendered_keys: Some(vec!["host".into(), "password".into()]),
        ..Record::default()
    }
}

/// A sending policy for one sender.
pub fn policy(sender: &str) -> crate::api::PolicySpec {
    crate::api::PolicySpec { from_addresses: vec![sender.to_owned()], ..Default::default() }
}
