//! `spec.policy`: the schema of what a credential may be used for.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::policy::{ADDRESS_PATTERN, Kind, MAX_ADDRESS, MAX_ARN, MAX_ENTRIES, MAX_NETWORK};

/// What addresses are told that are of no form.
const ADDRESSES: &str = "each entry must be user@domain, *@domain, *@*.domain or *, with what stands before @ in ASCII and without quotes, $ or ?";

/// What the credential may be used for. A list limits one thing, an empty one doesn't limit it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PolicySpec {
    /// Whom mail may be sent as: `user@domain`, `*@domain`, `*@*.domain` or `*`. Empty: anybody. AWS
    /// compares with regard to case, and domains are written in lower case and punycode in the policy: so should be the sender of each mail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = MAX_ENTRIES),
        inner(length(min = 1, max = MAX_ADDRESS)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = Rule::new(address_rule()).message(ADDRESSES))]
    pub from_addresses: Vec<String>,

    /// Where bounces may go (Return-Path, or the sender of the envelope), in the same forms. Empty: anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = MAX_ENTRIES),
        inner(length(min = 1, max = MAX_ADDRESS)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = Rule::new(address_rule()).message(ADDRESSES))]
    pub feedback_addresses: Vec<String>,

    /// Whom mail may be sent to, in the same forms. Every recipient of a mail has to be covered, Cc and
    /// Bcc too. Empty: anybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = MAX_ENTRIES),
        inner(length(min = 1, max = MAX_ADDRESS)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = Rule::new(address_rule()).message(ADDRESSES))]
    pub recipients: Vec<String>,

    /// ARNs of the identities that mail may be sent with. Empty: every identity. Recipients that are identities of the account, in the
    /// SES sandbox all recipients, have to be listed as well: else SES answers `554 Access denied`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = MAX_ENTRIES),
        inner(length(min = 1, max = MAX_ARN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = Rule::new(arn_rule(Kind::Identity)).message("each entry must be the ARN of one SES identity, such as arn:aws:ses:eu-central-1:123456789012:identity/example.com, without wildcards"))]
    pub identities: Vec<String>,

    /// ARNs of the configuration sets that mail may be sent with. Empty: every set. An identity's default
    /// configuration set has to be listed as well: else SES answers `554 Access denied`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = MAX_ENTRIES),
        inner(length(min = 1, max = MAX_ARN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = Rule::new(arn_rule(Kind::ConfigurationSet)).message("each entry must be the ARN of one SES configuration set, such as arn:aws:ses:eu-central-1:123456789012:configuration-set/shop, without wildcards"))]
    pub configuration_sets: Vec<String>,

    /// Networks that mail may be sent from, such as `192.0.2.0/24` or `2001:db8::/32`, as SES sees its clients: behind NAT that is
    /// NAT's public address. Empty: anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = MAX_ENTRIES),
        inner(length(min = 1, max = MAX_NETWORK)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(
        validation = Rule::new("self.all(c, isCIDR(c))").message("each entry must be an IPv4 or IPv6 network in CIDR form, such as 192.0.2.0/24, 198.51.100.7/32 or 2001:db8::/32"),
        validation = Rule::new("self.all(c, !isCIDR(c) || cidr(c) == cidr(c).masked())").message("the bits behind the prefix length must be zero: 192.0.2.0/24 for a network, 192.0.2.7/32 for one address, not 192.0.2.7/24"),
    )]
    pub source_cidrs: Vec<String>,
}

/// CEL: every entry is an address pattern.
fn address_rule() -> String {
    format!("self.all(a, a.matches(r\"{ADDRESS_PATTERN}\"))")
}

/// CEL: every entry is the ARN of one thing of that kind.
fn arn_rule(kind: Kind) -> String {
    format!("self.all(a, a.matches(r\"{}\"))", kind.pattern())
}
