//! The Kubernetes API as the operator meets it: live reads of Secrets and Namespaces, conditional Secret writes, the
//! finalizer, status and events.
//!
//! Owns the calls and the translation of their failures into the core's words. It builds no object
//! and decides nothing; whatever it sends was built by the core, and every Secret write carries the
//! condition that the core put into it (rule R2).

mod client;
mod credentials;
mod errors;
mod namespaces;
mod secrets;

pub use client::{ConnectError, connect};
pub use credentials::Credentials;
pub use errors::refusal;
pub use namespaces::Namespaces;
pub use secrets::Secrets;

use kube::api::{PatchParams, PostParams};
use ses_smtp_core::names::MANAGER;

/// Every write names its field manager: edits by others show in `managedFields`.
fn post_params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}
