//! Development only: everything around the operator, for the demo and for tests.
//!
//! A [`Bed`] is a real control plane with the project's own manifests, and the AWS double. An
//! [`Operator`] is the operator's own process, with a token of its own service account and no more
//! rights than the manifests give it. In AWS its rights are those that `deploy/iam` ships, unless a suite
//! names others. [`mail`] is a client that logs in and sends.

mod bed;
mod canary;
mod error;
mod front;
mod impostor;
mod log;
pub mod mail;
mod namespaces;
mod operator;
mod peek;
mod pods;
mod read;
mod rest;
mod rights;
mod table;
mod wait;

pub use bed::{Bed, Options, SOON, manifest};
pub use error::Error;
pub use front::{Face, Front, Peer};
pub use impostor::{Impostor, Said};
pub use log::Log;
pub use operator::{Launch, Operator, Usage, get};
pub use pods::{Pods, Seen};
pub use read::{Credential, Object, condition};
pub use rights::{BOUNDARY, boundary_arn, boundary_policy, operator_policy};
pub use wait::{Deadline, eventually};
