//! What can go wrong while starting or using the control plane.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

/// Why the control plane could not be built, started or used. The messages are for developers and name the cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `KUBEBUILDER_ASSETS` names a folder without this program.
    #[error(
        "KUBEBUILDER_ASSETS is {folder}, which has no {name}; add it, or unset the variable to build it from source"
    )]
    MissingBinary {
        /// The missing program.
        name: &'static str,
        /// The folder of the variable.
        folder: PathBuf,
    },
    /// `go` cannot be run at all.
    #[error(
        "building the control plane needs Go {minimum} or later, and `go` cannot be run; or set KUBEBUILDER_ASSETS"
    )]
    GoMissing {
        /// Oldest version that will do.
        minimum: &'static str,
        /// Why it did not run.
        source: io::Error,
    },
    /// `go` is there but is too old.
    #[error(
        "building the control plane needs Go {minimum} or later, found {found}; or set KUBEBUILDER_ASSETS"
    )]
    GoTooOld {
        /// Oldest version that will do.
        minimum: &'static str,
        /// What `go` said of itself.
        found: String,
    },
    /// `go build` failed.
    #[error("go build of {name} failed ({status}):\n{log}")]
    GoBuild {
        /// The program that was built.
        name: &'static str,
        /// How `go build` ended.
        status: ExitStatus,
        /// The last lines of its output.
        log: String,
    },
    /// A file or process operation failed.
    #[error("cannot {action}")]
    Io {
        /// What was tried, with the path.
        action: String,
        /// The cause.
        source: io::Error,
    },
    /// A certificate or key could not be made or used.
    #[error("the control plane's certificates")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A server ended by itself.
    #[error("{name} ended ({status}); the end of its log:\n{log}")]
    Exited {
        /// Which server.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// A wait passed its deadline.
    #[error("{what} not seen within {waited:?}; last seen: {last}\n{log}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// The latest state seen.
        last: String,
        /// The last lines of the server's log, if a server was waited for.
        log: String,
    },
    /// The API server refused a call or could not be reached.
    #[error("{action}")]
    Api {
        /// What was tried.
        action: String,
        /// The cause.
        source: Box<kube::Error>,
    },
    /// A kubeconfig could not be read.
    #[error("kubeconfig")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// A manifest is not YAML or not a Kubernetes object.
    #[error("manifest: {0}")]
    Manifest(String),
}

impl Error {
    /// Turns an I/O error into ours: `.map_err(Error::io(|| format!("write {path}")))`.
    pub(crate) fn io(action: impl FnOnce() -> String) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action: action(), source }
    }

    /// Turns a client error into ours.
    pub(crate) fn api(action: impl FnOnce() -> String) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api { action: action(), source: Box::new(source) }
    }

    /// Turns a certificate error into ours.
    pub(crate) fn certificate(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Certificate(Box::new(source))
    }
}
