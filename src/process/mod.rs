//! The process: command line, settings, logs, metrics, HTTP endpoints, start and end.
//!
//! Owns what a person at a terminal or a scraper sees. It must not hold logic of a credential's
//! life: commands call the core, and `run` hands over to the controller.

#[cfg(test)]
mod docs;

pub mod cli;
mod crd;
mod derive;
mod dumps;
mod endpoints;
mod http;
mod iam_policy;
mod logging;
mod metrics;
mod orphans;
mod output;
mod presets;
mod regions;
mod run;
mod settings;

pub use cli::main;
#[cfg(any(test, feature = "scaled-time"))]
pub use endpoints::parse as parse_endpoints;
pub use http::Readiness;
pub use metrics::{Metrics, OneShown, Picture, SweepTimes};
pub use run::{Operator, run};
pub use settings::{LogFormat, RunSettings};
