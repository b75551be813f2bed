//! Nothing outlives its owner.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use control_plane::ControlPlane;

use crate::until;

/// How many processes name the folder on their command lines, as all servers and their shells do.
fn processes_of(folder: &Path) -> usize {
    let folder = folder.to_str().unwrap();
    let lines =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(folder)).count()
}

/// The hand-run program; killed even when a test fails, since it would run for ever.
struct Owner(Child);

impl Owner {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test]
async fn dropping_ends_every_process_and_removes_the_folder() {
    let plane = ControlPlane::builder().start().await.unwrap();
    let folder = plane.folder().to_owned();
    // Two servers, two shells with a watcher each, the cleaner.
    assert_eq!(processes_of(&folder), 7);
    drop(plane);
    assert_eq!(processes_of(&folder), 0);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_killed_owner_takes_everything_along() {
    let program = env!("CARGO_BIN_EXE_control-plane");
    let mut owner = Owner(Command::new(program).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(owner.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let path = line.trim().strip_prefix("export KUBECONFIG=").unwrap();
    let folder = Path::new(path).parent().unwrap().to_owned();
    assert!(processes_of(&folder) > 0);
    owner.kill();
    until("the end of all processes", async || processes_of(&folder) == 0 && !folder.exists()).await;
}
