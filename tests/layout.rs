//! Layouts of the Secret: the default one, the spec's own, presets, and what becomes of a Secret when its
//! layout changes or when somebody edits a value that a password is part of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use aws_double::Config;
use k8s_openapi::ByteString;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use ses_smtp_core::layout;
use ses_smtp_core::secret::SecretFacts;
use testbed::{Bed, Credential, Error, Object, Operator, Options, SOON, condition, eventually};
use url::Url;

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];

type Texts = BTreeMap<String, String>;

async fn bed() -> (Bed, Operator) {
    let regions = REGIONS.map(str::to_owned).to_vec();
    let aws = Config { regions, time_scale: 600.0, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    (bed, operator)
}

/// What the Secret holds, as text.
async fn data(bed: &Bed, name: &str) -> Result<Texts, Error> {
    let data = bed.secrets("shop").get(name).await?.data.unwrap_or_default();
    Ok(data.into_iter().map(|(key, value)| (key, String::from_utf8(value.0).unwrap())).collect())
}

/// Edits a Secret as somebody else would.
async fn edit(bed: &Bed, name: &str, patch: Value) {
    let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
    bed.secrets("shop").patch(name, &params, &Patch::Merge(patch)).await.unwrap();
}

/// The published key's id, from the status.
async fn id(bed: &Bed, name: &str) -> String {
    bed.objects("shop").get(name).await.unwrap().status.unwrap().access_key_id.unwrap()
}

/// Every placeholder of a Region with its value, by its name.
fn values(bed: &Bed, id: &str, region: &str) -> Texts {
    let (password, port) = (bed.aws.password_of(id, region).unwrap(), bed.aws.smtp(region).unwrap().starttls);
    let encoded = password.replace('+', "%2B").replace('/', "%2F");
    let pairs = [
        ("host", "localhost".to_owned()),
        ("port", port.to_string()),
        ("hostPort", format!("localhost:{port}")),
        ("username", id.to_owned()),
        ("url", format!("smtp://{id}:{encoded}@localhost:{port}")),
        ("region", region.to_owned()),
        ("starttls", "true".to_owned()),
        ("implicitTls", "false".to_owned()),
        ("fromAddress", "news@example.com".to_owned()),
        ("passwordUrlEncoded", encoded),
        ("password", password),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

/// A template with its placeholders replaced by values.
fn expand(template: &str, bed: &Bed, id: &str) -> String {
    let mut text = template.to_owned();
    for (prefix, region) in [("", REGIONS[0]), ("eu-central-1.", REGIONS[0]), ("us-east-1.", REGIONS[1])] {
        for (name, value) in values(bed, id, region) {
            text = text.replace(&format!("$({prefix}{name})"), &value);
        }
    }
    text.replace("$$", "$")
}

/// What a client takes from a URL.
fn parsed(text: &str) -> Credential {
    let url = Url::parse(text).unwrap();
    let query = format!("p={}", url.password().unwrap());
    let password = url::form_urlencoded::parse(query.as_bytes()).next().unwrap().1.into_owned();
    Credential {
        host: url.host_str().unwrap().to_owned(),
        port: url.port().unwrap(),
        username: url.username().to_owned(),
        password,
    }
}

/// Writes of Secrets so far.
async fn writes(operator: &Operator) -> u64 {
    let metrics = operator.metrics().await.unwrap();
    let ok = metrics.lines().filter(|line| {
        line.starts_with("ses_smtp_kube_writes_total{")
            && line.contains("Secret\"")
            && line.contains("outcome=\"ok\"")
    });
    ok.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

const TWO: &str = "region: eu-central-1, additionalRegions: [us-east-1], policy: {fromAddresses: ['*@example.com', news@example.com]}";

/// Data keys with their templates.
type Templates = &'static [(&'static str, &'static str)];

/// A name, the spec, and what it is to come out as.
const LAYOUTS: [(&str, &str, Templates); 6] = [
    (
        "standard",
        "region: eu-central-1",
        &[("host", "$(host)"), ("port", "$(port)"), ("username", "$(username)"), ("password", "$(password)")],
    ),
    (
        "data",
        "region: eu-central-1, secret: {data: {conf: 'pass=$(password) $$(x) $y', USER: '$(username)'}}",
        &[("conf", "pass=$(password) $$(x) $y"), ("USER", "$(username)")],
    ),
    ("preset", "region: eu-central-1, secret: {preset: rocketchat}", &[("mail-url", "$(url)")]),
    (
        "changed",
        "region: eu-central-1, secret: {preset: grafana, data: {user: 'id $(username)', tls: '$(starttls)'}}",
        &[("user", "id $(username)"), ("password", "$(password)"), ("tls", "$(starttls)")],
    ),
    (
        "two",
        "TWO, secret: {data: {one: '$(url) $(region) $(fromAddress)', two: '$(us-east-1.url) $(us-east-1.hostPort)', both: '$(eu-central-1.passwordUrlEncoded)$(us-east-1.password)'}}",
        &[
            ("one", "$(url) $(region) $(fromAddress)"),
            ("two", "$(us-east-1.url) $(us-east-1.hostPort)"),
            ("both", "$(passwordUrlEncoded)$(us-east-1.password)"),
        ],
    ),
    (
        "more",
        "TWO, secret: {preset: langfuse}",
        &[
            ("SMTP_CONNECTION_URL", "$(url)"),
            ("us-east-1.host", "$(us-east-1.host)"),
            ("us-east-1.port", "$(us-east-1.port)"),
            ("us-east-1.password", "$(us-east-1.password)"),
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_has_the_layout_that_is_asked_for() {
    let (bed, operator) = bed().await;
    for (name, spec, _) in LAYOUTS {
        bed.apply("shop", name, &format!("{{{}}}", spec.replace("TWO", TWO))).await.unwrap();
    }
    for (name, _, templates) in LAYOUTS {
        bed.ready("shop", name).await.unwrap();
        let id = id(&bed, name).await;
        let expected: Texts =
            templates.iter().map(|(key, text)| ((*key).to_owned(), expand(text, &bed, &id))).collect();
        assert_eq!(data(&bed, name).await.unwrap(), expected, "{name}");
    }
    assert!(bed.accepts(&parsed(&data(&bed, "preset").await.unwrap()["mail-url"])).await.unwrap());
    let two = data(&bed, "two").await.unwrap();
    let other = two["two"].split(' ').next().unwrap();
    assert!(bed.accepts(&parsed(other)).await.unwrap());
    // A restart believes every one of them without a call to IAM.
    operator.stop().await.unwrap();
    bed.aws.reset_journal();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    bed.patch("shop", "two", json!({ "secret": { "labels": { "team": "a" } } })).await.unwrap();
    bed.ready("shop", "two").await.unwrap();
    assert_eq!(writes(&operator).await, 1);
    assert!(bed.iam_calls().is_empty(), "{:?}", bed.iam_calls());
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_log_in_whatever_the_password_holds() {
    let (bed, operator) = bed().await;
    // Three passwords of four hold a slash or a plus; one with each is made within a few.
    let (mut slash, mut plus) = (false, false);
    for number in 0.. {
        assert!(number < 60, "no password with / or none with +");
        let name = format!("mailer{number}");
        bed.apply("shop", &name, "{region: eu-central-1, secret: {data: {u: '$(url)'}}}").await.unwrap();
        bed.ready("shop", &name).await.unwrap();
        let credential = parsed(&data(&bed, &name).await.unwrap()["u"]);
        slash |= credential.password.contains('/');
        plus |= credential.password.contains('+');
        assert!(bed.accepts(&credential).await.unwrap(), "{name}");
        if slash && plus {
            break;
        }
    }
    operator.stop().await.unwrap();
}

/// Waits until the Secret holds these templates, and these alone but for `others`.
async fn holds(bed: &Bed, name: &str, id: &str, layout: &[(&str, &str)], others: &[(&str, &str)]) {
    let mut expected: Texts =
        layout.iter().map(|(key, text)| ((*key).to_owned(), expand(text, bed, id))).collect();
    expected.extend(others.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())));
    eventually(&format!("{name} to have another layout"), SOON, async || {
        let now = data(bed, name).await?;
        if now == expected { Ok(Some(())) } else { Error::wrong(format!("keys {:?}", now.keys())) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_layout_costs_one_write_and_no_key() {
    let (bed, operator) = bed().await;
    bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let id = id(&bed, "mailer").await;
    edit(&bed, "mailer", json!({ "data": { "theirs": "eA==" } })).await;
    // What somebody adds is looked at once, and left alone.
    bed.patch("shop", "mailer", json!({ "secret": { "labels": { "team": "a" } } })).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    bed.aws.reset_journal();
    let steps: [(Value, Templates); 5] = [
        (json!({ "data": { "one": "$(url)" } }), &[("one", "$(url)")]),
        (json!({ "data": { "one": null, "two": "to $(url)?x" } }), &[("two", "to $(url)?x")]),
        (
            json!({ "data": null, "preset": "docker-postfix" }),
            &[
                ("RELAYHOST", "[$(host)]:$(port)"),
                ("RELAYHOST_USERNAME", "$(username)"),
                ("RELAYHOST_PASSWORD", "$(password)"),
            ],
        ),
        (
            json!({ "preset": "rocketchat", "data": { "tool": "ses" } }),
            &[("mail-url", "$(url)"), ("tool", "ses")],
        ),
        (
            json!({ "preset": null, "data": null }),
            &[
                ("host", "$(host)"),
                ("port", "$(port)"),
                ("username", "$(username)"),
                ("password", "$(password)"),
            ],
        ),
    ];
    for (secret, templates) in steps {
        let before = writes(&operator).await;
        bed.patch("shop", "mailer", json!({ "secret": secret })).await.unwrap();
        holds(&bed, "mailer", &id, templates, &[("theirs", "x")]).await;
        bed.ready("shop", "mailer").await.unwrap();
        assert_eq!(writes(&operator).await, before + 1, "{templates:?}");
    }
    assert!(bed.iam_calls().is_empty(), "{:?}", bed.iam_calls());
    bed.login("shop", "mailer").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

fn base64(text: &str) -> String {
    let data = ByteString(text.as_bytes().to_vec());
    serde_json::to_value(data).unwrap().as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_around_a_password_are_restored_and_a_lost_one_is_replaced() {
    let (bed, operator) = bed().await;
    let spec = "{region: eu-central-1, secret: {data: {u: '$(url)'}}}";
    let templates = [("u", "$(url)")];
    for name in ["host", "decoded", "forged", "lost", "stripped"] {
        bed.apply("shop", name, spec).await.unwrap();
        bed.ready("shop", name).await.unwrap();
    }
    let url = |texts: Texts| texts["u"].clone();
    let minted = bed.aws.counts()["CreateAccessKey"];
    let before = id(&bed, "host").await;
    let evil = url(data(&bed, "host").await.unwrap()).replace("localhost", "evil.example.com");
    edit(&bed, "host", json!({ "data": { "u": base64(&evil) } })).await;
    holds(&bed, "host", &before, &templates, &[]).await;
    // The password once more, and not as it should be written.
    let before = id(&bed, "decoded").await;
    let raw = format!(
        "{} {}",
        url(data(&bed, "decoded").await.unwrap()),
        values(&bed, &before, REGIONS[0])["password"]
    );
    edit(&bed, "decoded", json!({ "data": { "u": base64(&raw) } })).await;
    holds(&bed, "decoded", &before, &templates, &[]).await;
    // Edited together with the record's hash of it, it still isn't what the spec asks for.
    let before = id(&bed, "forged").await;
    let evil = url(data(&bed, "forged").await.unwrap()).replace("localhost", "evil.example.com");
    let recorded =
        SecretFacts::of_metadata(&bed.secrets("shop").get("forged").await.unwrap().metadata).record;
    let forged = [("u".to_owned(), ByteString(evil.clone().into_bytes()))].into();
    let hash = layout::hash(&layout::digests(&forged, &recorded.password_digests));
    assert_ne!(recorded.data_hash.as_ref(), Some(&hash));
    let hash = json!({ "ses-smtp.dev/data-hash": hash });
    edit(&bed, "forged", json!({ "data": { "u": base64(&evil) }, "metadata": { "annotations": hash } }))
        .await;
    holds(&bed, "forged", &before, &templates, &[]).await;
    assert_eq!(bed.aws.counts()["CreateAccessKey"], minted);
    // Without its record the Secret still names the key, which thus isn't deleted, and is replaced.
    let before = parsed(&url(data(&bed, "stripped").await.unwrap()));
    let secret = bed.secrets("shop").get("stripped").await.unwrap();
    let names = secret.annotations().keys().filter(|name| name.starts_with("ses-smtp.dev/"));
    let stripped: serde_json::Map<String, Value> = names.map(|name| (name.clone(), Value::Null)).collect();
    edit(&bed, "stripped", json!({ "metadata": { "annotations": stripped } })).await;
    replaced(&bed, "stripped", before).await;
    let before = parsed(&url(data(&bed, "lost").await.unwrap()));
    edit(&bed, "lost", json!({ "data": { "u": base64("smtp://nobody@localhost") } })).await;
    replaced(&bed, "lost", before).await;
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

/// Waits for another key in the URL; it works, and so does the one before, which pods may still use.
async fn replaced(bed: &Bed, name: &str, before: Credential) {
    let what = format!("another key in {name}");
    let fresh = eventually(&what, SOON, async || {
        let now = data(bed, name).await?;
        let fresh = now.get("u").filter(|url| url.contains("AKIA")).map(|url| parsed(url));
        Ok(fresh.filter(|fresh| fresh.username != before.username))
    });
    let fresh = fresh.await.unwrap();
    assert!(bed.accepts(&fresh).await.unwrap() && bed.accepts(&before).await.unwrap(), "{name}");
}

/// A spec that can't be served, and what is said about it.
const REFUSED: [(&str, &str, &str); 5] = [
    (
        "name",
        "data: {u: '$(url)', x: '$(hst)'}",
        "x uses $(hst), which is not known: use host, port, hostPort",
    ),
    ("region", "data: {u: '$(url)', x: '$(us-east-1.host)'}", "serves and a dot (eu-central-1)"),
    ("password", "data: {u: '$(username)'}", "no entry holds the password for eu-central-1"),
    ("user", "data: {u: '$(password)'}", "no entry holds the user name"),
    (
        "sender",
        "data: {u: '$(url) $(fromAddress)'}",
        "spec.policy.fromAddresses has no entry without a wildcard",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_that_cant_be_served_is_named_and_costs_nothing() {
    let (bed, operator) = bed().await;
    for (name, secret, _) in REFUSED {
        bed.apply("shop", name, &format!("{{region: eu-central-1, secret: {{{secret}}}}}")).await.unwrap();
    }
    for (name, _, expected) in REFUSED {
        let object: Object = bed.reads("shop", name, "Stalled", "True InvalidSpec").await.unwrap();
        let conditions = &object.status.as_ref().unwrap().conditions;
        assert!(conditions.iter().any(|it| it.message.contains(expected)), "{name}: {conditions:?}");
        assert!(!condition(&object, "Ready").starts_with("True"));
        assert!(bed.secrets("shop").get_opt(name).await.unwrap().is_none());
    }
    assert!(bed.iam_calls().is_empty(), "{:?}", bed.iam_calls());
    // A layout that can't be served leaves a Secret as it is.
    bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let before = bed.secrets("shop").get("mailer").await.unwrap();
    bed.patch("shop", "mailer", json!({ "secret": { "data": { "x": "$(y)" } } })).await.unwrap();
    bed.reads("shop", "mailer", "Stalled", "True InvalidSpec").await.unwrap();
    assert_eq!(bed.secrets("shop").get("mailer").await.unwrap(), before);
    operator.stop().await.unwrap();
}
