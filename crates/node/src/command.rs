//! Programs that are run to their end, with a deadline. Owns no knowledge of what they do.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use testbed::Error;
use tokio::process::Command;
use tokio::time::timeout;

/// How long any of them may take, on a busy machine.
const LIMIT: Duration = Duration::from_mins(3);

/// Runs a program found by PATH and gives what it printed; an error holds what it said.
pub async fn run(program: &str, arguments: &[&str]) -> Result<String, Error> {
    let mut command = Command::new(program);
    command.args(arguments);
    finished(&mut command).await
}

/// Runs a command that somebody else put together.
pub(crate) async fn finished(command: &mut Command) -> Result<String, Error> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let told = told(command);
    let output = timeout(LIMIT, command.output()).await;
    let output = output.map_err(|_| Error::Wrong(format!("{told} did not end within {LIMIT:?}")))?;
    let output = output.map_err(Error::io(format!("run {told}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Error::wrong(format!(
        "{told} failed ({}): {} {}",
        output.status,
        text(&output.stderr),
        text(&output.stdout)
    ))
}

fn told(command: &Command) -> String {
    let command = command.as_std();
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_says_what_was_run_and_what_it_said() {
        let error = run("sh", &["-c", "echo told you >&2; exit 7"]).await.unwrap_err().to_string();
        assert!(error.contains("told you") && error.contains("exit status: 7") && error.contains("sh -c"));
        assert_eq!(run("echo", &["a", "b"]).await.unwrap(), "a b");
    }
}
