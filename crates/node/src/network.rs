//! The sandbox's network: loopback, a bridge for pods, and one without ports that holds the API server's address.

use std::net::Ipv4Addr;
use std::path::Path;

use testbed::Error;

use crate::command::run;

/// The first address of the service range: the Service `kubernetes` leads there without kube-proxy.
pub const API: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The node's address, at which pods reach whatever runs beside the cluster.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 85, 0, 1);
/// The range that pods have their addresses of; the node's is the first.
const PODS: &str = "10.85.0.0/24";
/// The bridge that pods are plugged into.
const BRIDGE: &str = "cni0";
/// The bridge that the API server listens at.
const API_BRIDGE: &str = "api0";

/// Sets up the sandbox's interfaces.
pub(crate) async fn set_up() -> Result<(), Error> {
    run("ip", &["link", "set", "lo", "up"]).await?;
    let bridges = [
        (BRIDGE, format!("{HOST}/24"), "02:00:0a:55:00:01"),
        (API_BRIDGE, format!("{API}/32"), "02:00:0a:60:00:01"),
    ];
    for (name, address, mac) in bridges {
        // A bridge without an address of its own takes that of one of its ports, and changes it when a pod goes: who
        // knows it by the old one is cut off for a while.
        run("ip", &["link", "add", name, "address", mac, "type", "bridge"]).await?;
        run("ip", &["address", "add", &address, "dev", name]).await?;
        run("ip", &["link", "set", name, "up"]).await?;
    }
    Ok(())
}

/// Writes what CNI plugins need to know into a folder of containerd's.
pub(crate) fn write_cni(folder: &Path) -> Result<(), Error> {
    let list = serde_json::json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge", "bridge": BRIDGE, "isGateway": true, "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "ranges": [[{ "subnet": PODS }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
                "dataDir": folder.join("addresses"),
            },
        }],
    });
    let path = folder.join("pods.conflist");
    std::fs::create_dir_all(folder).map_err(Error::io(format!("make {}", folder.display())))?;
    std::fs::write(&path, list.to_string()).map_err(Error::io(format!("write {}", path.display())))
}
