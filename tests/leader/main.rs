//! Two replicas of the real binary on one API server, each with a token of the service account and a
//! proxy of its own: who works, and what becomes of one that doesn't lead any more.
//!
//! `LEADER=full` makes more trials, with the lease's real times, and more places at which a leader stops.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, reason = "figures for people")]

mod cut_off;
mod rights;
mod stage;
mod stopped;
mod takeover;
mod turns;
