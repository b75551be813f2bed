//! The fault enumerator: every call of every workload fails in every way that it can, against a real
//! API server and the AWS double, with the operator's own pass in made time.
//!
//! `ENUMERATOR=full` runs all cases instead of a sample. `ENUMERATOR_CASE=<name>` runs one, and with
//! a star, such as `region/*`, `two/*` or `*/LimitExceeded`, all whose names begin and end so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, reason = "figures for people")]

mod case;
mod cluster;
mod codes;
mod ending;
mod fault;
mod hidden;
mod iam;
mod judge;
mod run;
mod smtp;
mod suite;
mod time;
mod turns;
mod two;
mod workload;
mod world;

use std::sync::Arc;

use suite::{Report, sample_of_pairs, sample_of_singles};
use world::Bed;

/// All parts one after the other, on one control plane.
#[tokio::test(flavor = "multi_thread")]
async fn no_fault_breaks_an_invariant() {
    let bed = Arc::new(Bed::start().await);
    let mut reports = Vec::new();
    match suite::asked() {
        Some(name) => reports.push(("asked for", asked(&bed, &name).await)),
        None => reports.extend(all(&bed).await),
    }
    for (what, report) in &reports {
        report.tell(what);
    }
    assert!(reports.iter().all(|(_, report)| report.failed.is_empty()), "see the cases above");
}

async fn asked(bed: &Arc<Bed>, name: &str) -> Report {
    let cleans = Arc::new(suite::cleans(bed).await);
    let outcomes = suite::run(bed, &cleans, suite::named(&cleans, name)).await;
    if let [(_, outcome)] = outcomes.as_slice() {
        println!("{}\nafter the last fault: {:?}", outcome.log, outcome.calls);
    }
    suite::report(&outcomes)
}

async fn all(bed: &Arc<Bed>) -> Vec<(&'static str, Report)> {
    let cleans = Arc::new(suite::cleans(bed).await);
    let singles = suite::run(bed, &cleans, sample_of_singles(suite::singles(&cleans))).await;
    let pairs = suite::run(bed, &cleans, sample_of_pairs(suite::pairs(&singles))).await;
    let two = suite::run(bed, &cleans, suite::two_operators()).await;
    let hidden = suite::run(bed, &cleans, hidden::names()).await;
    vec![
        ("one fault", suite::report(&singles)),
        ("a crash and a fault", suite::report(&pairs)),
        ("two operators", suite::report(&two)),
        ("hidden changes", suite::report(&hidden)),
    ]
}
