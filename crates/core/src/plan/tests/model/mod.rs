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
mod turn;
mod verdict;

#[test]
#[allow(clippy::print_stderr)]
fn small_worlds_are_clean() {
    for config in configs::SMALL {
        let report = config.run();
        eprintln!("{:<40} {report}", config.name);
        assert!(report.broken.is_none());
    }
}
