//! The `crd` command: the custom resource definition as YAML.

use std::process::ExitCode;

use ses_smtp_core::api;

use super::output;

/// Runs the command.
pub(super) fn command() -> ExitCode {
    match serde_saphyr::to_string(&api::crd()) {
        Ok(yaml) => output::result(&yaml),
        Err(error) => output::fail(&error),
    }
}
