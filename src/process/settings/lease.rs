//! The settings of leader election.
//!
//! Owns their names, defaults and what is allowed. How an election goes is the core's.

use clap::{ArgAction, Args};
use ses_smtp_core::desired::{is_namespace, is_subdomain};
use ses_smtp_core::names::MANAGER;

use super::take;

/// How replicas agree on one that works.
#[derive(Args, Clone, Debug)]
pub struct LeaseArgs {
    /// Whether replicas agree by a Lease on one that works: `true` or `false`. With `false` this process works
    /// whatever others do
    #[arg(long, env = "SES_SMTP_LEADER_ELECT", value_name = "BOOL", default_value_t = true, action = ArgAction::Set, hide_possible_values = true)]
    pub leader_elect: bool,
    /// Name of the Lease
    #[arg(long, env = "SES_SMTP_LEASE_NAME", value_name = "NAME", default_value = MANAGER, value_parser = lease_name)]
    pub lease_name: String,
    /// Namespace of the Lease. Default: the pod's own, and outside a pod the one that the kubeconfig's current
    /// context names
    #[arg(long, env = "SES_SMTP_LEASE_NAMESPACE", value_name = "NAMESPACE", value_parser = namespace)]
    pub lease_namespace: Option<String>,
}

fn lease_name(text: &str) -> Result<String, String> {
    take(
        text,
        is_subdomain(text),
        "allowed are up to 253 lower-case letters, digits, hyphens and dots, with a letter or digit at both ends and around dots",
    )
}

fn namespace(text: &str) -> Result<String, String> {
    take(
        text,
        is_namespace(text),
        "allowed are up to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends",
    )
}
