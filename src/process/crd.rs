//! The `crd` command: the custom resource definition as YAML.

use std::process::ExitCode;

use serde::Serialize;

use super::output;

/// Runs the command.
pub(super) fn command() -> ExitCode {
    // The definition lives with the resource's types in the core.
    output::fail(&"this build has no custom resource definition")
}

/// Prints `crd` as YAML.
pub fn print(crd: &impl Serialize) -> ExitCode {
    match serde_saphyr::to_string(crd) {
        Ok(yaml) => output::result(&yaml),
        Err(error) => output::fail(&error),
    }
}
