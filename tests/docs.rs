//! Proves that the documentation says what the code says: field and reason tables, the messages at
//! admission, and the AWS rights.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "iam_policy/matrix.rs"]
mod matrix;
#[path = "setup/template.rs"]
mod template;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use ses_smtp_core::api::{self, SesSmtpCredential};
use ses_smtp_core::desired::{Goal, Settings, VerifyLogin};
use ses_smtp_core::identity::Installation;
use ses_smtp_core::reason::{Kind, Reason};
use ses_smtp_core::region::{Partition, RegionTable};
use ses_smtp_core::rights::{Reach, boundary};
use ses_smtp_core::source::{Problem, Source};
use ses_smtp_core::tenancy::{Allowed, Tenancy, list};
use ses_smtp_core::time::Durations;
use ses_smtp_operator::aws::Action;

const GENERATED: &str = "Generated from the code by `make generate`: don't edit.";

/// One test for all, because two that write the same file would lose one another's part.
#[test]
fn what_is_generated_is_current() {
    let fields = Field::all();
    prove("docs/fields.md", &fields_page(&fields));
    prove("docs/reasons.md", &reasons_page());
    prove_part("README.md", "fields", &fields_short(&fields));
    prove_part("README.md", "reasons", &reasons_short());
    for (name, document) in [("operator", placeholders().operator()), ("boundary", boundary())] {
        let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
        prove(&format!("deploy/iam/{name}-policy.json"), &text);
        prove_part("README.md", &format!("{name} policy"), &format!("```json\n{text}```\n"));
    }
    prove_part("docs/gitops.md", "argocd health", &argocd_health());
    prove_part("docs/iam.md", "actions", &action_table());
    for name in ["irsa", "pod-identity"] {
        let text = read(&format!("deploy/iam/{name}-trust-policy.json"));
        prove_part("docs/iam.md", &format!("{name} trust"), &format!("```json\n{text}```\n"));
    }
    prove("deploy/iam/cloudformation/template.yaml", &cloudformation());
}

/// The `ConfigMap` that gives Argo CD the script that is tested.
fn argocd_health() -> String {
    let script = read("deploy/argocd/health.lua");
    assert!(!script.is_empty());
    let mut page =
        "```yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata:\n"
            .to_owned();
    page.push_str("  resource.customizations.health.ses-smtp.dev_SesSmtpCredential: |\n");
    for line in script.lines() {
        let indent = if line.is_empty() { "" } else { "    " };
        writeln!(page, "{indent}{line}").unwrap();
    }
    page + "```\n"
}

/// Each action of the operator's policy, what it is for, and the test that withdraws it.
fn action_table() -> String {
    let policy = serde_json::to_value(placeholders().operator()).unwrap();
    let mut table = "| Action | Statement | Why | Test that withdraws it |\n|---|---|---|---|\n".to_owned();
    for statement in policy["Statement"].as_array().unwrap() {
        let actions = match &statement["Action"] {
            Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        for action in actions {
            let need = matrix::NEEDS.iter().find(|need| action == need.action).unwrap();
            let (sid, test) = (statement["Sid"].as_str().unwrap(), need.deed.test());
            writeln!(table, "| `{}` | {sid} | {} | `{test}` |", need.action, need.why).unwrap();
        }
    }
    table
}

fn cloudformation() -> String {
    let head = format!("# {GENERATED}\n");
    let document = |name: &str| match name {
        "operator-policy" => serde_json::to_string_pretty(&placeholders().operator()).unwrap(),
        "boundary-policy" => serde_json::to_string_pretty(&boundary()).unwrap(),
        trust => read(&format!("deploy/iam/{trust}.json")),
    };
    head + &template::template(document)
}

/// What the files in `deploy/iam` are made for.
fn placeholders() -> Reach {
    Reach {
        partition: Partition::Commercial.to_string(),
        account: "ACCOUNT".to_owned(),
        path: "/ses-smtp/CLUSTER/".to_owned(),
        boundary_name: "ses-smtp-boundary".to_owned(),
        roles: Vec::new(),
    }
}

#[test]
fn messages_at_admission_are_documented() {
    let page = read("docs/input.md");
    let fields = Field::all();
    let rules = fields.iter().flat_map(|field| &field.rules);
    for message in rules.chain(&root_rules()) {
        assert!(page.contains(message.as_str()), "docs/input.md lacks: {message}");
    }
}

/// Specs that admission lets pass and that can't be served.
const REFUSED_LATER: [&str; 21] = [
    r#"{"region": "mx-central-1"}"#,
    r#"{"region": "eu-south-1"}"#,
    r#"{"region": "us-gov-west-1"}"#,
    r#"{"region": "eu-central-1", "endpoint": {"host": "mail.example.com"}}"#,
    r#"{"region": "eu-central-1", "endpoint": {"host": "email-smtp.eu-west-1.amazonaws.com"}}"#,
    r#"{"region": "eu-central-1", "endpoint": {"port": 26}}"#,
    r#"{"region": "eu-central-1", "secret": {"name": "../x"}}"#,
    r#"{"region": "eu-central-1", "secret": {"labels": {"team": "a b"}}}"#,
    r#"{"region": "eu-central-1", "secret": {"labels": {"a b": "c"}}}"#,
    r#"{"region": "eu-central-1", "secret": {"annotations": {"/x": "y"}}}"#,
    r#"{"region": "eu-central-1", "secret": {"data": {"x": "$(hst)"}}}"#,
    r#"{"region": "eu-central-1", "secret": {"data": {"x": "$(us-east-1.host)"}}}"#,
    r#"{"region": "eu-central-1", "secret": {"data": {"x": "$(fromAddress)"}}}"#,
    r#"{"region": "eu-central-1", "secret": {"data": {"x": "$(username)"}}}"#,
    r#"{"region": "eu-central-1", "secret": {"data": {"x": "$(password)"}}}"#,
    r#"{"region": "eu-central-1", "secret": {"data": {"u": "$(url)", WIDE}}}"#,
    r#"{"region": "eu-central-1", "policy": {"recipients": ["*@xn--a.example"]}}"#,
    r#"{"region": "eu-central-1", "policy": {"identities": ["arn:aws:ses:us-gov-west-1:123456789012:identity/example.com"]}}"#,
    r#"{"region": "eu-central-1", "policy": {"identities": ["arn:aws-us-gov:ses:us-gov-west-1:123456789012:identity/example.com"]}}"#,
    r#"{"region": "eu-central-1", "policy": {"identities": ["arn:aws:ses:us-east-1:123456789012:identity/example.com"]}}"#,
    r#"{"region": "eu-central-1", "policy": {"fromAddresses": LONG}}"#,
];

#[test]
fn messages_after_admission_are_documented() {
    let page = read("docs/input.md");
    let shown: Vec<String> = REFUSED_LATER.iter().map(|spec| refusal(spec)).collect();
    let missing: Vec<&String> = shown.iter().filter(|text| !page.contains(text.as_str())).collect();
    assert!(missing.is_empty(), "docs/input.md lacks: {missing:#?}");
}

#[test]
fn messages_about_sources_are_documented() {
    let page = read("docs/input.md");
    let source = Source {
        name: "ses-key".to_owned(),
        id_key: "AWS_ACCESS_KEY_ID".to_owned(),
        secret_key: "AWS_SECRET_ACCESS_KEY".to_owned(),
    };
    let id = || source.id_key.clone();
    let secret = || source.secret_key.clone();
    for problem in [
        Problem::Missing,
        Problem::Unlabelled,
        Problem::NoKey { key: id(), has: vec!["access_key".to_owned(), "secret_key".to_owned()] },
        Problem::Blank { key: secret() },
        Problem::NotAnId { key: id() },
        Problem::NotASecret { key: secret() },
        Problem::Temporary { key: id() },
    ] {
        let (reason, message) = (problem.reason().as_str(), problem.message("shop", &source));
        let shown = format!("`{reason}`: `{message}` |");
        assert!(page.contains(&shown), "docs/input.md lacks: {shown}");
    }
}

/// Annotations of a Namespace, specs under them, and the operator's settings for Regions and senders.
const REFUSED_BY_NAMESPACE: [(&str, &str, &str, [&str; 2]); 10] = [
    ("", "", r#"{"region": "us-east-1"}"#, ["eu-central-1,eu-west-1", ""]),
    ("allowed-regions", "eu-central-1", r#"{"region": "eu-west-1"}"#, ["", ""]),
    (
        "allowed-regions",
        "eu-central-1",
        r#"{"region": "eu-central-1", "additionalRegions": ["eu-west-1"]}"#,
        ["eu-central-1,us-east-1", ""],
    ),
    (
        "allowed-from-addresses",
        "*@shop.example.com",
        r#"{"region": "eu-central-1", "policy": {"fromAddresses": ["*@example.com"]}}"#,
        ["", "*@*.example.com"],
    ),
    ("allowed-regions", "eu-central-1,moon", r#"{"region": "eu-central-1"}"#, ["", ""]),
    ("allowed-regions", "", r#"{"region": "eu-central-1"}"#, ["", ""]),
    ("allowed-from-addresses", "*example.com", r#"{"region": "eu-central-1"}"#, ["", ""]),
    ("allowed-regions", "us-east-1", r#"{"region": "us-east-1"}"#, ["eu-central-1", ""]),
    ("role-arn", "tenant", r#"{"region": "eu-central-1"}"#, ["", ""]),
    ("role-arn", "arn:aws:iam::210987654321:role/x", r#"{"region": "eu-central-1"}"#, ["", ""]),
];

#[test]
fn messages_about_namespaces_are_documented() {
    let page = read("docs/input.md");
    let shown = REFUSED_BY_NAMESPACE.iter().map(|(key, value, spec, [regions, senders])| {
        let annotations = [(format!("ses-smtp.dev/{key}"), (*value).to_owned())].into();
        let allowed = Allowed {
            regions: (!regions.is_empty()).then(|| list(regions).unwrap()),
            senders: (!senders.is_empty()).then(|| list(senders).unwrap()),
            roles: Vec::new(),
        };
        told(&goal_under(spec, allowed, &Tenancy::of(&annotations)))
    });
    let missing: Vec<String> = shown.filter(|text| !page.contains(text.as_str())).collect();
    assert!(missing.is_empty(), "docs/input.md lacks: {missing:#?}");
}

#[test]
fn the_page_for_admins_shows_the_trust_policy_as_it_is() {
    let page = read("docs/tenancy.md");
    let file = "deploy/iam/tenant-trust-policy.json";
    assert!(page.contains(read(file).trim_end()), "docs/tenancy.md shows another {file}");
}

fn refusal(spec: &str) -> String {
    let spec = spec.replace("LONG", &long_addresses()).replace("WIDE", &wide_texts());
    told(&goal_under(&spec, Allowed::default(), &Tenancy::default()))
}

fn told(goal: &Goal) -> String {
    let Goal::Invalid(_, invalid) = goal else { panic!("served: {goal:?}") };
    format!("`{}`: `{}` |", invalid.reason.as_str(), cell(&invalid.message))
}

/// Entries of a layout, each as long as may be and of placeholders that get longer.
fn wide_texts() -> String {
    let entry = |number: u32| format!("\"wide{number}\": \"{}\"", "$(url)".repeat(682));
    (0..8).map(entry).collect::<Vec<_>>().join(", ")
}

/// Twenty addresses of 120 characters each.
fn long_addresses() -> String {
    let addresses: Vec<String> = (10..30)
        .map(|number| format!("{}@{number}.{}.example.com", "a".repeat(50), "b".repeat(54)))
        .collect();
    serde_json::to_string(&addresses).unwrap()
}

fn goal_under(spec: &str, allowed: Allowed, tenancy: &Tenancy) -> Goal {
    let mut object = SesSmtpCredential::new("mailer", serde_json::from_str(spec).unwrap());
    object.metadata.namespace = Some("shop".to_owned());
    object.metadata.uid = Some("4fd0e599-73f5-42b3-b6bd-a35ae299c426".to_owned());
    let installation = Installation {
        cluster_id: "0123456789".to_owned(),
        install_id: "0123456789abcdef".to_owned(),
        account: "123456789012".to_owned(),
        partition: Partition::Commercial,
        user_path: "/ses-smtp/".to_owned(),
        user_prefix: "ses-smtp-".to_owned(),
        boundary_name: None,
    };
    Goal::of(
        &object,
        &Settings {
            installation,
            regions: RegionTable::default(),
            durations: Durations::default(),
            time_scale: 1.0,
            verify_login: VerifyLogin::Auto,
            allowed,
        },
        tenancy,
    )
}

#[test]
fn the_policy_grants_what_is_called_and_nothing_else() {
    let policy = json("deploy/iam/operator-policy.json");
    let granted: BTreeSet<&str> = actions(&policy).into_iter().collect();
    let called: BTreeSet<&str> = Action::ALL.iter().map(|action| action.right()).collect();
    assert_eq!(granted, called);
    assert_eq!(actions(&json("deploy/iam/boundary-policy.json")), ["ses:SendRawEmail"]);
}

/// Tables whose last column names tests: page and heading.
const SHOWN_BY_TESTS: [(&str, &str); 2] = [
    ("docs/security.md", "## Threats"),
    ("docs/input.md", "## What else may be done to an object, and which test shows it"),
];

/// A row without a test, and a name that no test has, are claims that nobody shows.
#[test]
fn every_threat_and_every_deed_names_tests_that_exist() {
    let sources = sources();
    for (file, heading) in SHOWN_BY_TESTS {
        let page = read(file);
        let table = page.split(heading).nth(1).unwrap().split("\n## ").next().unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).skip(2).collect();
        assert!(rows.len() > 20, "{file}: {}", rows.len());
        for row in rows {
            let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
            let names: Vec<&str> = cell.split(", ").map(|name| name.trim_matches('`')).collect();
            for name in names {
                let exists = sources.iter().any(|text| text.contains(&format!("fn {name}(")));
                assert!(exists, "no test {name:?} for {row}");
            }
        }
    }
}

/// The text of every source file with tests in it.
fn sources() -> Vec<String> {
    let mut folders: Vec<PathBuf> = ["src", "tests", "crates"].map(|folder| root().join(folder)).into();
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                texts.extend(fs::read_to_string(&path).ok().filter(|text| text.contains("test")));
            }
        }
    }
    texts
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = read(page.to_str().unwrap());
        let folder = root().join(&page).parent().unwrap().to_owned();
        for target in links(&text) {
            assert!(folder.join(&target).exists(), "{}: {target} is not there", page.display());
        }
    }
}

/// Each example is served, and becomes the policy that stands below it.
#[test]
fn examples_become_the_policies_below_them() {
    let page = read("docs/policy.md");
    let (objects, policies) = (blocks(&page, "yaml"), blocks(&page, "json"));
    assert!(objects.len() == policies.len() && objects.len() > 2, "{} {}", objects.len(), policies.len());
    for (object, policy) in objects.iter().zip(policies) {
        let spec: Value = serde_saphyr::from_str::<Value>(object).unwrap()["spec"].take();
        let goal = goal_under(&spec.to_string(), Allowed::default(), &Tenancy::default());
        let Goal::Serve(desired) = goal else { panic!("not served: {object}") };
        let made: Value = serde_json::from_str(&desired.policy.document).unwrap();
        assert_eq!(made, serde_json::from_str::<Value>(policy).unwrap(), "{object}");
    }
}

/// What stands between fences of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn reasons_page() -> String {
    let mut page = format!(
        "# Reasons\n\n\
         Every reason that conditions, events, logs and metrics use. {GENERATED}\n\n\
         *Good*: the credential works. *In progress*: it is worked on, or will be by itself; shows as\n\
         condition `Reconciling`. *Blocked*: somebody has to act; shows as condition `Stalled`, and is\n\
         tried again by itself, at the latest after ten minutes.\n\n\
         | Reason | Kind | What happened | What to do |\n|---|---|---|---|\n"
    );
    for reason in Reason::ALL {
        let (name, kind) = (reason.as_str(), kind(*reason));
        writeln!(page, "| `{name}` | {kind} | {} | {} |", cell(reason.meaning()), cell(reason.action()))
            .unwrap();
    }
    page
}

fn reasons_short() -> String {
    let mut table = "| Reason | Kind | What happened |\n|---|---|---|\n".to_owned();
    for reason in Reason::ALL {
        writeln!(table, "| `{}` | {} | {} |", reason.as_str(), kind(*reason), cell(reason.meaning()))
            .unwrap();
    }
    table
}

fn kind(reason: Reason) -> &'static str {
    match reason.kind() {
        Kind::Good => "good",
        Kind::Progress => "in progress",
        Kind::Blocked => "blocked",
    }
}

/// A field of the spec, as the schema has it.
struct Field {
    path: String,
    required: bool,
    kind: String,
    default: String,
    limits: Vec<String>,
    rules: Vec<String>,
    description: String,
}

impl Field {
    /// Every field under `spec`, required ones first.
    fn all() -> Vec<Self> {
        let mut fields = Vec::new();
        Self::under("", &schema()["properties"]["spec"], &mut fields);
        fields
    }

    fn under(parent: &str, schema: &Value, fields: &mut Vec<Self>) {
        let Some(properties) = schema["properties"].as_object() else { return };
        let required: Vec<&str> = strings(&schema["required"]).collect();
        let mut names: Vec<&String> = properties.keys().collect();
        names.sort_by_key(|name| (!required.contains(&name.as_str()), *name));
        for name in names {
            let (path, schema) = (format!("{parent}{name}"), &properties[name]);
            if schema["properties"].is_object() {
                Self::under(&format!("{path}."), schema, fields);
            } else {
                fields.push(Self::new(path, schema, required.contains(&name.as_str())));
            }
        }
    }

    fn new(path: String, schema: &Value, required: bool) -> Self {
        let text = schema["description"].as_str().unwrap().replace('\n', " ");
        let default = default_of(schema, &text);
        Self {
            required,
            kind: kind_of(schema),
            description: text.replace(&format!(" Default: {default}."), ""),
            default,
            limits: limits_of(schema),
            rules: rules_of(schema).collect(),
            path,
        }
    }

    fn default_or_required(&self) -> String {
        match self.path.split_once('.') {
            _ if !self.required => self.default.clone(),
            None => "required".to_owned(),
            Some((parent, _)) => format!("required in `{parent}`"),
        }
    }
}

fn schema() -> Value {
    let crd = serde_json::to_value(api::crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn kind_of(schema: &Value) -> String {
    match schema["type"].as_str().unwrap() {
        "array" => format!("list of {}s", kind_of(&schema["items"])),
        "object" => format!("map to {}s", kind_of(&schema["additionalProperties"])),
        plain => plain.to_owned(),
    }
}

/// The schema's default, or the one that the description names because it takes more than the schema.
fn default_of(schema: &Value, description: &str) -> String {
    match &schema["default"] {
        Value::Null => {
            let named = description.split_once("Default: ").map(|(_, rest)| rest);
            named
                .and_then(|rest| rest.split_once('.'))
                .map_or_else(|| "none".to_owned(), |(text, _)| text.to_owned())
        }
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

fn limits_of(schema: &Value) -> Vec<String> {
    let values: Vec<String> = strings(&schema["enum"]).map(|value| format!("`{value}`")).collect();
    let (items, entries) = (&schema["items"], &schema["additionalProperties"]);
    let mut limits = Vec::new();
    if !values.is_empty() {
        limits.push(values.join(", "));
    }
    limits.extend(range(schema, "minLength", "maxLength").map(|range| format!("{range} characters")));
    limits.extend(range(schema, "minimum", "maximum"));
    limits.extend(range(schema, "minItems", "maxItems").map(|range| format!("{range} entries")));
    limits.extend(range(schema, "minProperties", "maxProperties").map(|range| format!("{range} keys")));
    limits.extend(range(items, "minLength", "maxLength").map(|range| format!("{range} characters each")));
    limits.extend(range(entries, "minLength", "maxLength").map(|range| format!("{range} characters each")));
    if schema["x-kubernetes-list-type"] == "set" {
        limits.push("no entry twice".to_owned());
    }
    limits.extend(schema["pattern"].as_str().map(|pattern| format!("pattern `{pattern}`")));
    limits
}

fn range(schema: &Value, least: &str, most: &str) -> Option<String> {
    match (schema[least].as_f64(), schema[most].as_f64()) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, None) => None,
    }
}

fn rules_of(schema: &Value) -> impl Iterator<Item = String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.map(|rule| rule["message"].as_str().unwrap().to_owned())
}

/// The rules on the object as a whole.
fn root_rules() -> Vec<String> {
    rules_of(&schema()).collect()
}

fn fields_page(fields: &[Field]) -> String {
    let mut page = format!(
        "# Fields of a SesSmtpCredential's spec\n\n\
         As the API server checks them. {GENERATED}\n\n\
         | Field | Type | Default | Meaning | Limits |\n|---|---|---|---|---|\n"
    );
    for field in fields {
        let rules = field.rules.iter().map(|rule| format!("`{rule}`"));
        let limits: Vec<String> = field.limits.iter().cloned().chain(rules).collect();
        let (kind, default) = (&field.kind, field.default_or_required());
        let (meaning, limits) = (cell(&field.description), cell(&limits.join("; ")));
        writeln!(page, "| `{}` | {kind} | {default} | {meaning} | {limits} |", field.path).unwrap();
    }
    page.push_str("\nOn the object as a whole:\n");
    for rule in root_rules() {
        writeln!(page, "- {rule}").unwrap();
    }
    page
}

fn fields_short(fields: &[Field]) -> String {
    let mut table = "| Field | Default | Meaning |\n|---|---|---|\n".to_owned();
    for field in fields {
        let (default, meaning) = (field.default_or_required(), cell(&field.description));
        writeln!(table, "| `{}` | {default} | {meaning} |", field.path).unwrap();
    }
    table
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn actions(policy: &Value) -> Vec<&str> {
    let statements = policy["Statement"].as_array().unwrap();
    statements
        .iter()
        .flat_map(|statement| strings(&statement["Action"]).chain(statement["Action"].as_str()))
        .collect()
}

/// Every page for people.
fn pages() -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| Path::new("docs").join(entry.unwrap().file_name()));
    let top = ["README.md", "CHANGELOG.md", "SECURITY.md", "deploy/chart/README.md"].map(PathBuf::from);
    folder.chain(top).filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect()
}

/// Targets of relative links, without fragments. What stands between backquotes is no link.
fn links(text: &str) -> Vec<String> {
    let prose: String = text.split('`').step_by(2).collect();
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://")).map(str::to_owned).collect()
}

/// Compares a file with `made`, or writes it when `UPDATE_DOCS` is set.
fn prove(file: &str, made: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(file), made).unwrap();
    }
    assert!(read(file) == made, "{file} is out of date: run make generate");
}

/// The same for the part of a file between two markers.
fn prove_part(file: &str, name: &str, made: &str) {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), format!("<!-- end: {name} -->"));
    let text = read(file);
    let (before, rest) = text.split_once(&begin).expect("the marker before the table");
    let (written, after) = rest.split_once(&end).expect("the marker after the table");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(file), [before, &begin, made, &end, after].concat()).unwrap();
    } else {
        assert!(written == made, "the {name} in {file} are out of date: run make generate");
    }
}

fn json(file: &str) -> Value {
    serde_json::from_str(&read(file)).unwrap()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_default()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
