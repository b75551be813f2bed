//! The settings of what `/metrics` shows.

use clap::Args;
use clap::builder::BoolishValueParser;

/// What `/metrics` shows beside counts.
#[derive(Args, Clone, Copy, Debug)]
pub struct MetricsArgs {
    /// Shows each object by name in `/metrics` too: up to four series an object, which cost a Prometheus
    /// memory and show names to whoever may read them
    #[arg(long, env = "SES_SMTP_METRICS_PER_OBJECT", value_parser = BoolishValueParser::new())]
    pub metrics_per_object: bool,
}
