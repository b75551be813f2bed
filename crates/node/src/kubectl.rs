//! kubectl, as people use it, with an admin's kubeconfig.

use std::path::PathBuf;

use control_plane::{ControlPlane, Tool, locate};
use testbed::Error;
use tokio::process::Command;

use crate::command::finished;

/// kubectl for a control plane.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// Of the version of the control plane.
    pub fn new(plane: &ControlPlane) -> Result<Self, Error> {
        let kubeconfig = plane.kubeconfig_file("admin", &plane.admin_kubeconfig_yaml())?;
        Ok(Self { program: locate(Tool::Kubectl)?, kubeconfig })
    }

    /// The kubeconfig's path.
    pub fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// Runs it and gives what it printed; an error holds what it said.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, Error> {
        let mut command = Command::new(&self.program);
        finished(command.args(arguments).env("KUBECONFIG", &self.kubeconfig)).await
    }
}
