//! The Secret that a derive-only object takes its access key from: what may be used of it, and what
//! is said when nothing may.
//!
//! The material goes to the caller's hands and nowhere else: facts hold the id of the key and digests,
//! problems the names of data keys, and no text repeats a value.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use zeroize::Zeroize as _;

use crate::desired::Derived;
use crate::key::KeyId;
use crate::names::{CONSENT, LABEL_SOURCE};
use crate::password::{Passwords, SecretAccessKey};
use crate::reason::Reason;

/// Data key that temporary credentials have beside the two others, in any case of letters.
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
/// Most names of data keys that a message lists.
const MAX_NAMES: usize = 10;

/// Where an access key is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name of the Secret, in the object's namespace.
    pub name: String,
    /// Data key of the access key id.
    pub id_key: String,
    /// Data key of the secret access key.
    pub secret_key: String,
}

/// A key that can be used. Nothing secret is in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    /// Where it was found.
    pub from: Source,
    /// Version of the Secret.
    pub version: String,
    /// The key's id.
    pub id: KeyId,
    /// Region to SHA-256 of the password for it.
    pub digests: BTreeMap<String, String>,
}

/// Why there is no key that can be used. Names data keys, and never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no such Secret.
    Missing,
    /// It lacks the label by which its owner agrees.
    Unlabelled,
    /// It lacks a data key.
    NoKey {
        /// The one.
        key: String,
        /// Those that it has.
        has: Vec<String>,
    },
    /// A data key holds nothing but white space.
    Blank {
        /// The data key.
        key: String,
    },
    /// A data key doesn't hold an access key id.
    NotAnId {
        /// The data key.
        key: String,
    },
    /// A data key doesn't hold a secret access key.
    NotASecret {
        /// The data key.
        key: String,
    },
    /// The credentials are temporary.
    Temporary {
        /// The data key that tells.
        key: String,
    },
}

impl Problem {
    /// Reason.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Temporary { .. } => Reason::TemporaryAccessKey,
            _ => Reason::SourceSecretInvalid,
        }
    }

    /// What is wrong with `source`, and what to do. The message for a Secret of `namespace`.
    pub fn message(&self, namespace: &str, source: &Source) -> String {
        let Source { name, id_key, secret_key } = source;
        let secret = format!("Secret {namespace}/{name}");
        match self {
            Self::Missing => format!(
                "{secret}, which spec.accessKeyFrom names, does not exist: create it with the data keys {id_key} and \
                 {secret_key} and the label {LABEL_SOURCE}={CONSENT}"
            ),
            Self::Unlabelled => format!(
                "{secret} may not be used before its owner agrees: \
                 kubectl -n {namespace} label --overwrite secret {name} {LABEL_SOURCE}={CONSENT}"
            ),
            Self::NoKey { key, has } => format!(
                "{secret} has no data key {key}; it has {}. Add it, or name another one in spec.accessKeyFrom.secretRef",
                listed(has)
            ),
            Self::Blank { key } => format!("{secret}: the data key {key} is empty: fill it in"),
            Self::NotAnId { key } => format!(
                "{secret}: the data key {key} does not hold an access key id (16 to 128 upper-case letters and digits): correct it"
            ),
            Self::NotASecret { key } => format!(
                "{secret}: the data key {key} does not hold a secret access key (40 letters, digits, / and +): correct it"
            ),
            Self::Temporary { key } => format!(
                "{secret}: by its data key {key} it holds temporary credentials, and Amazon SES takes no SMTP password \
                 made from them: use an access key of an IAM user, whose id begins with AKIA"
            ),
        }
    }
}

fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_NAMES).map(String::as_str).collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > MAX_NAMES => format!("{} and {} more", shown.join(", "), count - MAX_NAMES),
        _ => shown.join(", "),
    }
}

/// A key that can be used, and its passwords.
pub type Found = (SourceFacts, Passwords);

/// What may be used of `secret`, which was read as the source of `derived`. The material is overwritten
/// before it is let go.
pub fn examine(secret: Option<Secret>, derived: &Derived) -> Result<Found, Problem> {
    let mut secret = secret.ok_or(Problem::Missing)?;
    let labels = secret.metadata.labels.take().unwrap_or_default();
    let version = secret.metadata.resource_version.take().unwrap_or_default();
    let mut data = secret.data.unwrap_or_default();
    let agreed = labels.get(LABEL_SOURCE).is_some_and(|value| value == CONSENT);
    let found = if agreed { find(&data, derived, version) } else { Err(Problem::Unlabelled) };
    for value in data.values_mut() {
        value.0.zeroize();
    }
    found
}

fn find(data: &BTreeMap<String, ByteString>, derived: &Derived, version: String) -> Result<Found, Problem> {
    let source = &derived.source;
    let id = id(data, &source.id_key)?;
    let secret = secret(data, &source.secret_key)?;
    let passwords = Passwords::derive(&secret, derived.desired.endpoints.regions());
    let facts = SourceFacts { from: source.clone(), version, id, digests: passwords.digests() };
    Ok((facts, passwords))
}

fn id(data: &BTreeMap<String, ByteString>, key: &str) -> Result<KeyId, Problem> {
    let id = KeyId::parse(text(data, key)?).ok_or_else(|| Problem::NotAnId { key: key.to_owned() })?;
    if id.is_temporary() {
        return Err(Problem::Temporary { key: key.to_owned() });
    }
    match session_token(data) {
        Some(key) => Err(Problem::Temporary { key: key.clone() }),
        None => Ok(id),
    }
}

/// The data key of a session token. Empty, it is left over from a template.
fn session_token(data: &BTreeMap<String, ByteString>) -> Option<&String> {
    let is_token = |key: &&String| key.eq_ignore_ascii_case(SESSION_TOKEN);
    data.keys().filter(is_token).find(|key| text(data, key).is_ok())
}

fn secret(data: &BTreeMap<String, ByteString>, key: &str) -> Result<SecretAccessKey, Problem> {
    let not = || Problem::NotASecret { key: key.to_owned() };
    let secret = SecretAccessKey::new(text(data, key)?).ok_or_else(not)?;
    if secret.is_usual() { Ok(secret) } else { Err(not()) }
}

/// A value without white space around it, of which a line break at the end is the commonest. What is
/// no text is shown as a character that no key has.
fn text<'a>(data: &'a BTreeMap<String, ByteString>, key: &str) -> Result<&'a str, Problem> {
    let missing = || Problem::NoKey { key: key.to_owned(), has: data.keys().cloned().collect() };
    let value = data.get(key).ok_or_else(missing)?;
    let text = std::str::from_utf8(&value.0).unwrap_or("\u{fffd}").trim();
    if text.is_empty() { Err(Problem::Blank { key: key.to_owned() }) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
