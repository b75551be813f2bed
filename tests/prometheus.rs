//! A real Prometheus that scrapes the real operator at work: every query of the dashboard and of the alert rules
//! is answered, with data.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_double::{Config, Fault, FaultKind};
use serde_json::{Value, json};
use testbed::{Bed, Error, Launch, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
/// The program; `make metrics` fetches it.
const PROGRAM: &str = "PROMETHEUS";
const REGION: &str = "eu-central-1";
/// How long Prometheus may take to have seen what happened.
const PATIENCE: Duration = Duration::from_mins(2);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

struct Prometheus {
    _child: Child,
    address: String,
}

impl Prometheus {
    /// Scrapes the operator every second, with the project's rules. Its files go with the bed.
    async fn start(bed: &Bed, operator: &str) -> Self {
        let program = std::env::var(PROGRAM).expect("PROMETHEUS is unset: run make metrics");
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [root().join("deploy/prometheus/rules.yaml")],
            "scrape_configs": [
                { "job_name": "ses-smtp-operator", "static_configs": [{ "targets": [operator] }] },
            ],
        });
        let file = bed.folder().join("prometheus.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", bed.folder().join("tsdb").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let prometheus = Self { _child: command.spawn().unwrap(), address };
        eventually("Prometheus to be ready", PATIENCE, async || {
            let page = prometheus.get("/-/ready").await?;
            if page.contains(" 200 ") { Ok(Some(())) } else { Error::wrong(page) }
        })
        .await
        .unwrap();
        prometheus
    }

    /// HTTP/1.0, so that the answer comes in one piece.
    async fn get(&self, path: &str) -> Result<String, Error> {
        let failed = || format!("GET {path}");
        let mut stream = TcpStream::connect(&self.address).await.map_err(Error::io(failed()))?;
        stream
            .write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
            .await
            .map_err(Error::io(failed()))?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await.map_err(Error::io(failed()))?;
        Ok(page)
    }

    async fn api(&self, path: &str) -> Result<Value, Error> {
        let page = self.get(&format!("/api/v1/{path}")).await?;
        let body = page.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        let answer: Value =
            serde_json::from_str(body).map_err(|error| Error::Wrong(format!("{error}: {page}")))?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Error::wrong(body) }
    }

    /// Waits until a query gives a number that is one.
    async fn answers(&self, query: &str) {
        let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let is_number = |sample: &Value| sample["value"][1].as_str().is_some_and(|value| value != "NaN");
        eventually(query, PATIENCE, async || {
            let data = self.api(&format!("query?query={encoded}")).await?;
            let found = data["result"].as_array().is_some_and(|samples| samples.iter().any(is_number));
            if found { Ok(Some(())) } else { Error::wrong(data.to_string()) }
        })
        .await
        .unwrap();
    }
}

/// The queries of all panels, with the dashboard's variables filled in.
fn panels() -> Vec<String> {
    let board: Value = serde_json::from_str(&read("deploy/grafana/dashboard.json")).unwrap();
    let targets = board["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let filled = |query: &str| query.replace("$__rate_interval", "5m").replace("$job", ".*");
    targets.flatten().map(|target| filled(target["expr"].as_str().unwrap())).collect()
}

/// The series that alerts are made of.
fn series() -> BTreeSet<String> {
    let rules = read("deploy/prometheus/rules.yaml");
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("ses_smtp_")).map(str::to_owned).collect()
}

async fn stage() -> (Bed, Launch) {
    let aws = Config { regions: vec![REGION.into()], time_scale: 600.0, ..Config::default() };
    let (bed, mut launch) = Bed::with_shop(aws, Path::new(BINARY)).await.unwrap();
    launch.environment.insert("SES_SMTP_METRICS_PER_OBJECT".into(), "true".into());
    (bed, launch)
}

/// Objects in every state, a rotation, and the troubles that panels are there for.
async fn work(bed: &Bed) {
    let throttling = FaultKind::ErrorBefore { status: 400, code: "Throttling".into() };
    bed.aws.inject(Fault::on("CreateUser", throttling).times(3));
    bed.aws.inject(Fault::on("PutUserPolicy", FaultKind::Deny));
    let refusal = FaultKind::Smtp { reply: "535 Authentication Credentials Invalid".into() };
    bed.aws.inject(Fault::on("AUTH", refusal).times(2));
    let rotating = format!("{{region: {REGION}, rotation: {{interval: 720h, overlap: 300h}}}}");
    for name in ["mailer", "other"] {
        bed.apply("shop", name, &rotating).await.unwrap();
        bed.ready("shop", name).await.unwrap();
    }
    bed.apply("shop", "lost", "{region: eu-nowhere-9}").await.unwrap();
    bed.patch("shop", "mailer", json!({ "rotation": { "trigger": "now" } })).await.unwrap();
    assert_eq!(bed.aws.pending_faults(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus: make metrics"]
async fn every_query_is_answered_with_data() {
    let (bed, launch) = stage().await;
    let operator = launch.start().await.unwrap();
    bed.apply("shop", "first", &format!("{{region: {REGION}}}")).await.unwrap();
    bed.ready("shop", "first").await.unwrap();
    let prometheus = Prometheus::start(&bed, &launch.http).await;
    prometheus.answers("ses_smtp_keys{days=\"0\"} == 1").await;
    work(&bed).await;

    let panels = panels();
    assert!(panels.len() > 25, "{panels:?}");
    for query in panels.iter().chain(&series()) {
        prometheus.answers(query).await;
    }
    prometheus.answers("ALERTS{alertname=\"SesSmtpCredentialsStalledAuthor\", alertstate=\"pending\"}").await;
    assert_rules(&prometheus).await;
    let targets = prometheus.api("targets").await.unwrap();
    assert_eq!(targets["activeTargets"][0]["health"], "up", "{targets}");
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
    prometheus.answers("absent(up{job=\"ses-smtp-operator\"} == 1)").await;
}

/// Every rule was evaluated without an error, and none of those for a broken operator is active.
async fn assert_rules(prometheus: &Prometheus) {
    let data = prometheus.api("rules").await.unwrap();
    let rules = data["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), read("deploy/prometheus/rules.yaml").matches("- alert: ").count());
    for rule in rules {
        assert_eq!(
            (&rule["health"], rule["lastError"].as_str().unwrap_or_default()),
            (&json!("ok"), ""),
            "{rule}"
        );
        let broken = ["SesSmtpOperatorDown", "SesSmtpNoLeader", "SesSmtpSweepNotDone", "SesSmtpKeyTooOld"];
        if broken.iter().any(|name| rule["name"] == *name) {
            assert_eq!(rule["state"], "inactive", "{rule}");
        }
    }
}
