//! containerd, from Debian's package, and the images that it knows.

use std::path::Path;
use std::time::Duration;

use control_plane::{Deadline, Folder, Server};
use testbed::Error;

use crate::command::run;
use crate::machine::CNI_PLUGINS;
use crate::network;

/// The image of the containers that hold the pods' namespaces: a program that does nothing.
pub const PAUSE: &str = "localhost/pause:node";
/// How long it may take to listen.
const READY: Duration = Duration::from_mins(1);

/// Where it listens: in the sandbox's folder, so that the command lines of what it starts tell whose they are.
pub(crate) fn socket(folder: &Folder) -> String {
    folder.join("containerd.sock")
}

/// Starts it and waits until it answers.
pub(crate) async fn start(folder: &Folder) -> Result<Server, Error> {
    let cni = folder.path().join("cni");
    network::write_cni(&cni)?;
    let config = folder.write("containerd.toml", &config(folder, &cni))?;
    let flags = [format!("--config={}", config.display())];
    let log = folder.path().join("containerd.log");
    let mut server = Server::spawn("containerd", Path::new("containerd"), &flags, log)?;
    let answers = Deadline::after(READY).until("an answer of containerd", async || {
        server.check()?;
        Ok(ctr(folder, &["version"]).await)
    });
    let outcome = answers.await;
    outcome.map_err(|error| server.with_log(error))?;
    Ok(server)
}

/// Lets pods use the image of an archive.
pub(crate) async fn import(folder: &Folder, archive: &Path) -> Result<(), Error> {
    ctr(folder, &["images", "import", &archive.display().to_string()]).await.map(drop)
}

async fn ctr(folder: &Folder, arguments: &[&str]) -> Result<String, Error> {
    // The namespace of images that Kubernetes uses.
    let socket = socket(folder);
    let common = ["--address", &socket, "--namespace", "k8s.io"];
    run("ctr", &[&common, arguments].concat()).await
}

/// `restrict_oom_score_adj`: without it every sandbox fails where root lacks `CAP_SYS_RESOURCE`.
fn config(folder: &Folder, cni: &Path) -> String {
    format!(
        r#"version = 2
root = "{root}"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{opt}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "{cni}"
"#,
        root = folder.join("containerd"),
        socket = socket(folder),
        opt = folder.join("opt"),
        cni = cni.display(),
    )
}
