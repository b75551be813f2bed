//! The three ways to set the operator's rights up in `deploy/iam`: each ends in the documents that the program
//! prints, and in the trust policies that lie beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod template;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const ACCOUNT: &str = "123456789012";
const PARTITION: &str = "aws-us-gov";
const CLUSTER: &str = "prod-1";
const PROVIDER: &str = "oidc.eks.us-gov-west-1.amazonaws.com/id/0123456789ABCDEF";

/// Writes down what it is asked, with the documents in place of the files that hold them, and answers who calls.
const RECORDER: &str = r#"#!/usr/bin/env bash
for argument in "$@"; do
  case $argument in
    file://*) tr -d '\n' <"${argument#file://}" ;;
    *) printf '%s' "$argument" ;;
  esac
  printf '\n'
done >>"$RECORD"
echo ---- >>"$RECORD"
if [ "$1" = sts ]; then printf '123456789012\tarn:aws-us-gov:iam::123456789012:user/admin\n'; fi
"#;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/iam")
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn succeeded(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What the program prints, and the trust policies for the same place.
fn wanted() -> BTreeMap<&'static str, Value> {
    let print = |more: &[&str]| {
        let place = ["iam-policy", "--account", ACCOUNT, "--partition", PARTITION, "--cluster-id", CLUSTER];
        let mut command = Command::new(env!("CARGO_BIN_EXE_ses-smtp-operator"));
        parsed(&succeeded(command.env_clear().args(place).args(more)))
    };
    let trust = |name: &str| {
        let text = std::fs::read_to_string(folder().join(name).with_extension("json")).unwrap();
        let text = text.replace("arn:aws:", &format!("arn:{PARTITION}:")).replace("ACCOUNT", ACCOUNT);
        parsed(&text.replace("OIDC_PROVIDER", PROVIDER))
    };
    BTreeMap::from([
        ("operator-policy", print(&[])),
        ("boundary-policy", print(&["--boundary"])),
        ("irsa-trust-policy", trust("irsa-trust-policy")),
        ("pod-identity-trust-policy", trust("pod-identity-trust-policy")),
    ])
}

/// The calls of the script, each a list of arguments.
fn script(identity: &str, at: &str) -> Vec<Vec<String>> {
    let work = TempDir::new().unwrap();
    let (aws, record) = (work.path().join("aws"), work.path().join("record"));
    std::fs::write(&aws, RECORDER).unwrap();
    std::fs::set_permissions(&aws, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", work.path().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.arg(folder().join("cli/setup.sh")).args([CLUSTER, identity, at]);
    succeeded(command.env("PATH", path).env("RECORD", &record));
    let text = std::fs::read_to_string(record).unwrap();
    let calls = text.split("----\n").filter(|call| !call.is_empty());
    calls.map(|call| call.lines().map(str::to_owned).collect()).collect()
}

/// The value of an option of the call that begins so.
fn option<'a>(calls: &'a [Vec<String>], begins: [&str; 2], name: &str, value: &str) -> &'a [String] {
    let of = |call: &&Vec<String>| call[..2] == begins && call.windows(2).any(|pair| pair == [name, value]);
    calls.iter().find(of).unwrap_or_else(|| panic!("no {begins:?} with {name} {value}: {calls:?}"))
}

fn document(call: &[String], name: &str) -> Value {
    let at = call.iter().position(|argument| argument == name).unwrap();
    parsed(&call[at + 1])
}

#[test]
fn the_script_s_documents_are_those_of_the_program() {
    let wanted = wanted();
    for (identity, at) in [("irsa", PROVIDER), ("pod-identity", "production")] {
        let calls = script(identity, at);
        for name in ["ses-smtp-operator", "ses-smtp-boundary"] {
            let call = option(&calls, ["iam", "create-policy"], "--policy-name", name);
            let file = if name.ends_with("boundary") { "boundary-policy" } else { "operator-policy" };
            assert_eq!(document(call, "--policy-document"), wanted[file], "{name}");
        }
        let role = option(&calls, ["iam", "create-role"], "--role-name", "ses-smtp-operator");
        let trust = format!("{identity}-trust-policy");
        assert_eq!(document(role, "--assume-role-policy-document"), wanted[trust.as_str()]);
        let policy = format!("arn:{PARTITION}:iam::{ACCOUNT}:policy/ses-smtp-operator");
        option(&calls, ["iam", "attach-role-policy"], "--policy-arn", &policy);
        let associations = calls.iter().filter(|call| call[1] == "create-pod-identity-association").count();
        assert_eq!(associations, usize::from(identity == "pod-identity"));
    }
}

#[test]
fn the_script_says_how_it_is_used() {
    let output = Command::new("bash").arg(folder().join("cli/setup.sh")).arg(CLUSTER).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("setup.sh CLUSTER_ID irsa OIDC_PROVIDER"), "{said}");
}

/// The template is made from the files' documents; that those are the program's, the documentation's tests prove.
#[test]
fn the_template_holds_every_document() {
    let wanted = wanted();
    let text = std::fs::read_to_string(folder().join("cloudformation/template.yaml")).unwrap();
    let of_files = template::template(|name| {
        std::fs::read_to_string(folder().join(name).with_extension("json")).unwrap()
    });
    assert!(text.ends_with(&of_files), "run make generate");
    let filled = [
        ("${AWS::Partition}", PARTITION),
        ("${AWS::AccountId}", ACCOUNT),
        ("${ClusterId}", CLUSTER),
        ("${OidcProvider}", PROVIDER),
    ];
    let text = filled.iter().fold(text, |text, (from, to)| text.replace(from, to));
    let mut found: Vec<Value> = Vec::new();
    for begin in text.match_indices("{\n").map(|(at, _)| at) {
        // Whole documents parse; what is inside one begins deeper.
        let mut stream = serde_json::Deserializer::from_str(&text[begin..]).into_iter::<Value>();
        found.extend(stream.next().and_then(Result::ok).filter(|value| value.get("Version").is_some()));
    }
    assert_eq!(found.len(), template::DOCUMENTS.len());
    for (name, document) in &wanted {
        assert!(found.contains(document), "{name}");
    }
}

#[test]
#[ignore = "needs SETUP_PROGRAM: run make iam"]
fn terraform_s_documents_are_those_of_the_program() {
    let program = std::env::var("SETUP_PROGRAM").unwrap();
    let mut command = Command::new(program);
    command.arg(folder().join("terraform")).args([ACCOUNT, PARTITION, CLUSTER, PROVIDER]);
    let made: BTreeMap<String, String> = serde_json::from_str(&succeeded(&mut command)).unwrap();
    let wanted = wanted();
    for (local, name) in [
        ("operator_policy", "operator-policy"),
        ("boundary_policy", "boundary-policy"),
        ("irsa_trust", "irsa-trust-policy"),
        ("pod_identity_trust", "pod-identity-trust-policy"),
    ] {
        assert_eq!(parsed(&made[local]), wanted[name], "{local}");
    }
    let main = std::fs::read_to_string(folder().join("terraform/main.tf")).unwrap();
    for used in
        ["local.operator_policy", "local.boundary_policy", "local.pod_identity_trust : local.irsa_trust"]
    {
        assert!(main.contains(used), "{used}");
    }
}
