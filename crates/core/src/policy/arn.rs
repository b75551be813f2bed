//! ARNs of what takes part in a send: an identity, and a configuration set if there is one.

use std::fmt;

use crate::identity::is_account;
use crate::region::{Partition, REGION_PATTERN, RegionName};

use super::address::{is_domain, is_local};

/// Longest ARN that is taken, in characters.
pub const MAX_ARN: usize = 420;
/// Longest name of a configuration set, in characters.
const MAX_SET: usize = 64;

/// What an ARN names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A verified domain or address.
    Identity,
    /// A configuration set.
    ConfigurationSet,
}

impl Kind {
    /// The kind as written in ARNs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ConfigurationSet => "configuration-set",
        }
    }

    /// An ARN of the kind, for messages.
    pub fn example(self) -> &'static str {
        match self {
            Self::Identity => "arn:aws:ses:eu-central-1:123456789012:identity/example.com",
            Self::ConfigurationSet => "arn:aws:ses:eu-central-1:123456789012:configuration-set/shop",
        }
    }

    /// ARNs of the kind as a regular expression for the resource's schema.
    pub fn pattern(self) -> String {
        let region = REGION_PATTERN.trim_start_matches('^').trim_end_matches('$');
        let name = match self {
            Self::Identity => concat!(
                r"([A-Za-z0-9!#%&'+/=^_`{|}~-]+(\.[A-Za-z0-9!#%&'+/=^_`{|}~-]+)*@)?",
                r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+",
            )
            .to_owned(),
            Self::ConfigurationSet => format!("[A-Za-z0-9_-]{{1,{MAX_SET}}}"),
        };
        format!("^arn:aws(-[a-z]+)*:ses:{region}:[0-9]{{12}}:{}/{name}$", self.as_str())
    }

    fn takes(self, name: &str) -> bool {
        match self {
            Self::Identity => match name.split_once('@') {
                Some((local, domain)) => is_local(local) && is_domain(domain),
                None => is_domain(name),
            },
            Self::ConfigurationSet => {
                (1..=MAX_SET).contains(&name.len())
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            }
        }
    }
}

/// The ARN of one identity or configuration set, of whichever account: an identity may be shared by its owner.
///
/// No wildcard and no variable can be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SesArn {
    text: String,
    /// The partition that it is in.
    pub partition: Partition,
    /// The Region that it is in.
    pub region: RegionName,
}

impl SesArn {
    /// Takes `arn:<partition>:ses:<region>:<account>:<kind>/<name>`.
    pub fn parse(kind: Kind, text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", _, "ses", region, account, resource] = parts.as_slice() else { return None };
        let name = resource.strip_prefix(kind.as_str())?.strip_prefix('/')?;
        let (partition, region) = (Partition::of_arn(text)?, RegionName::parse(region)?);
        let well_formed = text.len() <= MAX_ARN && is_account(account) && region.partition() == partition;
        (well_formed && kind.takes(name)).then(|| Self { text: text.to_owned(), partition, region })
    }

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for SesArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_identity_or_set() {
        for (kind, good) in [
            (Kind::Identity, Kind::Identity.example()),
            (Kind::Identity, "arn:aws:ses:us-east-1:999999999999:identity/First.Last+x@mail.example.com"),
            (Kind::Identity, "arn:aws-us-gov:ses:us-gov-west-1:123456789012:identity/example.com"),
            (Kind::ConfigurationSet, Kind::ConfigurationSet.example()),
            (Kind::ConfigurationSet, "arn:aws-cn:ses:cn-north-1:123456789012:configuration-set/A_b-9"),
        ] {
            let arn = SesArn::parse(kind, good).unwrap();
            assert_eq!(arn.as_str(), good);
            assert!(good.contains(&format!(":{}:", arn.partition)) && good.contains(arn.region.as_str()));
        }
    }

    #[test]
    fn refuses_everything_else() {
        let identity = |name: &str| format!("arn:aws:ses:eu-central-1:123456789012:identity/{name}");
        let set = |name: &str| format!("arn:aws:ses:eu-central-1:123456789012:configuration-set/{name}");
        let names = [
            "",
            "*",
            "*.example.com",
            "example.*",
            "a?.example.com",
            "example",
            "${aws:username}.example.com",
        ];
        let more =
            ["a b.example.com", "bücher.example", "\"a\"@example.com", "example.com\n", "a@b@example.com"];
        for name in names.into_iter().chain(more) {
            assert_eq!(SesArn::parse(Kind::Identity, &identity(name)), None, "{name:?}");
        }
        for name in ["", "*", "a?", "a b", "a/b", "${x}", "a\n", "ä", &"a".repeat(65)] {
            assert_eq!(SesArn::parse(Kind::ConfigurationSet, &set(name)), None, "{name:?}");
        }
        for other in [
            "*",
            "example.com",
            "arn:aws:s3:eu-central-1:123456789012:identity/example.com",
            "arn:aws:ses:*:123456789012:identity/example.com",
            "arn:aws:ses::123456789012:identity/example.com",
            "arn:aws:ses:eu-central-1:*:identity/example.com",
            "arn:aws:ses:eu-central-1:12345678901:identity/example.com",
            "arn:aws:ses:eu-central-1::identity/example.com",
            "arn:*:ses:eu-central-1:123456789012:identity/example.com",
            "arn:aws-cn:ses:eu-central-1:123456789012:identity/example.com",
            "arn:aws:ses:eu-central-1:123456789012:template/example.com",
            " arn:aws:ses:eu-central-1:123456789012:identity/example.com",
            "arn:aws:ses:eu-central-1:123456789012:identity/example.com:x",
        ] {
            assert_eq!(SesArn::parse(Kind::Identity, other), None, "{other:?}");
        }
        assert_eq!(SesArn::parse(Kind::ConfigurationSet, Kind::Identity.example()), None);
        assert_eq!(SesArn::parse(Kind::Identity, Kind::ConfigurationSet.example()), None);
    }
}
