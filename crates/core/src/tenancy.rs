//! What an admin lets a namespace do: Regions, senders, and the AWS account that its users live in.
//!
//! The operator's settings say what holds everywhere, annotations on a Namespace what holds in it. An
//! annotation only narrows, and one that can't be read lets nothing through. No object can ask for a
//! role: which namespace works in which account is the admin's to say.

mod entry;
mod role;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

use crate::api::SesSmtpCredentialSpec;
use crate::desired::{Invalid, Settings};
use crate::endpoint::Endpoints;
use crate::identity::Installation;
use crate::names::{ALLOWED_FROM_ADDRESSES, ALLOWED_REGIONS, ROLE_ARN};
use crate::policy::Address;
use crate::reason::Reason;
use crate::region::RegionName;

pub use entry::{Entry, Unlisted, common, list};
pub use role::{Home, Place, Role, RoleArn, places};

/// Characters of a wrong value that a message shows.
const SHOWN: usize = 100;
/// Ends each message about an annotation.
const REPAIR: &str = "an admin has to correct or remove the annotation";

/// What the operator's admin allows in every namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Regions; `None`: all.
    pub regions: Option<Vec<RegionName>>,
    /// Senders; `None`: all.
    pub senders: Option<Vec<Address>>,
    /// Roles that a namespace's annotation may name.
    pub roles: Vec<RoleArn>,
}

/// What one Namespace says: by its annotations, as written, and by its UID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenancy {
    /// Regions that its objects may use.
    pub regions: Option<String>,
    /// Senders that its objects may have.
    pub senders: Option<String>,
    /// The role by which its users are made.
    pub role: Option<String>,
    /// Install id of its users, where each Namespace has one of its own; `None`: the installation's.
    pub install_id: Option<String>,
}

/// A limit, and what to call its source.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound<T> {
    entries: Vec<T>,
    source: String,
}

/// What the objects of a namespace may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    regions: Option<Bound<RegionName>>,
    senders: Option<Bound<Address>>,
}

impl Tenancy {
    /// What a Namespace with these annotations says.
    pub fn of(annotations: &BTreeMap<String, String>) -> Self {
        let said = |key: &str| annotations.get(key).cloned();
        Self {
            regions: said(ALLOWED_REGIONS),
            senders: said(ALLOWED_FROM_ADDRESSES),
            role: said(ROLE_ARN),
            install_id: None,
        }
    }

    /// The installation as it is in this namespace.
    pub fn installed<'a>(&self, own: &'a Installation) -> Cow<'a, Installation> {
        match &self.install_id {
            None => Cow::Borrowed(own),
            Some(id) => Cow::Owned(Installation { install_id: id.clone(), ..own.clone() }),
        }
    }

    /// What objects of `namespace` may ask for: what both the operator and the namespace allow.
    /// [`Reason::NotAllowed`] if an annotation can't be read, or leaves nothing.
    pub fn terms(&self, namespace: &str, allowed: &Allowed) -> Result<Terms, Invalid> {
        let regions = said(namespace, ALLOWED_REGIONS, self.regions.as_deref())?;
        let senders = said(namespace, ALLOWED_FROM_ADDRESSES, self.senders.as_deref())?;
        Ok(Terms {
            regions: bound(regions, allowed.regions.as_deref(), "--allowed-regions")?,
            senders: bound(senders, allowed.senders.as_deref(), "--allowed-from-addresses")?,
        })
    }

    /// The account that users of `namespace` live in. [`Reason::NotAllowed`] if the annotation names no
    /// role, or one that the operator isn't set to assume; [`Reason::PartitionMismatch`] if it can't be
    /// assumed from the operator's partition.
    pub fn home(&self, namespace: &str, settings: &Settings) -> Result<Home, Invalid> {
        let own = Home::own(settings);
        let Some(text) = self.role.as_deref() else { return Ok(own) };
        let wrong = |reason, why: &str| {
            let message = format!("{}: {:?} {why}: {REPAIR}", annotation(ROLE_ARN, namespace), shown(text));
            Invalid { reason, message }
        };
        let role = RoleArn::parse(text.trim()).ok_or_else(|| wrong(Reason::NotAllowed, RoleArn::FORM))?;
        if !settings.allowed.roles.contains(&role) {
            return Err(wrong(Reason::NotAllowed, "is not one of the operator's --allowed-roles"));
        }
        if role.partition != own.partition {
            let why = format!(
                "is in partition {}, the operator's account in {}, and roles don't cross partitions",
                role.partition, own.partition
            );
            return Err(wrong(Reason::PartitionMismatch, &why));
        }
        Ok(Home::by_role(&role, namespace, &self.installed(&settings.installation)))
    }
}

/// The annotation's list, and what to call it.
fn said<T: Entry>(namespace: &str, key: &str, text: Option<&str>) -> Result<Option<Bound<T>>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    let source = annotation(key, namespace);
    match list(text) {
        Ok(entries) => Ok(Some(Bound { entries, source })),
        Err(unlisted) => Err(not_allowed(format!("{source}: {unlisted}: {REPAIR}"))),
    }
}

/// What the namespace and the operator allow both.
fn bound<T: Entry>(
    said: Option<Bound<T>>,
    allowed: Option<&[T]>,
    flag: &str,
) -> Result<Option<Bound<T>>, Invalid> {
    let own = format!("the operator's {flag}");
    match (said, allowed) {
        (said, None) => Ok(said),
        (None, Some(allowed)) => Ok(Some(Bound { entries: allowed.to_vec(), source: own })),
        (Some(said), Some(allowed)) => {
            let entries = common(&said.entries, allowed);
            if entries.is_empty() {
                let (source, allowed) = (said.source, joined(allowed));
                let message = format!(
                    "{source}: {own} allows nothing of it, only {allowed}: an admin has to correct it"
                );
                return Err(not_allowed(message));
            }
            Ok(Some(Bound { entries, source: format!("{} and {own}", said.source) }))
        }
    }
}

impl Terms {
    /// Every Region that the spec asks for is allowed.
    pub fn allow_regions(&self, spec: &SesSmtpCredentialSpec, endpoints: &Endpoints) -> Result<(), Invalid> {
        let Some(bound) = &self.regions else { return Ok(()) };
        let Some(region) = endpoints.regions().find(|region| !bound.covers(region)) else { return Ok(()) };
        let primary = region.as_str() == spec.region;
        let field = if primary { "spec.region" } else { "spec.additionalRegions" };
        Err(bound.refused(&format!("{field} {region}")))
    }

    /// The senders of a policy for a spec that asks for `asked`: those, or all that are allowed if it
    /// asks for none; empty for a policy without that limit.
    pub fn senders(&self, asked: Vec<Address>) -> Result<Vec<Address>, Invalid> {
        let Some(bound) = &self.senders else { return Ok(asked) };
        if asked.is_empty() {
            return Ok(bound.entries.clone());
        }
        match asked.iter().find(|sender| !bound.covers(sender)) {
            None => Ok(asked),
            Some(sender) => Err(bound.refused(&format!("spec.policy.fromAddresses {sender}"))),
        }
    }

    /// Where the senders of a spec without any come from, to go after the field's size in a message.
    pub fn inherited(&self) -> String {
        let source = self.senders.as_ref().map(|bound| format!("; inherited from {}", bound.source));
        source.unwrap_or_default()
    }
}

impl<T: Entry> Bound<T> {
    fn covers(&self, asked: &T) -> bool {
        self.entries.iter().any(|entry| entry.covers(asked))
    }

    fn refused(&self, what: &str) -> Invalid {
        let (source, allowed) = (&self.source, joined(&self.entries));
        not_allowed(format!("{what} is not allowed by {source}: allowed are {allowed}"))
    }
}

fn not_allowed(message: String) -> Invalid {
    Invalid { reason: Reason::NotAllowed, message }
}

fn annotation(key: &str, namespace: &str) -> String {
    format!("annotation {key} of namespace {namespace}")
}

fn joined<T: Display>(entries: &[T]) -> String {
    entries.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// The beginning of a value.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
