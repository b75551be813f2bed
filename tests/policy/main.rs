//! The sending policy: what it lets pass and stops, end to end, and that no text makes it wider.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod no_wider;
mod sends;
