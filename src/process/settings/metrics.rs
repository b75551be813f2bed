//! The settings of what `/metrics` shows.

use clap::{ArgAction, Args};

/// What `/metrics` shows beside counts.
#[derive(Args, Clone, Copy, Debug)]
pub struct MetricsArgs {
    /// Shows each object by name in `/metrics` too: up to four series an object, which cost a Prometheus
    /// memory and show names to whoever may read them: `true` or `false`
    #[arg(long, env = "SES_SMTP_METRICS_PER_OBJECT", value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", hide_possible_values = true)]
    pub metrics_per_object: bool,
}
