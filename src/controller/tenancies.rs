//! What Namespaces say by their annotations, and which install id their users have, by name.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ses_smtp_core::desired::Settings;
use ses_smtp_core::identity::install_id;
use ses_smtp_core::tenancy::{Place, Tenancy, places};

use super::cache::is_newer;
use super::lock::lock;

/// A word of a Namespace, and its version.
type Said = (String, Tenancy);

/// Every Namespace that is known, from the watch, from polls and from live reads: whichever is newer.
#[derive(Default)]
pub struct Tenancies {
    known: Mutex<BTreeMap<String, Said>>,
    /// True if each Namespace's own UID tells whose its users are.
    installs: bool,
}

impl Tenancies {
    /// With nothing known; `installs`: each Namespace's own UID tells whose its users are.
    pub fn new(installs: bool) -> Self {
        Self { installs, ..Self::default() }
    }

    /// What a Namespace says; `None` if nobody has told of it yet.
    pub fn get(&self, namespace: &str) -> Option<Tenancy> {
        lock(&self.known).get(namespace).map(|(_, tenancy)| tenancy.clone())
    }

    /// Takes what a Namespace's metadata say, unless newer ones are known. True if it says something else
    /// than before; of one that is told of for the first time nothing was known before.
    pub fn put(&self, metadata: &ObjectMeta) -> bool {
        let name = metadata.name.clone().unwrap_or_default();
        let version = metadata.resource_version.clone().unwrap_or_default();
        let tenancy = self.said(metadata);
        let mut map = lock(&self.known);
        match map.get(&name) {
            Some((known, _)) if !is_newer(&version, known) => false,
            before => {
                let changed = before.is_some_and(|(_, said)| *said != tenancy);
                map.insert(name, (version, tenancy));
                changed
            }
        }
    }

    fn said(&self, metadata: &ObjectMeta) -> Tenancy {
        let said = metadata.annotations.as_ref().map(Tenancy::of).unwrap_or_default();
        let uid = metadata.uid.as_ref().filter(|_| self.installs);
        Tenancy { install_id: uid.map(|uid| install_id(uid)), ..said }
    }

    /// The install ids of those Namespaces that have one of their own.
    pub fn installs(&self) -> BTreeMap<String, String> {
        let map = lock(&self.known);
        map.iter().filter_map(|(name, (_, said))| Some((name.clone(), said.install_id.clone()?))).collect()
    }

    /// The Namespace is gone.
    pub fn remove(&self, namespace: &str) {
        lock(&self.known).remove(namespace);
    }

    /// Removes every Namespace that a whole list doesn't show.
    pub fn retain(&self, listed: &HashSet<String>) {
        lock(&self.known).retain(|name, _| listed.contains(name));
    }

    /// Every account in use.
    pub fn places(&self, settings: &Settings) -> Vec<Place> {
        let map = lock(&self.known);
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

    #[test]
    fn a_namespace_made_again_has_another_install_id() {
        let made = |version: &str, uid: &str| ObjectMeta { uid: Some(uid.into()), ..metadata(version, None) };
        let (one, own) = (Tenancies::default(), Tenancies::new(true));
        for tenancies in [&one, &own] {
            tenancies.put(&made("9", "a"));
        }
        assert_eq!((one.installs().len(), one.get("shop")), (0, Some(Tenancy::default())));
        let before = own.installs();
        assert_eq!(before["shop"], install_id("a"));
        assert!(own.put(&made("10", "b")), "its objects have to know");
        assert_eq!(own.installs()["shop"], install_id("b"));
        assert_ne!(own.installs(), before);
    }
}
