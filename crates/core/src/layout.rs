//! What stands in the Secret's data: the default layout, and finding a password again in it.
//!
//! A rendering names each data key and what belongs there; passwords are placeholders until the
//! pass that holds them fills them in, so that plans and records never see it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::ByteString;

use crate::endpoint::{Endpoint, Endpoints};
use crate::key::KeyId;
use crate::password::{Passwords, SmtpPassword, digest};
use crate::region::RegionName;

/// Data key of the SMTP user name.
pub const USERNAME: &str = "username";
/// Data key of the SMTP password.
pub const PASSWORD: &str = "password";

/// What belongs under a data key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The password for a Region, by its code.
    Password(String),
}

/// The whole data of a Secret, but for the passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering(BTreeMap<String, Piece>);

impl Rendering {
    /// The default layout: `host`, `port`, `username`, `password` of the primary Region; with more
    /// Regions also `<region>.host`, `<region>.port` and `<region>.password` of each, the primary
    /// one included, so that a client's list of them doesn't depend on which one that is.
    pub fn new(endpoints: &Endpoints, key: &KeyId) -> Self {
        let mut pieces = BTreeMap::from([(USERNAME.to_owned(), Piece::Text(key.to_string()))]);
        pieces.extend(place("", &endpoints.primary));
        if !endpoints.additional.is_empty() {
            pieces.extend(endpoints.iter().flat_map(|it| place(&format!("{}.", it.region), it)));
        }
        Self(pieces)
    }

    /// The data keys, in order.
    pub fn keys(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// The data with the passwords filled in; `None` if one of them is missing.
    pub fn fill(&self, passwords: &Passwords) -> Option<BTreeMap<String, ByteString>> {
        let bytes = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.clone().into_bytes()),
            Piece::Password(region) => Some(passwords.get(region)?.expose().as_bytes().to_vec()),
        };
        self.0.iter().map(|(key, piece)| Some((key.clone(), ByteString(bytes(piece)?)))).collect()
    }

    /// SHA-256 of each value, given the passwords' digests by Region code; `None` if one is missing.
    pub fn digests(&self, passwords: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
        let of = |piece: &Piece| match piece {
            Piece::Text(text) => Some(digest(text.as_bytes())),
            Piece::Password(region) => passwords.get(region).cloned(),
        };
        self.0.iter().map(|(key, piece)| Some((key.clone(), of(piece)?))).collect()
    }

    /// One hash over all values, each replaced by its digest: what `data-hash` records. It can be
    /// computed from spec and record alone, so a changed host is seen without reading the Secret.
    pub fn hash(&self, passwords: &BTreeMap<String, String>) -> Option<String> {
        Some(hash(&self.digests(passwords)?))
    }
}

/// Host, port and password of an endpoint, each under a data key with this prefix.
fn place(prefix: &str, endpoint: &Endpoint) -> [(String, Piece); 3] {
    let key = |name: &str| format!("{prefix}{name}");
    [
        (key("host"), Piece::Text(endpoint.host.clone())),
        (key("port"), Piece::Text(endpoint.port.to_string())),
        (key(PASSWORD), Piece::Password(endpoint.region.to_string())),
    ]
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

/// The access key id that the data name, if they name one.
pub fn named_key(data: &BTreeMap<String, ByteString>) -> Option<KeyId> {
    let text = std::str::from_utf8(&data.get(USERNAME)?.0).ok()?;
    KeyId::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::SecretAccessKey;
    use crate::test::{endpoints, key};

    fn passwords(endpoints: &Endpoints) -> Passwords {
        let secret = SecretAccessKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap();
        Passwords::derive(&secret, endpoints.regions())
    }

    #[test]
    fn fills_and_recovers() {
        let endpoints = endpoints(&["eu-central-1"]);
        let (passwords, rendering) = (passwords(&endpoints), Rendering::new(&endpoints, &key(1)));
        let data = rendering.fill(&passwords).unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["host", "password", "port", "username"]);
        assert_eq!(data["port"].0, b"587");
        assert_eq!(digests(&data), rendering.digests(&passwords.digests()).unwrap());
        assert_eq!(named_key(&data), Some(key(1)));
        let found = recover_all(&data, &passwords.digests(), endpoints.regions()).unwrap();
        assert_eq!(found.digests(), passwords.digests());
        assert!(recover(&data, &digest(b"another")).is_none());
    }

    #[test]
    fn several_regions_have_keys_of_their_own() {
        let endpoints = endpoints(&["eu-central-1", "us-east-1"]);
        let (passwords, rendering) = (passwords(&endpoints), Rendering::new(&endpoints, &key(1)));
        let data = rendering.fill(&passwords).unwrap();
        assert_eq!(data.len(), 10);
        for region in ["eu-central-1", "us-east-1"] {
            assert_eq!(
                data[&format!("{region}.host")].0,
                format!("email-smtp.{region}.amazonaws.com").as_bytes()
            );
            let password = passwords.get(region).unwrap().expose().as_bytes();
            assert_eq!(data[&format!("{region}.password")].0, password);
        }
        assert_eq!(data["password"], data["eu-central-1.password"]);
        assert_ne!(data["password"], data["us-east-1.password"]);
        let few = Passwords::found(BTreeMap::new());
        assert!(rendering.fill(&few).is_none() && rendering.hash(&few.digests()).is_none());
    }

    #[test]
    fn the_hash_follows_every_value() {
        let hash = |regions: &[&str], n, port, passwords: &BTreeMap<_, _>| {
            let mut endpoints = endpoints(regions);
            endpoints.primary.port = port;
            Rendering::new(&endpoints, &key(n)).hash(passwords).unwrap()
        };
        let digests =
            |text: &str| ["eu-central-1", "us-east-1"].map(|it| (it.to_owned(), text.to_owned())).into();
        let one = hash(&["eu-central-1"], 1, 587, &digests("d"));
        assert_eq!(one, hash(&["eu-central-1"], 1, 587, &digests("d")));
        assert_ne!(one, hash(&["us-east-1"], 1, 587, &digests("d")));
        assert_ne!(one, hash(&["eu-central-1"], 1, 25, &digests("d")));
        assert_ne!(one, hash(&["eu-central-1"], 2, 587, &digests("d")));
        assert_ne!(one, hash(&["eu-central-1"], 1, 587, &digests("x")));
        assert_ne!(one, hash(&["eu-central-1", "us-east-1"], 1, 587, &digests("d")));
    }
}
