//! AWS in one process, for development and tests: IAM, STS and the SMTP interface of SES.
//!
//! The account is a pure state machine ([`account`]) that keeps IAM's hard rules. It is served over
//! the real wire protocols: IAM and STS as signed query calls over HTTP, SES as SMTP with STARTTLS
//! and implicit TLS. Time can be scaled and moved, replies delayed, limited, lost and falsified,
//! and every call is written to a journal. Never part of a release.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod account;
mod authorize;
mod by_hand;
mod clock;
mod config;
mod double;
mod fault;
mod http;
mod iam;
mod journal;
pub mod policy;
mod rng;
mod sessions;
mod sigv4;
mod smtp;
mod snapshot;
mod sts;
mod throttle;
mod tls;
mod web_identity;
mod world;

pub use by_hand::ByHand;
pub use config::{ACCOUNT, Bucket, CALLER_KEY_ID, CALLER_SECRET, Caller, Config, Role, Ses};
pub use double::{Double, SmtpPorts, StartError};
pub use fault::{Fault, FaultKind, When};
pub use iam::Params;
pub use journal::Record;
pub use smtp::{Login, Mail};
pub use snapshot::{KeySnapshot, UserSnapshot};
