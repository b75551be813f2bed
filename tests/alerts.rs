//! Proves that alert rules, dashboard and pages agree: each alert has a section in the runbook and tests both
//! ways, each metric that is asked for exists, and both forms of the rules are one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use ses_smtp_core::reason::{Reason, Who};

const RULES: &str = "deploy/prometheus/rules.yaml";
const OBJECT: &str = "deploy/prometheus/prometheusrule.yaml";
const HEAD: &str = "\
# Generated from rules.yaml by `make generate`: don't edit. For the Prometheus Operator; add the labels that your
# Prometheus selects rules by.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ses-smtp-operator
  namespace: ses-smtp-operator
  labels:
    app.kubernetes.io/name: ses-smtp-operator
spec:
";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_default()
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap()
}

fn alerts() -> Vec<Value> {
    let groups = yaml(RULES)["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn the_object_holds_the_rules() {
    let rules = read(RULES);
    let groups = &rules[rules.find("groups:").unwrap()..];
    let indent = |line: &str| if line.is_empty() { String::new() } else { format!("  {line}") };
    let text: String = groups.lines().map(|line| indent(line) + "\n").collect();
    let object = format!("{HEAD}{text}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path(OBJECT), &object).unwrap();
    }
    assert_eq!(read(OBJECT), object, "{OBJECT} is out of date: run make generate");
    assert_eq!(yaml(OBJECT)["spec"], yaml(RULES));
}

/// The anchors of a page, as GitHub and most others make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let titles = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |title: &str| -> String {
        let title = title.trim_start_matches('#').trim().to_lowercase();
        title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .collect::<String>()
            .replace(' ', "-")
    };
    titles.map(anchor).collect()
}

#[test]
fn each_alert_has_its_section_in_the_runbook() {
    let page = read("docs/runbook.md");
    let sections: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let [summary, description, url] =
            ["summary", "description", "runbook_url"].map(|key| alert["annotations"][key].as_str().unwrap());
        assert!(!summary.is_empty() && !description.is_empty(), "{name}");
        let (file, anchor) = url.split_once('#').unwrap();
        assert!(anchors(&read(file)).contains(anchor), "{name}: {url} leads nowhere");
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
        let section = page.split(&format!("## {name}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
        for part in [
            &format!("*{}.*", severity[..1].to_uppercase() + &severity[1..]),
            "**First look**",
            "**Do**",
            "**Heals**",
        ] {
            assert!(section.contains(part), "{name}: the runbook lacks {part}");
        }
        names.insert(name.to_owned());
    }
    assert_eq!(names, sections, "alerts and sections of the runbook");
}

#[test]
fn each_alert_is_tested_to_fire_and_to_be_quiet() {
    let tests = yaml("tests/prometheus/rules_test.yaml");
    let checks: Vec<Value> = tests["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap().clone())
        .collect();
    for alert in alerts() {
        let of = |fires: bool| {
            checks.iter().any(|check| {
                check["alertname"] == alert["alert"]
                    && check["exp_alerts"].as_array().unwrap().is_empty() != fires
            })
        };
        assert!(
            of(true) && of(false),
            "{} needs a test where it fires and one where it doesn't",
            alert["alert"]
        );
    }
}

/// The words of a text that could be metrics of ours.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("ses_smtp_")).map(str::to_owned).collect()
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let table = metrics(&read("docs/metrics.md"));
    let pages =
        ["deploy/grafana/dashboard.json", RULES, "docs/runbook.md", "docs/operations.md", "docs/logs.md"];
    for page in pages {
        for word in metrics(&read(page)) {
            let metric = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|suffix| word.strip_suffix(suffix))
                .unwrap_or(&word);
            assert!(table.contains(metric), "{page} names {word}, which docs/metrics.md doesn't have");
        }
    }
}

/// The first column of each row between a heading and the next.
fn rows(page: &str, heading: &str) -> BTreeSet<String> {
    let section = page.split(heading).nth(1).unwrap().split("\n##").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    cells
        .flat_map(|cell| cell.split(['`', ',', ' ']).filter(|name| Reason::named(name).is_some()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn who_has_to_act_is_who_the_documentation_says() {
    let page = read("docs/operations.md");
    for (who, heading) in
        [(Who::Author, "### Blocked: the author of the object"), (Who::Admin, "### Blocked: the admin")]
    {
        let of = Reason::ALL.iter().filter(|reason| reason.who() == Some(who));
        let expected: BTreeSet<String> = of.map(|reason| reason.as_str().to_owned()).collect();
        assert_eq!(rows(&page, heading), expected, "{heading}");
    }
}
