//! Where the servers' programs come from: a folder that the user names, else one build from pinned Go modules. The
//! build happens once per target folder, however many test processes start together.

use std::{
    collections::VecDeque,
    env, fs,
    io::{BufRead, BufReader, Read, Write, stderr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::Error;

/// Version of kube-apiserver and everything else of Kubernetes that is built; `go/go.mod` pins the same.
pub const KUBERNETES_VERSION: &str = "1.36.3";
/// Version of etcd that is built; `go/go.mod` pins the same.
pub const ETCD_VERSION: &str = "3.6.8";
/// Oldest Go that the pinned modules accept; `go/go.mod` says the same.
const MINIMUM_GO: &str = "1.26.0";
/// Time between progress lines of a build.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Lines of a failed build that are shown.
const ERROR_LINES: usize = 40;

/// A program of the control plane, or of a node that joins it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// Garbage collection, namespace deletion, service accounts.
    ControllerManager,
    /// Gives pods a node.
    Scheduler,
    /// Runs a node's pods.
    Kubelet,
    /// The command line.
    Kubectl,
}

impl Tool {
    /// Those of a control plane, quickest build first.
    pub const ALL: [Self; 3] = [Self::Etcd, Self::ApiServer, Self::ControllerManager];
    /// What a node needs beside a control plane.
    pub const OF_NODE: [Self; 3] = [Self::Scheduler, Self::Kubelet, Self::Kubectl];

    /// File name of the program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::Kubectl => "kubectl",
        }
    }

    /// The Go package with its `main`.
    const fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Scheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
        }
    }
}

/// Path of the program: in `KUBEBUILDER_ASSETS` if that is set, else in the cache, built first if need be. Blocks for
/// minutes when it builds, with progress lines on stderr.
pub fn locate(tool: Tool) -> Result<PathBuf, Error> {
    match env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()) {
        Some(folder) => in_assets(tool, Path::new(&folder)),
        None => built(tool, &cache_folder()),
    }
}

fn in_assets(tool: Tool, folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join(tool.name());
    if path.is_file() {
        Ok(path)
    } else {
        Err(Error::MissingBinary { name: tool.name(), folder: folder.to_owned() })
    }
}

/// The cache is named after both versions, so that a new pin is a new build.
fn cache_folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let versions = format!("kubernetes-{KUBERNETES_VERSION}-etcd-{ETCD_VERSION}");
    workspace.join(target).join("control-plane").join(versions)
}

fn built(tool: Tool, folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join(tool.name());
    if path.is_file() {
        return Ok(path);
    }
    fs::create_dir_all(folder).map_err(Error::io(|| format!("make {}", folder.display())))?;
    let lock = folder.join("lock");
    let file = fs::File::create(&lock).map_err(Error::io(|| format!("open {}", lock.display())))?;
    file.lock().map_err(Error::io(|| format!("lock {}", lock.display())))?;
    // Another process may have built it while this one waited for the lock, which the end of this scope releases.
    if !path.is_file() {
        build(tool, &path)?;
    }
    Ok(path)
}

fn build(tool: Tool, path: &Path) -> Result<(), Error> {
    check_go()?;
    // Programs appear under their final name only when they are whole.
    let partial = path.with_extension("partial");
    let started = Instant::now();
    progress(&format!("building {} from source, once; this takes minutes", tool.name()));
    run_go_build(tool, &partial, started)?;
    fs::rename(&partial, path).map_err(Error::io(|| format!("rename {}", partial.display())))?;
    progress(&format!("built {} in {} s", tool.name(), started.elapsed().as_secs()));
    Ok(())
}

fn run_go_build(tool: Tool, output: &Path, started: Instant) -> Result<(), Error> {
    let mut child = go(&["build", "-v", "-trimpath", "-ldflags", &linker_flags(), "-o"])
        .arg(output)
        .arg(tool.package())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::GoMissing { minimum: MINIMUM_GO, source })?;
    let log = child.stderr.take().map(|pipe| follow(tool, pipe, started)).unwrap_or_default();
    let status = child.wait().map_err(Error::io(|| "wait for go build".to_owned()))?;
    if status.success() { Ok(()) } else { Err(Error::GoBuild { name: tool.name(), status, log }) }
}

/// Reads what `go build -v` says, one line a package, and tells from time to time how far it is.
fn follow(tool: Tool, pipe: impl Read, started: Instant) -> String {
    let (mut packages, mut told, mut last) = (0, Instant::now(), VecDeque::new());
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        packages += 1;
        if last.len() == ERROR_LINES {
            last.pop_front();
        }
        last.push_back(line);
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            progress(&format!("{}: {packages} packages, {} s", tool.name(), started.elapsed().as_secs()));
        }
    }
    Vec::from(last).join("\n")
}

fn linker_flags() -> String {
    let mut numbers = KUBERNETES_VERSION.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let version = "-X k8s.io/component-base/version";
    format!(
        "-s -w {version}.gitVersion=v{KUBERNETES_VERSION} {version}.gitMajor={major} {version}.gitMinor={minor}"
    )
}

fn go(arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go"));
    command.env("CGO_ENABLED", "0").stdin(Stdio::null());
    command
}

/// `go env` in the module's folder already reports the toolchain that `go` would fetch for it.
fn check_go() -> Result<(), Error> {
    let output = go(&["env", "GOVERSION"])
        .output()
        .map_err(|source| Error::GoMissing { minimum: MINIMUM_GO, source })?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && version(&found) >= version(MINIMUM_GO) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::GoTooOld { minimum: MINIMUM_GO, found: if found.is_empty() { said } else { found } })
}

/// The numbers of a version such as `go1.26.8`.
fn version(text: &str) -> Vec<u32> {
    let numbers = text.trim_start_matches("go").split('.');
    numbers.map_while(|number| number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
}

/// Straight to stderr, which test harnesses do not hold back; a lost line is no harm.
fn progress(line: &str) {
    let _ = writeln!(stderr(), "control-plane: {line}");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn go_mod_pins_the_same_versions() {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("go/go.mod")).unwrap();
        let staging = format!("v0.{}", KUBERNETES_VERSION.split_once('.').unwrap().1);
        assert!(text.contains(&format!("\ngo {MINIMUM_GO}\n")));
        assert!(text.contains(&format!("k8s.io/kubernetes v{KUBERNETES_VERSION} ")));
        assert!(text.contains(&format!("go.etcd.io/etcd/server/v3 v{ETCD_VERSION} ")));
        assert!(text.contains(&format!("k8s.io/api => k8s.io/api {staging}\n")));
    }

    #[test]
    fn go_versions_compare_by_number() {
        assert!(version("go1.26.8") > version(MINIMUM_GO));
        assert!(version("go1.9.7") < version(MINIMUM_GO));
        assert!(version("go1.27rc1") > version(MINIMUM_GO));
        assert!(version("") < version(MINIMUM_GO));
    }

    #[test]
    fn a_missing_asset_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = in_assets(Tool::Etcd, folder.path()).unwrap_err().to_string();
        assert!(message.contains("no etcd"), "{message}");
        assert!(message.contains(&folder.path().display().to_string()), "{message}");
    }
}
