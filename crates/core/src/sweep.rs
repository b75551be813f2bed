//! What a look at the whole account means: users that drifted from their specs, and users whose
//! custom resource is gone.
//!
//! Pure, and cautious on purpose. What is found here is minutes old, so drift only raises suspicion
//! that a pass looks into; an orphan has to be seen twice, some time apart, before it is touched.

pub mod drift;
pub mod orphans;

use std::collections::BTreeMap;

use crate::identity::Installation;
use crate::inventory::UserRow;
use crate::names::{MANAGER, tag};

/// Which users a sweep may look at: another installation's are never its own, whatever their path.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The installation.
    pub installation: &'a Installation,
    /// Namespaces whose users are looked at, and the install id of each one's users; `None`: all
    /// namespaces, by the installation's own id.
    pub namespaces: Option<&'a BTreeMap<String, String>>,
}

impl Scope<'_> {
    /// True if the user is this installation's, by path and by every tag that says so.
    pub fn holds(&self, user: &UserRow) -> bool {
        let namespace = user.facts.tags.get(tag::NAMESPACE);
        let install = match self.namespaces {
            None => Some(&self.installation.install_id),
            Some(watched) => namespace.and_then(|namespace| watched.get(namespace)),
        };
        self.holds_but_for_install(user) && install.is_some() && user.facts.tags.get(tag::INSTALL) == install
    }

    /// True if the user is of this cluster id, whatever its installation.
    pub fn holds_but_for_install(&self, user: &UserRow) -> bool {
        let tags = &user.facts.tags;
        let says = |key: &str, value: &str| tags.get(key).is_some_and(|found| found == value);
        let watched =
            |namespace: &String| self.namespaces.is_none_or(|watched| watched.contains_key(namespace));
        user.facts.path == self.installation.path()
            && says(tag::MANAGED_BY, MANAGER)
            && says(tag::CLUSTER, &self.installation.cluster_id)
            && tags.contains_key(tag::UID)
            && tags.get(tag::NAMESPACE).is_some_and(watched)
    }
}
