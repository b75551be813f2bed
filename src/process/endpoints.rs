//! The admin's endpoints file: what is known of Regions beyond the built-in table.
//!
//! A YAML map from Region to `none`, or to a host with its ports. It extends and overrides the
//! built-in table, so that a new Region needs no release:
//!
//! ```yaml
//! mx-central-1:
//!   host: email-smtp.mx-central-1.amazonaws.com
//! eu-west-1:
//!   host: relay.example.com
//!   starttls: [2500]
//!   tls: []
//! eu-west-2: none
//! ```

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Map, Value};
use ses_smtp_core::region::{RegionName, RegionState, RegionTable, SmtpEndpoint};

/// The longest host name (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;
/// The longest label of a host name.
const MAX_LABEL: usize = 63;

/// The setting, shared by every command that needs the region table.
#[derive(Args, Clone, Debug)]
pub struct EndpointsArg {
    /// YAML file with SMTP endpoints that extend and override the built-in region table: Region to
    /// `none` or to `host`, and optionally its `starttls` and `tls` ports (both left out: SES's own)
    #[arg(long, env = "SES_SMTP_ENDPOINTS_FILE", value_name = "FILE", value_parser = load)]
    endpoints_file: Option<RegionTable>,
}

impl EndpointsArg {
    /// The region table in force.
    pub fn table(&self) -> RegionTable {
        self.endpoints_file.clone().unwrap_or_default()
    }
}

/// Reads the file at `path`. The caller's message names the file.
fn load(path: &str) -> Result<RegionTable, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    parse(&text)
}

/// The table that a file's text makes, or what is wrong with it.
pub fn parse(text: &str) -> Result<RegionTable, String> {
    let form = "a map from Region to none or to host, starttls and tls";
    let entries: BTreeMap<String, Value> =
        serde_saphyr::from_str(text).map_err(|error| format!("expected {form}: {error}"))?;
    let mut table = RegionTable::default();
    for (name, entry) in &entries {
        let state = state(entry).map_err(|why| format!("region `{name}`: {why}"))?;
        let region = RegionName::parse(name)
            .ok_or_else(|| format!("region `{name}`: expected a Region code such as eu-central-1"))?;
        table.set(&region, state);
    }
    Ok(table)
}

fn state(entry: &Value) -> Result<RegionState, String> {
    match entry {
        Value::String(text) if text == "none" => Ok(RegionState::NoSmtp),
        Value::Object(fields) => endpoint(fields).map(RegionState::Smtp),
        other => Err(format!("`{other}`: expected none, or a map with host, starttls and tls")),
    }
}

fn endpoint(fields: &Map<String, Value>) -> Result<SmtpEndpoint, String> {
    let known = |field: &&String| !["host", "starttls", "tls"].contains(&field.as_str());
    if let Some(unknown) = fields.keys().find(known) {
        return Err(format!("unknown field `{unknown}`: expected host, starttls, tls"));
    }
    let host = host(fields.get("host"))?;
    let (starttls, tls) = (fields.get("starttls"), fields.get("tls"));
    if starttls.is_none() && tls.is_none() {
        return Ok(SmtpEndpoint::with_host(host));
    }
    let (starttls, tls) = (ports("starttls", starttls)?, ports("tls", tls)?);
    if starttls.is_empty() && tls.is_empty() {
        return Err("no port: expected at least one in starttls or tls, or neither list".to_owned());
    }
    Ok(SmtpEndpoint { host, starttls, tls })
}

fn host(value: Option<&Value>) -> Result<String, String> {
    let expected = "expected a host name without scheme or port";
    match value {
        Some(Value::String(host)) if is_host(host) => Ok(host.clone()),
        Some(other) => Err(format!("host `{other}`: {expected}")),
        None => Err(format!("host is missing: {expected}")),
    }
}

fn is_host(text: &str) -> bool {
    text.len() <= MAX_HOST && text.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn ports(field: &str, value: Option<&Value>) -> Result<Vec<u16>, String> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(ports)) => ports.iter().map(|value| port(field, value)).collect(),
        Some(other) => Err(format!("{field} `{other}`: expected a list of ports")),
    }
}

fn port(field: &str, value: &Value) -> Result<u16, String> {
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    port.ok_or_else(|| format!("{field} `{value}`: expected a port from 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(table: &RegionTable, region: &str) -> RegionState {
        table.get(&RegionName::parse(region).unwrap())
    }

    #[test]
    fn extends_and_overrides() {
        let table = parse(
            "mx-central-1: {host: email-smtp.mx-central-1.amazonaws.com}\n\
             eu-west-1: {host: localhost, starttls: [2500]}\n\
             eu-west-2: none\n",
        )
        .unwrap();
        let RegionState::Smtp(new) = get(&table, "mx-central-1") else { panic!("not added") };
        assert!(new.serves(587) && new.serves(465));
        let RegionState::Smtp(own) = get(&table, "eu-west-1") else { panic!("not overridden") };
        assert_eq!((own.host.as_str(), own.default_port(), own.tls.len()), ("localhost", 2500, 0));
        assert_eq!(get(&table, "eu-west-2"), RegionState::NoSmtp);
        assert!(matches!(get(&table, "eu-west-3"), RegionState::Smtp(_)));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, expected) in [
            ("EU-1: none", "region `EU-1`: expected a Region code"),
            ("eu-west-1: maybe", "region `eu-west-1`: `\"maybe\"`: expected none"),
            ("eu-west-1: {tls: [465]}", "region `eu-west-1`: host is missing"),
            ("eu-west-1: {host: \"http://x\"}", "host `\"http://x\"`: expected a host name"),
            ("eu-west-1: {host: x, tls: [70000]}", "tls `70000`: expected a port from 1 to 65535"),
            ("eu-west-1: {host: x, starttls: [0]}", "starttls `0`: expected a port"),
            ("eu-west-1: {host: x, starttls: 25}", "starttls `25`: expected a list"),
            ("eu-west-1: {host: x, starttls: [], tls: []}", "no port"),
            ("eu-west-1: {host: x, port: 25}", "unknown field `port`"),
            ("- eu-west-1", "expected a map"),
            ("eu-west-1: none\neu-west-1: none", "expected a map"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
