//! What a node could leave on a machine: looked at before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::machine::CGROUPS;
use crate::sandbox::{CGROUP, SANDBOX};

/// Folders that a node writes to when it runs without a sandbox.
const FOLDERS: [&str; 8] =
    ["/run", "/run/netns", "/var/lib", "/var/lib/cni", "/var/log", "/opt", "/etc/cni", "/tmp"];
/// Of what appears in these folders, what a node's programs make.
const NAMES: [&str; 6] = ["cni", "kubelet", "containerd", "containers", "pods", SANDBOX];

/// Everything of a kind that a node may leave, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces(BTreeSet<String>);

impl Traces {
    /// The machine as it is.
    pub fn now() -> Self {
        let all = processes().chain(mounts()).chain(cgroups()).chain(links()).chain(tables()).chain(files());
        Self(all.chain(forwarding()).collect())
    }

    /// What is there now and was not before, or is otherwise.
    pub fn since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// All that a node starts names a file in the sandbox's folder, but for what is in pods: that has a cgroup, which can't
/// be removed as long as it runs.
fn processes() -> impl Iterator<Item = String> {
    let ids = names("/proc").into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    ids.filter_map(|id| {
        let line = fs::read(Path::new("/proc").join(&id).join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(SANDBOX).then(|| format!("process {id}: {line}"))
    })
}

fn mounts() -> impl Iterator<Item = String> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let lines: Vec<String> = text.lines().map(|line| format!("mount {line}")).collect();
    lines.into_iter()
}

fn cgroups() -> impl Iterator<Item = String> {
    let hierarchies =
        names(CGROUPS).into_iter().map(|name| format!("{CGROUPS}/{name}")).chain([CGROUPS.to_owned()]);
    hierarchies.flat_map(|folder| {
        names(&folder)
            .into_iter()
            .filter(|name| name.starts_with(CGROUP) || name.starts_with("kubepods"))
            .map(move |name| format!("cgroup {folder}/{name}"))
    })
}

fn links() -> impl Iterator<Item = String> {
    names("/sys/class/net").into_iter().map(|name| format!("interface {name}"))
}

/// Nothing where there is no nft: then nothing could have made a table either.
fn tables() -> impl Iterator<Item = String> {
    let output = Command::new("nft").args(["list", "tables"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().map(|line| format!("nft {line}")).collect::<Vec<_>>().into_iter()
}

fn files() -> impl Iterator<Item = String> {
    FOLDERS.into_iter().flat_map(|folder| {
        let found =
            names(folder).into_iter().filter(|name| NAMES.iter().any(|begin| name.starts_with(begin)));
        found.map(move |name| format!("file {folder}/{name}"))
    })
}

fn forwarding() -> impl Iterator<Item = String> {
    let value = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap_or_default();
    [format!("ip_forward {}", value.trim())].into_iter()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_process_are_found() {
        let before = Traces::now();
        let folder = tempfile::Builder::new().prefix(SANDBOX).tempdir_in("/tmp").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "read -r _", SANDBOX]).stdin(std::process::Stdio::piped());
        let mut process = command.spawn().unwrap();
        let left = Traces::now().since(&before);
        let named = |word: &str| left.iter().any(|line| line.contains(word));
        assert!(named(folder.path().to_str().unwrap()), "{left:?}");
        assert!(named(&format!("process {}:", process.id())), "{left:?}");
        process.kill().unwrap();
        process.wait().unwrap();
    }
}
