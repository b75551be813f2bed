//! The double over its real wire protocols, against the real clients.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod account_wide;
mod by_hand;
mod control;
mod faults;
mod lifecycle;
mod rights;
mod roles;
mod rules;
mod sending;
mod smtp;
mod support;
mod timing;
