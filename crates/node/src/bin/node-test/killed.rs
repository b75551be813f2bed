//! Somebody kills the whole test at work: nothing may be left then either.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use node::{Node, Sandbox};
use testbed::Error;

/// The argument of the process that is killed.
pub(crate) const OWNER: &str = "owner";
/// The first argument of what it runs in its sandbox.
pub(crate) const BUSY: &str = "busy";
/// What is printed once there is something to leave behind.
const UP: &str = "up";

/// Starts another one of this program with a sandbox, and kills it as soon as that is busy.
pub(crate) fn at_work() -> Result<(), Error> {
    let this = std::env::current_exe().map_err(Error::io("find this program"))?;
    let started = Command::new(this).arg(OWNER).stdout(Stdio::piped()).spawn();
    let mut owner = started.map_err(Error::io("start the owner of a sandbox"))?;
    let mut line = String::new();
    let read = owner.stdout.take().map(|pipe| BufReader::new(pipe).read_line(&mut line));
    owner.kill().map_err(Error::io("kill the owner"))?;
    owner.wait().map_err(Error::io("wait for the owner"))?;
    match read {
        Some(Ok(_)) if line.trim() == UP => Ok(()),
        _ => Error::wrong(format!("the sandbox did not get to work: {line}")),
    }
}

/// The owner.
pub(crate) fn owner() -> Result<(), Error> {
    let sandbox = Sandbox::new()?;
    sandbox.run(&[BUSY, sandbox.cgroup()])?;
    Ok(())
}

/// Inside: interfaces, a mount, a network namespace, and a process in a cgroup of its own that left its parent.
pub(crate) async fn busy(cgroup: &str) -> Result<(), Error> {
    Node::network().await?;
    let place = std::env::temp_dir().join("mount");
    fs::create_dir(&place).map_err(Error::io("make a folder"))?;
    node::run("mount", &["-t", "tmpfs", "tmpfs", &place.display().to_string()]).await?;
    node::run("ip", &["netns", "add", "left"]).await?;
    let daemon = format!(
        "for tree in /sys/fs/cgroup/pids /sys/fs/cgroup; do \
           if [ -d $tree/{cgroup} ]; then mkdir -p $tree/{cgroup}/pod; echo $$ >$tree/{cgroup}/pod/cgroup.procs; fi; \
         done; setsid sleep 1000 >/dev/null 2>&1 &"
    );
    node::run("sh", &["-c", &daemon]).await?;
    println!("{UP}");
    std::future::pending().await
}
