//! Proves what of the Helm chart is made from other files: copies, settings in the schema of its values, and the
//! table of values in its README. `make chart` renders it (`tests/deploy`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, Args as _, Command};
use serde_json::{Map, Value, json};
use ses_smtp_operator::process::RunSettings;

/// Files of the chart, and what each is a copy of: a chart can't reach beyond its folder.
const COPIES: [[&str; 2]; 4] = [
    ["crd.yaml", "crds/sessmtpcredentials.ses-smtp.dev.yaml"],
    ["admission-operator.yaml", "deploy/components/admission-policy/operator.yaml"],
    ["prometheusrule.yaml", "deploy/prometheus/prometheusrule.yaml"],
    ["admission-records.yaml", "deploy/components/admission-policy/records.yaml"],
];
const SCHEMA: &str = "deploy/chart/values.schema.json";
const README: &str = "deploy/chart/README.md";
/// Settings that name a file, and the values whose text the chart puts into one.
const FILES: [[&str; 2]; 2] = [["endpoints-file", "endpoints"], ["smtp-ca-file", "smtpAuthorities"]];

#[test]
fn copies_are_current() {
    for [copy, of] in COPIES {
        prove(&format!("deploy/chart/files/{copy}"), &read(of));
    }
}

#[test]
fn every_setting_is_a_value() {
    let mut schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    let command = RunSettings::augment_args(Command::new("run"));
    let mut settings = Map::new();
    for argument in command.get_arguments() {
        let flag = argument.get_long().unwrap();
        match FILES.iter().find(|[file, _]| *file == flag) {
            Some([_, value]) => assert!(schema["properties"][value].is_object(), "{value}"),
            None => drop(settings.insert(camel_case(flag), property(argument))),
        }
    }
    schema["properties"]["settings"]["properties"] = settings.into();
    prove(SCHEMA, &format!("{}\n", serde_json::to_string_pretty(&schema).unwrap()));
}

fn camel_case(flag: &str) -> String {
    let mut words = flag.split('-');
    let first = words.next().unwrap().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

/// What the schema says of a setting. The program checks more; a value that isn't of the form is refused early.
fn property(argument: &Arg) -> Value {
    let possible: Vec<String> =
        argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let value_name = argument.get_value_names().unwrap_or_default().first().map(ToString::to_string);
    let help = argument.get_long_help().or(argument.get_help()).unwrap().to_string().replace('\n', " ");
    let mut property = match value_name.as_deref() {
        _ if possible == ["true", "false"] => json!({ "type": "boolean" }),
        _ if !possible.is_empty() => json!({ "enum": possible }),
        Some("LIST") => json!({ "type": "array", "items": { "type": "string", "pattern": "^[^,]+$" } }),
        Some("N") => json!({ "type": "integer", "minimum": 0 }),
        // Helm's --set makes a text of a number with a point.
        Some("RATE") => json!({ "type": ["number", "string"] }),
        _ => json!({ "type": "string" }),
    };
    property["description"] = json!(format!("{help}."));
    property
}

#[test]
fn versions_are_the_programs() {
    let chart: Value = serde_saphyr::from_str(&read("deploy/chart/Chart.yaml")).unwrap();
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field}");
    }
}

#[test]
fn the_readme_lists_every_value() {
    let schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    let defaults: Value = serde_saphyr::from_str(&read("deploy/chart/values.yaml")).unwrap();
    let mut table = "| Value | Default | Meaning |\n|---|---|---|\n".to_owned();
    rows("", &schema, &defaults, &mut table);
    let text = read(README);
    let (begin, end) = ("<!-- generated: values -->\n", "<!-- end: values -->");
    let (before, rest) = text.split_once(begin).expect("the marker before the table");
    let (_, after) = rest.split_once(end).expect("the marker after the table");
    prove(README, &[before, begin, &table, end, after].concat());
}

/// A row for each value, and one for all settings together. Defaults are those of `values.yaml`.
fn rows(parent: &str, schema: &Value, defaults: &Value, table: &mut String) {
    for (name, property) in schema["properties"].as_object().unwrap() {
        let (path, default) = (format!("{parent}{name}"), &defaults[name]);
        if path == "global" {
            continue;
        }
        assert!(!default.is_null(), "{path} is not in values.yaml");
        if property["properties"].is_object() && path != "settings" {
            rows(&format!("{path}."), property, default, table);
        } else {
            let meaning = property["description"].as_str().unwrap();
            writeln!(table, "| `{path}` | `{default}` | {meaning} |").unwrap();
        }
    }
}

/// Compares a file with `made`, or writes it when `UPDATE_DOCS` is set.
fn prove(file: &str, made: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(file), made).unwrap();
    }
    assert!(read(file) == made, "{file} is out of date: run make generate");
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_default()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
