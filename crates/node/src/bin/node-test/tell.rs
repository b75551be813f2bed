//! How the story is told: a line for each step, indented lines for what came of it.

use std::sync::OnceLock;
use std::time::Instant;

use testbed::Error;

/// When this process began to tell.
static BEGAN: OnceLock<Instant> = OnceLock::new();

/// Begins a step, with the seconds since the first one.
pub(crate) fn step(what: &str) {
    let began = BEGAN.get_or_init(Instant::now);
    println!("\n==> {:>4} s  {what}", began.elapsed().as_secs());
}

/// What came of it.
pub(crate) fn fact(what: &str) {
    println!("  {}", what.replace('\n', "\n  "));
}

/// Ends the story unless something is as it should be.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Error::wrong(otherwise()) }
}

/// An error and its causes on one line each.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}\n  because: {cause}"))
}
