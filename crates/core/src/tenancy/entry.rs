//! Entries of an admin's lists, which of them covers which, and what two lists have in common.

use std::fmt::{self, Display};

use crate::policy::Address;
use crate::region::RegionName;

use super::role::RoleArn;
use super::shown;

/// An entry of a comma-separated list.
///
/// Of two entries either one covers the other, or they have nothing in common. So what a list covers is
/// what one of its entries covers, and what two lists have in common is found pair by pair.
pub trait Entry: Sized + Clone + PartialEq + Display {
    /// What an entry has to be, to go after a wrong one in a message.
    const FORM: &'static str;

    /// Reads an entry.
    fn read(text: &str) -> Option<Self>;

    /// True if everything that `other` stands for is what this entry stands for.
    fn covers(&self, other: &Self) -> bool;
}

impl Entry for RegionName {
    const FORM: &'static str = "is not a Region code such as eu-central-1";

    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn covers(&self, other: &Self) -> bool {
        self == other
    }
}

impl Entry for RoleArn {
    const FORM: &'static str = Self::FORM;

    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn covers(&self, other: &Self) -> bool {
        self == other
    }
}

impl Entry for Address {
    const FORM: &'static str = "is not of the form user@domain, *@domain, *@*.domain or *";

    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn covers(&self, other: &Self) -> bool {
        Senders::of(self.as_str()).cover(Senders::of(other.as_str()))
    }
}

/// What the star in a sender pattern leaves fixed. IAM matches letter by letter, and so does this.
#[derive(Clone, Copy, PartialEq)]
enum Senders<'a> {
    /// `*`
    All,
    /// `*@*.parent`
    Below(&'a str),
    /// `*@domain`
    Domain(&'a str),
    /// `user@domain`: the whole of it.
    One(&'a str),
}

impl<'a> Senders<'a> {
    fn of(pattern: &'a str) -> Self {
        match (pattern.strip_prefix("*@*."), pattern.strip_prefix("*@")) {
            (Some(parent), _) => Self::Below(parent),
            (None, Some(domain)) => Self::Domain(domain),
            (None, None) if pattern == "*" => Self::All,
            (None, None) => Self::One(pattern),
        }
    }

    fn cover(self, other: Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (_, Self::All) => false,
            (Self::Below(parent), Self::Below(domain)) => domain == parent || is_below(domain, parent),
            (Self::Below(parent), Self::Domain(domain)) => is_below(domain, parent),
            (Self::Below(parent), Self::One(address)) => is_below(domain_of(address), parent),
            (Self::Domain(domain), Self::One(address)) => domain_of(address) == domain,
            (Self::Domain(_) | Self::One(_), _) => self == other,
        }
    }
}

fn is_below(domain: &str, parent: &str) -> bool {
    domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
}

fn domain_of(address: &str) -> &str {
    address.split_once('@').map_or("", |(_, domain)| domain)
}

/// Why a text is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// It has no entry, or an empty one.
    Empty,
    /// An entry is not what it has to be: the entry, shortened, and what it has to be.
    Wrong(String, &'static str),
}

impl Display for Unlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("an entry is empty; allowed is a list with commas between its entries")
            }
            Self::Wrong(entry, form) => write!(f, "{entry:?} {form}"),
        }
    }
}

/// Reads a list: entries with commas between them, and blanks around them if need be.
pub fn list<T: Entry>(text: &str) -> Result<Vec<T>, Unlisted> {
    let entry = |text: &str| match text.trim() {
        "" => Err(Unlisted::Empty),
        text => T::read(text).ok_or_else(|| Unlisted::Wrong(shown(text), T::FORM)),
    };
    text.split(',').map(entry).collect()
}

/// What both lists cover: of each pair the narrower one, if the other covers it.
pub fn common<T: Entry>(first: &[T], second: &[T]) -> Vec<T> {
    let covered = |entry: &&T, by: &[T]| by.iter().any(|wide| wide.covers(entry));
    let mut both: Vec<T> = first.iter().filter(|entry| covered(entry, second)).cloned().collect();
    let more = second.iter().filter(|entry| covered(entry, first) && !covered(entry, &both));
    let more: Vec<T> = more.cloned().collect();
    both.extend(more);
    both
}
