//! The operator's own process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::{Error, eventually};

/// How long the operator may take to get ready.
const READY: Duration = Duration::from_mins(1);

/// Ends the process `$1` when stdin closes: at the latest when whoever started it is gone.
const GUARD: &str = r#"read -r _; kill -KILL "$1" 2>/dev/null"#;

/// What an operator is started with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The binary.
    pub binary: PathBuf,
    /// Environment variables beside PATH: nothing else is passed on.
    pub environment: BTreeMap<String, String>,
    /// Where its log goes; appended.
    pub log: PathBuf,
    /// Address of its HTTP side.
    pub http: String,
}

/// A running operator; killed when dropped.
pub struct Operator {
    child: Child,
    guard: Child,
    http: String,
    log: PathBuf,
}

/// What an operator has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Most resident memory, in bytes.
    pub peak_memory: u64,
}

impl Launch {
    /// Starts the operator, without waiting for it.
    pub fn spawn(&self) -> Result<Operator, Error> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.map_err(Error::io(format!("open {}", self.log.display())))?;
        let errors = log.try_clone().map_err(Error::io("share the log"))?;
        let mut command = Command::new(&self.binary);
        command.arg("run").env_clear().envs(&self.environment);
        command.stdin(Stdio::null()).stdout(log).stderr(errors).kill_on_drop(true);
        let child = command.spawn().map_err(Error::io(format!("start {}", self.binary.display())))?;
        let pid = child.id().unwrap_or_default().to_string();
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard", &pid]).stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
        let guard = guard.spawn().map_err(Error::io("start sh"))?;
        Ok(Operator { child, guard, http: self.http.clone(), log: self.log.clone() })
    }

    /// Starts the operator and waits until it is ready.
    pub async fn start(&self) -> Result<Operator, Error> {
        let mut operator = self.spawn()?;
        operator.ready().await?;
        Ok(operator)
    }
}

impl Operator {
    /// Process id; 0 once it has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&mut self) -> Result<(), Error> {
        let (http, log) = (self.http.clone(), self.log.clone());
        let ready = eventually("the operator to be ready", READY, async || {
            let page = get(&http, "/readyz").await?;
            if page.starts_with("HTTP/1.1 200") { Ok(Some(())) } else { Error::wrong(page) }
        });
        ready.await.map_err(|error| Error::Wrong(format!("{error}\n{}", tail(&log))))
    }

    /// The metrics page.
    pub async fn metrics(&self) -> Result<String, Error> {
        get(&self.http, "/metrics").await
    }

    /// True while the process runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it as a crash would, and waits until it is gone.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.guard.start_kill().map_err(Error::io("end the guard"))?;
        self.child.kill().await.map_err(Error::io("kill the operator"))
    }

    /// Asks it to end, as Kubernetes would, and waits until it has.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.signal("TERM").await?;
        self.ended().await.map(drop)
    }

    /// Sends a signal, such as `STOP`.
    pub async fn signal(&self, name: &str) -> Result<(), Error> {
        let arguments = [format!("-{name}"), self.pid().to_string()];
        let sent = Command::new("kill").args(arguments).status().await;
        sent.map(drop).map_err(Error::io(format!("send SIG{name}")))
    }

    /// What `/readyz` says.
    pub async fn readiness(&self) -> Result<String, Error> {
        get(&self.http, "/readyz").await
    }

    /// Waits until it has ended by itself or by somebody's hand.
    pub async fn ended(&mut self) -> Result<ExitStatus, Error> {
        let ended = tokio::time::timeout(READY, self.child.wait()).await;
        let ended = ended.map_err(|_| Error::Wrong("the operator did not end".to_owned()))?;
        let status = ended.map_err(Error::io("wait for the operator"))?;
        let _ = self.guard.start_kill();
        Ok(status)
    }

    /// What it has used so far.
    pub fn usage(&self) -> Result<Usage, Error> {
        let folder = PathBuf::from(format!("/proc/{}", self.pid()));
        let read = |name: &str| {
            fs::read_to_string(folder.join(name)).map_err(Error::io(format!("read {name} of the operator")))
        };
        Ok(Usage { cpu: cpu(&read("stat")?), peak_memory: peak(&read("status")?) })
    }
}

/// Kernel ticks a second, which Linux fixes at 100 for user space.
const TICKS: u64 = 100;

/// utime and stime, the 14th and 15th field of `/proc/<pid>/stat`; the name before may hold blanks.
fn cpu(stat: &str) -> Duration {
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// `VmHWM` of `/proc/<pid>/status`, in KiB there.
fn peak(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1_024
}

/// The whole answer to a GET over plain HTTP, with its head.
pub async fn get(address: &str, path: &str) -> Result<String, Error> {
    let failed = || format!("GET {address}{path}");
    let mut stream = TcpStream::connect(address).await.map_err(Error::io(failed()))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(Error::io(failed()))?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await.map_err(Error::io(failed()))?;
    Ok(page)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(30).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "7 (a b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu(stat), Duration::from_secs(2));
        assert_eq!(peak("Name:\tx\nVmHWM:\t    2048 kB\n"), 2_097_152);
    }
}
