//! The fault enumerator: every call of every workload fails in every way that it can, against a real
//! API server and the AWS double, with the operator's own pass in made time.
//!
//! `ENUMERATOR=full` runs all cases instead of a sample; `ENUMERATOR_CASE=<name>` runs one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, reason = "figures for people")]

mod case;
mod cluster;
mod ending;
mod fault;
mod iam;
mod judge;
mod run;
mod time;
mod turns;
mod workload;
mod world;

use std::sync::Arc;

use fault::Case;
use world::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn single_faults() {
    let bed = Arc::new(Bed::start().await);
    let mut failed = Vec::new();
    for text in ["provision/CreateAccessKey#1/reply-lost", "provision/create-secret#1/crash-after"] {
        let case = Case::parse(text).unwrap();
        let clean = case::clean(&bed, &case.workload).await;
        println!("{:?}", clean.calls);
        failed.extend(case::run(&bed, &case, &clean).await.wrong);
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
