//! The node: everything beside the control plane, started in order. Dropping it ends it in the reverse order.

use std::path::{Path, PathBuf};

use control_plane::{ControlPlane, Folder, Server, Tool, locate};
use testbed::Error;

use crate::{containerd, kubelet, network};

/// The node's name.
pub const NAME: &str = "node";

/// A running node. It has to be dropped before its control plane.
// Fields are dropped in this order: first what starts pods, then what runs them, the folder last.
pub struct Node {
    _scheduler: Server,
    _kubelet: Server,
    _containerd: Server,
    _folder: Folder,
}

impl Node {
    /// Sets up the sandbox's network, which the control plane needs as well: its address is [`network::API`].
    pub async fn network() -> Result<(), Error> {
        network::set_up().await
    }

    /// Starts the node and waits until it takes pods. `cgroup` is the sandbox's. The images are there before the
    /// kubelet is; one of them has to be [`crate::PAUSE`].
    pub async fn join(plane: &ControlPlane, cgroup: &str, images: &[PathBuf]) -> Result<Self, Error> {
        let folder = Folder::with_others("node-", &[])?;
        let containerd = containerd::start(&folder).await?;
        for image in images {
            containerd::import(&folder, image).await?;
        }
        let scheduler = start_scheduler(plane, &folder)?;
        let kubelet = kubelet::start(&locate(Tool::Kubelet)?, plane, &folder, cgroup).await?;
        Ok(Self { _scheduler: scheduler, _kubelet: kubelet, _containerd: containerd, _folder: folder })
    }
}

/// Nobody waits for it: pods that it doesn't place are missed by whoever made them.
fn start_scheduler(plane: &ControlPlane, folder: &Folder) -> Result<Server, Error> {
    let kubeconfig = plane.user_kubeconfig_yaml("system:kube-scheduler", None)?;
    let kubeconfig = folder.write("scheduler.kubeconfig", &kubeconfig)?;
    let flags = [
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--authentication-skip-lookup=true".to_owned(),
        // Nobody asks it anything, so it needs no port.
        "--secure-port=0".to_owned(),
    ];
    let log = folder.path().join("kube-scheduler.log");
    Ok(Server::spawn(Tool::Scheduler.name(), Path::new(&locate(Tool::Scheduler)?), &flags, log)?)
}
