//! Development only: a real etcd, kube-apiserver and, on request, kube-controller-manager on loopback, for tests,
//! the demo and benchmarks; and a proxy before them that makes chosen calls fail. A node can join
//! ([`Builder::for_nodes`]): the crate `node` has one.
//!
//! ```no_run
//! # async fn example() -> Result<(), control_plane::Error> {
//! let plane = control_plane::ControlPlane::builder().controller_manager().audit_log().start().await?;
//! plane.apply_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: mail}}").await?;
//! let client = plane.admin_client()?;
//! # drop(client); Ok(()) }
//! ```
//!
//! Everything lives in one temporary folder and ends with its owner: when [`ControlPlane`] is dropped, and also when
//! the process is killed. The crate knows nothing of the operator and must not depend on it.

mod access;
mod apply;
pub mod audit;
mod binaries;
mod error;
mod pki;
mod plane;
mod process;
pub mod proxy;
mod servers;
mod wait;

pub use access::client_from_kubeconfig;
pub use apply::apply_yaml;
pub use binaries::{ETCD_VERSION, KUBERNETES_VERSION, Tool, locate};
pub use error::Error;
pub use pki::Pair;
pub use plane::{Builder, ControlPlane};
pub use process::{Attached, Folder, Server};
pub use proxy::FaultProxy;
pub use wait::Deadline;
