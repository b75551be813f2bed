//! Trouble that does not end for a while, with the real binary, many rotating objects, and pods that
//! log in with what their volumes show: no login fails, and in the calm after it nothing is left.
//!
//! `STORM=full` makes it longer and larger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, reason = "figures for people")]

mod kills;
mod publish;
mod stage;
mod throttled;
