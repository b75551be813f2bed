//! What stands in the Secret's data.
//!
//! A [`Layout`] is what the spec asks for: text for each data key, with placeholders. For a key it
//! becomes a [`Rendering`], in which only the passwords are open, until the pass that holds them fills
//! them in: plans and records never see one. [`found`] goes the other way.

mod choice;
pub mod found;
mod template;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use k8s_openapi::ByteString;

use crate::endpoint::Endpoints;
use crate::key::KeyId;
use crate::password::{Passwords, SmtpPassword, digest};

pub use choice::{MAX_KEYS, MAX_SIZE, MAX_TEXT, is_data_key};
use found::{Bit, bits};
pub use found::{digests, held, named_key, recover, recover_all};
pub use template::placeholders;

/// Data key of the SMTP user name.
pub const USERNAME: &str = "username";
/// Data key of the SMTP password.
pub const PASSWORD: &str = "password";

/// How a password is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    /// Percent-encoded, as in a URL.
    UrlEncoded,
}

impl Form {
    fn write(self, password: &SmtpPassword) -> String {
        match self {
            Self::Plain => password.expose().to_owned(),
            Self::UrlEncoded => url_encoded(password.expose()),
        }
    }

    /// What the record calls the digest of a Region's password in this form.
    fn digest_name(self, region: &str) -> String {
        match self {
            Self::Plain => region.to_owned(),
            Self::UrlEncoded => format!("{region}/url-encoded"),
        }
    }
}

/// A piece of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Username,
    /// The password for a Region, by its code.
    Password(String, Form),
}

/// What belongs in the Secret's data, whatever the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(BTreeMap<String, Vec<Part>>);

/// The whole data of a Secret, but for the passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering(BTreeMap<String, Vec<Part>>);

impl Layout {
    /// The default layout: `host`, `port`, `username`, `password` of the primary Region; with more
    /// Regions also `<region>.host`, `<region>.port` and `<region>.password` of each, the primary
    /// one included, so that a client's list of them doesn't depend on which one that is.
    pub fn standard(endpoints: &Endpoints) -> Self {
        choice::standard(endpoints)
    }

    /// What is written for a key.
    pub fn render(&self, key: &KeyId) -> Rendering {
        let named = |part: &Part| match part {
            Part::Username => Part::Text(key.to_string()),
            other => other.clone(),
        };
        let value = |parts: &Vec<Part>| joined(parts.iter().map(named));
        Rendering(self.0.iter().map(|(name, parts)| (name.clone(), value(parts))).collect())
    }

    /// What the record calls the digests of the passwords that the data hold for these Regions, in each of
    /// their forms.
    pub fn digest_names(&self, is_wanted: &impl Fn(&str) -> bool) -> BTreeSet<String> {
        let wanted = self.passwords().filter(|(region, _)| is_wanted(region));
        wanted.map(|(region, form)| form.digest_name(region)).collect()
    }

    /// The data keys that hold no password of a Region that `lacks` names.
    #[must_use]
    pub fn without(&self, lacks: impl Fn(&str) -> bool) -> Self {
        let needs = |part: &Part| matches!(part, Part::Password(region, _) if lacks(region));
        let kept = self.0.iter().filter(|(_, parts)| !parts.iter().any(needs));
        Self(kept.map(|(key, parts)| (key.clone(), parts.clone())).collect())
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.0.values().flatten()
    }

    fn passwords(&self) -> impl Iterator<Item = (&str, Form)> {
        self.parts().filter_map(|part| match part {
            Part::Password(region, form) => Some((region.as_str(), *form)),
            Part::Text(_) | Part::Username => None,
        })
    }
}

/// Neighbouring texts in one, as nobody can tell them apart in what is written.
fn joined(parts: impl Iterator<Item = Part>) -> Vec<Part> {
    parts.fold(Vec::new(), |mut joined, part| {
        match (joined.last_mut(), part) {
            (Some(Part::Text(before)), Part::Text(text)) => before.push_str(&text),
            (_, part) => joined.push(part),
        }
        joined
    })
}

impl Rendering {
    /// The data keys, in order.
    pub fn keys(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// The data with the passwords filled in; `None` if one of them is missing.
    pub fn fill(&self, passwords: &Passwords) -> Option<BTreeMap<String, ByteString>> {
        let text = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Username => None,
            Part::Password(region, form) => Some(form.write(passwords.get(region)?)),
        };
        let value = |parts: &Vec<Part>| {
            let text: Option<String> = parts.iter().map(text).collect();
            Some(ByteString(text?.into_bytes()))
        };
        self.0.iter().map(|(key, parts)| Some((key.clone(), value(parts)?))).collect()
    }

    /// What the record is to know of the passwords: the digest of each by its Region's code, and of each
    /// further form in which the data hold one; `None` if a password is missing.
    pub fn recorded(&self, passwords: &Passwords) -> Option<BTreeMap<String, String>> {
        let mut recorded = passwords.digests();
        for part in self.0.values().flatten() {
            if let Part::Password(region, form) = part {
                let written = form.write(passwords.get(region)?);
                recorded.insert(form.digest_name(region), digest(written.as_bytes()));
            }
        }
        Some(recorded)
    }

    /// The digest of each value as [`found::digests`] finds it, given what the record knows of the
    /// passwords; `None` if a digest is missing.
    pub fn digests(&self, recorded: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
        let known = recorded.values().map(String::as_str).collect();
        let value = |parts: &Vec<Part>| {
            let bits: Option<Vec<Vec<Bit>>> =
                parts.iter().map(|part| bits_of(part, recorded, &known)).collect();
            Some(value_digest(bits?.into_iter().flatten()))
        };
        self.0.iter().map(|(key, parts)| Some((key.clone(), value(parts)?))).collect()
    }

    /// One hash over all values, each replaced by its digest: what `data-hash` records. It can be
    /// computed from spec and record alone, so a changed host is seen without reading the Secret.
    pub fn hash(&self, recorded: &BTreeMap<String, String>) -> Option<String> {
        Some(hash(&self.digests(recorded)?))
    }
}

/// A part in the pieces that are found in what is written for it.
fn bits_of<'a>(
    part: &'a Part,
    recorded: &BTreeMap<String, String>,
    known: &BTreeSet<&str>,
) -> Option<Vec<Bit<'a>>> {
    match part {
        // Text of the spec's own may repeat a password.
        Part::Text(text) => Some(bits(text.as_bytes(), known)),
        Part::Username => None,
        Part::Password(region, form) => {
            Some(vec![Bit::Password(recorded.get(&form.digest_name(region))?.clone())])
        }
    }
}

/// The digest of a value with each password in it replaced by its digest. Of a value that is one text
/// or one password it is the plain digest; that of any other can't be a plain one by its form.
fn value_digest<'a>(bits: impl IntoIterator<Item = Bit<'a>>) -> String {
    let whole = |bit: &Bit| !matches!(bit, Bit::Text(text) if text.is_empty());
    let bits: Vec<Bit> = bits.into_iter().filter(whole).collect();
    match bits.as_slice() {
        [] => digest(b""),
        [Bit::Text(text)] => digest(text),
        [Bit::Password(digest)] => digest.clone(),
        several => format!("pieces-{}", digest(pieces(several).as_bytes())),
    }
}

fn pieces(bits: &[Bit]) -> String {
    let line = |bit: &Bit| match bit {
        Bit::Text(text) => format!("text {}\n", digest(text)),
        Bit::Password(digest) => format!("password {digest}\n"),
    };
    bits.iter().map(line).collect()
}

/// One hash over the digests of all values.
pub fn hash(digests: &BTreeMap<String, String>) -> String {
    let text = digests.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key}={value}");
        text
    });
    digest(text.as_bytes())
}

/// Percent-encoded for any part of a URL: all but RFC 3986's unreserved characters.
fn url_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
