//! Finding again in a Secret's data what was written: passwords by their digests, in whatever text
//! they stand, and the key id.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use zeroize::Zeroizing;

use crate::key::KeyId;
use crate::password::{LENGTH, Passwords, SmtpPassword, digest};
use crate::region::RegionName;

use super::USERNAME;

/// Begins the id of a long-lived access key.
const ID_PREFIX: &str = "AKIA";

/// A password in a value, plain or percent-encoded.
struct Occurrence {
    start: usize,
    end: usize,
    password: SmtpPassword,
}

/// A piece of a value.
pub(super) enum Bit<'a> {
    Text(&'a [u8]),
    /// The digest of a known password as it stands there.
    Password(String),
}

/// Everything in a value that has the shape of a password.
fn occurrences(value: &[u8]) -> impl Iterator<Item = Occurrence> {
    (0..value.len()).filter_map(|start| {
        let (password, length) = password_at(value.get(start..)?)?;
        Some(Occurrence { start, end: start + length, password })
    })
}

/// The password that `bytes` begin with, and how many of them it takes.
fn password_at(bytes: &[u8]) -> Option<(SmtpPassword, usize)> {
    // Every password begins so: what follows is costly.
    if bytes.first() != Some(&b'B') {
        return None;
    }
    let (mut plain, mut taken) = (Zeroizing::new(Vec::with_capacity(LENGTH)), 0);
    while plain.len() < LENGTH {
        let (byte, length) = character(bytes.get(taken..)?)?;
        plain.push(byte);
        taken += length;
    }
    Some((SmtpPassword::parse(&plain)?, taken))
}

/// One character of Base64, plain or percent-encoded, and how many bytes it takes.
fn character(bytes: &[u8]) -> Option<(u8, usize)> {
    let (byte, length) = match bytes {
        [b'%', high, low, ..] => (hex(*high)? << 4 | hex(*low)?, 3),
        [byte, ..] => (*byte, 1),
        [] => return None,
    };
    (byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).then_some((byte, length))
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// A value in pieces, each password whose digest is known apart from the text around it.
pub(super) fn bits<'a>(value: &'a [u8], known: &BTreeSet<&str>) -> Vec<Bit<'a>> {
    let (mut bits, mut done) = (Vec::new(), 0);
    for found in occurrences(value) {
        let here = digest(value.get(found.start..found.end).unwrap_or_default());
        if found.start >= done && known.contains(here.as_str()) {
            bits.push(Bit::Text(value.get(done..found.start).unwrap_or_default()));
            bits.push(Bit::Password(here));
            done = found.end;
        }
    }
    bits.push(Bit::Text(value.get(done..).unwrap_or_default()));
    bits
}

/// The digest of each value in a Secret's data; of one that holds passwords whose digests are
/// `known`, the digest of the value with each of them replaced by its digest.
pub fn digests(
    data: &BTreeMap<String, ByteString>,
    known: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let known = known.values().map(String::as_str).collect();
    data.iter().map(|(key, value)| (key.clone(), super::value_digest(bits(&value.0, &known)))).collect()
}

/// Those of the `known` digests whose passwords stand somewhere in the data.
pub fn held(data: &BTreeMap<String, ByteString>, known: &BTreeMap<String, String>) -> BTreeSet<String> {
    let known: BTreeSet<&String> = known.values().collect();
    let found = data.values().flat_map(|value| occurrences(&value.0));
    found.map(|found| found.password.digest()).filter(|digest| known.contains(digest)).collect()
}

/// The password with this digest, if it stands anywhere in the data.
pub fn recover(data: &BTreeMap<String, ByteString>, wanted: &str) -> Option<SmtpPassword> {
    let mut found = data.values().flat_map(|value| occurrences(&value.0)).map(|found| found.password);
    found.find(|password| password.digest() == wanted)
}

/// The passwords with these digests, by Region code; `None` unless the data hold every one.
pub fn recover_all<'a>(
    data: &BTreeMap<String, ByteString>,
    wanted: &BTreeMap<String, String>,
    regions: impl Iterator<Item = &'a RegionName>,
) -> Option<Passwords> {
    let found = |region: &RegionName| {
        let code = region.to_string();
        let password = recover(data, wanted.get(&code)?)?;
        Some((code, password))
    };
    regions.map(found).collect::<Option<_>>().map(Passwords::found)
}

/// The access key id that the data name: under `username`, or else the only one in any value.
pub fn named_key(data: &BTreeMap<String, ByteString>) -> Option<KeyId> {
    named_among(data, None, None)
}

/// The same of the data keys in `rendered` alone, where one of them names any, for the others are
/// somebody else's. Where they name several, such as in text of the spec's own, the `recorded` one
/// is meant if it is among them.
pub fn named_among(
    data: &BTreeMap<String, ByteString>,
    rendered: Option<&[String]>,
    recorded: Option<&KeyId>,
) -> Option<KeyId> {
    let ours = |key: &str| rendered.is_none_or(|rendered| rendered.iter().any(|known| known == key));
    let own = data.iter().filter(|(key, _)| ours(key));
    let exact = |key: &str| data.get(key).and_then(|value| exactly(&value.0));
    let named = ids(own.map(|(_, value)| value));
    if let Some(recorded) = recorded.filter(|recorded| named.contains(recorded)) {
        return Some(recorded.clone());
    }
    let elsewhere = || exact(USERNAME).or_else(|| only(ids(data.values())));
    let here = if ours(USERNAME) { exact(USERNAME) } else { None };
    here.or_else(|| if named.is_empty() { elsewhere() } else { only(named) })
}

fn exactly(value: &[u8]) -> Option<KeyId> {
    KeyId::parse(std::str::from_utf8(value).ok()?)
}

fn only(ids: BTreeSet<KeyId>) -> Option<KeyId> {
    if ids.len() == 1 { ids.into_iter().next() } else { None }
}

/// Every key id in the values.
fn ids<'a>(values: impl Iterator<Item = &'a ByteString>) -> BTreeSet<KeyId> {
    let words = values.flat_map(|value| value.0.split(|byte| !byte.is_ascii_alphanumeric()));
    let texts = words.filter_map(|word| std::str::from_utf8(word).ok());
    let ids = texts.filter_map(KeyId::parse);
    ids.filter(|id| id.as_str().starts_with(ID_PREFIX)).collect()
}
