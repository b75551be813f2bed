//! What commands write to the terminal, and the exit codes.

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;

/// Exit code of a wrong use or a wrong input.
const WRONG_USE: u8 = 2;

/// Writes a command's result to standard output. A reader that has gone away is a failure.
pub(super) fn result(text: &str) -> ExitCode {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Writes a line for the person at the terminal to standard error.
pub(super) fn note(text: &str) {
    // There is nowhere left to report that standard error is gone.
    let _ = writeln!(stderr().lock(), "{text}");
}

/// Ends a command that was used wrongly or got a wrong input.
pub(super) fn refuse(why: &impl std::fmt::Display) -> ExitCode {
    note(&format!("error: {why}"));
    ExitCode::from(WRONG_USE)
}

/// Ends a command that failed at run time.
pub(super) fn fail(why: &impl std::fmt::Display) -> ExitCode {
    note(&format!("error: {why}"));
    ExitCode::FAILURE
}
