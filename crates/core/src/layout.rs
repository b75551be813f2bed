//! What stands in the Secret's data: the default layout, and finding a password again in it.
//!
//! A rendering names each data key and what belongs there; the password is a placeholder until the
//! pass that holds it fills it in, so that plans and records never see it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::ByteString;

use crate::key::KeyId;
use crate::password::{SmtpPassword, digest};

/// Data key of the SMTP user name.
pub const USERNAME: &str = "username";
/// Data key of the SMTP password.
pub const PASSWORD: &str = "password";

/// What belongs under a data key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Password,
}

/// The whole data of a Secret, but for the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering(BTreeMap<String, Piece>);

impl Rendering {
    /// The default layout: `host`, `port`, `username`, `password`.
    pub fn new(host: &str, port: u16, key: &KeyId) -> Self {
        let text = |key: &str, value: String| (key.to_owned(), Piece::Text(value));
        Self(BTreeMap::from([
            text("host", host.to_owned()),
            text("port", port.to_string()),
            text(USERNAME, key.to_string()),
            (PASSWORD.to_owned(), Piece::Password),
        ]))
    }

    /// The data keys, in order.
    pub fn keys(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// The data with `password` filled in.
    pub fn fill(&self, password: &SmtpPassword) -> BTreeMap<String, ByteString> {
        let bytes = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone().into_bytes(),
            Piece::Password => password.expose().as_bytes().to_vec(),
        };
        self.0.iter().map(|(key, piece)| (key.clone(), ByteString(bytes(piece)))).collect()
    }

    /// SHA-256 of each value, given the password's digest.
    pub fn digests(&self, password: &str) -> BTreeMap<String, String> {
        let of = |piece: &Piece| match piece {
            Piece::Text(text) => digest(text.as_bytes()),
            Piece::Password => password.to_owned(),
        };
        self.0.iter().map(|(key, piece)| (key.clone(), of(piece))).collect()
    }

    /// One hash over all values, each replaced by its digest: what `data-hash` records. It can be
    /// computed from spec and record alone, so a changed host is seen without reading the Secret.
    pub fn hash(&self, password: &str) -> String {
        hash(&self.digests(password))
    }
}

/// One hash over the digests of all values.
pub fn hash(digests: &BTreeMap<String, String>) -> String {
    let text = digests.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key}={value}");
        text
    });
    digest(text.as_bytes())
}

/// The digest of each value in a Secret's data.
pub fn digests(data: &BTreeMap<String, ByteString>) -> BTreeMap<String, String> {
    data.iter().map(|(key, value)| (key.clone(), digest(&value.0))).collect()
}

/// The password with this digest, if any value of the data is it.
pub fn recover(data: &BTreeMap<String, ByteString>, wanted: &str) -> Option<SmtpPassword> {
    let found = data.values().find(|value| digest(&value.0) == wanted)?;
    SmtpPassword::parse(&found.0)
}

/// The access key id that the data name, if they name one.
pub fn named_key(data: &BTreeMap<String, ByteString>) -> Option<KeyId> {
    let text = std::str::from_utf8(&data.get(USERNAME)?.0).ok()?;
    KeyId::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::{SecretAccessKey, derive};
    use crate::region::RegionName;
    use crate::test::key;

    fn password() -> SmtpPassword {
        let secret = SecretAccessKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap();
        derive(&secret, &RegionName::parse("eu-central-1").unwrap())
    }

    #[test]
    fn fills_and_recovers() {
        let (password, rendering) = (password(), Rendering::new("mail.example.com", 587, &key(1)));
        let data = rendering.fill(&password);
        assert_eq!(data.keys().collect::<Vec<_>>(), ["host", "password", "port", "username"]);
        assert_eq!(data["port"].0, b"587");
        assert_eq!(digests(&data), rendering.digests(&password.digest()));
        assert_eq!(named_key(&data), Some(key(1)));
        assert_eq!(recover(&data, &password.digest()).unwrap().expose(), password.expose());
        assert!(recover(&data, &digest(b"another")).is_none());
    }

    #[test]
    fn the_hash_follows_every_value() {
        let digest = password().digest();
        let hash = Rendering::new("a", 587, &key(1)).hash(&digest);
        assert_eq!(hash, Rendering::new("a", 587, &key(1)).hash(&digest));
        for other in [
            Rendering::new("b", 587, &key(1)),
            Rendering::new("a", 25, &key(1)),
            Rendering::new("a", 587, &key(2)),
        ] {
            assert_ne!(hash, other.hash(&digest));
        }
        assert_ne!(hash, Rendering::new("a", 587, &key(1)).hash("x"));
    }
}
