//! What a custom resource asks for, parsed once into types that can't be wrong.
//!
//! Owns every rule on a spec that admission can't check, and the messages when one is broken. Reads
//! spec, metadata and settings; never the status.

mod checks;

pub use checks::{is_namespace, is_subdomain};
mod policy;
mod rotation;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::api::{DeletionPolicy, SesSmtpCredential, SesSmtpCredentialSpec};
use crate::endpoint::Endpoints;
use crate::iam::UserSpec;
use crate::identity::{Installation, Owner, tags_hash};
use crate::key::KeyId;
use crate::layout::{Layout, Rendering};
use crate::names::{AWS_ACCOUNT, LABEL_CREDENTIAL, LABEL_MANAGED_BY, MANAGER};
use crate::password::digest;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::record::Record;
use crate::region::{RegionName, RegionTable};
use crate::source::Source;
use crate::tenancy::{Allowed, Home, Role, Tenancy, Terms};
use crate::time::Durations;

pub use rotation::{Rotation, durations};

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
    /// How many times shorter than in the spec durations are; 1 but in suites.
    pub time_scale: f64,
    /// What a login has to do with being ready.
    pub verify_login: VerifyLogin,
    /// What may be asked for, in every namespace.
    pub allowed: Allowed,
}

impl Settings {
    /// The settings in force in a home: another account's are those of an installation there, and a
    /// Namespace may have an install id of its own.
    fn at(&self, home: &Home, tenancy: &Tenancy) -> Cow<'_, Self> {
        let own = &self.installation;
        let same = own.account == home.account && own.partition == home.partition;
        let installed = tenancy.installed(own);
        if same && matches!(installed, Cow::Borrowed(_)) {
            return Cow::Borrowed(self);
        }
        let Home { account, partition, .. } = home.clone();
        let installation = Installation { account, partition, ..installed.into_owned() };
        Cow::Owned(Self { installation, ..self.clone() })
    }
}

/// What a login has to do with being ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyLogin {
    /// A key is tried out; where nobody can be asked, it is trusted after a while.
    #[default]
    Auto,
    /// No key is trusted before it has logged in.
    Required,
    /// No key is tried out.
    Off,
}

/// What is to be done for an object.
#[derive(Clone, Debug)]
pub enum Goal {
    /// Keep a credential.
    Serve(Box<Desired>),
    /// Keep a credential that is derived from somebody else's access key.
    Derive(Box<Derived>),
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
    /// True if it has no such user: its key is somebody else's.
    pub derives: bool,
    /// What deletion means.
    pub deletion: DeletionPolicy,
    /// Name of its Secret.
    pub secret_name: String,
    /// Account that its namespace works in.
    pub account: String,
    /// The role by which that account is reached; `None`: the operator's own credentials.
    pub role: Option<Role>,
    /// Protocol durations in force.
    pub durations: Durations,
}

/// A credential as it should be.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Who it is.
    pub identity: Identity,
    /// Where it is used.
    pub endpoints: Endpoints,
    /// What belongs in the Secret's data.
    pub layout: Layout,
    /// The user's policy.
    pub policy: Policy,
    /// What mail SES will refuse because of the policy although its author may expect it to pass; empty if none.
    pub caution: String,
    /// When the key is replaced without being broken.
    pub rotation: Rotation,
    /// Keys that must not stay usable.
    pub revoked: BTreeSet<KeyId>,
    /// What a login has to do with being ready.
    pub verify_login: VerifyLogin,
    /// Labels of the Secret that the spec adds.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Secret that the spec adds.
    pub annotations: BTreeMap<String, String>,
}

/// A credential as it should be whose access key is somebody else's.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The credential. Its policy and rotation are nobody's.
    pub desired: Desired,
    /// Where the key is.
    pub source: Source,
}

impl Goal {
    /// What `object` asks for under `settings`, in a namespace of which `tenancy` is said.
    pub fn of(object: &SesSmtpCredential, settings: &Settings, tenancy: &Tenancy) -> Self {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        // A derived credential is of whatever account its key is; nothing is done there.
        let derives = object.spec.access_key_from.is_some();
        let home = if derives { Ok(Home::own(settings)) } else { tenancy.home(namespace, settings) };
        match home {
            Ok(home) => Self::at_home(object, &settings.at(&home, tenancy), home.role, tenancy),
            Err(invalid) => Self::homeless(object, settings, tenancy, invalid),
        }
    }

    fn at_home(
        object: &SesSmtpCredential,
        settings: &Settings,
        role: Option<Role>,
        tenancy: &Tenancy,
    ) -> Self {
        let identity = Identity::of(object, settings, role);
        if object.metadata.deletion_timestamp.is_some() {
            return Self::Teardown(Box::new(identity));
        }
        if object.spec.suspend {
            return Self::Suspended(Box::new(identity));
        }
        let terms = tenancy.terms(&identity.owner.namespace, &settings.allowed);
        terms
            .and_then(|terms| Self::parse(&object.spec, identity.clone(), settings, &terms))
            .unwrap_or_else(|invalid| Self::Invalid(Box::new(identity), invalid))
    }

    fn parse(
        spec: &SesSmtpCredentialSpec,
        identity: Identity,
        settings: &Settings,
        terms: &Terms,
    ) -> Result<Self, Invalid> {
        checks::names(spec)?;
        let source = checks::source(spec, &identity)?;
        let desired = Desired::parse(spec, identity, settings, terms)?;
        Ok(match source {
            None => Self::Serve(Box::new(desired)),
            Some(source) => Self::Derive(Box::new(Derived { desired, source })),
        })
    }

    /// The credential that is to be kept, if one is.
    pub fn desired(&self) -> Option<&Desired> {
        match self {
            Self::Serve(desired) => Some(desired),
            Self::Derive(derived) => Some(&derived.desired),
            Self::Suspended(_) | Self::Teardown(_) | Self::Invalid(..) => None,
        }
    }

    /// Nobody knows in which account to work: not even a deletion can go on. The user is told of where
    /// the object says that it is.
    fn homeless(
        object: &SesSmtpCredential,
        settings: &Settings,
        tenancy: &Tenancy,
        invalid: Invalid,
    ) -> Self {
        let own = Home::own(settings);
        let recorded = object.metadata.annotations.as_ref().and_then(|all| all.get(AWS_ACCOUNT));
        let home = Home { account: recorded.cloned().unwrap_or(own.account), ..own };
        let identity = Box::new(Identity::of(object, &settings.at(&home, tenancy), None));
        if object.spec.suspend && object.metadata.deletion_timestamp.is_none() {
            return Self::Suspended(identity);
        }
        Self::Invalid(identity, invalid)
    }

    /// Who the credential is.
    pub fn identity(&self) -> &Identity {
        match self {
            Self::Serve(desired) => &desired.identity,
            Self::Derive(derived) => &derived.desired.identity,
            Self::Suspended(identity) | Self::Teardown(identity) | Self::Invalid(identity, _) => identity,
        }
    }
}

impl Identity {
    fn of(object: &SesSmtpCredential, settings: &Settings, role: Option<Role>) -> Self {
        let meta = &object.metadata;
        let owner = Owner {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        };
        let deletion = object.spec.deletion_policy;
        let user = settings.installation.user(&owner, deletion);
        Self {
            secret_name: secret_name(object).to_owned(),
            derives: object.spec.access_key_from.is_some(),
            user_arn: settings.installation.user_arn(&user),
            tags_hash: tags_hash(&user.tags),
            account: settings.installation.account.clone(),
            role,
            durations: rotation::durations(object.spec.rotation.as_ref(), settings),
            owner,
            user,
            deletion,
        }
    }

    /// Namespace and name of the Secret, for messages.
    pub fn secret_path(&self) -> String {
        format!("{}/{}", self.owner.namespace, self.secret_name)
    }

    /// The labels that every Secret of ours carries.
    pub fn own_labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (LABEL_MANAGED_BY.to_owned(), MANAGER.to_owned()),
            (LABEL_CREDENTIAL.to_owned(), credential_label(&self.owner.name)),
        ])
    }
}

/// Name of the Secret that `object` asks for.
pub fn secret_name(object: &SesSmtpCredential) -> &str {
    let named = object.spec.secret.as_ref().and_then(|secret| secret.name.as_deref());
    // What is no name is never asked for, not even to take leave of it.
    let named = named.filter(|name| checks::is_subdomain(name));
    named.or(object.metadata.name.as_deref()).unwrap_or_default()
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
    fn parse(
        spec: &SesSmtpCredentialSpec,
        identity: Identity,
        settings: &Settings,
        terms: &Terms,
    ) -> Result<Self, Invalid> {
        let endpoints = checks::endpoints(spec, settings)?;
        terms.allow_regions(spec, &endpoints)?;
        let secret = spec.secret.clone().unwrap_or_default();
        let rotation = spec.rotation.clone().unwrap_or_default();
        Ok(Self {
            rotation: Rotation::parse(&rotation, &identity.owner.uid, settings)?,
            revoked: spec.revoked_keys.iter().filter_map(|id| KeyId::parse(id)).collect(),
            verify_login: settings.verify_login,
            policy: policy::parse(spec, &endpoints, settings, terms)?,
            caution: policy::caution(spec),
            layout: checks::layout(spec, &endpoints)?,
            labels: checks::metadata("labels", secret.labels, checks::is_label_value)?,
            annotations: checks::metadata("annotations", secret.annotations, |_| true)?,
            identity,
            endpoints,
        })
    }

    /// The Secret's data for a key, but for the passwords.
    pub fn rendering(&self, key: &KeyId) -> Rendering {
        self.layout.render(key)
    }

    /// What can be written with the passwords that `record` knows: the layout without the data keys that
    /// need the password of another Region.
    pub fn layout_for(&self, record: &Record) -> Layout {
        let lacks = |region: &str| !record.password_digests.contains_key(region);
        self.layout.without(lacks)
    }

    /// Of the passwords' digests in `record` those of these Regions, and of the further forms in which the
    /// layout asks for one, as far as they are recorded.
    pub fn digests_in(&self, record: &Record, is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
        let forms = self.layout.digest_names(&is_wanted);
        let mut digests = record.password_digests.clone();
        digests.retain(|name, _| is_wanted(name) || forms.contains(name));
        digests
    }

    /// The same of all wanted Regions; `None` if one is missing.
    pub fn all_digests_in(&self, record: &Record) -> Option<BTreeMap<String, String>> {
        let recorded = |region: &RegionName| record.password_digests.contains_key(region.as_str());
        let wanted = |name: &str| self.endpoints.regions().any(|region| region.as_str() == name);
        self.endpoints.regions().all(recorded).then(|| self.digests_in(record, wanted))
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
