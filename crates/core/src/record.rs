//! What the target Secret's annotations say about the credential: parsed and written here only.
//!
//! The Secret is the record of truth. Anybody who may edit it can strip or forge the record, so a
//! field that is missing or malformed is told apart from one that says "none".

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use crate::key::KeyId;
use crate::names::record as name;
use crate::time::seconds;

/// A key that was published before the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its id.
    pub key: KeyId,
    /// When the present key took its place.
    pub superseded_at: Timestamp,
    /// When it was made Inactive.
    pub deactivated_at: Option<Timestamp>,
}

impl Previous {
    /// A key that has been superseded only now, whatever is known of it otherwise.
    pub fn as_of(now: Timestamp, key: &KeyId) -> Self {
        Self { key: key.clone(), superseded_at: seconds(now), deactivated_at: None }
    }
}

/// The record, as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// UID of the custom resource.
    pub uid: Option<String>,
    /// IAM user name.
    pub user_name: Option<String>,
    /// The published key.
    pub key: Option<KeyId>,
    /// When it was issued.
    pub issued_at: Option<Timestamp>,
    /// The key before it: `None` if the record doesn't say, `Some(None)` if it says there is none.
    pub previous: Option<Option<Previous>>,
    /// Nonce of an attempt.
    pub attempt: Option<String>,
    /// Keys found while no Secret named any.
    pub found_keys: Vec<KeyId>,
    /// The spec's trigger when the key was issued; empty if it had none.
    pub rotation_trigger: Option<String>,
    /// When the quarantine was first seen that the published key answers, until it is lifted.
    pub quarantined_at: Option<Timestamp>,
    /// SHA-256 of the inline policy in force.
    pub policy_hash: Option<String>,
    /// SHA-256 of the user's tags in force.
    pub tags_hash: Option<String>,
    /// Permissions boundary in force; empty if none.
    pub boundary: Option<String>,
    /// Region to SHA-256 of its password.
    pub password_digests: BTreeMap<String, String>,
    /// Hash of the rendered data.
    pub data_hash: Option<String>,
    /// Data keys that the operator wrote.
    pub rendered_keys: Option<Vec<String>>,
    /// Name of the Secret that the key comes from, if it is not one of the operator's own.
    pub source: Option<String>,
    /// A person lets the object take the Secret over, if it has no owner. Gone once that is done.
    pub adopt: bool,
    /// Labels from the spec that the operator wrote.
    pub rendered_labels: Vec<String>,
    /// Annotations from the spec that the operator wrote.
    pub rendered_annotations: Vec<String>,
}

impl Record {
    /// Reads the record from a Secret's annotations.
    pub fn parse(annotations: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| annotations.get(name).map(String::as_str);
        let text = |name: &str| get(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let list = |name: &str| get(name).map(words);
        Self {
            uid: text(name::UID),
            user_name: text(name::USER_NAME),
            key: get(name::ACCESS_KEY_ID).and_then(KeyId::parse),
            issued_at: get(name::ISSUED_AT).and_then(time),
            previous: previous(&get),
            attempt: text(name::ATTEMPT),
            found_keys: get(name::FOUND_KEYS)
                .into_iter()
                .flat_map(words)
                .filter_map(|id| KeyId::parse(&id))
                .collect(),
            rotation_trigger: get(name::ROTATION_TRIGGER).map(str::to_owned),
            quarantined_at: get(name::QUARANTINED_AT).and_then(time),
            policy_hash: text(name::POLICY_HASH),
            tags_hash: text(name::TAGS_HASH),
            boundary: get(name::BOUNDARY).map(str::to_owned),
            password_digests: get(name::PASSWORD_DIGESTS).map(pairs).unwrap_or_default(),
            data_hash: text(name::DATA_HASH),
            rendered_keys: list(name::RENDERED_KEYS),
            source: text(name::SOURCE),
            adopt: get(name::ADOPT) == Some(name::YES),
            rendered_labels: list(name::RENDERED_LABELS).unwrap_or_default(),
            rendered_annotations: list(name::RENDERED_ANNOTATIONS).unwrap_or_default(),
        }
    }

    /// The annotations that hold the record; `None` for those that must not be there.
    pub fn annotations(&self) -> BTreeMap<&'static str, Option<String>> {
        let previous = self.previous.as_ref();
        let of_previous = |value: &dyn Fn(&Previous) -> String| {
            previous.map(|known| known.as_ref().map(value).unwrap_or_default())
        };
        BTreeMap::from([
            (name::UID, self.uid.clone()),
            (name::USER_NAME, self.user_name.clone()),
            (name::ACCESS_KEY_ID, self.key.as_ref().map(KeyId::to_string)),
            (name::ISSUED_AT, self.issued_at.map(|at| at.to_string())),
            (name::PREVIOUS, of_previous(&|previous| previous.key.to_string())),
            (name::SUPERSEDED_AT, of_previous(&|previous| previous.superseded_at.to_string())),
            (name::DEACTIVATED_AT, of_previous(&|previous| optional(previous.deactivated_at))),
            (name::ATTEMPT, self.attempt.clone()),
            (name::FOUND_KEYS, non_empty(join(self.found_keys.iter().map(KeyId::as_str)))),
            (name::ROTATION_TRIGGER, self.rotation_trigger.clone()),
            (name::QUARANTINED_AT, self.quarantined_at.map(|at| at.to_string())),
            (name::POLICY_HASH, self.policy_hash.clone()),
            (name::TAGS_HASH, self.tags_hash.clone()),
            (name::BOUNDARY, self.boundary.clone()),
            (name::PASSWORD_DIGESTS, non_empty(write_pairs(&self.password_digests))),
            (name::DATA_HASH, self.data_hash.clone()),
            (
                name::RENDERED_KEYS,
                self.rendered_keys.as_ref().map(|keys| join(keys.iter().map(String::as_str))),
            ),
            (name::SOURCE, self.source.clone()),
            (name::ADOPT, self.adopt.then(|| name::YES.to_owned())),
            (name::RENDERED_LABELS, non_empty(join(self.rendered_labels.iter().map(String::as_str)))),
            (
                name::RENDERED_ANNOTATIONS,
                non_empty(join(self.rendered_annotations.iter().map(String::as_str))),
            ),
        ])
    }

    /// True if every field of a published credential is there.
    pub fn is_complete(&self) -> bool {
        self.uid.is_some()
            && self.user_name.is_some()
            && self.key.is_some()
            && self.issued_at.is_some()
            && self.previous.is_some()
            && self.rotation_trigger.is_some()
            && self.policy_hash.is_some()
            && self.tags_hash.is_some()
            && self.boundary.is_some()
            && !self.password_digests.is_empty()
            && self.data_hash.is_some()
            && self.rendered_keys.is_some()
    }

    /// True if every field of a credential is there that was derived from somebody else's key.
    pub fn is_derivation(&self) -> bool {
        self.uid.is_some()
            && self.source.is_some()
            && self.key.is_some()
            && self.issued_at.is_some()
            && !self.password_digests.is_empty()
            && self.data_hash.is_some()
            && self.rendered_keys.is_some()
    }

    /// The previous key, if the record names one.
    pub fn previous_key(&self) -> Option<&Previous> {
        self.previous.as_ref()?.as_ref()
    }
}

fn previous<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Option<Option<Previous>> {
    let (key, superseded, deactivated) =
        (get(name::PREVIOUS)?, get(name::SUPERSEDED_AT)?, get(name::DEACTIVATED_AT)?);
    if key.is_empty() {
        return Some(None);
    }
    let deactivated_at = if deactivated.is_empty() { None } else { Some(time(deactivated)?) };
    Some(Some(Previous { key: KeyId::parse(key)?, superseded_at: time(superseded)?, deactivated_at }))
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn optional(time: Option<Timestamp>) -> String {
    time.map(|at| at.to_string()).unwrap_or_default()
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn words(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(",")
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |word: &String| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    words(text).iter().filter_map(pair).collect()
}

fn write_pairs(pairs: &BTreeMap<String, String>) -> String {
    let words: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test::{key, record, time};

    fn written(record: &Record) -> BTreeMap<String, String> {
        let present = |(name, value): (&str, Option<String>)| Some((name.to_owned(), value?));
        record.annotations().into_iter().filter_map(present).collect()
    }

    #[test]
    fn comes_back_as_written() {
        let with_previous = Record {
            previous: Some(Some(Previous {
                key: key(2),
                superseded_at: time(10),
                deactivated_at: Some(time(20)),
            })),
            attempt: Some("nonce".into()),
            found_keys: vec![key(3), key(4)],
            rendered_labels: vec!["team".into()],
            adopt: true,
            ..record(&key(1))
        };
        let derived = Record { source: Some("vault".into()), ..Record::default() };
        for record in [record(&key(1)), with_previous, derived, Record::default()] {
            assert_eq!(Record::parse(&written(&record)), record);
        }
    }

    #[test]
    fn tells_none_from_missing() {
        let mut annotations = written(&record(&key(1)));
        assert_eq!(Record::parse(&annotations).previous, Some(None));
        annotations.remove(name::PREVIOUS);
        assert_eq!(Record::parse(&annotations).previous, None);
        assert!(!Record::parse(&annotations).is_complete());
    }

    #[test]
    fn a_record_without_any_one_field_is_incomplete() {
        let annotations = written(&record(&key(1)));
        assert!(Record::parse(&annotations).is_complete());
        for name in annotations.keys() {
            let mut stripped = annotations.clone();
            stripped.remove(name);
            assert!(!Record::parse(&stripped).is_complete(), "{name}");
        }
    }

    #[test]
    fn a_derivation_without_any_one_of_its_fields_is_none() {
        let whole = Record { source: Some("vault".into()), ..record(&key(1)) };
        assert!(whole.is_derivation());
        let annotations = written(&whole);
        let needed = [
            name::UID,
            name::SOURCE,
            name::ACCESS_KEY_ID,
            name::ISSUED_AT,
            name::PASSWORD_DIGESTS,
            name::DATA_HASH,
            name::RENDERED_KEYS,
        ];
        for name in annotations.keys() {
            let mut stripped = annotations.clone();
            stripped.remove(name);
            let derivation = Record::parse(&stripped).is_derivation();
            assert_eq!(derivation, !needed.contains(&name.as_str()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn reads_any_text_without_failing(value in "\\PC{0,60}") {
            let annotations = written(&record(&key(1)));
            for name in annotations.keys() {
                let mut forged = annotations.clone();
                forged.insert(name.clone(), value.clone());
                let _ = Record::parse(&forged);
            }
        }
    }
}
