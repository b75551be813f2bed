//! Namespaces of the list that can't be served for now, and what is missing: told by log and `/readyz`.
//!
//! Owns what is said of it. Nothing depends on it: whoever fails tries again by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Mutex;

use super::lock::lock;
use crate::process::Readiness;

/// By namespace, the calls that don't succeed.
pub struct Unserved {
    missing: Mutex<BTreeMap<String, BTreeSet<&'static str>>>,
    readiness: Readiness,
}

impl Unserved {
    /// With nothing missing.
    pub fn new(readiness: Readiness) -> Self {
        Self { missing: Mutex::default(), readiness }
    }

    /// A call, such as `list secrets`, doesn't succeed in a namespace. Logged once.
    pub fn fails(&self, namespace: &str, call: &'static str, why: impl Display) {
        let mut missing = lock(&self.missing);
        if missing.entry(namespace.to_owned()).or_default().insert(call) {
            tracing::warn!(
                namespace,
                call,
                error = %why,
                "a namespace of --watch-namespaces isn't served: it has to exist, with the operator's Role and \
                 RoleBinding in it; tried again by itself"
            );
            self.readiness.set_lacking(line(&missing));
        }
    }

    /// The call succeeds.
    pub fn works(&self, namespace: &str, call: &'static str) {
        let mut missing = lock(&self.missing);
        let Some(calls) = missing.get_mut(namespace) else { return };
        if !calls.remove(call) {
            return;
        }
        if calls.is_empty() {
            missing.remove(namespace);
            tracing::info!(namespace, "a namespace is served from now on");
        }
        self.readiness.set_lacking(line(&missing));
    }
}

/// `namespaces not served: billing (get namespaces, list secrets), shop (list secrets)`, or nothing.
fn line(missing: &BTreeMap<String, BTreeSet<&'static str>>) -> String {
    let calls = |calls: &BTreeSet<&str>| calls.iter().copied().collect::<Vec<_>>().join(", ");
    let each: Vec<String> = missing.iter().map(|(name, of)| format!("{name} ({})", calls(of))).collect();
    if each.is_empty() { String::new() } else { format!("namespaces not served: {}\n", each.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing_where() {
        let unserved = Unserved::new(Readiness::waiting("nothing"));
        let said = || line(&lock(&unserved.missing));
        unserved.fails("shop", "list secrets", "no");
        unserved.fails("shop", "get namespaces", "no");
        unserved.fails("shop", "list secrets", "still no");
        unserved.fails("billing", "list secrets", "no");
        assert_eq!(
            said(),
            "namespaces not served: billing (list secrets), shop (get namespaces, list secrets)\n"
        );
        unserved.works("shop", "get namespaces");
        unserved.works("shop", "list secrets");
        unserved.works("other", "list secrets");
        assert_eq!(said(), "namespaces not served: billing (list secrets)\n");
        unserved.works("billing", "list secrets");
        assert_eq!(said(), "");
    }
}
