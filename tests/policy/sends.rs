//! The real binary, the real API server, and mail that is sent with what the Secret holds.

use std::path::Path;

use aws_double::{Config, Ses};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use testbed::mail::Letter;
use testbed::{Bed, Object, Operator, Options, SOON, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGIONS: [&str; 1] = ["eu-central-1"];

/// An account with identities, of which each has a default configuration set.
async fn bed() -> (Bed, Operator) {
    let identities = ["example.com", "example.org", "xn--bcher-kva.example", "boss@example.net"];
    let ses = Ses {
        identities: identities.map(str::to_owned).to_vec(),
        configuration_set: Some("default".to_owned()),
        ..Ses::default()
    };
    let regions = REGIONS.map(str::to_owned).to_vec();
    let aws = Config { regions, ses, time_scale: 600.0, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
    (bed, operator)
}

fn spec(policy: &str) -> String {
    format!("{{region: eu-central-1, policy: {{{policy}}}}}")
}

/// Calls to IAM so far, whoever they were for.
fn iam_calls(bed: &Bed) -> u64 {
    bed.iam_calls().values().sum()
}

/// SES stops the mail, and says who may not do what.
async fn denied(bed: &Bed, name: &str, letter: Letter<'static>) {
    let refused = bed.send("shop", name, letter).await.expect_err(name).to_string();
    assert!(refused.contains("554") && refused.contains("Access denied"), "{name}: {refused}");
    assert!(refused.contains("ses:SendRawEmail"), "{name}: {refused}");
}

/// Object, its policy, a mail that passes and one that doesn't.
type Row = (&'static str, &'static str, Letter<'static>, Letter<'static>);

fn table() -> [Row; 10] {
    let plain = Letter::default();
    let from = |from| Letter { from, ..plain };
    let to = |to| Letter { to, ..plain };
    let set = |set| Letter { configuration_set: Some(set), ..plain };
    [
        ("from", "fromAddresses: ['*@example.com']", plain, from("a@example.org")),
        ("case", "fromAddresses: ['*@EXAMPLE.com']", plain, from("a@Example.com")),
        (
            "unicode",
            "fromAddresses: ['*@bücher.example']",
            from("a@xn--bcher-kva.example"),
            from("a@example.com"),
        ),
        (
            "feedback",
            "feedbackAddresses: ['bounces@example.com']",
            Letter { bounces: "bounces@example.com", ..plain },
            plain,
        ),
        (
            "recipients",
            "recipients: ['*@example.net', '*@*.example.net']",
            to(&["b@example.net", "c@mail.example.net"]),
            to(&["b@example.net", "c@badexample.net"]),
        ),
        (
            "identities",
            "identities: ['arn:aws:ses:eu-central-1:123456789012:identity/example.com']",
            plain,
            from("a@example.org"),
        ),
        (
            "to-identity",
            "identities: ['arn:aws:ses:eu-central-1:123456789012:identity/example.com']",
            set("any"),
            to(&["boss@example.net"]),
        ),
        (
            "sets",
            "configurationSets: ['arn:aws:ses:eu-central-1:123456789012:configuration-set/default']",
            from("a@example.org"),
            set("other"),
        ),
        (
            "default-set",
            "configurationSets: ['arn:aws:ses:eu-central-1:123456789012:configuration-set/shop']",
            set("shop"),
            plain,
        ),
        ("all", ALL, from("a@example.com"), to(&["b@example.info"])),
    ]
}

const ALL: &str = "fromAddresses: ['*@example.com'], feedbackAddresses: ['*@example.com'], recipients: ['*@example.net'], \
                   identities: ['arn:aws:ses:eu-central-1:123456789012:identity/example.com'], \
                   configurationSets: ['arn:aws:ses:eu-central-1:123456789012:configuration-set/default'], \
                   sourceCidrs: ['127.0.0.1/32', '::1/128']";

#[tokio::test(flavor = "multi_thread")]
async fn each_field_lets_one_mail_pass_and_stops_another() {
    let (bed, operator) = bed().await;
    for (name, policy, _, _) in table() {
        bed.apply("shop", name, &spec(policy)).await.unwrap();
    }
    bed.apply("shop", "here", &spec("sourceCidrs: ['127.0.0.0/8']")).await.unwrap();
    bed.apply("shop", "elsewhere", &spec("sourceCidrs: ['192.0.2.0/24', '2001:db8::/32']")).await.unwrap();
    let rows = table();
    for (name, _, good, bad) in &rows {
        bed.ready("shop", name).await.unwrap();
        bed.send("shop", name, *good).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        denied(&bed, name, *bad).await;
    }
    bed.ready("shop", "here").await.unwrap();
    bed.send("shop", "here", Letter::default()).await.unwrap();
    bed.ready("shop", "elsewhere").await.unwrap();
    denied(&bed, "elsewhere", Letter::default()).await;
    assert_eq!(bed.aws.mails().len(), rows.len() + 1);
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_change_is_one_call_and_keeps_the_key() {
    let (bed, operator) = bed().await;
    bed.apply("shop", "mailer", &spec("fromAddresses: ['*@example.com']")).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let credential = bed.login("shop", "mailer").await.unwrap();
    let org = Letter { from: "a@example.org", ..Letter::default() };
    denied(&bed, "mailer", org).await;
    bed.aws.reset_journal();
    bed.apply("shop", "mailer", &spec("fromAddresses: ['*@example.org'], recipients: ['*@example.net']"))
        .await
        .unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    assert_eq!((iam_calls(&bed), bed.iam_calls()["PutUserPolicy"]), (1, 1));
    bed.send("shop", "mailer", org).await.unwrap();
    denied(&bed, "mailer", Letter::default()).await;
    // Too large: what works goes on working.
    let long: Vec<String> = (0..20).map(|n| format!("{}{n}@example.com", "a".repeat(100))).collect();
    let large = serde_json::json!({ "policy": { "feedbackAddresses": long } });
    bed.patch("shop", "mailer", large).await.unwrap();
    let object = bed.reads("shop", "mailer", "Stalled", "True PolicyTooLarge").await.unwrap();
    let said = &object.status.as_ref().unwrap().conditions[0].message;
    assert!(
        said.contains("IAM allows 2048") && said.contains("spec.policy.feedbackAddresses (about "),
        "{said}"
    );
    assert_eq!(iam_calls(&bed), 1);
    bed.send("shop", "mailer", org).await.unwrap();
    // Corrected, it is the policy that is in force already.
    bed.patch("shop", "mailer", serde_json::json!({ "policy": { "feedbackAddresses": null } }))
        .await
        .unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    assert_eq!(iam_calls(&bed), 1);
    assert_eq!(bed.login("shop", "mailer").await.unwrap().username, credential.username);
    assert_eq!(bed.credential("shop", "mailer").await.unwrap().password, credential.password);
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

/// Type, reason and text of the events about an object.
async fn events(bed: &Bed, name: &str) -> Vec<(String, String, String)> {
    let all =
        Api::<Event>::namespaced(bed.client.clone(), "shop").list(&ListParams::default()).await.unwrap();
    let about = all
        .items
        .into_iter()
        .filter(|event| event.regarding.as_ref().is_some_and(|object| object.name.as_deref() == Some(name)));
    about
        .map(|it| (it.type_.unwrap_or_default(), it.reason.unwrap_or_default(), it.note.unwrap_or_default()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_with_traps_is_warned_of_once() {
    let (bed, operator) = bed().await;
    bed.apply("shop", "scoped", &spec(ALL)).await.unwrap();
    bed.apply("shop", "plain", &spec("fromAddresses: ['*@example.com']")).await.unwrap();
    bed.ready("shop", "plain").await.unwrap();
    bed.ready("shop", "scoped").await.unwrap();
    let told = eventually("the event", SOON, async || {
        let told = events(&bed, "scoped").await;
        Ok((!told.is_empty()).then_some(told))
    });
    let told = told.await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0.as_str(), told[0].1.as_str()), ("Warning", "Provisioned"));
    for trap in ["spec.policy.identities too", "spec.policy.configurationSets too"] {
        assert!(told[0].2.contains(trap), "{}", told[0].2);
    }
    // A pass about something else doesn't say it again.
    bed.patch("shop", "scoped", serde_json::json!({ "deletionPolicy": "Retain" })).await.unwrap();
    bed.ready("shop", "scoped").await.unwrap();
    // An event comes after the status: another object's, later, shows that all of this one are there.
    bed.patch("shop", "plain", serde_json::json!({ "policy": { "recipients": ["*"] } })).await.unwrap();
    eventually("the other object's event", SOON, async || {
        let told = events(&bed, "plain").await;
        Ok(told.iter().any(|(type_, reason, _)| type_ == "Normal" && reason == "PolicyUpdated").then_some(()))
    })
    .await
    .unwrap();
    let warnings =
        events(&bed, "scoped").await.into_iter().filter(|(type_, _, _)| type_ == "Warning").count();
    assert_eq!(warnings, 1);
    operator.stop().await.unwrap();
}

/// The message of the first condition, which is Ready.
fn message(object: &Object) -> &str {
    &object.status.as_ref().unwrap().conditions[0].message
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(chain).unwrap_or_default();
    format!("{error}: {cause}")
}

/// The API server doesn't take the entry, and says in which field.
async fn refused(bed: &Bed, field: &str, entry: &str) {
    let taken = bed.apply("shop", "wide", &spec(&format!("{field}: [{entry}]"))).await;
    let said = chain(&taken.expect_err(&format!("{field} {entry}")));
    assert!(said.contains(&format!("spec.policy.{field}")), "{field} {entry}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_at_a_wider_policy_are_refused_and_cost_nothing() {
    let (bed, operator) = bed().await;
    let addresses = [
        "'*@*'",
        "'*@*.'",
        "'*@*.com'",
        "'**@example.com'",
        "'*example.com'",
        "'a*@example.com'",
        "'${aws:username}@example.com'",
        "'*@${aws:username}.com'",
        "'a?@example.com'",
        "'\"a\"@example.com'",
        "'a\",\"*@example.com'",
        "\"a@example.com\\n\"",
        "\"*@evil\\u200b.example\"",
        "\"*@\\u202eevil.example\"",
        "\"*@evil\\u3002example\"",
        "\"\\uff0a@example.com\"",
        "\"*\\uff20example.com\"",
    ];
    for field in ["fromAddresses", "feedbackAddresses", "recipients"] {
        for entry in addresses {
            refused(&bed, field, entry).await;
        }
    }
    let (head, set) = ("arn:aws:ses:eu-central-1:123456789012", "configuration-set/shop");
    let others = [
        ("identities", "'*'".to_owned()),
        ("identities", format!("'{head}:identity/*'")),
        ("identities", format!("'{head}:identity/${{aws:username}}.com'")),
        ("identities", format!("'{head}:{set}'")),
        ("identities", "'arn:aws:s3:eu-central-1:123456789012:identity/example.com'".to_owned()),
        ("identities", "'arn:aws:ses:*:123456789012:identity/example.com'".to_owned()),
        ("configurationSets", format!("'{head}:configuration-set/*'")),
        ("configurationSets", format!("'{head}:configuration-set/a?'")),
        ("configurationSets", format!("'{head}:identity/example.com'")),
        ("sourceCidrs", "'*'".to_owned()),
        ("sourceCidrs", "'192.0.2.7/24'".to_owned()),
        ("sourceCidrs", "'::ffff:192.0.2.0/120'".to_owned()),
        ("sourceCidrs", "'192.0.2.0'".to_owned()),
    ];
    for (field, entry) in others {
        refused(&bed, field, &entry).await;
    }
    let later = [
        ("punycode", "recipients: ['*@xn--a.example']", "InvalidSpec", "IDNA"),
        ("letters", "fromAddresses: ['*@ｅvil.example']", "InvalidSpec", "IDNA"),
        ("label", LONG_LABEL, "InvalidSpec", "IDNA"),
        (
            "partition",
            "identities: ['arn:aws-us-gov:ses:us-gov-west-1:123456789012:identity/example.com']",
            "PartitionMismatch",
            "aws-us-gov",
        ),
        (
            "nowhere",
            "configurationSets: ['arn:aws:ses:us-east-1:123456789012:configuration-set/shop']",
            "InvalidSpec",
            "no ARN in Region eu-central-1",
        ),
    ];
    for (name, policy, reason, says) in later {
        bed.apply("shop", name, &spec(policy)).await.unwrap();
        let object = bed.reads("shop", name, "Stalled", &format!("True {reason}")).await.unwrap();
        assert!(message(&object).contains(says), "{name}: {}", message(&object));
    }
    assert_eq!(iam_calls(&bed), 0);
    assert!(bed.aws.users().is_empty() && bed.aws.key_ids().is_empty());
    operator.stop().await.unwrap();
}

/// A label of 64 letters.
const LONG_LABEL: &str =
    "fromAddresses: ['*@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example']";
