//! The decision core of ses-smtp-operator.
//!
//! Everything the operator decides is decided here, by pure functions: what a credential is, what
//! to do next, what to write and what to report. There is no I/O, no clock, no randomness and no
//! logging in this crate, and no secret material in any value that a decision reads.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod api;
pub mod desired;
pub mod endpoint;
pub mod fleet;
pub mod iam;
pub mod identity;
pub mod inventory;
pub mod key;
pub mod layout;
pub mod lease;
pub mod login;
pub mod names;
pub mod password;
pub mod plan;
pub mod policy;
pub mod preset;
pub mod reason;
pub mod record;
pub mod region;
pub mod rights;
pub mod secret;
pub mod source;
pub mod status;
pub mod step;
pub mod sweep;
pub mod tenancy;
#[cfg(test)]
mod test;
pub mod time;
pub mod world;
