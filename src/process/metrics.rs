//! The metrics: one list of names with their help, and the handles to count with.
//!
//! Labels are static words; no name of an object or user ever becomes one.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use ses_smtp_core::login::Login;

use super::cli;
use crate::aws::CallRecorder;

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
    ORPHANS = "ses_smtp_orphan_users", "gauge", "", "IAM users of this installation whose custom resource is gone, at the last look";
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
    orphans: Gauge,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let build = vec![("version", env!("CARGO_PKG_VERSION")), ("commit", cli::commit())];
        register(&mut registry, &BUILD, Info::new(build));
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
            orphans: shared(&mut registry, &ORPHANS, Gauge::default()),
            leader: shared(&mut registry, &LEADER, Gauge::default()),
            registry,
        }
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

/// 10 ms to 10 s: a call is cut off after 10 s.
fn call_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 2.0, 11))
}

impl Metrics {
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

    /// So many users have no custom resource.
    pub fn orphans(&self, count: usize) {
        self.orphans.set(i64::try_from(count).unwrap_or(i64::MAX));
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
        if outcome == "throttled" {
            self.iam_throttled.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

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
        metrics.orphans(2);
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
