//! What the metadata of our Secrets say, by namespace and name.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use ses_smtp_core::desired::{Goal, Identity};
use ses_smtp_core::secret::SecretFacts;

use super::lock::lock;

/// Namespace and name.
pub type Key = (String, String);

/// Where a credential's Secret is.
pub fn key_of(identity: &Identity) -> Key {
    (identity.owner.namespace.clone(), identity.secret_name.clone())
}

/// Facts from the watch, overlaid with the replies to our own reads and writes: whichever is newer. Without a
/// watch they are as old as the last pass.
#[derive(Default)]
pub struct SecretCache(Mutex<HashMap<Key, SecretFacts>>);

impl SecretCache {
    /// What is known of a Secret.
    pub fn get(&self, key: &Key) -> Option<SecretFacts> {
        lock(&self.0).get(key).cloned()
    }

    /// Looks at what is known of a Secret, without a copy.
    pub fn look<T>(&self, key: &Key, look: impl FnOnce(&SecretFacts) -> T) -> Option<T> {
        lock(&self.0).get(key).map(look)
    }

    /// Takes facts unless newer ones are known. False if nothing changed.
    pub fn put(&self, key: Key, facts: SecretFacts) -> bool {
        let mut map = lock(&self.0);
        let known = map.get(&key);
        if known.is_some_and(|known| !is_newer(&facts.resource_version, &known.resource_version)) {
            return false;
        }
        map.insert(key, SecretFacts { content: None, ..facts });
        true
    }

    /// The Secret is gone.
    pub fn remove(&self, key: &Key) {
        lock(&self.0).remove(key);
    }

    /// Removes every Secret that a whole list doesn't show, and returns their keys.
    pub fn retain(&self, listed: &HashSet<Key>) -> Vec<Key> {
        let mut map = lock(&self.0);
        let gone: Vec<Key> = map.keys().filter(|key| !listed.contains(*key)).cloned().collect();
        for key in &gone {
            map.remove(key);
        }
        gone
    }
}

/// The versions of the Secrets that may be used as sources, from the watch.
#[derive(Default)]
pub struct SourceCache(Mutex<HashMap<Key, String>>);

impl SourceCache {
    /// The version of a Secret whose owner consents.
    pub fn get(&self, key: &Key) -> Option<String> {
        lock(&self.0).get(key).cloned()
    }

    /// Takes a version. False if nothing changed.
    pub fn put(&self, key: Key, version: String) -> bool {
        lock(&self.0).insert(key, version.clone()) != Some(version)
    }

    /// The Secret is gone, or may no longer be used.
    pub fn remove(&self, key: &Key) {
        lock(&self.0).remove(key);
    }

    /// Removes every Secret that a whole list doesn't show, and returns their keys.
    pub fn retain(&self, listed: &HashSet<Key>) -> Vec<Key> {
        let mut map = lock(&self.0);
        map.extract_if(|key, _| !listed.contains(key)).map(|(key, _)| key).collect()
    }
}

/// Where a credential's access key comes from, if that is somebody else's.
pub fn source_of(goal: &Goal) -> Option<Key> {
    let Goal::Derive(derived) = goal else { return None };
    Some((derived.desired.identity.owner.namespace.clone(), derived.source.name.clone()))
}

/// Versions of one resource are comparable numbers in Kubernetes; should one be none, the later
/// word counts.
pub fn is_newer(new: &str, old: &str) -> bool {
    match (new.parse::<u64>(), old.parse::<u64>()) {
        (Ok(new), Ok(old)) => new > old,
        _ => new != old,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn facts(version: &str) -> SecretFacts {
        SecretFacts::of_metadata(&ObjectMeta {
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        })
    }

    #[test]
    fn an_old_word_never_replaces_a_newer_one() {
        let (cache, key) = (SecretCache::default(), ("shop".to_owned(), "mailer".to_owned()));
        assert!(cache.put(key.clone(), facts("9")));
        assert!(cache.put(key.clone(), facts("10")));
        assert!(!cache.put(key.clone(), facts("9")));
        assert!(!cache.put(key.clone(), facts("10")));
        assert_eq!(cache.get(&key).unwrap().resource_version, "10");
        assert_eq!(cache.retain(&HashSet::new()).len(), 1);
        assert!(cache.get(&key).is_none());
    }
}
