//! The kubelet: its files and flags, and when its node is ready.

use std::path::Path;
use std::time::Duration;

use control_plane::{ControlPlane, Deadline, Folder, Server, Tool};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use testbed::Error;

use crate::containerd::socket;
use crate::network::HOST;
use crate::node::NAME;

/// How long the node may take to be ready.
const READY: Duration = Duration::from_mins(2);

/// Starts it and waits until its node takes pods.
pub(crate) async fn start(
    program: &Path,
    plane: &ControlPlane,
    folder: &Folder,
    cgroup: &str,
) -> Result<Server, Error> {
    let user = format!("system:node:{NAME}");
    let kubeconfig = plane.user_kubeconfig_yaml(&user, Some("system:nodes"))?;
    let kubeconfig = folder.write("kubelet.kubeconfig", &kubeconfig)?;
    let serving = plane.serving_certificate(&user, &[&HOST.to_string()])?;
    folder.write("kubelet.crt", &serving.certificate)?;
    folder.write("kubelet.key", &serving.key)?;
    folder.write("ca.crt", plane.ca_pem())?;
    let config = folder.write("kubelet.yaml", &config(folder, cgroup))?;
    let flags = [
        format!("--config={}", config.display()),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-dir={}", folder.join("kubelet")),
        format!("--hostname-override={NAME}"),
        format!("--node-ip={HOST}"),
    ];
    let log = folder.path().join("kubelet.log");
    let mut server = Server::spawn(Tool::Kubelet.name(), program, &flags, log)?;
    ready(plane, &mut server).await?;
    Ok(server)
}

async fn ready(plane: &ControlPlane, server: &mut Server) -> Result<(), Error> {
    let nodes: Api<Node> = Api::all(plane.admin_client()?);
    let taken = Deadline::after(READY).until("the node to take pods", async || {
        server.check()?;
        Ok(nodes.get(NAME).await.map_err(|error| error.to_string()).and_then(|node| takes_pods(&node)))
    });
    let outcome = taken.await;
    outcome.map_err(|error| server.with_log(error))?;
    Ok(())
}

/// Ready, and without the taint that a node has until then.
fn takes_pods(node: &Node) -> Result<(), String> {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.clone().any(|one| one.type_ == "Ready" && one.status == "True");
    let tainted = node.spec.iter().any(|spec| spec.taints.iter().flatten().next().is_some());
    if ready && !tainted { Ok(()) } else { Err(format!("{:?}", conditions.collect::<Vec<_>>())) }
}

/// Works with both versions of cgroups. Volumes follow their Secrets within two seconds, in place of one minute.
fn config(folder: &Folder, cgroup: &str) -> String {
    format!(
        r"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {HOST}
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: {ca}}}}}
authorization: {{mode: Webhook}}
tlsCertFile: {certificate}
tlsPrivateKeyFile: {key}
containerRuntimeEndpoint: unix://{socket}
cgroupDriver: cgroupfs
cgroupRoot: /{cgroup}
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
evictionHard: {{memory.available: 1Mi, nodefs.available: 1Mi, imagefs.available: 1Mi}}
makeIPTablesUtilChains: false
resolvConf: ''
syncFrequency: 1s
nodeStatusUpdateFrequency: 2s
",
        ca = folder.join("ca.crt"),
        socket = socket(folder),
        certificate = folder.join("kubelet.crt"),
        key = folder.join("kubelet.key"),
    )
}
