//! The targets: each takes any bytes and asserts what must hold whatever they are. Nothing in here may
//! depend on time, order or chance.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::{Desired, Goal, Identity, Settings, VerifyLogin};
use ses_smtp_core::endpoint::{Endpoint, Endpoints};
use ses_smtp_core::identity::Installation;
use ses_smtp_core::key::KeyId;
use ses_smtp_core::layout::{self, Layout};
use ses_smtp_core::password::{Passwords, SecretAccessKey};
use ses_smtp_core::record::Record;
use ses_smtp_core::region::{Partition, RegionName, RegionState, RegionTable};
use ses_smtp_core::secret::{SecretFacts, create, filled};
use ses_smtp_core::tenancy::{Allowed, Tenancy};
use ses_smtp_core::time::Durations;
use ses_smtp_operator::aws::{Iam, readers};
use ses_smtp_operator::process::parse_endpoints;

/// A target.
pub type Target = fn(&[u8]);

/// Every target by the name of its inputs.
pub const ALL: [(&str, Target); 7] = [
    ("spec", spec),
    ("layout", layout),
    ("record", record),
    ("endpoints", endpoints),
    ("smtp", smtp),
    ("report", report),
    ("iam", iam),
];

const NAMESPACE: &str = "shop";
const NAME: &str = "mailer";
const UID: &str = "0f9d3c1a-22bb-4c3d-8e4f-5a6b7c8d9e0f";
/// AWS's documentation secret.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// JSON of a spec.
fn spec(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice(data) {
        reach(&value);
    }
}

/// Asserts how far a spec gets; true if it is served.
pub fn reach(spec: &Value) -> bool {
    let Ok(spec) = serde_json::from_value(spec.clone()) else { return false };
    let mut object = SesSmtpCredential::new(NAME, spec);
    object.metadata.namespace = Some(NAMESPACE.to_owned());
    object.metadata.uid = Some(UID.to_owned());
    let settings = settings();
    let goal = Goal::of(&object, &settings, &Tenancy::default());
    own_user(goal.identity(), &settings);
    let Some(desired) = goal.desired() else { return false };
    assert!(is_name(&desired.identity.secret_name), "{:?}", desired.identity.secret_name);
    if let Goal::Derive(derived) = &goal {
        assert!(is_name(&derived.source.name), "{:?}", derived.source.name);
    }
    for endpoint in desired.endpoints.iter() {
        aws_host(endpoint, &settings);
    }
    sends_mail_only(&desired.policy.document);
    own_secret(desired);
    true
}

fn settings() -> Settings {
    let installation = Installation {
        cluster_id: "c1".to_owned(),
        install_id: "i1".to_owned(),
        account: "123456789012".to_owned(),
        partition: Partition::Commercial,
        user_path: "/ses-smtp/".to_owned(),
        user_prefix: "ses-smtp-".to_owned(),
        boundary_name: Some("ses-smtp-boundary".to_owned()),
    };
    Settings {
        installation,
        regions: RegionTable::default(),
        durations: Durations::default(),
        time_scale: 1.0,
        verify_login: VerifyLogin::Auto,
        allowed: Allowed::default(),
    }
}

/// The user is told by the object's namespace, name and UID, and by nothing that stands in its spec.
fn own_user(identity: &Identity, settings: &Settings) {
    let owner =
        (identity.owner.namespace.as_str(), identity.owner.name.as_str(), identity.owner.uid.as_str());
    assert_eq!(owner, (NAMESPACE, NAME, UID));
    assert_eq!(identity.user, settings.installation.user(&identity.owner, identity.deletion));
    assert_eq!(identity.user.name, "ses-smtp-shop-mailer-0f9d3c1a22");
    assert_eq!(identity.user.path, "/ses-smtp/c1/");
    assert!(identity.role.is_none() && identity.account == settings.installation.account);
}

/// What can't leave the part of a path that a name stands for.
fn is_name(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    plain && !name.is_empty() && name.len() <= 253 && !name.starts_with('.') && !name.contains("..")
}

/// AWS's host for the Region: nothing but AWS's domain after it, and no more than one label before.
fn aws_host(endpoint: &Endpoint, settings: &Settings) {
    let region = &endpoint.region;
    let suffix = region.partition().dns_suffix();
    let host = endpoint.host.as_str();
    let vpc = host.strip_suffix(&format!(".email-smtp.{region}.vpce.{suffix}"));
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let listed = matches!(settings.regions.get(region), RegionState::Smtp(known) if known.host == host);
    let own = [format!("email-smtp.{region}.{suffix}"), format!("email-smtp-fips.{region}.{suffix}")];
    assert!(listed || own.iter().any(|own| own == host) || vpc.is_some_and(label), "{host:?} for {region}");
    assert!([25, 587, 2587, 465, 2465].contains(&endpoint.port), "{}", endpoint.port);
}

/// The document is JSON of one statement, of one right, and says nothing that wasn't meant to be said.
fn sends_mail_only(document: &str) {
    let value: Value = serde_json::from_str(document).expect("a policy is JSON");
    let keys = |value: &Value| value.as_object().expect("a map").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&value), ["Statement", "Version"]);
    let statements = value["Statement"].as_array().expect("statements");
    assert_eq!(statements.len(), 1);
    let statement = &statements[0];
    let known = ["Action", "Condition", "Effect", "Resource"];
    assert!(keys(statement).iter().all(|key| known.contains(&key.as_str())), "{document}");
    assert_eq!((&statement["Effect"], &statement["Action"]), (&json!("Allow"), &json!("ses:SendRawEmail")));
    for operator in statement["Condition"].as_object().into_iter().flatten() {
        let allowed = ["StringLike", "ForAllValues:StringLike", "Null", "IpAddress"];
        assert!(allowed.contains(&operator.0.as_str()), "{document}");
    }
    // A dollar would begin a variable of IAM's.
    assert!(!document.contains('$'), "{document}");
}

/// The Secret as it would be written: in the object's namespace, owned by it, with the operator's own
/// labels and record whatever the spec adds.
fn own_secret(desired: &Desired) {
    let key = KeyId::parse(KEY).expect("a key id");
    let passwords = passwords(&desired.endpoints);
    let record = Record { uid: Some(UID.to_owned()), key: Some(key.clone()), ..Record::default() };
    let (record, data) = filled(&desired.rendering(&key), &record, &passwords).expect("every password");
    let secret = create(desired, &record, data);
    assert_eq!(secret.metadata.namespace.as_deref(), Some(NAMESPACE));
    assert_eq!(secret.metadata.name.as_deref(), Some(desired.identity.secret_name.as_str()));
    let owners = secret.metadata.owner_references.clone().unwrap_or_default();
    assert!(owners.len() == 1 && owners[0].uid == UID && owners[0].name == NAME);
    let labels = secret.metadata.labels.clone().unwrap_or_default();
    for (label, value) in desired.identity.own_labels() {
        assert_eq!(labels.get(&label), Some(&value));
    }
    let annotations = secret.metadata.annotations.clone().unwrap_or_default();
    assert_eq!(Record::parse(&annotations), record);
    let facts = SecretFacts::of_secret(&secret);
    assert_eq!(facts.published(), Some(&key));
    assert!(facts.is_consistent());
    assert!(secret.data.iter().flatten().all(|(key, _)| layout::is_data_key(key)));
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
}

fn passwords(endpoints: &Endpoints) -> Passwords {
    Passwords::derive(&SecretAccessKey::new(SECRET).expect("a secret"), endpoints.regions())
}

/// Lines of a layout, `key=text`: what is written is found again, every password of it.
fn layout(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let texts: BTreeMap<String, String> =
        pairs.map(|(key, text)| (key.to_owned(), text.replace("\\n", "\n"))).collect();
    let endpoint = |code: &str| Endpoint {
        region: RegionName::parse(code).expect("a Region"),
        host: format!("email-smtp.{code}.amazonaws.com"),
        port: 587,
        implicit_tls: false,
    };
    let endpoints = Endpoints { primary: endpoint("eu-central-1"), additional: vec![endpoint("us-east-1")] };
    let Ok(layout) = Layout::choose(None, &texts, &endpoints, Some("a@example.com")) else { return };
    let key = KeyId::parse(KEY).expect("a key id");
    let (rendering, passwords) = (layout.render(&key), passwords(&endpoints));
    let data = rendering.fill(&passwords).expect("every password");
    let recorded = rendering.recorded(&passwords).expect("every digest");
    assert_eq!(layout::digests(&data, &recorded), rendering.digests(&recorded).expect("every digest"));
    let found = layout::recover_all(&data, &recorded, endpoints.regions()).expect("every password again");
    assert_eq!(found.digests(), passwords.digests());
    assert_eq!(layout::hash(&layout::digests(&data, &recorded)), rendering.hash(&recorded).expect("a hash"));
}

/// Lines of annotations, `name=value`: whatever they hold, what is understood of them comes back as
/// it was written. The rest of the bytes stands for data of the Secret.
fn record(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let annotations: BTreeMap<String, String> =
        pairs.map(|(name, value)| (format!("ses-smtp.dev/{name}"), value.to_owned())).collect();
    let record = Record::parse(&annotations);
    let written =
        record.annotations().into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    assert_eq!(Record::parse(&written.collect()), record);
    let _ = (record.is_complete(), record.is_derivation(), record.previous_key());
    let content = BTreeMap::from([("any".to_owned(), ByteString(data.to_vec()))]);
    let _ = (layout::named_key(&content), layout::digests(&content, &record.password_digests));
    // A date that was forged is a date, or none.
    let _: Option<Timestamp> = record.issued_at;
}

/// The admin's endpoints file: a table, or words of what is wrong.
fn endpoints(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse_endpoints(text) {
        Ok(table) => {
            for (region, state) in table.rows() {
                assert!(RegionName::parse(region).is_some(), "{region:?}");
                if let RegionState::Smtp(endpoint) = state {
                    assert!(!endpoint.host.is_empty() && endpoint.host.is_ascii(), "{:?}", endpoint.host);
                    assert!(endpoint.serves(endpoint.default_port()));
                }
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
}

/// A reply of an SMTP server: a code in range, or none.
fn smtp(data: &[u8]) {
    if let Some(code) = run(readers::smtp_reply(data)) {
        assert!((200..600).contains(&code), "{code}");
        let shown = std::str::from_utf8(data.get(..3).unwrap_or_default()).unwrap_or_default();
        assert_eq!(shown, code.to_string());
    }
}

/// A credential report: read whole or not at all.
fn report(data: &[u8]) {
    if let Some(report) = readers::credential_report(data) {
        assert!(report.users.values().all(|keys| keys.len() <= 2));
        assert!(report.users.keys().all(|name| !name.is_empty()));
    }
}

/// An answer of IAM's, by status and body: the first byte chooses the call, the second the status.
fn iam(data: &[u8]) {
    let ([call, status], body) = (data.get(..2).unwrap_or(b"\0\0"), data.get(2..).unwrap_or_default()) else {
        return;
    };
    let status = [200, 200, 400, 403, 404, 409, 500, 503][usize::from(*status) % 8];
    let client = readers::answered(status, body);
    let key = KeyId::parse(KEY).expect("a key id");
    // Half an answer, and an error, are no answer.
    let whole = status == 200 && body.trim_ascii_end().ends_with(b"Response>");
    let answered = run(async {
        match call % 7 {
            0 => client.create_access_key("u").await.is_ok(),
            1 => client.get_user("u").await.is_ok(),
            2 => client.list_access_keys("u").await.is_ok_and(|list| list.keys.len() <= 100),
            3 => client.get_account_authorization_details(None).await.is_ok(),
            4 => client.list_users("/", None).await.is_ok(),
            5 => client.get_access_key_last_used("u", &key).await.is_ok(),
            _ => client.delete_user("u").await.is_ok(),
        }
    });
    assert!(whole || !answered, "{status}");
}

/// Runs something that waits for nothing outside.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(future)
}
