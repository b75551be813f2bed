//! Why a step of a test or of the demo failed.

/// Anything that went wrong, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control plane.
    #[error(transparent)]
    Plane(#[from] control_plane::Error),
    /// The AWS double.
    #[error(transparent)]
    Aws(#[from] aws_double::StartError),
    /// A call to the API server.
    #[error("Kubernetes: {0}")]
    Kube(#[from] kube::Error),
    /// A file, a process or a socket.
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
    /// Something did not come to pass in time.
    #[error("waited in vain for {what}; {state}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// What was seen last.
        state: String,
    },
    /// Something is not as it should be.
    #[error("{0}")]
    Wrong(String),
}

impl Error {
    /// An I/O error and what was being done.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |error| Self::Io(doing, error)
    }

    /// Something that is not as it should be.
    pub fn wrong<T>(what: impl Into<String>) -> Result<T, Self> {
        Err(Self::Wrong(what.into()))
    }
}
