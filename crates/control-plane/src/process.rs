//! Child processes that never outlive this one, and the temporary folder that goes with them.
//!
//! Each child runs under a tiny shell that holds the other end of a pipe: when this process ends, however it ends,
//! the kernel closes the pipe and the shell acts. `PR_SET_PDEATHSIG` is no substitute: it fires when the *thread* that
//! started the child ends, and test threads do. The shells have process groups of their own, so that Ctrl-C in a
//! terminal reaches the owner only and the order of the end stays with it.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use crate::Error;

/// Runs `"$@"` and kills it when stdin closes; ends with its exit code when it ends first. The watcher is ended before
/// the exit so that it can never kill a process that got the number later.
const SUPERVISE: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
(read -r _ <&3; kill -KILL "$server") 2>/dev/null &
watcher=$!
wait "$server"
code=$?
kill -KILL "$watcher" 2>/dev/null
exit "$code"
"#;

/// Removes its arguments when stdin closes: folders, and trees of cgroups, of which only the folders can be removed.
/// Repeats, because dying servers may still write to them.
const CLEAN: &str = r#"
read -r _
for folder in "$@"; do
    tries=0
    while case "$folder" in
        /sys/fs/cgroup/*) find "$folder" -depth -type d -exec rmdir {} + ;;
        *) rm -rf -- "$folder" ;;
    esac 2>/dev/null; [ -e "$folder" ] && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
done
"#;

/// How much of a server's log an error shows.
const TAIL_BYTES: u64 = 6_000;

/// A shell that acts when its stdin closes, at the latest when this process ends.
struct Shell(Child);

impl Shell {
    fn spawn(script: &str, arguments: &[&OsStr], output: Stdio, errors: Stdio) -> Result<Self, Error> {
        let mut command = Command::new("sh");
        command.args(["-c", script, "control-plane"]).args(arguments).process_group(0);
        command.stdin(Stdio::piped()).stdout(output).stderr(errors);
        command.spawn().map(Self).map_err(Error::io(|| "run sh".to_owned()))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A program that shares this process's outputs; killed when dropped, and when this process ends.
pub struct Attached(Shell);

impl Attached {
    /// Starts it.
    pub fn spawn(program: &Path, arguments: &[String]) -> Result<Self, Error> {
        let all: Vec<&OsStr> =
            [program.as_os_str()].into_iter().chain(arguments.iter().map(OsStr::new)).collect();
        Shell::spawn(SUPERVISE, &all, Stdio::inherit(), Stdio::inherit()).map(Self)
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> Result<ExitStatus, Error> {
        // Waiting would close the pipe, which is the sign to kill it.
        let _pipe = self.0.0.stdin.take();
        self.0.0.wait().map_err(Error::io(|| "wait for a program".to_owned()))
    }
}

/// A running server; dropping it kills it and waits for its end.
pub struct Server {
    name: &'static str,
    shell: Shell,
    log: PathBuf,
}

impl Server {
    /// Starts `program`, with both outputs in `log`.
    pub fn spawn(name: &'static str, program: &Path, flags: &[String], log: PathBuf) -> Result<Self, Error> {
        let failed = || format!("write {}", log.display());
        let output = fs::File::create(&log).map_err(Error::io(failed))?;
        let errors = output.try_clone().map_err(Error::io(failed))?;
        let mut arguments = vec![program.as_os_str()];
        arguments.extend(flags.iter().map(OsStr::new));
        let shell = Shell::spawn(SUPERVISE, &arguments, output.into(), errors.into())?;
        Ok(Self { name, shell, log })
    }

    /// An error with the end of its log if the server has ended.
    pub fn check(&mut self) -> Result<(), Error> {
        match self.shell.0.try_wait().map_err(Error::io(|| format!("ask for the state of {}", self.name)))? {
            Some(status) => Err(self.exited(status)),
            None => Ok(()),
        }
    }

    fn exited(&self, status: ExitStatus) -> Error {
        Error::Exited { name: self.name, status, log: self.log_tail() }
    }

    /// A missed deadline with the end of the log; any other error as it is.
    #[must_use]
    pub fn with_log(&self, error: Error) -> Error {
        match error {
            Error::Deadline { what, waited, last, .. } => {
                Error::Deadline { what, waited, last, log: self.log_tail() }
            }
            other => other,
        }
    }

    /// The end of the log; whatever prevents reading it is said in its place.
    pub fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_else(|error| format!("(no log: {error})"))
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A temporary folder that is removed when this is dropped or this process ends.
pub struct Folder {
    path: PathBuf,
    _cleaner: Shell,
}

impl Folder {
    pub(crate) fn create() -> Result<Self, Error> {
        Self::with_others("control-plane-", &[])
    }

    /// Such a folder, whose name begins with `prefix`, and whose end takes other folders along: trees of cgroups too,
    /// which hold files that can't be removed and go with their folders.
    pub fn with_others(prefix: &str, others: &[PathBuf]) -> Result<Self, Error> {
        let made = tempfile::Builder::new().prefix(prefix).tempdir();
        // The cleaner removes it instead: it also does so after a kill -9.
        let path = made.map_err(Error::io(|| "make a temporary folder".to_owned()))?.keep();
        let all: Vec<&OsStr> =
            [path.as_os_str()].into_iter().chain(others.iter().map(|other| other.as_os_str())).collect();
        let cleaner = Shell::spawn(CLEAN, &all, Stdio::null(), Stdio::null())?;
        Ok(Self { path, _cleaner: cleaner })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of `name` in the folder, as text for a flag.
    pub fn join(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// Writes a file that only this user can read.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let path = self.path.join(name);
        let mut options = fs::OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let written = options.open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(Error::io(|| format!("write {}", path.display())))?;
        Ok(path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_is_reported_with_its_log() {
        let folder = Folder::create().unwrap();
        let flags = ["-c", "echo told you; exit 7"].map(str::to_owned);
        let mut server =
            Server::spawn("sh", Path::new("/bin/sh"), &flags, folder.path().join("log")).unwrap();
        // Not `Child::wait`, which would close the pipe first.
        let ended = || {
            server.check().err().or_else(|| {
                std::thread::yield_now();
                None
            })
        };
        let message = std::iter::repeat_with(ended).take(1_000_000).flatten().next().unwrap().to_string();
        assert!(message.contains("told you") && message.contains("exit status: 7"), "{message}");
    }

    #[test]
    fn dropping_ends_the_process_and_removes_the_folder() {
        let folder = Folder::create().unwrap();
        let path = folder.path().to_owned();
        let flags = ["infinity".to_owned()];
        let server = Server::spawn("sleep", Path::new("/bin/sleep"), &flags, path.join("log")).unwrap();
        drop(server);
        drop(folder);
        assert!(!path.exists());
    }
}
