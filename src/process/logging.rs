//! The log: its form, what may never get into it, and how a panic shows.
//!
//! Owns that the audit log goes on at every level, and the clamp on targets of libraries that print
//! requests and replies at finer levels. The clamp holds whatever the log setting says, because those texts
//! carry credentials.

use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt};

use super::LogFormat;
use crate::aws::AUDIT_TARGET;

/// The finest level of targets that begin with a text; the longest match prevails.
const CLAMPED: &[(&str, LevelFilter)] = &[
    // Signed requests with Authorization headers, replies with bodies.
    ("aws_", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("hyper", LevelFilter::INFO),
    ("rustls", LevelFilter::INFO),
    ("kube_", LevelFilter::INFO),
    ("tower", LevelFilter::INFO),
    // kube-client logs the whole text of a reply at WARN when it can't parse it, Secrets included.
    ("kube_client::client", LevelFilter::ERROR),
    ("kube_client::client::tls", LevelFilter::INFO),
];

/// Starts the log on standard error, and lets panics into it.
pub(super) fn install(format: LogFormat, filter: &str) {
    let subscriber = subscriber(format, filter, std::io::stderr);
    // Only a second call could fail, and then the first one's log goes on.
    let _ = subscriber.try_init();
    std::panic::set_hook(Box::new(log_panic));
}

fn subscriber<W>(format: LogFormat, filter: &str, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = match format {
        LogFormat::Text => fmt::layer::<Registry>().with_ansi(false).with_writer(writer).boxed(),
        LogFormat::Json => fmt::layer::<Registry>().json().with_writer(writer).boxed(),
    };
    let clamp = Targets::new().with_default(LevelFilter::TRACE).with_targets(CLAMPED.iter().copied());
    // The setting was checked when it was parsed.
    let chosen = EnvFilter::try_new(audited(filter)).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry().with(lines).with(clamp).with(chosen)
}

/// The filter with the audit log on, unless it has a word of its own on that: whoever wants less noise
/// doesn't mean fewer proofs.
fn audited(filter: &str) -> String {
    let named = |directive: &str| directive.split_once('=').is_some_and(|(target, _)| target == AUDIT_TARGET);
    if filter.split(',').any(named) { filter.to_owned() } else { format!("{filter},{AUDIT_TARGET}=info") }
}

/// Logs place and fixed text of a panic. A text that was put together at run time may hold any
/// value, so it is left out.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let fixed = panic.payload().downcast_ref::<&'static str>().copied();
    let message = fixed.unwrap_or("(a text made at run time, withheld)");
    tracing::error!(target: "panic", location, message, "the program has a bug");
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::Log;

    fn logged(format: LogFormat, filter: &str, act: impl FnOnce()) -> String {
        let log = Log::default();
        let writer = log.clone();
        tracing::subscriber::with_default(subscriber(format, filter, move || writer.clone()), act);
        log.text()
    }

    #[test]
    fn clamps_targets_whatever_the_setting() {
        let log = logged(LogFormat::Text, "trace,kube_client::client::body=trace,hyper=trace", || {
            tracing::warn!(target: "kube_client::client", "a Secret in an unreadable reply");
            tracing::trace!(target: "kube_client::client::body", "a Secret in a reply");
            tracing::debug!(target: "aws_smithy_runtime::client", "a signed request");
            tracing::trace!(target: "hyper::proto", "bytes");
            tracing::info!(target: "aws_config", "fine 1");
            tracing::warn!(target: "kube_client::client::tls", "fine 2");
            tracing::trace!(target: "ses_smtp_operator", "fine 3");
        });
        assert_eq!(log.lines().count(), 3, "{log}");
        assert_eq!(log.matches("fine").count(), 3, "{log}");
    }

    #[test]
    fn the_audit_log_is_silenced_by_its_own_name_only() {
        let audited = |filter: &str| {
            let log = logged(LogFormat::Text, filter, || tracing::info!(target: "audit", "a call"));
            log.contains("a call")
        };
        for filter in ["info", "warn", "error", "off", "warn,ses_smtp_operator=debug", "audits=off", ""] {
            assert!(audited(filter), "{filter:?}");
        }
        for filter in ["info,audit=off", "audit=off", "warn,audit=warn"] {
            assert!(!audited(filter), "{filter:?}");
        }
    }

    #[test]
    fn obeys_the_setting() {
        let log = logged(LogFormat::Json, "warn", || {
            tracing::info!(target: "ses_smtp_operator", "left out");
            tracing::warn!(target: "ses_smtp_operator", "put in");
        });
        assert!(log.starts_with('{') && log.contains("put in") && !log.contains("left out"));
    }
}
