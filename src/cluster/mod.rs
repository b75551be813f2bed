//! The Kubernetes API as the operator meets it: live reads of Secrets and Namespaces, conditional Secret writes, the
//! finalizer, status and events, and the Lease of leader election.
//!
//! Owns the calls and the translation of their failures into the core's words. It builds no object
//! and decides nothing; whatever it sends was built by the core, and every Secret write carries the
//! condition that the core put into it (rule R2).

mod client;
mod credentials;
mod errors;
mod extent;
mod lease;
mod namespaces;
mod secrets;

pub use client::{ConnectError, connect, connect_as};
pub use credentials::Credentials;
pub use errors::refusal;
pub use extent::Extent;
pub use lease::{Leases, NoNamespace, own_namespace};
pub use namespaces::Namespaces;
pub use secrets::Secrets;

use kube::api::{PatchParams, PostParams};
use ses_smtp_core::names::MANAGER;

/// Where the kernel tells the host's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The host's name; in a pod that is the pod's.
pub fn host_name() -> String {
    let told = std::env::var("HOSTNAME").or_else(|_| std::fs::read_to_string(HOST_NAME));
    told.map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| MANAGER.to_owned())
}

/// Every write names its field manager: edits by others show in `managedFields`.
fn post_params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}
