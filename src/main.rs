//! The operator's program: hands over to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    ses_smtp_operator::process::main()
}
