//! The decision core of ses-smtp-operator.
//!
//! Everything the operator decides is decided here, by pure functions: what a credential is, what
//! to do next, what to write and what to report. There is no I/O, no clock, no randomness and no
//! logging in this crate, and no secret material in any value that a decision reads.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod iam;
pub mod key;
pub mod password;
pub mod region;
