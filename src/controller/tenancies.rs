//! What the annotations of Namespaces say, by name.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ses_smtp_core::desired::Settings;
use ses_smtp_core::tenancy::{Place, Tenancy, places};

use super::cache::is_newer;
use super::lock::lock;

/// A word of a Namespace, and its version.
type Said = (String, Tenancy);

/// Every Namespace there is, from the watch and from live reads: whichever is newer.
#[derive(Default)]
pub struct Tenancies(Mutex<BTreeMap<String, Said>>);

impl Tenancies {
    /// What a Namespace says; `None` if nobody has told of it yet.
    pub fn get(&self, namespace: &str) -> Option<Tenancy> {
        lock(&self.0).get(namespace).map(|(_, tenancy)| tenancy.clone())
    }

    /// Takes what a Namespace's metadata say, unless newer ones are known. True if it says something else
    /// than before; of one that is told of for the first time nothing was known before.
    pub fn put(&self, metadata: &ObjectMeta) -> bool {
        let name = metadata.name.clone().unwrap_or_default();
        let version = metadata.resource_version.clone().unwrap_or_default();
        let tenancy = metadata.annotations.as_ref().map(Tenancy::of).unwrap_or_default();
        let mut map = lock(&self.0);
        match map.get(&name) {
            Some((known, _)) if !is_newer(&version, known) => false,
            before => {
                let changed = before.is_some_and(|(_, said)| *said != tenancy);
                map.insert(name, (version, tenancy));
                changed
            }
        }
    }

    /// The Namespace is gone.
    pub fn remove(&self, namespace: &str) {
        lock(&self.0).remove(namespace);
    }

    /// Removes every Namespace that a whole list doesn't show.
    pub fn retain(&self, listed: &HashSet<String>) {
        lock(&self.0).retain(|name, _| listed.contains(name));
    }

    /// Every account in use.
    pub fn places(&self, settings: &Settings) -> Vec<Place> {
        let map = lock(&self.0);
        places(settings, map.iter().map(|(name, (_, tenancy))| (name, tenancy)))
    }
}

#[cfg(test)]
mod tests {
    use ses_smtp_core::names::ALLOWED_REGIONS;

    use super::*;

    fn metadata(version: &str, regions: Option<&str>) -> ObjectMeta {
        let said = |value: &str| BTreeMap::from([(ALLOWED_REGIONS.to_owned(), value.to_owned())]);
        ObjectMeta {
            name: Some("shop".into()),
            resource_version: Some(version.into()),
            annotations: regions.map(said),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn tells_changes_and_takes_no_old_word_for_a_new_one() {
        let tenancies = Tenancies::default();
        assert_eq!(tenancies.get("shop"), None);
        assert!(!tenancies.put(&metadata("9", Some("eu-central-1"))), "the first word is no change");
        assert!(!tenancies.put(&metadata("10", Some("eu-central-1"))), "an edit of something else");
        assert!(tenancies.put(&metadata("11", None)));
        assert!(!tenancies.put(&metadata("10", Some("eu-central-1"))));
        assert_eq!(tenancies.get("shop"), Some(Tenancy::default()));
        tenancies.retain(&HashSet::new());
        assert_eq!(tenancies.get("shop"), None);
    }
}
