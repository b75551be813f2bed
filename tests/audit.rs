//! The audit log against what AWS saw: every call that changes something is told exactly once, with what
//! came of it, although replies get lost, servers fail and calls are throttled and denied.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use aws_double::{ACCOUNT, Config, Fault, FaultKind, Record};
use kube::ResourceExt as _;
use serde_json::{Value, json};
use ses_smtp_operator::aws::Action;
use testbed::{Bed, Error, Operator, Options, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGION: &str = "eu-central-1";
/// 24 hours in 14.4 seconds.
const SCALE: f64 = 6000.0;
const NAMES: [&str; 4] = ["lost", "shaky", "rotated", "denied"];

async fn bed() -> Bed {
    let aws = Config { regions: vec![REGION.into()], time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    bed
}

fn failing(status: u16, code: &str) -> FaultKind {
    FaultKind::ErrorBefore { status, code: code.into() }
}

/// Every class of trouble, each for an object of its own, so that the order of passes doesn't matter.
fn inject(bed: &Bed) {
    let fault = |action: &str, name: &str, kind| {
        bed.aws.inject(Fault::on(action, kind).user(&format!("ses-smtp-shop-{name}-*")));
    };
    fault("CreateAccessKey", "lost", FaultKind::LostReply);
    fault("DeleteUser", "lost", FaultKind::LostRequest);
    fault("CreateUser", "shaky", failing(400, "Throttling"));
    fault("PutUserPolicy", "shaky", failing(503, "ServiceUnavailable"));
    fault("DeleteUserPolicy", "shaky", FaultKind::Malformed { executed: true });
    let late = FaultKind::ErrorAfter { status: 500, code: "ServiceFailure".into() };
    fault("UpdateAccessKey", "rotated", late);
    fault("DeleteAccessKey", "rotated", failing(409, "ConcurrentModification"));
    fault("PutUserPolicy", "denied", FaultKind::Deny);
}

/// Waits until no fault of this name is still to come.
async fn met(bed: &Bed, fault: &str) {
    eventually(&format!("{fault} to meet its call"), Duration::from_mins(2), async || {
        let pending = bed.aws.pending_faults();
        if pending.iter().any(|one| one.contains(fault)) {
            Error::wrong(pending.join("; "))
        } else {
            Ok(Some(()))
        }
    })
    .await
    .unwrap();
}

/// Four objects' lives from birth to death; gives each one's UID.
async fn live(bed: &Bed) -> BTreeMap<String, String> {
    let mut uids = BTreeMap::new();
    for name in NAMES {
        let spec = format!("{{region: {REGION}, rotation: {{overlap: 10h}}}}");
        let object = bed.apply("shop", name, &spec).await.unwrap();
        uids.insert(name.to_owned(), object.uid().unwrap());
    }
    // The first waits two real minutes before it takes the key that nobody knows for lost.
    for name in &NAMES[1..] {
        bed.ready("shop", name).await.unwrap();
    }
    bed.patch("shop", "rotated", json!({ "rotation": { "trigger": "now" } })).await.unwrap();
    for fault in ["LostReply", "UpdateAccessKey", "DeleteAccessKey"] {
        met(bed, fault).await;
    }
    uids
}

async fn die(bed: &Bed) {
    for name in NAMES {
        bed.delete("shop", name).await.unwrap();
    }
    for name in NAMES {
        bed.gone("shop", name).await.unwrap();
    }
}

fn mutates(action: &str) -> bool {
    Action::ALL.into_iter().any(|known| known.name() == action && known.mutates())
}

/// The fields of every audit line.
fn lines(log: &str) -> Vec<Value> {
    let parsed = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(|line| line["target"] == "audit").collect()
}

/// What the audit log has to say of a call that AWS saw: action, user, key, outcome, error code and id.
fn expected(record: &Record) -> String {
    let fault = record.fault.as_deref().unwrap_or_default();
    let answered = !fault.starts_with("Lost");
    let code = match fault.strip_prefix("ErrorAfter(500 ").and_then(|rest| rest.strip_suffix(')')) {
        Some(code) => code,
        None if !answered || fault.starts_with("Malformed") || record.outcome == "ok" => "-",
        None => record.outcome.as_str(),
    };
    let outcome = match code {
        "-" if fault.is_empty() => "ok",
        "Throttling" => "throttled",
        "AccessDenied" => "denied",
        "ConcurrentModification" => "busy",
        "NoSuchEntity" => "absent",
        "DeleteConflict" => "conflict",
        "EntityAlreadyExists" => "exists",
        _ => "unclear",
    };
    // The id of a key that nobody was told of is known to AWS alone.
    let untold = record.action == "CreateAccessKey" && outcome != "ok";
    let key = record.key.as_deref().filter(|_| !untold).unwrap_or("-");
    let id = record.request_id.as_deref().filter(|_| answered).unwrap_or("-");
    let (account, user) = (record.account.as_deref().unwrap_or("-"), record.user.as_deref().unwrap_or("-"));
    format!("{} {account} {user} {key} {outcome} {code} {id}", record.action)
}

fn told(line: &Value) -> String {
    let field = |name: &str| line["fields"][name].as_str().unwrap_or("-").to_owned();
    let names = ["action", "account", "user", "access_key_id", "outcome", "error_code", "request_id"];
    names.map(field).join(" ")
}

fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort();
    all
}

/// Calls that change something, as the metrics count them.
async fn counted(operator: &Operator) -> usize {
    let page = operator.metrics().await.unwrap();
    let calls = page.lines().filter_map(|line| line.strip_prefix("ses_smtp_iam_calls_total{action=\""));
    let mutating = calls.filter(|rest| mutates(rest.split('"').next().unwrap()));
    mutating.map(|rest| rest.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

fn documented() -> BTreeSet<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `fields."));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

/// Each line names its object, whose user the call was about, and has no field that isn't documented.
fn assert_subjects(lines: &[Value], uids: &BTreeMap<String, String>) {
    let documented = documented();
    for line in lines {
        let fields = &line["fields"];
        let name = fields["name"].as_str().unwrap();
        assert_eq!((&fields["namespace"], &fields["uid"]), (&json!("shop"), &json!(uids[name])), "{line}");
        let user = fields["user"].as_str().unwrap();
        assert!(user.starts_with(&format!("ses-smtp-shop-{name}-")), "{line}");
        assert_eq!(fields["account"], ACCOUNT, "{line}");
        for field in fields.as_object().unwrap().keys() {
            assert!(documented.contains(field), "docs/logs.md lacks fields.{field}");
        }
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_that_changes_something_is_told_once() {
    let bed = bed().await;
    let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
    // Less noise doesn't mean fewer proofs.
    launch.environment.insert("SES_SMTP_LOG".into(), "error".into());
    launch.environment.insert("SES_SMTP_LOG_FORMAT".into(), "json".into());
    launch.environment.insert("SES_SMTP_METRICS_PER_OBJECT".into(), "true".into());
    inject(&bed);
    let operator = launch.start().await.unwrap();
    let uids = live(&bed).await;
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    die(&bed).await;
    assert_eq!(bed.aws.pending_faults(), Vec::<String>::new(), "every fault has met its call");

    let count = counted(&operator).await;
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
    let log = bed.log();
    let lines = lines(&log);
    let seen: Vec<Record> = bed.aws.journal().into_iter().filter(|call| mutates(&call.action)).collect();
    assert_eq!(sorted(lines.iter().map(told).collect()), sorted(seen.iter().map(expected).collect()));
    assert_eq!((lines.len(), count), (seen.len(), seen.len()));
    assert_subjects(&lines, &uids);
    let outcomes: BTreeSet<&str> =
        lines.iter().filter_map(|line| line["fields"]["outcome"].as_str()).collect();
    for outcome in ["ok", "throttled", "denied", "busy", "unclear"] {
        assert!(outcomes.contains(outcome), "the workload has to meet {outcome}: {outcomes:?}");
    }
    assert_eq!(log.lines().filter(|line| line.contains("pass ended")).count(), 0, "the setting is obeyed");
}
