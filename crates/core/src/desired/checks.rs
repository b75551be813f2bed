//! The rules on a spec that admission can't check, and the messages when one is broken.

use std::collections::BTreeMap;

use crate::api::{DERIVE_EXCLUDES, DeletionPolicy, SOURCE_IS_TARGET, SesSmtpCredentialSpec};
use crate::endpoint::{Endpoint, Endpoints};
use crate::layout::Layout;
use crate::policy::Address;
use crate::reason::Reason;
use crate::region::{RegionName, RegionState, SmtpEndpoint};
use crate::source::Source;

use super::{Identity, Invalid, MAX_LABEL, Settings};

/// Longest name of a Secret, and longest prefix of a label.
const MAX_NAME: usize = 253;
/// Most additional Regions.
pub const MAX_ADDITIONAL: usize = 20;

pub fn invalid<T>(reason: Reason, message: String) -> Result<T, Invalid> {
    Err(Invalid { reason, message })
}

/// A user is made in the operator's partition; somebody else's key may be of any.
fn region(field: &str, text: &str, derives: bool, settings: &Settings) -> Result<RegionName, Invalid> {
    let Some(region) = RegionName::parse(text) else {
        let shown: String = text.chars().take(crate::region::MAX_REGION).collect();
        return invalid(
            Reason::InvalidSpec,
            format!("{field} {shown:?} is not a Region code: use one such as eu-central-1"),
        );
    };
    let (wanted, has) = (region.partition(), settings.installation.partition);
    if wanted == has || derives {
        return Ok(region);
    }
    let message = format!(
        "Region {region} is in partition {wanted}, AWS account {} in partition {has}: use a Region of {has}",
        settings.installation.account
    );
    invalid(Reason::PartitionMismatch, message)
}

/// Where the credential is to be used. A host of the spec's own is for its `region`, a port for all.
pub fn endpoints(spec: &SesSmtpCredentialSpec, settings: &Settings) -> Result<Endpoints, Invalid> {
    let (asked, derives) = (spec.endpoint.clone().unwrap_or_default(), spec.access_key_from.is_some());
    let primary = region("spec.region", &spec.region, derives, settings)?;
    let primary = endpoint(primary, asked.host, asked.port, settings)?;
    if spec.additional_regions.len() > MAX_ADDITIONAL {
        let message = format!(
            "spec.additionalRegions has {} entries: list {MAX_ADDITIONAL} at most",
            spec.additional_regions.len()
        );
        return invalid(Reason::InvalidSpec, message);
    }
    let mut endpoints = Endpoints { primary, additional: Vec::new() };
    for code in &spec.additional_regions {
        let region = region("spec.additionalRegions", code, derives, settings)?;
        if endpoints.regions().any(|known| *known == region) {
            let message = format!(
                "spec.additionalRegions: {region} is there twice, or is spec.region itself: list each Region once"
            );
            return invalid(Reason::InvalidSpec, message);
        }
        endpoints.additional.push(endpoint(region, None, asked.port, settings)?);
    }
    Ok(endpoints)
}

/// A host of the spec's own is taken only if it can be nobody's but AWS's or the admin's: a free one
/// would send the credential to whoever wrote the object.
fn endpoint(
    region: RegionName,
    host: Option<String>,
    asked: Option<i32>,
    settings: &Settings,
) -> Result<Endpoint, Invalid> {
    let base = match (&host, settings.regions.get(&region)) {
        (_, RegionState::Smtp(endpoint)) => endpoint,
        (Some(_), RegionState::Unknown) => SmtpEndpoint::documented(&region),
        (_, RegionState::NoSmtp) => return no_endpoint(Reason::RegionHasNoSmtpEndpoint, &region, settings),
        (None, RegionState::Unknown) => return no_endpoint(Reason::RegionUnknown, &region, settings),
    };
    let served = match host {
        Some(host) if host == base.host => base,
        Some(host) if is_aws_host(&host, &region) => SmtpEndpoint::with_host(host),
        Some(host) => return host_not_allowed(&host, &region, &base),
        None => base,
    };
    let port = port(asked, &served)?;
    let implicit_tls = served.tls.contains(&port);
    Ok(Endpoint { region, host: served.host, port, implicit_tls })
}

fn no_endpoint<T>(reason: Reason, region: &RegionName, settings: &Settings) -> Result<T, Invalid> {
    let nearest = settings.regions.nearest(region.as_str()).join(", ");
    let what = if reason == Reason::RegionUnknown {
        "has no SMTP endpoint that is known here"
    } else {
        "doesn't have an SMTP endpoint"
    };
    let way_out = "an admin can add Regions with the endpoints file";
    invalid(reason, format!("The {region} Region {what}. Nearest with one: {nearest}; {way_out}"))
}

/// True for `email-smtp.<region>.<suffix>`, its FIPS form, and VPC endpoints of the Region.
fn is_aws_host(host: &str, region: &RegionName) -> bool {
    let suffix = region.partition().dns_suffix();
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_LABEL
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let vpc = host.strip_suffix(&format!(".email-smtp.{region}.vpce.{suffix}"));
    host == format!("email-smtp.{region}.{suffix}")
        || host == format!("email-smtp-fips.{region}.{suffix}")
        || vpc.is_some_and(is_label)
}

fn host_not_allowed<T>(host: &str, region: &RegionName, base: &SmtpEndpoint) -> Result<T, Invalid> {
    let suffix = region.partition().dns_suffix();
    let message = format!(
        "spec.endpoint.host {host:?} is not allowed for Region {region}: use {}, email-smtp-fips.{region}.{suffix}, \
         <endpoint>.email-smtp.{region}.vpce.{suffix}, or have an admin list the host in the endpoints file",
        base.host
    );
    invalid(Reason::NotAllowed, message)
}

fn port(asked: Option<i32>, endpoint: &SmtpEndpoint) -> Result<u16, Invalid> {
    let Some(asked) = asked else { return Ok(endpoint.default_port()) };
    match u16::try_from(asked) {
        Ok(port) if endpoint.serves(port) => Ok(port),
        _ => {
            let ports: Vec<String> =
                endpoint.starttls.iter().chain(&endpoint.tls).map(u16::to_string).collect();
            let allowed = ports.join(", ");
            let message = format!(
                "spec.endpoint.port {asked} is not allowed: use one that {} listens on: {allowed}",
                endpoint.host
            );
            invalid(Reason::NotAllowed, message)
        }
    }
}

/// Names become parts of paths at the API server, so nothing but a name may get there. Admission says
/// the same; a definition that somebody edited may not.
pub fn names(spec: &SesSmtpCredentialSpec) -> Result<(), Invalid> {
    let target = spec.secret.iter().filter_map(|secret| secret.name.as_ref());
    let source = spec.access_key_from.iter().map(|from| &from.secret_ref.name);
    let fields = target.map(|name| ("spec.secret.name", name));
    let mut fields = fields.chain(source.map(|name| ("spec.accessKeyFrom.secretRef.name", name)));
    match fields.find(|(_, name)| !is_subdomain(name)) {
        None => Ok(()),
        Some((field, name)) => {
            let shown: String = name.chars().take(MAX_NAME).collect();
            let message = format!(
                "{field} {shown:?} is no name of a Secret: use lower-case letters, digits, - and ., {MAX_NAME} at most"
            );
            invalid(Reason::InvalidSpec, message)
        }
    }
}

/// Where somebody else's access key is to be found, if the spec asks for that. Admission says the same;
/// a definition of an older release may not.
pub fn source(spec: &SesSmtpCredentialSpec, identity: &Identity) -> Result<Option<Source>, Invalid> {
    let Some(from) = &spec.access_key_from else { return Ok(None) };
    let excluded = spec.policy.is_some()
        || spec.rotation.is_some()
        || !spec.revoked_keys.is_empty()
        || spec.deletion_policy != DeletionPolicy::Delete;
    if excluded {
        return invalid(Reason::InvalidSpec, DERIVE_EXCLUDES.to_owned());
    }
    let reference = &from.secret_ref;
    if reference.name == identity.secret_name {
        return invalid(Reason::InvalidSpec, SOURCE_IS_TARGET.to_owned());
    }
    Ok(Some(Source {
        name: reference.name.clone(),
        id_key: reference.access_key_id_key.clone(),
        secret_key: reference.secret_access_key_key.clone(),
    }))
}

/// What the Secret's data are to be.
pub fn layout(spec: &SesSmtpCredentialSpec, endpoints: &Endpoints) -> Result<Layout, Invalid> {
    let secret = spec.secret.clone().unwrap_or_default();
    let senders = spec.policy.iter().flat_map(|policy| &policy.from_addresses);
    // As the policy has it: a mail from another spelling would be refused.
    let mut taken = senders.filter_map(|text| Address::parse(text));
    let plain = taken.find(|address| !address.as_str().contains('*'));
    Layout::choose(secret.preset.as_deref(), &secret.data, endpoints, plain.as_ref().map(Address::as_str))
        .map_err(|message| Invalid { reason: Reason::InvalidSpec, message })
}

/// Labels or annotations that the API server will take: found out before a key is made, not after.
pub fn metadata(
    field: &str,
    map: BTreeMap<String, String>,
    is_value: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, String>, Invalid> {
    let bad = map.iter().find(|(key, value)| !is_qualified(key) || is_reserved(key) || !is_value(value));
    match bad {
        None => Ok(map),
        Some((key, _)) => invalid(
            Reason::InvalidSpec,
            format!(
                "spec.secret.{field}: the key {key:?} or its value is not valid, or the key is reserved: correct or remove it"
            ),
        ),
    }
}

fn is_reserved(key: &str) -> bool {
    let Some((prefix, name)) = key.split_once('/') else { return false };
    let within = |domain: &str| prefix == domain || prefix.ends_with(&format!(".{domain}"));
    if prefix == "app.kubernetes.io" {
        return name == "managed-by";
    }
    within("ses-smtp.dev") || within("kubernetes.io") || within("k8s.io")
}

/// A qualified name: an optional DNS prefix and a slash, then 1 to 63 letters, digits, `-_.`.
fn is_qualified(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_subdomain)
}

/// True for what Kubernetes takes as a name of a Secret, and of most objects: labels of lower-case letters, digits and
/// hyphens, with dots between them.
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= MAX_NAME && text.split('.').all(is_part)
}

/// True for what Kubernetes takes as a name of a Namespace: such a label by itself.
pub fn is_namespace(text: &str) -> bool {
    text.len() <= MAX_LABEL && is_part(text)
}

fn is_part(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

pub fn is_label_value(value: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= MAX_LABEL
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && edge(value.chars().next())
        && edge(value.chars().last())
}
