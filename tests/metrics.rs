//! The metrics of the real operator: what they say of objects, that it stays true over a restart, and that
//! what is gone is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use aws_double::Config;
use serde_json::json;
use testbed::{Bed, Error, Launch, Operator, SOON, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGION: &str = "eu-central-1";

async fn bed() -> (Bed, Launch) {
    let aws = Config { regions: vec![REGION.into()], time_scale: 600.0, ..Config::default() };
    let (bed, mut launch) = Bed::with_shop(aws, Path::new(BINARY)).await.unwrap();
    launch.environment.insert("SES_SMTP_METRICS_PER_OBJECT".into(), "true".into());
    (bed, launch)
}

/// Waits until the page has all of these lines.
async fn shows(operator: &Operator, lines: &[&str]) -> String {
    eventually("the metrics", SOON, async || {
        let page = operator.metrics().await?;
        let missing: Vec<_> =
            lines.iter().filter(|line| !page.lines().any(|found| found == **line)).collect();
        if missing.is_empty() { Ok(Some(page)) } else { Error::wrong(format!("{missing:#?} in {page}")) }
    })
    .await
    .unwrap()
}

/// The value of one series.
fn value(page: &str, series: &str) -> Option<i64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

/// Waits until no line names this object.
async fn forgets(operator: &Operator, name: &str) {
    let named = format!("name=\"{name}\"");
    eventually("the object to go from the metrics", SOON, async || {
        let page = operator.metrics().await?;
        if page.contains(&named) { Error::wrong(page) } else { Ok(Some(())) }
    })
    .await
    .unwrap();
}

const STATES: [&str; 9] = [
    "ses_smtp_credentials 4",
    r#"ses_smtp_credential_states{state="ready",ready="true"} 2"#,
    r#"ses_smtp_credential_states{state="stalled",ready="false"} 1"#,
    r#"ses_smtp_credential_states{state="suspended",ready="false"} 1"#,
    r#"ses_smtp_credential_states{state="unseen",ready="unknown"} 0"#,
    r#"ses_smtp_credentials_stalled{reason="RegionUnknown",who="author"} 1"#,
    r#"ses_smtp_keys{days="0"} 2"#,
    r#"ses_smtp_credential_stalled{namespace="shop",name="lost",reason="RegionUnknown"} 1"#,
    r#"ses_smtp_credential_ready{namespace="shop",name="mailer"} 1"#,
];

/// Two that are ready, one of them rotating by age; one that is stalled, and one suspended.
async fn objects(bed: &Bed) {
    let rotating = format!("{{region: {REGION}, rotation: {{interval: 720h, overlap: 300h}}}}");
    bed.apply("shop", "mailer", &rotating).await.unwrap();
    bed.apply("shop", "other", &format!("{{region: {REGION}}}")).await.unwrap();
    bed.apply("shop", "lost", "{region: eu-nowhere-9}").await.unwrap();
    bed.apply("shop", "paused", &format!("{{region: {REGION}, suspend: true}}")).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    bed.ready("shop", "other").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gauges_say_what_is_so_also_after_a_restart() {
    let (bed, launch) = bed().await;
    let operator = launch.start().await.unwrap();
    objects(&bed).await;
    let page = shows(&operator, &STATES).await;
    assert_keys(&bed, &page).await;
    operator.kill().await.unwrap();
    let calls = bed.iam_calls();

    let operator = launch.start().await.unwrap();
    let page = shows(&operator, &STATES).await;
    assert_keys(&bed, &page).await;
    assert_eq!(bed.iam_calls(), calls, "neither a restart nor a scrape asks IAM about credentials");
    sweeps_are_told(&operator).await;

    bed.patch("shop", "mailer", json!({ "rotation": { "trigger": "now" } })).await.unwrap();
    shows(&operator, &[r#"ses_smtp_previous_keys{stage="overlap"} 1"#]).await;
    bed.patch("shop", "lost", json!({ "region": REGION })).await.unwrap();
    let gone = [
        r#"ses_smtp_credentials_stalled{reason="RegionUnknown",who="author"} 0"#,
        r#"ses_smtp_credential_states{state="ready",ready="true"} 3"#,
    ];
    let page = shows(&operator, &gone).await;
    assert!(!page.contains("ses_smtp_credential_stalled{"), "{page}");
    bed.delete("shop", "lost").await.unwrap();
    forgets(&operator, "lost").await;
    shows(&operator, &["ses_smtp_credentials 3", r#"ses_smtp_keys{days="0"} 2"#]).await;
    operator.stop().await.unwrap();
}

/// Ages and dates are those that the objects report.
async fn assert_keys(bed: &Bed, page: &str) {
    let object = bed.objects("shop").get("mailer").await.unwrap();
    let status = object.status.unwrap();
    let second = |at: i64| k8s_openapi::jiff::Timestamp::from_second(at).unwrap();
    let next = value(page, "ses_smtp_next_rotation_timestamp_seconds").map(second);
    assert_eq!(next, status.next_rotation_at.map(|at| at.0));
    let series = "ses_smtp_credential_key_issued_timestamp_seconds{namespace=\"shop\",name=\"mailer\"}";
    assert_eq!(value(page, series).map(second), status.issued_at.map(|at| at.0));
    let series = "ses_smtp_credential_next_rotation_timestamp_seconds{namespace=\"shop\",name=\"other\"}";
    assert_eq!(value(page, series), None, "a key that isn't rotated by age has no date");
    assert!(value(page, "ses_smtp_oldest_key_age_seconds").is_some_and(|age| age < 600));
    assert_eq!(value(page, "ses_smtp_accounts"), Some(1));
}

/// Both looks are dated, and an orphan is counted once there was one.
async fn sweeps_are_told(operator: &Operator) {
    eventually("whole looks", SOON, async || {
        let page = operator.metrics().await?;
        let at = |metric: &str, kind: &str| value(&page, &format!("{metric}{{kind=\"{kind}\"}}"));
        let told = ["drift", "orphans"].into_iter().all(|kind| {
            let completed = at("ses_smtp_sweep_completed_timestamp_seconds", kind);
            completed.is_some() && at("ses_smtp_sweep_due_timestamp_seconds", kind) >= completed
        });
        if told && value(&page, "ses_smtp_orphan_users") == Some(0) {
            Ok(Some(()))
        } else {
            Error::wrong(page)
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_not_named_unless_asked_for() {
    let (bed, mut launch) = bed().await;
    launch.environment.remove("SES_SMTP_METRICS_PER_OBJECT");
    let operator = launch.start().await.unwrap();
    bed.apply("shop", "mailer", &format!("{{region: {REGION}}}")).await.unwrap();
    bed.ready("shop", "mailer").await.unwrap();
    let page = shows(&operator, &[r#"ses_smtp_keys{days="0"} 1"#]).await;
    assert!(!page.contains("mailer") && !page.contains("shop"), "{page}");
    operator.stop().await.unwrap();
}
