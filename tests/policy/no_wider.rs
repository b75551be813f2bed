//! Whatever texts a spec holds, its policy allows what the fields say and nothing else. The policy is
//! evaluated by the AWS double, which knows nothing of how it was made; what the fields say is told
//! here once more, from the texts of the spec.

use std::net::IpAddr;

use aws_double::policy::{Context, Question, allows};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use ses_smtp_core::api::{PolicySpec, SesSmtpCredential, SesSmtpCredentialSpec};
use ses_smtp_core::desired::{Goal, Settings, VerifyLogin};
use ses_smtp_core::identity::Installation;
use ses_smtp_core::region::{Partition, RegionTable};
use ses_smtp_core::tenancy::{Allowed, Tenancy};
use ses_smtp_core::time::Durations;

const ACTION: &str = "ses:SendRawEmail";

const ENTRIES: [&str; 9] = [
    "*",
    "a@example.com",
    "*@example.com",
    "*@*.example.com",
    "*@EXAMPLE.org",
    "First.Last+x@example.org",
    "*@*.xn--bcher-kva.example",
    "*@bücher.example",
    "{a}~|@example.com",
];

const ADDRESSES: [&str; 14] = [
    "a@example.com",
    "A@example.com",
    "b@example.com",
    "a@mail.example.com",
    "a@evilexample.com",
    "a@example.com.evil.example",
    "a@example.org",
    "a@EXAMPLE.org",
    "First.Last+x@example.org",
    "a@xn--bcher-kva.example",
    "a@mail.xn--bcher-kva.example",
    "eve@evil.example",
    "*@example.com",
    "",
];

const IDENTITIES: [&str; 3] = [
    "arn:aws:ses:eu-central-1:123456789012:identity/example.com",
    "arn:aws:ses:eu-central-1:999999999999:identity/example.org",
    "arn:aws:ses:eu-central-1:123456789012:identity/a@example.com",
];

const SETS: [&str; 2] = [
    "arn:aws:ses:eu-central-1:123456789012:configuration-set/shop",
    "arn:aws:ses:eu-central-1:123456789012:configuration-set/A_b-9",
];

const RESOURCES: [&str; 7] = [
    "*",
    "arn:aws:ses:us-east-1:123456789012:identity/example.com",
    "arn:aws:ses:eu-central-1:123456789012:identity/evil.example",
    "arn:aws:ses:eu-central-1:123456789012:configuration-set/other",
    "arn:aws:ses:eu-central-1:123456789012:template/shop",
    "arn:aws:iam::123456789012:user/mailer",
    "arn:aws:s3:::bucket",
];

const NETWORKS: [&str; 5] = ["192.0.2.0/24", "198.51.100.7/32", "2001:DB8::/32", "10.0.0.0/8", "::1/128"];

const CLIENTS: [&str; 6] = ["192.0.2.9", "192.0.3.9", "198.51.100.7", "2001:db8::5", "2001:db9::5", "::1"];

/// What somebody could try in place of an entry.
const HOSTILE: [&str; 25] = [
    "*@*",
    "*@*.com",
    "*example.com",
    "a*@example.com",
    "?@example.com",
    "${aws:username}",
    "${aws:username}@example.com",
    "*@${*}.example",
    "a@example.com\",\"*",
    "\"],\"Action\":\"*\",\"x\":[\"",
    "\\u002a@example.com",
    "*@example.com\n",
    "*@ｅvil.example",
    "*@evil\u{3002}example",
    "*@ev\u{200b}il.example",
    "*@xn--evil-.example",
    "arn:aws:ses:*:*:identity/*",
    "arn:aws:ses:eu-central-1:123456789012:identity/*",
    "arn:aws:ses:eu-central-1:123456789012:identity/${aws:username}.com",
    "arn:aws:ses:eu-central-1:123456789012:configuration-set/*",
    "arn:aws:ses:eu-central-1:123456789012:configuration-set/a?",
    "arn:aws:ses:eu-central-1:*:configuration-set/shop",
    "arn:aws:iam::123456789012:user/*",
    "192.0.2.0/024",
    "::ffff:0.0.0.0/96",
];

fn entry(good: &'static [&'static str], tries: u32) -> BoxedStrategy<String> {
    let good = select(good).prop_map(str::to_owned);
    let odd = prop_oneof![
        select(&HOSTILE[..]).prop_map(str::to_owned),
        "[*?@.$\\{\\}a-z:/\"\\\\ü-]{1,14}",
        "\\*@(\\*\\.)?\\PC{1,12}\\.example",
        "\\PC{0,40}",
    ];
    if tries == 0 { good.boxed() } else { prop_oneof![12 => good, tries => odd].boxed() }
}

/// A policy of entries that are all right, or of which so many in twelve and more are not.
fn policies(tries: u32) -> impl Strategy<Value = PolicySpec> {
    let list = move |good: &'static [&'static str]| prop_oneof![1 => Just(Vec::new()), 2 => vec(entry(good, tries), 1..4)];
    let addresses = (list(&ENTRIES), list(&ENTRIES), list(&ENTRIES));
    (addresses, list(&IDENTITIES), list(&SETS), list(&NETWORKS)).prop_map(
        |((from_addresses, feedback_addresses, recipients), identities, configuration_sets, source_cidrs)| {
            PolicySpec {
                from_addresses,
                feedback_addresses,
                recipients,
                identities,
                configuration_sets,
                source_cidrs,
            }
        },
    )
}

/// A request as a policy sees it.
#[derive(Clone, Debug)]
struct Request {
    action: String,
    resource: String,
    from: Option<String>,
    feedback: Option<String>,
    recipients: Option<Vec<String>>,
    client: Option<String>,
}

fn requests() -> impl Strategy<Value = Request> {
    let others = ["ses:SendEmail", "ses:SendRawEmails", "ses:*", "*", "iam:CreateUser", "s3:GetObject"];
    let action =
        prop_oneof![6 => Just(ACTION.to_owned()), 1 => select(others.to_vec()).prop_map(str::to_owned)];
    let named = [&IDENTITIES[..], &SETS[..], &RESOURCES[..]].concat();
    let resource = prop_oneof![8 => select(named).prop_map(str::to_owned), 1 => "\\PC{0,40}"];
    let address = || prop_oneof![8 => select(&ADDRESSES[..]).prop_map(str::to_owned), 1 => "\\PC{0,20}"];
    let client = select(&CLIENTS[..]).prop_map(str::to_owned);
    let mostly = |it: BoxedStrategy<String>| option::weighted(0.9, it);
    (
        action,
        resource,
        mostly(address().boxed()),
        mostly(address().boxed()),
        option::weighted(0.9, vec(address(), 0..3)),
        mostly(client.boxed()),
    )
        .prop_map(|(action, resource, from, feedback, recipients, client)| Request {
            action,
            resource,
            from,
            feedback,
            recipients,
            client,
        })
}

impl Request {
    fn passes(&self, document: &str) -> bool {
        let one = |context: Context, key: &str, value: &Option<String>| match value {
            Some(value) => context.with(key, vec![value.clone()]),
            None => context,
        };
        let context = Context::default().with("aws:username", vec!["mailer".to_owned()]);
        let context = one(context, "ses:FromAddress", &self.from);
        let context = one(context, "ses:FeedbackAddress", &self.feedback);
        let context = one(context, "aws:SourceIp", &self.client);
        let context = match &self.recipients {
            Some(all) => context.with("ses:Recipients", all.clone()),
            None => context,
        };
        let question = Question { action: &self.action, resource: &self.resource, context: &context };
        allows(&[document], None, &question)
    }

    /// What the fields say.
    fn is_meant(&self, spec: &PolicySpec) -> bool {
        let listed =
            |entries: &[String], address: &String| entries.iter().any(|entry| covers(entry, address));
        let one = |entries: &[String], address: &Option<String>| {
            entries.is_empty() || address.as_ref().is_some_and(|address| listed(entries, address))
        };
        let all = self.recipients.as_ref().is_some_and(|all| {
            !all.is_empty() && all.iter().all(|address| listed(&spec.recipients, address))
        });
        let client = self.client.as_ref().is_some_and(|client| {
            spec.source_cidrs.iter().any(|network| contains(network, client.parse().unwrap()))
        });
        self.action == ACTION
            && names(spec, &self.resource)
            && one(&spec.from_addresses, &self.from)
            && one(&spec.feedback_addresses, &self.feedback)
            && (spec.recipients.is_empty() || all)
            && (spec.source_cidrs.is_empty() || client)
    }
}

/// Whether an entry of a spec covers an address, character by character. Of entries beyond ASCII only one
/// is known; others may cover none of the addresses that are tried.
fn covers(entry: &str, address: &str) -> bool {
    let Some((local, domain)) = entry.split_once('@') else { return entry == "*" };
    let domain = domain.replace("bücher", "xn--bcher-kva").to_ascii_lowercase();
    match (local, domain.strip_prefix("*.")) {
        ("*", Some(parent)) => {
            address.strip_suffix(&format!(".{parent}")).is_some_and(|head| head.contains('@'))
        }
        ("*", None) => address.ends_with(&format!("@{domain}")),
        _ => address == format!("{local}@{domain}"),
    }
}

/// Whether a spec names a resource, or leaves its kind open.
fn names(spec: &PolicySpec, resource: &str) -> bool {
    let (identities, sets) = (&spec.identities, &spec.configuration_sets);
    let of_kind = |kind: &str| {
        let rest = resource.strip_prefix("arn:aws:ses:").unwrap_or_default();
        rest.match_indices(&format!(":{kind}/")).any(|(at, _)| rest[..at].contains(':'))
    };
    identities.is_empty() && sets.is_empty()
        || identities.iter().chain(sets).any(|arn| arn == resource)
        || identities.is_empty() && of_kind("identity")
        || sets.is_empty() && of_kind("configuration-set")
}

fn contains(network: &str, client: IpAddr) -> bool {
    let (base, prefix) = network.split_once('/').unwrap();
    let (base, prefix): (IpAddr, usize) = (base.parse().unwrap(), prefix.parse().unwrap());
    let bits = |address: IpAddr| -> String {
        match address {
            IpAddr::V4(v4) => format!("{:032b}", u32::from(v4)),
            IpAddr::V6(v6) => format!("{:0128b}", u128::from(v6)),
        }
    };
    base.is_ipv4() == client.is_ipv4() && bits(client).starts_with(&bits(base)[..prefix])
}

fn goal(policy: PolicySpec) -> Goal {
    let region = serde_json::json!({ "region": "eu-central-1" });
    let spec: SesSmtpCredentialSpec = serde_json::from_value(region).unwrap();
    let object = SesSmtpCredential::new("mailer", SesSmtpCredentialSpec { policy: Some(policy), ..spec });
    let installation = Installation {
        cluster_id: "0123456789".to_owned(),
        install_id: "0123456789abcdef".to_owned(),
        account: "123456789012".to_owned(),
        partition: Partition::Commercial,
        user_path: "/ses-smtp/".to_owned(),
        user_prefix: "ses-smtp-".to_owned(),
        boundary_name: None,
    };
    let settings = Settings {
        installation,
        regions: RegionTable::default(),
        durations: Durations::default(),
        time_scale: 1.0,
        verify_login: VerifyLogin::Auto,
        allowed: Allowed::default(),
    };
    Goal::of(&object, &settings, &Tenancy::default())
}

fn agree(spec: &PolicySpec, document: &str, requests: &[Request]) -> Result<(), TestCaseError> {
    for request in requests {
        prop_assert_eq!(request.passes(document), request.is_meant(spec), "{:?} under {}", request, document);
    }
    Ok(())
}

/// A policy with one entry in one of the six lists.
fn one(field: usize, text: String) -> PolicySpec {
    let mut spec = PolicySpec::default();
    let lists = [
        &mut spec.from_addresses,
        &mut spec.feedback_addresses,
        &mut spec.recipients,
        &mut spec.identities,
        &mut spec.configuration_sets,
        &mut spec.source_cidrs,
    ];
    lists.into_iter().nth(field).unwrap().push(text);
    spec
}

#[test]
fn hostile_texts_are_refused_in_every_field() {
    for text in HOSTILE {
        for field in 0..6 {
            let goal = goal(one(field, text.to_owned()));
            assert!(matches!(goal, Goal::Invalid(..)), "{text:?} in list {field}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_allows_what_its_fields_say(spec in policies(0), requests in vec(requests(), 30)) {
        let Goal::Serve(desired) = goal(spec.clone()) else { panic!("not served: {spec:?}") };
        agree(&spec, &desired.policy.document, &requests)?;
    }

    #[test]
    fn no_text_makes_a_policy_wider(spec in policies(2), requests in vec(requests(), 30)) {
        if let Goal::Serve(desired) = goal(spec.clone()) {
            agree(&spec, &desired.policy.document, &requests)?;
        }
    }

    #[test]
    fn one_text_alone_makes_no_policy_wider(text in entry(&ENTRIES, 36), field in 0..6_usize, requests in vec(requests(), 30)) {
        let spec = one(field, text);
        if let Goal::Serve(desired) = goal(spec.clone()) {
            agree(&spec, &desired.policy.document, &requests)?;
        }
    }
}
