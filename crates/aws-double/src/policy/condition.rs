//! Condition blocks: operators, set prefixes, `IfExists`.

use std::net::IpAddr;

use serde_json::Value;

use super::pattern::Pattern;
use super::{Context, texts};

/// How values of a multi-valued key are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    One,
    All,
    Any,
}

/// Whether every operator of the block holds.
pub(super) fn holds(block: &Value, context: &Context) -> bool {
    let Some(operators) = block.as_object() else { return false };
    operators.iter().all(|(operator, keys)| {
        keys.as_object().is_some_and(|keys| keys.iter().all(|(key, want)| one(operator, key, want, context)))
    })
}

fn one(operator: &str, key: &str, want: &Value, context: &Context) -> bool {
    let (set, operator) = split_set(operator);
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let found = context.values(key);
    if operator == "Null" {
        return texts(want).contains(&if found.is_none_or(<[String]>::is_empty) { "true" } else { "false" });
    }
    let (operator, negated) = split_not(operator);
    let Some(test) = test(operator) else { return false };
    let fits = |have: &String| texts(want).into_iter().any(|want| test(want, have, context)) != negated;
    match (set, found) {
        (Set::All, found) => found.unwrap_or_default().iter().all(fits),
        (Set::Any, found) => found.unwrap_or_default().iter().any(fits),
        (Set::One, Some(values)) => values.iter().all(fits),
        (Set::One, None) => if_exists || negated,
    }
}

fn split_set(operator: &str) -> (Set, &str) {
    match operator.split_once(':') {
        Some(("ForAllValues", rest)) => (Set::All, rest),
        Some(("ForAnyValue", rest)) => (Set::Any, rest),
        _ => (Set::One, operator),
    }
}

/// The positive form of an operator, and whether it was negated.
fn split_not(operator: &str) -> (&str, bool) {
    match operator {
        "StringNotEquals" => ("StringEquals", true),
        "StringNotEqualsIgnoreCase" => ("StringEqualsIgnoreCase", true),
        "StringNotLike" => ("StringLike", true),
        "ArnNotEquals" | "ArnNotLike" => ("ArnLike", true),
        "NotIpAddress" => ("IpAddress", true),
        other => (other, false),
    }
}

type Test = fn(&str, &str, &Context) -> bool;

fn test(operator: &str) -> Option<Test> {
    Some(match operator {
        "StringEquals" => |want, have, context| Pattern::literal(want, context).matches(have),
        "StringEqualsIgnoreCase" | "Bool" => |want, have, context| {
            Pattern::literal(&want.to_lowercase(), context).matches(&have.to_lowercase())
        },
        "StringLike" | "ArnLike" | "ArnEquals" => {
            |want, have, context| Pattern::wild(want, context).matches(have)
        }
        "IpAddress" => |want, have, _| in_network(want, have).unwrap_or(false),
        _ => return None,
    })
}

/// Whether an address lies in a network written as CIDR or as one address.
fn in_network(network: &str, address: &str) -> Option<bool> {
    let (base, bits) = network.split_once('/').map_or((network, None), |(base, bits)| (base, Some(bits)));
    let width: u32 = if base.contains(':') { 128 } else { 32 };
    let bits = bits.map_or(Some(width), |bits| bits.parse().ok())?;
    let (base, address) = (number(base.parse().ok()?), number(address.parse().ok()?));
    let shift = width.checked_sub(bits)?;
    let cut = |n: u128| n.checked_shr(shift).unwrap_or(0);
    Some(base.0 == address.0 && cut(base.1) == cut(address.1))
}

/// Whether it is IPv6, and the address as a number.
fn number(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(v4) => (false, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (true, u128::from(v6)),
    }
}
