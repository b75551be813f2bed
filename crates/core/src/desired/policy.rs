//! The rules on `spec.policy`: its texts become limits that can't be wrong, or a message.

use crate::api::{PolicySpec, SesSmtpCredentialSpec};
use crate::endpoint::Endpoints;
use crate::policy::{Address, Kind, Limits, MAX_ENTRIES, MAX_POLICY, Network, NotNetwork, Policy, SesArn};
use crate::reason::Reason;
use crate::region::RegionName;
use crate::tenancy::Terms;

use super::checks::invalid;
use super::{Invalid, Settings};

/// How much of a wrong entry a message repeats, in characters.
const SHOWN: usize = 100;
/// What stands between the texts of a list in the policy: two quotes and a comma.
const AROUND: usize = 3;

/// The policy that the spec asks for.
pub fn parse(
    spec: &SesSmtpCredentialSpec,
    endpoints: &Endpoints,
    settings: &Settings,
    terms: &Terms,
) -> Result<Policy, Invalid> {
    let asked = spec.policy.clone().unwrap_or_default();
    let limits = Limits {
        senders: terms.senders(addresses("fromAddresses", &asked.from_addresses)?)?,
        feedback: addresses("feedbackAddresses", &asked.feedback_addresses)?,
        recipients: addresses("recipients", &asked.recipients)?,
        identities: arns("identities", &asked.identities, Kind::Identity, settings)?,
        configuration_sets: arns(
            "configurationSets",
            &asked.configuration_sets,
            Kind::ConfigurationSet,
            settings,
        )?,
        sources: entries("sourceCidrs", &asked.source_cidrs, network)?,
    };
    covers("identities", &limits.identities, endpoints)?;
    covers("configurationSets", &limits.configuration_sets, endpoints)?;
    let policy = Policy::new(&limits, settings.installation.partition);
    policy.excess().map_or(Ok(policy), |size| too_large(size, &asked, &limits, terms))
}

/// What mail SES will refuse because of the policy although its author may expect it to pass; empty if none.
pub fn caution(spec: &SesSmtpCredentialSpec) -> String {
    let asked = spec.policy.clone().unwrap_or_default();
    let vpc = spec.endpoint.as_ref().and_then(|endpoint| endpoint.host.as_ref());
    let by_vpc = vpc.is_some_and(|host| host.contains(".vpce."));
    let cautions = [
        (
            !asked.identities.is_empty(),
            "recipients that are identities of the account (in the SES sandbox all recipients) have to be listed in spec.policy.identities too",
        ),
        (
            !asked.configuration_sets.is_empty(),
            "an identity's default configuration set has to be listed in spec.policy.configurationSets too",
        ),
        (
            by_vpc && !asked.source_cidrs.is_empty(),
            "AWS may not know the address of a client that comes through a VPC endpoint, and then spec.policy.sourceCidrs lets nothing pass",
        ),
    ];
    let said: Vec<&str> = cautions.into_iter().filter_map(|(holds, text)| holds.then_some(text)).collect();
    said.join("; ")
}

/// Each entry of a list, as `parse` takes it; one that is there twice in another spelling counts once.
fn entries<T: PartialEq>(
    field: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, Invalid>,
) -> Result<Vec<T>, Invalid> {
    if texts.len() > MAX_ENTRIES {
        let message = format!("spec.policy.{field} has {} entries: list {MAX_ENTRIES} at most", texts.len());
        return invalid(Reason::InvalidSpec, message);
    }
    texts.iter().try_fold(Vec::new(), |mut taken, text| {
        let entry = parse(text)?;
        if !taken.contains(&entry) {
            taken.push(entry);
        }
        Ok(taken)
    })
}

fn addresses(field: &str, texts: &[String]) -> Result<Vec<Address>, Invalid> {
    entries(field, texts, |text| {
        Address::parse(text).map_or_else(
            || {
                let forms = "user@domain, *@domain, *@*.domain or *, with a domain as DNS or IDNA knows it";
                wrong(field, text, &format!("is not allowed: use {forms}"))
            },
            Ok,
        )
    })
}

fn arns(field: &str, texts: &[String], kind: Kind, settings: &Settings) -> Result<Vec<SesArn>, Invalid> {
    let has = settings.installation.partition;
    entries(field, texts, |text| match SesArn::parse(kind, text) {
        Some(arn) if arn.partition == has => Ok(arn),
        Some(arn) => invalid(
            Reason::PartitionMismatch,
            format!(
                "spec.policy.{field}: {arn} is in partition {}, the operator's account {} in partition {has}: use one of {has}",
                arn.partition, settings.installation.account
            ),
        ),
        None => wrong(
            field,
            text,
            &format!("is not allowed: use an ARN like {}, without wildcards", kind.example()),
        ),
    })
}

fn network(text: &str) -> Result<Network, Invalid> {
    Network::parse(text).or_else(|error| match error {
        NotNetwork::Malformed => {
            wrong("sourceCidrs", text, "is not allowed: use CIDR form, such as 192.0.2.0/24 or 2001:db8::/32")
        }
        NotNetwork::HostBits(address, network) => {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let ways = format!("{network} for the network, or {address}/{whole} for the one address");
            wrong("sourceCidrs", text, &format!("has bits set behind its prefix length: write {ways}"))
        }
    })
}

fn wrong<T>(field: &str, text: &str, why: &str) -> Result<T, Invalid> {
    let shown: String = text.chars().take(SHOWN).collect();
    invalid(Reason::InvalidSpec, format!("spec.policy.{field} {shown:?} {why}"))
}

/// A list that names nothing of a Region would let nothing be sent there.
fn covers(field: &str, arns: &[SesArn], endpoints: &Endpoints) -> Result<(), Invalid> {
    let is_named = |region: &RegionName| arns.iter().any(|arn| arn.region == *region);
    match endpoints.regions().find(|region| !arns.is_empty() && !is_named(region)) {
        None => Ok(()),
        Some(region) => invalid(
            Reason::InvalidSpec,
            format!(
                "spec.policy.{field} has no ARN in Region {region}, where the credential is used: add one, or leave {field} empty"
            ),
        ),
    }
}

fn too_large<T>(size: usize, asked: &PolicySpec, limits: &Limits, terms: &Terms) -> Result<T, Invalid> {
    let senders: Vec<String> = limits.senders.iter().map(Address::to_string).collect();
    let inherited = if asked.from_addresses.is_empty() { terms.inherited() } else { String::new() };
    let lists = [
        ("fromAddresses", &senders),
        ("feedbackAddresses", &asked.feedback_addresses),
        ("recipients", &asked.recipients),
        ("identities", &asked.identities),
        ("configurationSets", &asked.configuration_sets),
        ("sourceCidrs", &asked.source_cidrs),
    ];
    let length = |texts: &[String]| texts.iter().map(|text| text.chars().count() + AROUND).sum::<usize>();
    let mut fields = lists.map(|(field, texts)| (length(texts), field));
    fields.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    let told = fields.iter().filter(|(length, _)| *length > 0);
    let told: Vec<String> = told
        .map(|(length, field)| {
            let source = if *field == "fromAddresses" { inherited.as_str() } else { "" };
            format!("spec.policy.{field} (about {length}{source})")
        })
        .collect();
    let message = format!(
        "the policy has {size} characters, IAM allows {MAX_POLICY}: list fewer or shorter entries in {}, or use *@domain",
        told.join(", ")
    );
    invalid(Reason::PolicyTooLarge, message)
}
