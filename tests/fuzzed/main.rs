//! Whatever reads or writes text that others choose, on committed inputs, on those cut and bent, and
//! with hostile texts in every field of a spec.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod corpus;
mod reach;
mod targets;
