//! The inline policy of an SMTP user: `ses:SendRawEmail` and nothing else, from typed statements.
//!
//! No text of a spec gets into the document but by way of [`Address`], [`SesArn`] and [`Network`].

mod address;
mod arn;
mod network;

use serde::Serialize;

use crate::password::digest;
use crate::region::Partition;

pub use address::{ADDRESS_PATTERN, Address, MAX_ADDRESS};
pub use arn::{Kind, MAX_ARN, SesArn};
pub use network::{MAX_NETWORK, Network, NotNetwork};

/// Version of IAM's policy language.
pub const VERSION: &str = "2012-10-17";
/// The one right of an SMTP user.
pub const SEND: &str = "ses:SendRawEmail";
/// Characters that all inline policies of a user may have together, white space not counted.
pub const MAX_POLICY: usize = 2_048;
/// Most entries of each list.
pub const MAX_ENTRIES: usize = 20;

/// What a user may do. A list limits one thing; an empty one doesn't limit it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Whom mail may be sent as.
    pub senders: Vec<Address>,
    /// Where bounces may be sent.
    pub feedback: Vec<Address>,
    /// Whom mail may be sent to.
    pub recipients: Vec<Address>,
    /// Identities that may take part in a send.
    pub identities: Vec<SesArn>,
    /// Configuration sets that may take part in a send.
    pub configuration_sets: Vec<SesArn>,
    /// Where clients may be.
    pub sources: Vec<Network>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    statement: [Statement<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    effect: &'static str,
    action: &'static str,
    resource: Resource,
    #[serde(skip_serializing_if = "Condition::is_empty")]
    condition: Condition<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Resource {
    Every(&'static str),
    These(Vec<String>),
}

impl Resource {
    /// SES asks for the identity, and for the configuration set if one takes part: with one of the two
    /// lists empty, all of that kind have to be in, or nothing could be sent.
    fn of(limits: &Limits, partition: Partition) -> Self {
        let (identities, sets) = (&limits.identities, &limits.configuration_sets);
        if identities.is_empty() && sets.is_empty() {
            return Self::Every("*");
        }
        let listed = |kind: Kind, arns: &[SesArn]| match arns {
            [] => vec![format!("arn:{partition}:ses:*:*:{}/*", kind.as_str())],
            arns => arns.iter().map(SesArn::to_string).collect(),
        };
        Self::These([listed(Kind::Identity, identities), listed(Kind::ConfigurationSet, sets)].concat())
    }
}

/// Every condition of it must hold.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition<'a> {
    #[serde(skip_serializing_if = "Like::is_empty")]
    string_like: Like<'a>,
    #[serde(rename = "ForAllValues:StringLike", skip_serializing_if = "Option::is_none")]
    all_like: Option<Recipients<Vec<&'a str>>>,
    /// Without it a request that names no recipients would pass: of none, all are alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    null: Option<Recipients<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<Source>,
}

#[derive(Default, Serialize)]
struct Like<'a> {
    #[serde(rename = "ses:FromAddress", skip_serializing_if = "Vec::is_empty")]
    from_address: Vec<&'a str>,
    #[serde(rename = "ses:FeedbackAddress", skip_serializing_if = "Vec::is_empty")]
    feedback_address: Vec<&'a str>,
}

#[derive(Serialize)]
struct Recipients<T> {
    #[serde(rename = "ses:Recipients")]
    recipients: T,
}

#[derive(Serialize)]
struct Source {
    #[serde(rename = "aws:SourceIp")]
    source_ip: Vec<String>,
}

impl Like<'_> {
    fn is_empty(&self) -> bool {
        self.from_address.is_empty() && self.feedback_address.is_empty()
    }
}

impl<'a> Condition<'a> {
    fn of(limits: &'a Limits) -> Self {
        let texts = |list: &'a [Address]| list.iter().map(Address::as_str).collect::<Vec<_>>();
        let sources: Vec<String> = limits.sources.iter().map(Network::to_string).collect();
        let limited = !limits.recipients.is_empty();
        Self {
            string_like: Like {
                from_address: texts(&limits.senders),
                feedback_address: texts(&limits.feedback),
            },
            all_like: limited.then(|| Recipients { recipients: texts(&limits.recipients) }),
            null: limited.then_some(Recipients { recipients: "false" }),
            ip_address: (!sources.is_empty()).then_some(Source { source_ip: sources }),
        }
    }

    fn is_empty(&self) -> bool {
        self.string_like.is_empty() && self.all_like.is_none() && self.ip_address.is_none()
    }
}

/// A policy document, ready to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// JSON text without white space.
    pub document: String,
    /// SHA-256 of the text.
    pub hash: String,
}

impl Policy {
    /// The policy of a user of `partition` who may do what `limits` says.
    pub fn new(limits: &Limits, partition: Partition) -> Self {
        let statement = Statement {
            effect: "Allow",
            action: SEND,
            resource: Resource::of(limits, partition),
            condition: Condition::of(limits),
        };
        let document = Document { version: VERSION, statement: [statement] };
        // Strings in structs always serialize; an empty document would be refused by IAM.
        let document = serde_json::to_string(&document).unwrap_or_default();
        Self { hash: digest(document.as_bytes()), document }
    }

    /// Length as IAM counts it, if that is over IAM's limit.
    pub fn excess(&self) -> Option<usize> {
        let counted = self.document.chars().filter(|c| !c.is_whitespace()).count();
        (counted > MAX_POLICY).then_some(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts.iter().map(|text| Address::parse(text).unwrap()).collect()
    }

    fn arns(kind: Kind) -> Vec<SesArn> {
        vec![SesArn::parse(kind, kind.example()).unwrap()]
    }

    fn document(limits: &Limits) -> String {
        Policy::new(limits, Partition::Commercial).document
    }

    #[test]
    fn allows_sending_and_nothing_else() {
        let senders = addresses(&["*@shop.example.com"]);
        assert_eq!(
            document(&Limits { senders, ..Limits::default() }),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ses:SendRawEmail","Resource":"*","Condition":{"StringLike":{"ses:FromAddress":["*@shop.example.com"]}}}]}"#
        );
        assert_eq!(
            document(&Limits::default()),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ses:SendRawEmail","Resource":"*"}]}"#
        );
    }

    #[test]
    fn every_limit_has_its_place() {
        let limits = Limits {
            senders: addresses(&["a@example.com"]),
            feedback: addresses(&["b@example.com"]),
            recipients: addresses(&["*@*.example.net", "*@example.net"]),
            identities: arns(Kind::Identity),
            configuration_sets: arns(Kind::ConfigurationSet),
            sources: vec![Network::parse("192.0.2.0/24").unwrap(), Network::parse("2001:db8::/32").unwrap()],
        };
        let value: serde_json::Value = serde_json::from_str(&document(&limits)).unwrap();
        let expected = serde_json::json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Action": "ses:SendRawEmail",
            "Resource": [Kind::Identity.example(), Kind::ConfigurationSet.example()],
            "Condition": {
                "StringLike": { "ses:FromAddress": ["a@example.com"], "ses:FeedbackAddress": ["b@example.com"] },
                "ForAllValues:StringLike": { "ses:Recipients": ["*@*.example.net", "*@example.net"] },
                "Null": { "ses:Recipients": "false" },
                "IpAddress": { "aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"] },
            },
        }] });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_list_of_one_kind_lets_all_of_the_other_in() {
        let identities = Limits { identities: arns(Kind::Identity), ..Limits::default() };
        let sets = Limits { configuration_sets: arns(Kind::ConfigurationSet), ..Limits::default() };
        let resources = |limits: &Limits, partition| {
            let document = Policy::new(limits, partition).document;
            let value: serde_json::Value = serde_json::from_str(&document).unwrap();
            value["Statement"][0]["Resource"].clone()
        };
        assert_eq!(
            resources(&identities, Partition::Commercial),
            serde_json::json!([Kind::Identity.example(), "arn:aws:ses:*:*:configuration-set/*"])
        );
        assert_eq!(
            resources(&sets, Partition::UsGov),
            serde_json::json!(["arn:aws-us-gov:ses:*:*:identity/*", Kind::ConfigurationSet.example()])
        );
    }

    #[test]
    fn counts_what_iam_counts() {
        let long: Vec<String> =
            (0..20).map(|n| format!("{}{n}@{}.com", "a".repeat(60), "b".repeat(60))).collect();
        let senders = addresses(&long.iter().map(String::as_str).collect::<Vec<_>>());
        let policy = |senders| Policy::new(&Limits { senders, ..Limits::default() }, Partition::Commercial);
        let large = policy(senders);
        assert_eq!(large.excess(), Some(large.document.len()));
        assert!(large.document.len() > MAX_POLICY);
        assert_eq!(policy(Vec::new()).excess(), None);
    }
}
