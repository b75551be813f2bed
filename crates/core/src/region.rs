//! SES Regions: which have an SMTP endpoint, at which host and ports, in which partition.
//!
//! Owns the built-in region table and the admin's additions to it. AWS's SDK cannot answer "is
//! there SMTP in this Region?" (its endpoint rules make up a name for any Region), so the table is
//! kept here and an admin can extend or override it without a release.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// The port that clients get unless they ask for another: EC2 throttles port 25.
pub const DEFAULT_PORT: u16 = 587;
/// Ports at which SES speaks plain text first and offers STARTTLS.
pub const STARTTLS_PORTS: [u16; 3] = [25, 587, 2587];
/// Ports at which SES speaks TLS from the first byte.
pub const TLS_PORTS: [u16; 2] = [465, 2465];
/// The longest Region code that is taken.
pub const MAX_REGION: usize = 32;
/// Well-formed Region codes, as a regular expression for the resource's schema.
pub const REGION_PATTERN: &str = "^[a-z]{2,4}(-[a-z]{2,12}){1,3}-[1-9][0-9]?$";

/// A well-formed Region code such as `eu-central-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RegionName(String);

impl RegionName {
    /// Takes a Region code of the form of [`REGION_PATTERN`].
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts: Vec<&str> = text.split('-').collect();
        let number = parts.pop()?;
        let first = parts.first()?;
        let words = parts.iter().skip(1);
        let well_formed = text.len() <= MAX_REGION
            && (1..=3).contains(&words.len())
            && is_word(first, 2, 4)
            && words.clone().all(|word| is_word(word, 2, 12))
            && is_number(number);
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition that the Region belongs to, by the code's first letters.
    pub fn partition(&self) -> Partition {
        let starts = |prefix| self.0.starts_with(prefix);
        if starts("us-gov-") {
            Partition::UsGov
        } else if starts("cn-") {
            Partition::China
        } else if starts("eusc-") {
            Partition::EuSovereign
        } else {
            Partition::Commercial
        }
    }
}

impl fmt::Display for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_word(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase())
}

fn is_number(text: &str) -> bool {
    (1..=2).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
}

/// An AWS partition: accounts, users and keys of one are unknown in the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Partition {
    /// `aws`
    #[serde(rename = "aws")]
    Commercial,
    /// `aws-us-gov`
    #[serde(rename = "aws-us-gov")]
    UsGov,
    /// `aws-cn`
    #[serde(rename = "aws-cn")]
    China,
    /// `aws-eusc`
    #[serde(rename = "aws-eusc")]
    EuSovereign,
}

impl Partition {
    /// Every partition that is known.
    pub const ALL: [Self; 4] = [Self::Commercial, Self::UsGov, Self::China, Self::EuSovereign];

    /// The partition as written in ARNs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commercial => "aws",
            Self::UsGov => "aws-us-gov",
            Self::China => "aws-cn",
            Self::EuSovereign => "aws-eusc",
        }
    }

    /// The partition of an ARN such as `arn:aws:iam::123456789012:user/x`.
    pub fn of_arn(arn: &str) -> Option<Self> {
        Self::parse(arn.strip_prefix("arn:")?.split(':').next()?)
    }

    /// The partition of that name, such as `aws-cn`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|partition| partition.as_str() == name)
    }

    /// The domain under which the partition's hosts live.
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Commercial | Self::UsGov => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
            Self::EuSovereign => "amazonaws.eu",
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegionState {
    /// SES has an SMTP endpoint there.
    Smtp(SmtpEndpoint),
    /// SES is there without SMTP, or is not there.
    NoSmtp,
    /// Nothing is known.
    Unknown,
}

/// Where a Region's SMTP endpoint listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpEndpoint {
    /// Host name, also the name in the server's certificate.
    pub host: String,
    /// Ports that offer STARTTLS; the first is the default.
    pub starttls: Vec<u16>,
    /// Ports that speak TLS from the first byte.
    pub tls: Vec<u16>,
}

impl SmtpEndpoint {
    /// The endpoint that AWS documents for `region`.
    pub fn documented(region: &RegionName) -> Self {
        let suffix = region.partition().dns_suffix();
        Self::with_host(format!("email-smtp.{region}.{suffix}"))
    }

    /// An endpoint at `host` with SES's ports.
    pub fn with_host(host: String) -> Self {
        Self { host, starttls: STARTTLS_PORTS.to_vec(), tls: TLS_PORTS.to_vec() }
    }

    /// The port used when none is asked for.
    pub fn default_port(&self) -> u16 {
        let listed = |port: &&u16| **port == DEFAULT_PORT;
        let first = self.starttls.iter().find(listed).or(self.starttls.first()).or(self.tls.first());
        first.copied().unwrap_or(DEFAULT_PORT)
    }

    /// True if `port` is one of the endpoint's.
    pub fn serves(&self, port: u16) -> bool {
        self.starttls.contains(&port) || self.tls.contains(&port)
    }
}

/// A row of the built-in table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Region code.
    pub name: &'static str,
    /// True if SES has an SMTP endpoint there.
    pub smtp: bool,
}

const fn smtp(name: &'static str) -> Row {
    Row { name, smtp: true }
}

const fn no_smtp(name: &'static str) -> Row {
    Row { name, smtp: false }
}

/// The Regions known at build time.
///
/// Source: AWS General Reference, "Amazon Simple Email Service endpoints and quotas", its SMTP
/// table and the note on Regions without SMTP. Regions that are not listed are unknown.
pub const BUILT_IN: &[Row] = &[
    smtp("us-east-1"),
    smtp("us-east-2"),
    smtp("us-west-1"),
    smtp("us-west-2"),
    smtp("us-gov-east-1"),
    smtp("us-gov-west-1"),
    smtp("ca-central-1"),
    smtp("sa-east-1"),
    smtp("eu-central-1"),
    smtp("eu-north-1"),
    smtp("eu-west-1"),
    smtp("eu-west-2"),
    smtp("eu-west-3"),
    smtp("ap-south-1"),
    smtp("ap-northeast-1"),
    smtp("ap-northeast-2"),
    smtp("ap-northeast-3"),
    smtp("ap-southeast-1"),
    smtp("ap-southeast-2"),
    no_smtp("af-south-1"),
    no_smtp("ap-east-1"),
    no_smtp("ap-south-2"),
    no_smtp("ap-southeast-3"),
    no_smtp("ap-southeast-5"),
    no_smtp("ca-west-1"),
    no_smtp("cn-north-1"),
    no_smtp("cn-northwest-1"),
    no_smtp("eu-central-2"),
    no_smtp("eu-south-1"),
    no_smtp("il-central-1"),
    no_smtp("me-central-1"),
    no_smtp("me-south-1"),
];

/// The region table in force: the built-in rows, with the admin's on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionTable {
    rows: BTreeMap<String, RegionState>,
}

impl Default for RegionTable {
    fn default() -> Self {
        let rows = BUILT_IN.iter().filter_map(built_in).collect();
        Self { rows }
    }
}

fn built_in(row: &Row) -> Option<(String, RegionState)> {
    let region = RegionName::parse(row.name)?;
    let state =
        if row.smtp { RegionState::Smtp(SmtpEndpoint::documented(&region)) } else { RegionState::NoSmtp };
    Some((row.name.to_owned(), state))
}

impl RegionTable {
    /// Sets what is known of one Region, in place of the built-in row.
    pub fn set(&mut self, region: &RegionName, state: RegionState) {
        self.rows.insert(region.as_str().to_owned(), state);
    }

    /// What is known of `region`.
    pub fn get(&self, region: &RegionName) -> RegionState {
        self.rows.get(region.as_str()).cloned().unwrap_or(RegionState::Unknown)
    }

    /// All rows in the order of their codes.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &RegionState)> {
        self.rows.iter().map(|(name, state)| (name.as_str(), state))
    }

    /// The Regions with SMTP whose names are nearest to `text`, at most three, best first.
    pub fn nearest(&self, text: &str) -> Vec<&str> {
        let with_smtp = self.rows.iter().filter(|(_, state)| matches!(state, RegionState::Smtp(_)));
        let mut ranked: Vec<(usize, &str)> =
            with_smtp.map(|(name, _)| (distance(text, name), name.as_str())).collect();
        ranked.sort_unstable();
        ranked.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

/// Levenshtein distance in bytes, of ASCII names.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().take(2 * MAX_REGION).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let cost = (diagonal + usize::from(x != y)).min(*cell + 1).min(left + 1);
            diagonal = *cell;
            *cell = cost;
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RegionName {
        RegionName::parse(text).unwrap()
    }

    #[test]
    fn takes_well_formed_codes_only() {
        for good in ["eu-central-1", "us-gov-west-1", "eusc-de-east-1", "ap-southeast-10"] {
            assert!(RegionName::parse(good).is_some(), "{good}");
        }
        let long = format!("eu-{}-1", "a".repeat(10_000));
        for bad in [
            "",
            "EU-CENTRAL-1",
            "eu-central-1 ",
            "eu-central-1\n",
            "eu-central",
            "eu--1",
            "-1",
            "eu-central-01",
            &long,
        ] {
            assert!(RegionName::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn knows_nineteen_regions_with_smtp() {
        let table = RegionTable::default();
        assert_eq!(table.rows().filter(|(_, state)| matches!(state, RegionState::Smtp(_))).count(), 19);
        assert_eq!(table.rows().count(), BUILT_IN.len());
    }

    #[test]
    fn tells_the_three_states_apart() {
        let table = RegionTable::default();
        let RegionState::Smtp(endpoint) = table.get(&name("eu-central-1")) else { panic!("no SMTP") };
        assert_eq!(endpoint.host, "email-smtp.eu-central-1.amazonaws.com");
        assert_eq!(endpoint.default_port(), 587);
        assert_eq!(table.get(&name("eu-south-1")), RegionState::NoSmtp);
        assert_eq!(table.get(&name("mx-central-1")), RegionState::Unknown);
    }

    #[test]
    fn an_admin_overrides_a_row() {
        let mut table = RegionTable::default();
        let endpoint = SmtpEndpoint { host: "localhost".into(), starttls: vec![2500], tls: vec![] };
        table.set(&name("mx-central-1"), RegionState::Smtp(endpoint.clone()));
        assert_eq!(table.get(&name("mx-central-1")), RegionState::Smtp(endpoint.clone()));
        assert_eq!(endpoint.default_port(), 2500);
        assert!(endpoint.serves(2500) && !endpoint.serves(587));
    }

    #[test]
    fn suggests_near_names() {
        let table = RegionTable::default();
        assert_eq!(table.nearest("eu-centrall-1").first(), Some(&"eu-central-1"));
        assert_eq!(table.nearest("eu-west-9").len(), 3);
    }

    #[test]
    fn knows_partitions() {
        assert_eq!(name("us-gov-west-1").partition(), Partition::UsGov);
        assert_eq!(Partition::of_arn("arn:aws-cn:iam::1:root"), Some(Partition::China));
        assert_eq!(Partition::of_arn("nonsense"), None);
    }
}
