//! The operator's adapters and process around the decision core.
//!
//! Everything here carries out or reports what `ses-smtp-core` decides. No rule of a credential's
//! life lives in this crate.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod aws;
mod causes;
pub mod clock;
pub mod cluster;
pub mod controller;
pub mod leadership;
pub mod process;
