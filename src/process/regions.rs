//! The `regions` command: the region table in force.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;
use ses_smtp_core::region::{Partition, RegionName, RegionState, RegionTable};

use super::endpoints::EndpointsArg;
use super::output;

/// Arguments of `regions`.
#[derive(Args)]
pub(super) struct RegionsArgs {
    /// Form of the output
    #[arg(short, long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    output: Form,
    #[command(flatten)]
    endpoints: EndpointsArg,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Table,
    Json,
}

/// One Region as printed.
#[derive(Serialize)]
struct Row {
    region: String,
    partition: Option<Partition>,
    smtp: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    starttls: Vec<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls: Vec<u16>,
}

/// Runs the command.
pub(super) fn command(args: &RegionsArgs) -> ExitCode {
    let rows = rows(&args.endpoints.table());
    match args.output {
        Form::Table => output::result(&table(&rows)),
        Form::Json => match serde_json::to_string_pretty(&rows) {
            Ok(json) => output::result(&(json + "\n")),
            Err(error) => output::fail(&error),
        },
    }
}

fn rows(table: &RegionTable) -> Vec<Row> {
    table.rows().map(|(name, state)| row(name, state)).collect()
}

fn row(name: &str, state: &RegionState) -> Row {
    let partition = RegionName::parse(name).map(|region| region.partition());
    let (host, starttls, tls) = match state {
        RegionState::Smtp(at) => (Some(at.host.clone()), at.starttls.clone(), at.tls.clone()),
        RegionState::NoSmtp | RegionState::Unknown => (None, Vec::new(), Vec::new()),
    };
    Row { region: name.to_owned(), partition, smtp: host.is_some(), host, starttls, tls }
}

fn table(rows: &[Row]) -> String {
    let width = |cell: fn(&Row) -> usize, least: usize| rows.iter().map(cell).max().unwrap_or(0).max(least);
    let region = width(|row| row.region.len(), "REGION".len());
    let host = width(|row| row.host.as_ref().map_or(0, String::len), "SMTP HOST".len());
    let mut text = format!("{:region$}  {:host$}  {:15}  TLS\n", "REGION", "SMTP HOST", "STARTTLS");
    for row in rows {
        let name = row.host.as_deref().unwrap_or("none");
        let (starttls, tls) = (ports(&row.starttls), ports(&row.tls));
        let line = format!("{:region$}  {name:host$}  {starttls:15}  {tls}", row.region);
        // Writing to a String doesn't fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn ports(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}
