//! The target Secret: what is to be seen in it, and the objects that are written.
//!
//! [`SecretFacts`] is all that decisions learn of a Secret: its metadata, its record, and digests
//! of its values. The builders below turn a decision and the material that a pass holds into the
//! object that is sent.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference};
use k8s_openapi::jiff::Timestamp;

use crate::desired::{Desired, Identity};
use crate::key::KeyId;
use crate::layout::{self, Rendering, found::named_among};
use crate::names::{GROUP, LABEL_CREDENTIAL, LABEL_MANAGED_BY, MANAGER};
use crate::password::Passwords;
use crate::record::Record;
use crate::region::RegionName;

/// Kind of the custom resource, as in owner references.
const KIND: &str = "SesSmtpCredential";
/// API version of the custom resource, as in owner references.
const API_VERSION: &str = "ses-smtp.dev/v1alpha1";

/// Who controls a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Controller {
    /// Nobody.
    Nobody,
    /// A custom resource of ours with this name and UID.
    Credential {
        /// Name.
        name: String,
        /// UID.
        uid: String,
    },
    /// Some other object.
    Other {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
    },
}

/// What decisions know of a Secret. Nothing secret is in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFacts {
    /// Version, for conditional writes.
    pub resource_version: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// True if it is being deleted.
    pub deleting: bool,
    /// Who controls it.
    pub controller: Controller,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations but for the record.
    pub annotations: BTreeMap<String, String>,
    /// The record.
    pub record: Record,
    /// True if another manager wrote a data key or the `immutable` field, or removed a key of ours.
    pub touched: bool,
    /// What a live read shows beyond metadata.
    pub content: Option<Content>,
}

/// What a live read shows beyond metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// SHA-256 of each value; of one with passwords in it that the record knows, the digest with each
    /// replaced by its own.
    pub digests: BTreeMap<String, String>,
    /// Those of the recorded passwords' digests whose passwords stand somewhere in the data.
    pub held: BTreeSet<String>,
    /// The key id that the data name.
    pub names: Option<KeyId>,
    /// True if the data can't be changed.
    pub immutable: bool,
}

impl SecretFacts {
    /// Facts from metadata alone.
    pub fn of_metadata(meta: &ObjectMeta) -> Self {
        let (record, annotations) = split(meta.annotations.clone().unwrap_or_default());
        let record = Record::parse(&record);
        Self {
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            deleting: meta.deletion_timestamp.is_some(),
            controller: controller(meta),
            labels: meta.labels.clone().unwrap_or_default(),
            annotations,
            touched: is_touched(meta.managed_fields.as_deref().unwrap_or_default(), &record),
            record,
            content: None,
        }
    }

    /// Facts from a live read.
    pub fn of_secret(secret: &Secret) -> Self {
        let data = secret.data.clone().unwrap_or_default();
        let facts = Self::of_metadata(&secret.metadata);
        let (record, known) = (&facts.record, &facts.record.password_digests);
        let content = Content {
            digests: layout::digests(&data, known),
            held: layout::held(&data, known),
            names: named_among(&data, record.rendered_keys.as_deref(), record.key.as_ref()),
            immutable: secret.immutable.unwrap_or_default(),
        };
        Self { content: Some(content), ..facts }
    }

    /// The published key. Data that are exactly what was written name it best, for a record can be
    /// forged without touching them; else the record names it or, if that was stripped, the data.
    pub fn published(&self) -> Option<&KeyId> {
        let named = self.content.as_ref().and_then(|content| content.names.as_ref());
        if self.is_consistent() {
            named.or(self.record.key.as_ref())
        } else {
            self.record.key.as_ref().or(named)
        }
    }

    /// True if the object with this UID controls the Secret.
    pub fn is_controlled_by(&self, uid: &str) -> bool {
        matches!(&self.controller, Controller::Credential { uid: owner, .. } if owner == uid)
    }

    /// True if a live read showed exactly the data that the record says were written.
    pub fn is_consistent(&self) -> bool {
        let (Some(content), Some(keys)) = (&self.content, &self.record.rendered_keys) else { return false };
        let digests = keys.iter().filter_map(|key| content.digests.get_key_value(key));
        let written: BTreeMap<String, String> =
            digests.map(|(key, digest)| (key.clone(), digest.clone())).collect();
        written.len() == keys.len() && self.record.data_hash.as_deref() == Some(&layout::hash(&written))
    }

    /// True if the recorded password with this digest stands in the data. `None` without a live read.
    pub fn holds(&self, digest: &str) -> Option<bool> {
        Some(self.content.as_ref()?.held.contains(digest))
    }
}

fn split(annotations: BTreeMap<String, String>) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    annotations.into_iter().partition(|(key, _)| key.split('/').next() == Some(GROUP))
}

fn controller(meta: &ObjectMeta) -> Controller {
    let found = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    match found {
        None => Controller::Nobody,
        Some(owner) if owner.kind == KIND && owner.api_version.split('/').next() == Some(GROUP) => {
            Controller::Credential { name: owner.name.clone(), uid: owner.uid.clone() }
        }
        Some(owner) => Controller::Other { kind: owner.kind.clone(), name: owner.name.clone() },
    }
}

/// True if somebody else changed the content: an edit made while the operator was down shows in who
/// owns which field, without reading a single value. A changed key has another owner, and a removed
/// one has none.
fn is_touched(entries: &[ManagedFieldsEntry], record: &Record) -> bool {
    let (ours, others): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| entry.manager.as_deref() == Some(MANAGER));
    let owns = |entry: &&ManagedFieldsEntry, path: &[&str]| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        path.iter().fold(fields, |fields, name| fields?.get(name)).is_some()
    };
    let changed = |entry: &&ManagedFieldsEntry| owns(entry, &["f:data"]) || owns(entry, &["f:immutable"]);
    let kept = |key: &String| ours.iter().any(|entry| owns(entry, &["f:data", &format!("f:{key}")]));
    let removed = !entries.is_empty() && !record.rendered_keys.iter().flatten().all(kept);
    others.iter().any(changed) || removed
}

/// The owner reference that makes the Secret this object's.
fn owner_reference(identity: &Identity) -> OwnerReference {
    OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        name: identity.owner.name.clone(),
        uid: identity.owner.uid.clone(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// A Secret that doesn't exist yet. Without data it is a placeholder.
pub fn create(desired: &Desired, record: &Record, data: BTreeMap<String, ByteString>) -> Secret {
    let identity = &desired.identity;
    let mut annotations = desired.annotations.clone();
    put_record(&mut annotations, record);
    Secret {
        metadata: ObjectMeta {
            name: Some(identity.secret_name.clone()),
            namespace: Some(identity.owner.namespace.clone()),
            labels: Some(desired.all_labels()),
            annotations: Some(annotations),
            owner_references: Some(vec![owner_reference(identity)]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: (!data.is_empty()).then_some(data),
        ..Secret::default()
    }
}

/// Record and data as they are written once the passwords are in hand: the one place where data
/// with passwords are made. `None` if a password that they need is missing.
pub fn filled(
    rendering: &Rendering,
    record: &Record,
    passwords: &Passwords,
) -> Option<(Record, BTreeMap<String, ByteString>)> {
    let digests = rendering.recorded(passwords)?;
    let record = Record {
        data_hash: rendering.hash(&digests),
        rendered_keys: Some(rendering.keys()),
        password_digests: digests,
        ..record.clone()
    };
    Some((record, rendering.fill(passwords)?))
}

/// Record and data of `live` rendered again around the passwords that are found in them by their digests,
/// as far as `record` knows them.
pub fn rendered(
    desired: &Desired,
    record: &Record,
    live: &Secret,
) -> Option<(Record, BTreeMap<String, ByteString>)> {
    let known = |region: &&RegionName| record.password_digests.contains_key(region.as_str());
    let regions = desired.endpoints.regions().filter(known);
    let passwords = layout::recover_all(live.data.as_ref()?, &record.password_digests, regions)?;
    filled(&desired.layout_for(record).render(record.key.as_ref()?), record, &passwords)
}

/// The Secret `live` as it should be, keeping whatever others added to it. `data`, if given,
/// replaces the operator's keys. The result carries the version that was read (rule R2).
pub fn replace(
    live: &Secret,
    desired: &Desired,
    record: &Record,
    data: Option<BTreeMap<String, ByteString>>,
) -> Secret {
    let before = SecretFacts::of_metadata(&live.metadata).record;
    let mut secret = live.clone();
    secret.metadata.managed_fields = None;
    let labels = secret.metadata.labels.get_or_insert_default();
    exchange(labels, &before.rendered_labels, desired.all_labels());
    let annotations = secret.metadata.annotations.get_or_insert_default();
    exchange(annotations, &before.rendered_annotations, desired.annotations.clone());
    put_record(annotations, record);
    own(&mut secret.metadata, &desired.identity);
    if let Some(data) = data {
        exchange(secret.data.get_or_insert_default(), &before.rendered_keys.unwrap_or_default(), data);
    }
    secret
}

/// The Secret `live` without any tie to the operator: it stays when its object goes.
pub fn release(live: &Secret) -> Secret {
    let mut secret = live.clone();
    secret.metadata.managed_fields = None;
    let owners = secret.metadata.owner_references.get_or_insert_default();
    owners.retain(|owner| owner.kind != KIND || owner.api_version.split('/').next() != Some(GROUP));
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.remove(LABEL_MANAGED_BY);
    labels.remove(LABEL_CREDENTIAL);
    secret
}

/// Removes what was rendered before and puts what is rendered now.
fn exchange<V>(map: &mut BTreeMap<String, V>, before: &[String], now: BTreeMap<String, V>) {
    for key in before {
        map.remove(key);
    }
    map.extend(now);
}

fn put_record(annotations: &mut BTreeMap<String, String>, record: &Record) {
    for (name, value) in record.annotations() {
        match value {
            Some(value) => annotations.insert(name.to_owned(), value),
            None => annotations.remove(name),
        };
    }
}

fn own(meta: &mut ObjectMeta, identity: &Identity) {
    let owners = meta.owner_references.get_or_insert_default();
    if !owners.iter().any(|owner| owner.uid == identity.owner.uid && owner.controller == Some(true)) {
        owners.retain(|owner| owner.uid != identity.owner.uid);
        owners.push(owner_reference(identity));
    }
}

/// A merge patch of metadata that writes `record`, conditional on `version`. It brings our label back too, if
/// somebody took it off: an admission policy takes no Secret without it from the operator.
pub fn record_patch(record: &Record, version: &str) -> serde_json::Value {
    serde_json::json!({ "metadata": {
        "resourceVersion": version,
        "labels": { LABEL_MANAGED_BY: MANAGER },
        "annotations": record.annotations(),
    } })
}
