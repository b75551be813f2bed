//! What a custom resource asks for, parsed once into types that can't be wrong.
//!
//! Owns every rule on a spec that admission can't check, and the messages when one is broken. Reads
//! spec, metadata and settings; never the status.

use std::collections::BTreeMap;

use crate::api::{DeletionPolicy, SesSmtpCredential, SesSmtpCredentialSpec};
use crate::iam::UserSpec;
use crate::identity::{Installation, Owner, tags_hash};
use crate::key::KeyId;
use crate::layout::Rendering;
use crate::names::{LABEL_CREDENTIAL, LABEL_MANAGED_BY, MANAGER};
use crate::password::digest;
use crate::policy::{MAX_ADDRESSES, MAX_POLICY, Policy, Sender};
use crate::reason::Reason;
use crate::region::{RegionName, RegionState, RegionTable, SmtpEndpoint};
use crate::time::Durations;

/// Longest label value in Kubernetes.
const MAX_LABEL: usize = 63;

/// Everything outside the object that shapes what it gets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The installation.
    pub installation: Installation,
    /// Regions and their endpoints.
    pub regions: RegionTable,
    /// Protocol durations in force.
    pub durations: Durations,
}

/// What is to be done for an object.
#[derive(Clone, Debug)]
pub enum Goal {
    /// Keep a credential.
    Serve(Box<Desired>),
    /// Change nothing.
    Suspended(Box<Identity>),
    /// The object is being deleted.
    Teardown(Box<Identity>),
    /// The spec can't be served.
    Invalid(Box<Identity>, Invalid),
}

/// Why a spec can't be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Reason.
    pub reason: Reason,
    /// What is wrong, what is allowed, what to do.
    pub message: String,
}

/// Who the credential is, whatever its spec says.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The object.
    pub owner: Owner,
    /// Its IAM user.
    pub user: UserSpec,
    /// ARN of that user.
    pub user_arn: String,
    /// Hash of the user's tags.
    pub tags_hash: String,
    /// What deletion means.
    pub deletion: DeletionPolicy,
    /// Name of its Secret.
    pub secret_name: String,
    /// Account that the operator works in.
    pub account: String,
    /// Protocol durations in force.
    pub durations: Durations,
}

/// A credential as it should be.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Who it is.
    pub identity: Identity,
    /// The Region that the password is for.
    pub region: RegionName,
    /// Host that clients connect to.
    pub host: String,
    /// Port that clients connect to.
    pub port: u16,
    /// The user's policy.
    pub policy: Policy,
    /// Labels of the Secret that the spec adds.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Secret that the spec adds.
    pub annotations: BTreeMap<String, String>,
}

impl Goal {
    /// What `object` asks for under `settings`.
    pub fn of(object: &SesSmtpCredential, settings: &Settings) -> Self {
        let identity = Identity::of(object, settings);
        if object.metadata.deletion_timestamp.is_some() {
            return Self::Teardown(Box::new(identity));
        }
        if object.spec.suspend {
            return Self::Suspended(Box::new(identity));
        }
        match Desired::parse(&object.spec, identity.clone(), settings) {
            Ok(desired) => Self::Serve(Box::new(desired)),
            Err(invalid) => Self::Invalid(Box::new(identity), invalid),
        }
    }

    /// Who the credential is.
    pub fn identity(&self) -> &Identity {
        match self {
            Self::Serve(desired) => &desired.identity,
            Self::Suspended(identity) | Self::Teardown(identity) | Self::Invalid(identity, _) => identity,
        }
    }
}

impl Identity {
    fn of(object: &SesSmtpCredential, settings: &Settings) -> Self {
        let meta = &object.metadata;
        let owner = Owner {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        };
        let deletion = object.spec.deletion_policy;
        let user = settings.installation.user(&owner, deletion);
        let named = object.spec.secret.as_ref().and_then(|secret| secret.name.clone());
        Self {
            secret_name: named.unwrap_or_else(|| owner.name.clone()),
            user_arn: settings.installation.user_arn(&user),
            tags_hash: tags_hash(&user.tags),
            account: settings.installation.account.clone(),
            durations: settings.durations,
            owner,
            user,
            deletion,
        }
    }

    /// The labels that every Secret of ours carries.
    pub fn own_labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (LABEL_MANAGED_BY.to_owned(), MANAGER.to_owned()),
            (LABEL_CREDENTIAL.to_owned(), credential_label(&self.owner.name)),
        ])
    }
}

/// The value of the credential label: the object's name, or a hash of it when that is too long.
pub fn credential_label(name: &str) -> String {
    if name.len() <= MAX_LABEL {
        name.to_owned()
    } else {
        digest(name.as_bytes()).chars().take(MAX_LABEL).collect()
    }
}

impl Desired {
    fn parse(spec: &SesSmtpCredentialSpec, identity: Identity, settings: &Settings) -> Result<Self, Invalid> {
        let region = region(&spec.region, settings)?;
        let (host, port) = endpoint(spec, &region, settings)?;
        let secret = spec.secret.clone().unwrap_or_default();
        Ok(Self {
            policy: policy(spec)?,
            labels: metadata("labels", secret.labels, is_label_value)?,
            annotations: metadata("annotations", secret.annotations, |_| true)?,
            identity,
            region,
            host,
            port,
        })
    }

    /// The Secret's data for a key, but for the password.
    pub fn rendering(&self, key: &KeyId) -> Rendering {
        Rendering::new(&self.host, self.port, key)
    }

    /// The record's value for the boundary in force.
    pub fn boundary(&self) -> String {
        self.identity.user.boundary.clone().unwrap_or_default()
    }

    /// All labels of the Secret that are the operator's to keep.
    pub fn all_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.extend(self.identity.own_labels());
        labels
    }
}

fn invalid<T>(reason: Reason, message: String) -> Result<T, Invalid> {
    Err(Invalid { reason, message })
}

fn region(text: &str, settings: &Settings) -> Result<RegionName, Invalid> {
    let Some(region) = RegionName::parse(text) else {
        let shown: String = text.chars().take(crate::region::MAX_REGION).collect();
        return invalid(
            Reason::InvalidSpec,
            format!("spec.region {shown:?} is not a Region code such as eu-central-1"),
        );
    };
    let (wanted, has) = (region.partition(), settings.installation.partition);
    if wanted == has {
        return Ok(region);
    }
    let message = format!(
        "Region {region} is in partition {wanted}, the operator's account {} in partition {has}: use a Region of {has}",
        settings.installation.account
    );
    invalid(Reason::PartitionMismatch, message)
}

/// Host and port. A host of the spec's own is taken only if it can be nobody's but AWS's or the
/// admin's: a free one would send the credential to whoever wrote the object.
fn endpoint(
    spec: &SesSmtpCredentialSpec,
    region: &RegionName,
    settings: &Settings,
) -> Result<(String, u16), Invalid> {
    let asked = spec.endpoint.clone().unwrap_or_default();
    let known = settings.regions.get(region);
    let base = match (&asked.host, known) {
        (_, RegionState::Smtp(endpoint)) => endpoint,
        (Some(_), RegionState::Unknown) => SmtpEndpoint::documented(region),
        (_, RegionState::NoSmtp) => return no_endpoint(Reason::RegionHasNoSmtpEndpoint, region, settings),
        (None, RegionState::Unknown) => return no_endpoint(Reason::RegionUnknown, region, settings),
    };
    let endpoint = match asked.host {
        Some(host) if host == base.host => base,
        Some(host) if is_aws_host(&host, region) => SmtpEndpoint::with_host(host),
        Some(host) => return host_not_allowed(&host, region, &base),
        None => base,
    };
    let port = port(asked.port, &endpoint)?;
    Ok((endpoint.host, port))
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
            let message =
                format!("spec.endpoint.port {asked} is not allowed: {} listens on {allowed}", endpoint.host);
            invalid(Reason::NotAllowed, message)
        }
    }
}

fn policy(spec: &SesSmtpCredentialSpec) -> Result<Policy, Invalid> {
    let addresses = spec.policy.as_ref().map(|policy| policy.from_addresses.as_slice()).unwrap_or_default();
    if addresses.len() > MAX_ADDRESSES {
        let message =
            format!("spec.policy.fromAddresses has {} entries, {MAX_ADDRESSES} are allowed", addresses.len());
        return invalid(Reason::InvalidSpec, message);
    }
    let senders: Result<Vec<Sender>, Invalid> = addresses.iter().map(|text| sender(text)).collect();
    let policy = Policy::new(&senders?);
    match policy.excess() {
        None => Ok(policy),
        Some(size) => invalid(
            Reason::PolicyTooLarge,
            format!(
                "the policy for spec.policy.fromAddresses has {size} characters, IAM allows {MAX_POLICY}: \
                 list fewer or shorter addresses, or use *@domain"
            ),
        ),
    }
}

fn sender(text: &str) -> Result<Sender, Invalid> {
    Sender::parse(text).map_or_else(
        || {
            let shown: String = text.chars().take(80).collect();
            let forms = "user@domain, *@domain, *@*.domain or *";
            invalid(
                Reason::InvalidSpec,
                format!("spec.policy.fromAddresses {shown:?} is not of the form {forms}"),
            )
        },
        Ok,
    )
}

/// Labels or annotations that the API server will take: found out before a key is made, not after.
fn metadata(
    field: &str,
    map: BTreeMap<String, String>,
    is_value: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, String>, Invalid> {
    let bad = map.iter().find(|(key, value)| !is_qualified(key) || is_reserved(key) || !is_value(value));
    match bad {
        None => Ok(map),
        Some((key, _)) => invalid(
            Reason::InvalidSpec,
            format!("spec.secret.{field}: the key {key:?} or its value is not valid, or the key is reserved"),
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
    let is_prefix = |prefix: &str| {
        (1..=253).contains(&prefix.len())
            && prefix.split('.').all(|label| {
                !label.is_empty()
                    && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            })
    };
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_prefix)
}

fn is_label_value(value: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= MAX_LABEL
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && edge(value.chars().next())
        && edge(value.chars().last())
}
