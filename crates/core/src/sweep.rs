//! What a look at the whole account means: users that drifted from their specs, and users whose
//! custom resource is gone.
//!
//! Pure, and cautious on purpose. What is found here is minutes old, so drift only raises suspicion
//! that a pass looks into; an orphan has to be seen twice, some time apart, before it is touched.

pub mod drift;
pub mod orphans;

use crate::identity::Installation;
use crate::inventory::UserRow;
use crate::names::{MANAGER, tag};

/// Which users a sweep may look at: another installation's are never its own, whatever their path.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The installation.
    pub installation: &'a Installation,
    /// Namespaces that are watched; `None`: all.
    pub namespaces: Option<&'a [String]>,
}

impl Scope<'_> {
    /// True if the user is this installation's, by path and by every tag that says so.
    pub fn holds(&self, user: &UserRow) -> bool {
        self.holds_but_for_install(user)
            && user.facts.tags.get(tag::INSTALL) == Some(&self.installation.install_id)
    }

    /// True if the user is of this cluster id, whatever its installation.
    pub fn holds_but_for_install(&self, user: &UserRow) -> bool {
        let tags = &user.facts.tags;
        let says = |key: &str, value: &str| tags.get(key).is_some_and(|found| found == value);
        let watched = |namespace: &String| self.namespaces.is_none_or(|watched| watched.contains(namespace));
        user.facts.path == self.installation.path()
            && says(tag::MANAGED_BY, MANAGER)
            && says(tag::CLUSTER, &self.installation.cluster_id)
            && tags.contains_key(tag::UID)
            && tags.get(tag::NAMESPACE).is_some_and(watched)
    }
}
