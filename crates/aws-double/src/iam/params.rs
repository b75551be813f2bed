//! The form parameters of a query-protocol call.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::account::{ApiError, Page, Tag};

/// Parameters by name, lists flattened as `Tags.member.1.Key`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// Parses a form body.
    pub fn parse(body: &str) -> Self {
        let pairs = body.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| (decode(k), decode(v)))
                .collect(),
        )
    }

    /// Parameters from pairs, for calls that do not come over the wire.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// A parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that must be there.
    pub(crate) fn need(&self, name: &str) -> Result<&str, ApiError> {
        let missing = || {
            ApiError::validation(format!(
                "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
            ))
        };
        self.get(name).ok_or_else(missing)
    }

    pub(crate) fn tags(&self) -> Vec<Tag> {
        let tag = |n: usize| {
            let key = self.get(&format!("Tags.member.{n}.Key"))?;
            let value = self.get(&format!("Tags.member.{n}.Value")).unwrap_or_default();
            Some(Tag { key: key.to_owned(), value: value.to_owned() })
        };
        (1..).map_while(tag).collect()
    }

    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        (1..).map_while(|n: usize| self.get(&format!("{name}.member.{n}")).map(str::to_owned)).collect()
    }

    pub(crate) fn page(&self) -> Result<Page, ApiError> {
        let number = |text: &str| {
            text.parse().map_err(|_| ApiError::constraint(text, "maxItems", "have value between 1 and 1000"))
        };
        Ok(Page {
            max_items: self.get("MaxItems").map(number).transpose()?,
            marker: self.get("Marker").map(str::to_owned),
        })
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
