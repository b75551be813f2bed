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

/// All at once, for most of the time goes into waiting until keys are old enough to be deleted.
#[test]
fn no_login_fails_and_nothing_is_left() {
    std::thread::scope(|scope| {
        scope.spawn(|| run(kills::storm()));
        scope.spawn(|| run(throttled::storm()));
        scope.spawn(|| run(publish::storm()));
    });
}

fn run(storm: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(storm);
}
