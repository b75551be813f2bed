//! Namespaces in which a program runs, and whose end takes everything along.
//!
//! The program sees the machine's files, but `/run`, `/var/lib` and `/var/log` are empty and its own, and so are
//! network and process ids. It is the first process but one: when it ends, or this process does, the kernel kills what
//! it has started, which ends mounts, interfaces and network namespaces too. Cgroups and the temporary folder are
//! removed by the folder's cleaner, which also outlives a kill -9 of this process.

use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;

use control_plane::{Attached, Folder};
use testbed::Error;

use crate::machine::cgroups;

/// What is unshared. Mounts that the machine takes away go in the sandbox as well, so that it keeps nothing busy.
pub(crate) const UNSHARE: [&str; 8] =
    ["--mount", "--propagation", "slave", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
/// The sandbox's first process: it hides what programs write to fixed places, and reaps what others leave behind. The
/// last line keeps the shell from becoming the program, which would reap nothing.
const FIRST: &str = r#"
set -e
for place in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$place"; done
code=0
"$@" || code=$?
exit "$code"
"#;

/// What the sandbox's folder begins with.
pub(crate) const SANDBOX: &str = "node-sandbox-";
/// What the sandbox's cgroup begins with.
pub(crate) const CGROUP: &str = "ses-smtp-node-";

/// A place to run a program in.
pub struct Sandbox {
    folder: Folder,
    cgroup: String,
}

impl Sandbox {
    /// Makes a temporary folder, and a cgroup in every hierarchy.
    pub fn new() -> Result<Self, Error> {
        let cgroup = format!("{CGROUP}{}", std::process::id());
        let trees: Vec<PathBuf> = cgroups().into_iter().map(|hierarchy| hierarchy.join(&cgroup)).collect();
        let folder = Folder::with_others(SANDBOX, &trees)?;
        for tree in trees {
            fs::create_dir(&tree).map_err(Error::io(format!("make the cgroup {}", tree.display())))?;
        }
        Ok(Self { folder, cgroup })
    }

    /// The cgroup's name, for [`crate::Node::join`].
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// Runs this program again inside, with other arguments, and waits for its end. What it puts into temporary
    /// folders is in the sandbox's own.
    pub fn run(&self, arguments: &[&str]) -> Result<ExitStatus, Error> {
        let this = std::env::current_exe().map_err(Error::io("find this program"))?;
        let (this, temporary) =
            (this.display().to_string(), format!("TMPDIR={}", self.folder.path().display()));
        let first = ["sh", "-c", FIRST, "sandbox", "env", &temporary, &this];
        let words = [&UNSHARE[..], &first[..], arguments].concat();
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        Ok(Attached::spawn("unshare".as_ref(), &words)?.wait()?)
    }
}
