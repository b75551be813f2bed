//! An explicit-state model checker over the real decisions: `plan::next` and `World::after` run for
//! two or three operators that all believe they lead, on every schedule within a budget of faults
//! and of people's deeds.
//!
//! A state is the account, the Secret, each operator's pass and memory, the calls on their way, what
//! is left of the budgets, and what the invariants remember. Worlds, memories and Secrets are stored
//! once and spoken of by number, and every decision is asked for once, so a step costs a few
//! look-ups. States are told apart by a 128-bit hash (hash compaction). Calls take no time; time moves
//! by actions of its own. Versions and nonces that nobody holds any more are used again.
//!
//! Modelled beside the decisions are the hands of a pass (`calls`): what an IAM account and an API
//! server do with a call. No password exists here, only digests with the key's number in them.

mod actions;
mod alone;
mod calls;
mod configs;
mod intern;
mod mutants;
mod people;
mod search;
mod state;
mod tables;
mod traces;
mod turn;
mod verdict;
mod worlds;

use configs::Config;
use search::Report;
use worlds::{LARGE, SMALL};

/// Runs the worlds, prints what was searched, and names those that are not clean
/// or, if asked, not exhausted.
#[allow(clippy::print_stderr)]
fn search_all(worlds: &[Config], whole: bool, run: impl Fn(&Config) -> Report) {
    let mut broken = Vec::new();
    for world in worlds {
        let report = run(world);
        eprintln!("{:<34} {report}", world.name);
        let clean = report.broken.is_none() && (report.exhausted || !whole);
        broken.extend((!clean).then_some(world.name));
    }
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn small_worlds_are_clean() {
    search_all(SMALL, true, Config::run);
}

/// Minutes: `cargo test -p ses-smtp-core model_at_length -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn model_at_length() {
    search_all(SMALL, false, Config::run_at_length);
}

/// Minutes as well.
#[test]
#[ignore = "takes minutes"]
fn large_worlds_at_length() {
    search_all(LARGE, false, |world| Config { cap: 1_500_000, ..*world }.run());
}
