//! Derives SES SMTP passwords from IAM secret access keys.
//!
//! Owns the two secret types of the project and the one algorithm between them. It knows nothing
//! of IAM or Kubernetes. Both types wipe themselves on drop, print a placeholder in `Debug`, and
//! can be neither cloned nor serialized, so that a copy of the material is always a visible act.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::region::RegionName;

/// The fixed date of the signing chain. It has nothing to do with today's date.
const DATE: &[u8] = b"11111111";
/// The service name of the signing chain.
const SERVICE: &[u8] = b"ses";
/// The terminator of the signing chain.
const TERMINAL: &[u8] = b"aws4_request";
/// The message that is signed.
const MESSAGE: &[u8] = b"SendRawEmail";
/// The version byte in front of the signature. `0x02` was the form without a region, retired in 2019.
const VERSION: u8 = 0x04;
/// Length of an HMAC-SHA256.
const SIGNATURE: usize = 32;
/// Characters of a password.
pub const LENGTH: usize = 44;

/// Length of the secret access keys that IAM issues today.
const USUAL_LENGTH: usize = 40;

/// The secret half of an IAM access key, as `CreateAccessKey` shows it once.
pub struct SecretAccessKey(SecretString);

impl SecretAccessKey {
    /// Takes a secret access key; white space around it is removed, because a trailing newline is
    /// the commonest error in pasted or mounted keys and never part of a key.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(SecretString::from(text)))
    }

    /// True if it looks like those that IAM issues today: 40 letters, digits, `/` and `+`.
    pub fn is_usual(&self) -> bool {
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"/+".contains(&byte);
        self.expose().len() == USUAL_LENGTH && self.expose().bytes().all(usual)
    }

    fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretAccessKey(redacted)")
    }
}

/// A SES SMTP password: 44 characters of standard Base64 without padding, valid in one Region.
pub struct SmtpPassword(SecretString);

impl SmtpPassword {
    /// Takes a password found in a Secret, if it has the shape of one.
    ///
    /// Only the current form is taken: 44 characters that decode to 33 bytes beginning with `0x04`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let decoded = Zeroizing::new(STANDARD.decode(text).ok()?);
        let current = decoded.len() == SIGNATURE + 1 && decoded.first() == Some(&VERSION);
        current.then(|| Self(SecretString::from(text)))
    }

    /// The password's text. Its only rightful destination is the data of the target Secret or a
    /// terminal that asked for it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// SHA-256 of the password in lower-case hex. The password has 256 bits of entropy, so its
    /// digest tells nothing about it and may stand in an annotation.
    pub fn digest(&self) -> String {
        digest(self.expose().as_bytes())
    }
}

impl fmt::Debug for SmtpPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpPassword(redacted)")
    }
}

/// The passwords of one access key, by Region code.
#[derive(Debug)]
pub struct Passwords(BTreeMap<String, SmtpPassword>);

impl Passwords {
    /// Derives the password of `secret` for each Region.
    pub fn derive<'a>(secret: &SecretAccessKey, regions: impl Iterator<Item = &'a RegionName>) -> Self {
        Self(regions.map(|region| (region.to_string(), derive(secret, region))).collect())
    }

    /// Passwords that were found by their digests, by Region code.
    pub fn found(passwords: BTreeMap<String, SmtpPassword>) -> Self {
        Self(passwords)
    }

    /// The password for a Region.
    pub fn get(&self, region: &str) -> Option<&SmtpPassword> {
        self.0.get(region)
    }

    /// The digest of each, by Region code: what a record may know of them.
    pub fn digests(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(region, password)| (region.clone(), password.digest())).collect()
    }
}

/// SHA-256 in lower-case hex.
pub fn digest(bytes: &[u8]) -> String {
    use fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Derives the SMTP password of `secret` for `region`.
///
/// Source: Amazon SES Developer Guide, "Obtaining Amazon SES SMTP credentials". The secret, with
/// `AWS4` before it, keys an HMAC-SHA256 over a fixed date; each result keys the next HMAC over the
/// Region, the service, the terminator and the message; the password is Base64 of a version byte
/// and the last result. No temporary key yields a working password.
pub fn derive(secret: &SecretAccessKey, region: &RegionName) -> SmtpPassword {
    let mut first = Zeroizing::new(String::with_capacity(4 + secret.expose().len()));
    first.push_str("AWS4");
    first.push_str(secret.expose());
    let mut key = hmac(first.as_bytes(), DATE);
    for message in [region.as_str().as_bytes(), SERVICE, TERMINAL, MESSAGE] {
        key = hmac(key.as_ref(), message);
    }
    let mut versioned = Zeroizing::new([VERSION; SIGNATURE + 1]);
    for (to, from) in versioned.iter_mut().skip(1).zip(key.iter()) {
        *to = *from;
    }
    SmtpPassword(SecretString::from(STANDARD.encode(versioned.as_ref())))
}

/// One link of the chain: HMAC-SHA256 of `message` under `key`.
fn hmac(key: &[u8], message: &[u8]) -> Zeroizing<[u8; SIGNATURE]> {
    // HMAC takes a key of any length (RFC 2104, section 2), so this has no failing case.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length")
    };
    mac.update(message);
    let mut output = mac.finalize().into_bytes();
    let result = Zeroizing::new(output.into());
    output.as_mut_slice().zeroize();
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The secret access key of AWS's own documentation.
    const DOC: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn password(secret: &str, region: &str) -> String {
        let region = RegionName::parse(region).unwrap();
        derive(&SecretAccessKey::new(secret).unwrap(), &region).expose().to_owned()
    }

    /// The retired form without a Region, to show that it never comes out.
    fn retired(secret: &str) -> String {
        let mut bytes = vec![2];
        bytes.extend_from_slice(hmac(secret.as_bytes(), MESSAGE).as_ref());
        STANDARD.encode(bytes)
    }

    #[test]
    fn gives_the_published_vectors() {
        for (secret, region, expected) in [
            ("some+secret+key", "eu-central-1", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
            (DOC, "us-east-2", "BMPPgbAHoFVbze1Ud0oA5uNdXRwUXUZ+qOwphGJbl/cS"),
            (DOC, "us-east-1", "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"),
            (DOC, "us-west-2", "BF2PynzbSCAjX08zhZZnP/kW+T9P5zs/1Er0pi5vTEmd"),
            (DOC, "ap-northeast-2", "BFrwSu3BsGr8nvY2bDCyObUpnNCGFtmAY0j+5nSYn0ZQ"),
            (DOC, "us-gov-west-1", "BHW/eHvx1MM9YwW4wrJG6MGVQmLDCAM99G9YiSdGEIAw"),
        ] {
            assert_eq!(password(secret, region), expected, "{region}");
        }
    }

    #[test]
    fn never_gives_the_retired_form() {
        let retired = retired(DOC);
        assert_eq!(retired, "An60U4ZD3sd4fg+FvXUjayOipTt8LO4rUUmhpdX6ctDy");
        for row in crate::region::BUILT_IN {
            assert_ne!(password(DOC, row.name), retired);
        }
        assert!(SmtpPassword::parse(retired.as_bytes()).is_none());
    }

    #[test]
    fn hides_material_in_debug() {
        let secret = SecretAccessKey::new(DOC).unwrap();
        let password = derive(&secret, &RegionName::parse("us-east-1").unwrap());
        let shown = format!("{secret:?} {password:?}");
        assert!(!shown.contains(DOC) && !shown.contains(password.expose()));
    }

    #[test]
    fn takes_no_blank_secret() {
        assert!(SecretAccessKey::new(" \n\t").is_none());
    }

    proptest! {
        #[test]
        fn has_the_documented_shape(secret in "[!-~]{1,200}", region in "[a-z]{2}-[a-z]{4,9}-[1-9]") {
            let text = password(&secret, &region);
            prop_assert_eq!(text.len(), 44);
            prop_assert!(text.starts_with('B') && !text.contains('='));
            prop_assert!(('A'..='P').contains(&text.chars().nth(1).unwrap()));
            prop_assert!(SmtpPassword::parse(text.as_bytes()).is_some());
        }

        #[test]
        fn ignores_white_space_around_the_secret(secret in "[!-~]{1,60}", blank in "[ \t\r\n]{0,3}") {
            let padded = format!("{blank}{secret}{blank}");
            prop_assert_eq!(password(&padded, "eu-west-1"), password(&secret, "eu-west-1"));
        }

        #[test]
        fn differs_between_regions_and_secrets(a in "[A-Za-z0-9/+]{40}", b in "[A-Za-z0-9/+]{40}") {
            prop_assume!(a != b);
            prop_assert_ne!(password(&a, "eu-west-1"), password(&b, "eu-west-1"));
            prop_assert_ne!(password(&a, "eu-west-1"), password(&a, "eu-west-2"));
        }
    }
}
