//! What a machine has to offer. Owns the list; the README tells it to people.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sandbox::UNSHARE;

/// Debian's folder of CNI plugins.
pub(crate) const CNI_PLUGINS: &str = "/usr/lib/cni";
/// Programs, and the Debian packages that have them. `install.sh` installs these.
const PROGRAMS: [(&str, &str); 7] = [
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("ip", "iproute2"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("buildah", "buildah"),
];

/// What is missing, in words; empty if a node can run here.
pub fn missing() -> Vec<String> {
    let mut missing: Vec<String> =
        PROGRAMS.iter().filter(|(program, _)| !is_in_path(program)).map(needed).collect();
    if !Path::new(CNI_PLUGINS).join("bridge").exists() {
        missing.push(needed(&("the CNI plugin bridge", "containernetworking-plugins")));
    }
    if cgroups().is_empty() {
        missing.push("cgroups are not mounted below /sys/fs/cgroup".to_owned());
    }
    if !fs::read_to_string("/proc/filesystems").unwrap_or_default().contains("\toverlay\n") {
        missing.push("the kernel lacks overlayfs".to_owned());
    }
    if !may_unshare() {
        missing
            .push("new namespaces for mounts, network and processes are refused: root is needed".to_owned());
    }
    missing
}

fn needed((program, package): &(&str, &str)) -> String {
    format!("{program} is missing (Debian package {package})")
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Only a try tells whether root in this place is root enough.
fn may_unshare() -> bool {
    let mut command = Command::new("unshare");
    command.args(UNSHARE).args(["mount", "-t", "tmpfs", "tmpfs", "/run"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Where cgroup hierarchies are mounted: one for version 2, several for version 1.
pub(crate) fn cgroups() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
    });
    let of_cgroups = fields.filter(|(_, kind)| kind == "cgroup" || kind == "cgroup2");
    of_cgroups.map(|(place, _)| place.into()).filter(|path: &PathBuf| path.starts_with(CGROUPS)).collect()
}

/// Below this the hierarchies are mounted.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup";
