//! Access key ids: the public half of an IAM access key, and the SMTP user name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Shortest and longest id that IAM's model allows.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=128;

/// An access key id such as `AKIAIOSFODNN7EXAMPLE`. Not a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// Takes 16 to 128 upper-case letters and digits.
    ///
    /// AWS's own sample ids break the Base32 alphabet, so nothing narrower is asked for.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = LENGTH.contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the id of a temporary key, from which SES takes no SMTP password.
    pub fn is_temporary(&self) -> bool {
        self.0.starts_with("ASIA")
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_ids_of_aws_samples() {
        assert!(KeyId::parse("AKIAIOSFODNN7EXAMPLE").is_some());
        assert!(KeyId::parse("AKIAI44QH8DHBEXAMPLE").is_some());
        assert!(KeyId::parse("ASIAIOSFODNN7EXAMPLE").unwrap().is_temporary());
    }

    #[test]
    fn refuses_anything_else() {
        for bad in ["", "AKIA", "akiaiosfodnn7example", "AKIAIOSFODNN7EXAMPLE ", &"A".repeat(129)] {
            assert!(KeyId::parse(bad).is_none(), "{bad:?}");
        }
    }
}
