//! The metrics: one list of names with their help, and the handles to count with.
//!
//! Labels are static words; names of objects become labels only where an admin asks for that.

mod fleet;

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use ses_smtp_core::login::Login;

pub use fleet::{OneShown, Picture, SweepTimes};

use super::cli;
use crate::aws::{self, ASSUME_ROLE, CallRecorder, DENIED, THROTTLED};
use fleet::Gauges;

/// The content type of what [`Metrics::encode`] gives.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A metric for people and for the registry.
struct Described {
    /// Name without the suffix that its kind adds.
    name: &'static str,
    /// Help, without the full stop that the format adds.
    help: &'static str,
    /// Kind; labels. For the documentation.
    #[cfg_attr(not(test), expect(dead_code, reason = "documentation is generated in a test"))]
    kind: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "documentation is generated in a test"))]
    labels: &'static str,
}

macro_rules! describe {
    ($($constant:ident = $name:literal, $kind:literal, $labels:literal, $help:literal;)*) => {
        $(const $constant: Described =
            Described { name: $name, help: $help, kind: $kind, labels: $labels };)*
        #[cfg(test)]
        const ALL: &[Described] = &[$($constant),*];
    };
}

describe! {
    RECONCILES = "ses_smtp_reconciles", "counter", "outcome", "Passes over a credential, by how they ended";
    RECONCILE_SECONDS = "ses_smtp_reconcile_seconds", "histogram", "", "Duration of a pass over a credential";
    IAM_CALLS = "ses_smtp_iam_calls", "counter", "action, outcome", "Calls sent to IAM, and to STS for a role, by action and by what came back";
    IAM_CALL_SECONDS = "ses_smtp_iam_call_seconds", "histogram", "action", "Duration of a call to IAM, without the wait for its turn";
    IAM_THROTTLED = "ses_smtp_iam_throttled", "counter", "", "Calls that IAM throttled";
    KUBE_WRITES = "ses_smtp_kube_writes", "counter", "kind, outcome", "Writes to the Kubernetes API, by kind of object and by what came back";
    LOGINS = "ses_smtp_logins", "counter", "outcome", "Logins tried at SMTP endpoints, by what was answered";
    SWEEPS = "ses_smtp_sweeps", "counter", "kind, outcome", "Looks at the whole account, for drift and for orphans, by how they ended";
    IAM_WAIT_SECONDS = "ses_smtp_iam_wait_seconds", "histogram", "", "Wait of a call to IAM for its turn, by the operator's own pace";
    IAM_WAITING = "ses_smtp_iam_waiting", "gauge", "", "Calls to IAM that wait for their turn";
    CREDENTIALS = "ses_smtp_credentials", "gauge", "", "Objects there are";
    STATES = "ses_smtp_credential_states", "gauge", "state, ready", "Objects by state, which is what their conditions show to act on, and by condition Ready; unseen and unknown before their first pass since the start";
    STALLED = "ses_smtp_credentials_stalled", "gauge", "reason, who", "Objects that are Stalled, by reason and by who has to act: author or admin";
    KEYS = "ses_smtp_keys", "gauge", "days", "Published keys that are at least so many days old";
    OLDEST_KEY = "ses_smtp_oldest_key_age_seconds", "gauge", "", "Age of the oldest published key; none if there is no key";
    NEXT_ROTATION = "ses_smtp_next_rotation_timestamp_seconds", "gauge", "", "When the next key falls due by its age; none if none does";
    OVERDUE = "ses_smtp_rotations_overdue", "gauge", "", "Published keys that are due by their age and not yet replaced";
    OVERDUE_SECONDS = "ses_smtp_rotation_overdue_seconds", "gauge", "", "How long the first of these has been due; 0 if there is none";
    PREVIOUS_KEYS = "ses_smtp_previous_keys", "gauge", "stage", "Replaced keys that still exist: in their overlap, held (still usable although it is over), or inactive";
    ACCOUNTS = "ses_smtp_accounts", "gauge", "", "AWS accounts in use";
    SWEEP_COMPLETED = "ses_smtp_sweep_completed_timestamp_seconds", "gauge", "kind", "When the last look that was completed ended; none before the first since the start";
    SWEEP_DUE = "ses_smtp_sweep_due_timestamp_seconds", "gauge", "kind", "When the next look is to be made; stays where it is until one is completed";
    ORPHANS = "ses_smtp_orphan_users", "gauge", "", "IAM users of this installation whose custom resource is gone, at the last look; none before the first since the start";
    HELD_BACK = "ses_smtp_orphan_users_held_back", "gauge", "", "Those of them that have to wait because only so many are dealt with in an hour";
    OBJECT_READY = "ses_smtp_credential_ready", "gauge", "namespace, name", "Only with --metrics-per-object: condition Ready, 1 or 0";
    OBJECT_ISSUED = "ses_smtp_credential_key_issued_timestamp_seconds", "gauge", "namespace, name", "Only with --metrics-per-object: when the published key was issued";
    OBJECT_ROTATION = "ses_smtp_credential_next_rotation_timestamp_seconds", "gauge", "namespace, name", "Only with --metrics-per-object: when the key falls due by its age";
    OBJECT_STALLED = "ses_smtp_credential_stalled", "gauge", "namespace, name, reason", "Only with --metrics-per-object: 1 while the object is Stalled";
    LEADER = "ses_smtp_leader", "gauge", "", "1 while this process is the one that works, 0 while it stands by";
    BUILD = "ses_smtp_build", "info", "version, commit", "What this program was built from";
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Action {
    action: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    action: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Sweep {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Write {
    kind: &'static str,
    outcome: &'static str,
}

/// The metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Outcome, Counter>,
    reconcile_seconds: Histogram,
    iam_calls: Family<Call, Counter>,
    iam_call_seconds: Family<Action, Histogram>,
    iam_throttled: Counter,
    kube_writes: Family<Write, Counter>,
    logins: Family<Outcome, Counter>,
    sweeps: Family<Sweep, Counter>,
    iam_wait_seconds: Histogram,
    iam_waiting: Gauge,
    gauges: Gauges,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let build = vec![("version", env!("CARGO_PKG_VERSION")), ("commit", cli::commit())];
        register(&mut registry, &BUILD, Info::new(build));
        let gauges = Gauges::default();
        registry.register_collector(Box::new(gauges.clone()));
        Self {
            reconciles: shared(&mut registry, &RECONCILES, Family::default()),
            reconcile_seconds: shared(&mut registry, &RECONCILE_SECONDS, pass_histogram()),
            iam_calls: shared(&mut registry, &IAM_CALLS, Family::default()),
            iam_call_seconds: shared(
                &mut registry,
                &IAM_CALL_SECONDS,
                Family::new_with_constructor(call_histogram),
            ),
            iam_throttled: shared(&mut registry, &IAM_THROTTLED, Counter::default()),
            kube_writes: shared(&mut registry, &KUBE_WRITES, Family::default()),
            logins: shared(&mut registry, &LOGINS, Family::default()),
            sweeps: shared(&mut registry, &SWEEPS, Family::default()),
            iam_wait_seconds: shared(&mut registry, &IAM_WAIT_SECONDS, wait_histogram()),
            iam_waiting: shared(&mut registry, &IAM_WAITING, Gauge::default()),
            leader: shared(&mut registry, &LEADER, Gauge::default()),
            gauges,
            registry,
        }
        .begun()
    }
}

/// Registers a metric and keeps a handle to it.
fn shared<M: Metric + Clone>(registry: &mut Registry, described: &Described, metric: M) -> M {
    register(registry, described, metric.clone());
    metric
}

fn register(registry: &mut Registry, described: &Described, metric: impl Metric) {
    registry.register(described.name, described.help, metric);
}

/// 10 ms to 5.5 min: a pass may wait for a login.
fn pass_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 2.0, 16))
}

/// 1 ms to 65 s: a pass has a minute for its calls and their waits.
fn wait_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 17))
}

/// 10 ms to 10 s: a call is cut off after 10 s.
fn call_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 2.0, 11))
}

impl Metrics {
    /// Gives series that alerts look for a beginning: of one that is born with its first event, no
    /// increase is seen.
    fn begun(self) -> Self {
        for action in aws::Action::ALL.map(aws::Action::name).into_iter().chain([ASSUME_ROLE]) {
            drop(self.iam_calls.get_or_create(&Call { action, outcome: DENIED }));
        }
        for answer in Login::ALL {
            drop(self.logins.get_or_create(&Outcome { outcome: answer.as_str() }));
        }
        self
    }

    /// From now on the gauges show what `source` gives at each scrape.
    pub fn show(&self, source: impl Fn() -> Option<Picture> + Send + Sync + 'static) {
        self.gauges.set(source);
    }

    /// A pass ended with `outcome`, its static reason, after `took`.
    pub fn reconciled(&self, outcome: &'static str, took: Duration) {
        self.reconciles.get_or_create(&Outcome { outcome }).inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
    }

    /// A write of an object of `kind` ended with `outcome`.
    pub fn kube_write(&self, kind: &'static str, outcome: &'static str) {
        self.kube_writes.get_or_create(&Write { kind, outcome }).inc();
    }

    /// A login was answered.
    pub fn login(&self, answer: Login) {
        self.logins.get_or_create(&Outcome { outcome: answer.as_str() }).inc();
    }

    /// A look at the whole account ended.
    pub fn swept(&self, kind: &'static str, outcome: &'static str) {
        self.sweeps.get_or_create(&Sweep { kind, outcome }).inc();
    }

    /// Whether this process is the one that works.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// All metrics in the `OpenMetrics` text format.
    pub fn encode(&self) -> String {
        let mut page = String::new();
        // Writing to a String doesn't fail.
        let _ = text::encode(&mut page, &self.registry);
        page
    }
}

impl CallRecorder for Metrics {
    fn called(&self, action: &'static str, outcome: &'static str, took: Duration) {
        self.iam_calls.get_or_create(&Call { action, outcome }).inc();
        self.iam_call_seconds.get_or_create(&Action { action }).observe(took.as_secs_f64());
        if outcome == THROTTLED {
            self.iam_throttled.inc();
        }
    }

    fn queued(&self) {
        self.iam_waiting.inc();
    }

    fn unqueued(&self, waited: Duration) {
        self.iam_waiting.dec();
        self.iam_wait_seconds.observe(waited.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use k8s_openapi::jiff::{SignedDuration, Timestamp};
    use ses_smtp_core::fleet::{Fleet, PublishedKey, Shown, Stage, State};
    use ses_smtp_core::reason::Reason;

    use super::super::docs;
    use super::*;

    fn full_name(described: &Described) -> String {
        match described.kind {
            "counter" => format!("{}_total", described.name),
            "info" => format!("{}_info", described.name),
            _ => described.name.to_owned(),
        }
    }

    #[test]
    fn encodes_what_is_listed() {
        let metrics = Metrics::default();
        metrics.reconciled("Provisioned", Duration::from_millis(30));
        metrics.kube_write("Secret", "ok");
        metrics.login(Login::Accepted);
        metrics.swept("drift", "ok");
        metrics.queued();
        metrics.unqueued(Duration::from_millis(3));
        metrics.show(|| Some(picture()));
        metrics.leads(true);
        metrics.called("CreateUser", "throttled", Duration::from_millis(30));
        let page = metrics.encode();
        for described in ALL {
            assert!(page.contains(&full_name(described)), "{} in {page}", described.name);
        }
        assert!(page.contains("ses_smtp_iam_calls_total{action=\"CreateUser\",outcome=\"throttled\"} 1"));
        assert!(page.contains("ses_smtp_iam_throttled_total 1"));
        assert!(page.contains("ses_smtp_leader 1"));
        assert!(page.ends_with("# EOF\n"));
    }

    /// A stalled object with a key, and one that no pass has seen.
    fn picture() -> Picture {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let shown = Shown { ready: true, state: State::Stalled, stalled: Some(Reason::AccessDenied) };
        let key = PublishedKey { issued: now, next_rotation: Some(now), previous: Some(Stage::Held) };
        let due = PublishedKey { next_rotation: now.checked_add(SignedDuration::from_hours(1)).ok(), ..key };
        let mut fleet = Fleet::default();
        fleet.add(Some(shown), Some(key), now);
        fleet.add(None, Some(due), now);
        let object = |name: &str, shown| OneShown {
            namespace: "shop".into(),
            name: name.into(),
            shown,
            key: Some(key),
        };
        Picture {
            fleet,
            accounts: 2,
            sweeps: BTreeMap::from([("drift", SweepTimes { completed: Some(now), due: now })]),
            orphans: Some(3),
            held_back: Some(1),
            objects: vec![object("mailer", Some(shown)), object("new", None)],
        }
    }

    #[test]
    fn shows_what_there_is_at_each_scrape_and_nothing_before() {
        let metrics = Metrics::default();
        assert!(!metrics.encode().contains("ses_smtp_credentials"), "no number is better than a wrong one");
        let shown = std::sync::Arc::new(std::sync::Mutex::new(Some(picture())));
        let source = shown.clone();
        metrics.show(move || source.lock().unwrap().clone());
        let page = metrics.encode();
        for line in [
            "ses_smtp_credentials 2",
            r#"ses_smtp_credential_states{state="stalled",ready="true"} 1"#,
            r#"ses_smtp_credential_states{state="unseen",ready="unknown"} 1"#,
            r#"ses_smtp_credential_states{state="ready",ready="true"} 0"#,
            r#"ses_smtp_credentials_stalled{reason="AccessDenied",who="admin"} 1"#,
            r#"ses_smtp_credentials_stalled{reason="InvalidSpec",who="author"} 0"#,
            r#"ses_smtp_keys{days="0"} 2"#,
            "ses_smtp_oldest_key_age_seconds 0",
            "ses_smtp_next_rotation_timestamp_seconds 1800003600",
            "ses_smtp_rotations_overdue 1",
            r#"ses_smtp_previous_keys{stage="held"} 2"#,
            "ses_smtp_accounts 2",
            r#"ses_smtp_sweep_completed_timestamp_seconds{kind="drift"} 1800000000"#,
            "ses_smtp_orphan_users 3",
            "ses_smtp_orphan_users_held_back 1",
            r#"ses_smtp_credential_ready{namespace="shop",name="mailer"} 1"#,
            r#"ses_smtp_credential_stalled{namespace="shop",name="mailer",reason="AccessDenied"} 1"#,
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
        assert!(!page.contains(r#"ses_smtp_credential_ready{namespace="shop",name="new"}"#));
        *shown.lock().unwrap() = Some(Picture::default());
        let page = metrics.encode();
        assert!(!page.contains("mailer") && page.contains("ses_smtp_credentials 0"), "{page}");
        assert!(!page.contains("ses_smtp_oldest_key"), "{page}");
        *shown.lock().unwrap() = None;
        assert!(!metrics.encode().contains("ses_smtp_credentials"));
    }

    #[test]
    fn what_alerts_look_for_is_there_from_the_start() {
        let page = Metrics::default().encode();
        for line in [
            r#"ses_smtp_iam_calls_total{action="CreateUser",outcome="denied"} 0"#,
            r#"ses_smtp_iam_calls_total{action="AssumeRole",outcome="denied"} 0"#,
            r#"ses_smtp_logins_total{outcome="refused"} 0"#,
            "ses_smtp_iam_throttled_total 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
    }

    fn table() -> String {
        let mut page = String::from(
            "# Metrics\n\n\
             Served at `/metrics` in the OpenMetrics text format. Generated from the code: don't edit.\n\n\
             | Metric | Kind | Labels | Meaning |\n|---|---|---|---|\n",
        );
        for metric in ALL {
            let Described { kind, labels, help, .. } = metric;
            writeln!(page, "| `{}` | {kind} | {labels} | {help}. |", full_name(metric)).unwrap();
        }
        page
    }

    #[test]
    fn are_documented() {
        docs::prove("metrics.md", &table());
    }
}
