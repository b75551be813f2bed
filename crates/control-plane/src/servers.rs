//! How each server is started: its files and flags. Knows nothing of waiting or clients.

use std::{
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    path::Path,
};

use crate::{
    Error, Tool, access,
    pki::Pki,
    process::{Folder, Server},
};

/// What the API server also gets by the builder's choice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extras {
    /// Write an audit log.
    pub audit: bool,
    /// Further flags, the last ones on the command line.
    pub flags: Vec<String>,
    /// Where it listens, on the port of HTTPS, if nodes are to join.
    pub for_nodes: Option<Ipv4Addr>,
}

impl Extras {
    /// Where the API server listens: a free port of loopback unless nodes have to reach it.
    pub(crate) fn address(&self) -> Result<SocketAddrV4, Error> {
        match self.for_nodes {
            Some(address) => Ok(SocketAddrV4::new(address, HTTPS)),
            None => Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port()?)),
        }
    }
}

/// The port at which pods look for the API server.
const HTTPS: u16 = 443;

/// File name of the audit log in the folder.
pub(crate) const AUDIT_LOG: &str = "audit.log";

/// Metadata only: bodies would put Secret data into the log. Long-running requests are logged when they begin, all
/// others when they end.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
";

/// What tests without a node need of the controller manager. Fewer controllers start faster and cost less memory.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
serviceaccount-token-controller,root-ca-certificate-publisher-controller,clusterrole-aggregation-controller,\
validatingadmissionpolicy-status-controller";

/// A free port of the loopback address. Another process may take it before the server does: callers try again.
fn free_port() -> Result<u16, Error> {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    Ok(address.map_err(Error::io(|| "find a free port".to_owned()))?.port())
}

/// etcd listens on sockets in the folder: no ports to race for, no other user can connect.
fn etcd_socket(folder: &Folder, name: &str) -> String {
    format!("unix://{}", folder.join(name))
}

pub(crate) fn start_etcd(program: &Path, folder: &Folder) -> Result<Server, Error> {
    let (client, peer) = (etcd_socket(folder, "etcd"), etcd_socket(folder, "peer"));
    let flags = [
        format!("--data-dir={}", folder.join("data")),
        format!("--listen-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        // Nobody ever calls these addresses, but they must have a port.
        "--advertise-client-urls=http://localhost:2379".to_owned(),
        "--initial-advertise-peer-urls=http://localhost:2380".to_owned(),
        "--initial-cluster=default=http://localhost:2380".to_owned(),
        // The data is thrown away, so a lost write after a power cut is no loss.
        "--unsafe-no-fsync=true".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    Server::spawn(Tool::Etcd.name(), program, &flags, folder.path().join("etcd.log"))
}

pub(crate) fn start_api_server(
    program: &Path,
    folder: &Folder,
    address: SocketAddrV4,
    extras: &Extras,
) -> Result<Server, Error> {
    let mut flags = api_server_flags(folder, address);
    flags.extend(service_account_flags(folder));
    flags.extend(authorization_flags(folder, extras.for_nodes.is_some()));
    if extras.audit {
        flags.extend(audit_flags(folder)?);
    }
    flags.extend(extras.flags.iter().cloned());
    Server::spawn(Tool::ApiServer.name(), program, &flags, folder.path().join("kube-apiserver.log"))
}

fn api_server_flags(folder: &Folder, address: SocketAddrV4) -> Vec<String> {
    vec![
        format!("--etcd-servers={}", etcd_socket(folder, "etcd")),
        format!("--secure-port={}", address.port()),
        format!("--bind-address={}", address.ip()),
        // Without it the server looks for a default route, which a build machine may lack.
        format!("--advertise-address={}", address.ip()),
        // The default one publishes the advertised address and refuses loopback.
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/24".to_owned(),
        "--profiling=false".to_owned(),
        format!("--cert-dir={}", folder.join("certificates")),
        format!("--client-ca-file={}", folder.join("ca.crt")),
        format!("--tls-cert-file={}", folder.join("server.crt")),
        format!("--tls-private-key-file={}", folder.join("server.key")),
    ]
}

/// Nodes have rights of their own kind, and a certificate tells them that it is the API server that calls.
fn authorization_flags(folder: &Folder, nodes: bool) -> Vec<String> {
    if !nodes {
        return vec!["--authorization-mode=RBAC".to_owned()];
    }
    vec![
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--kubelet-certificate-authority={}", folder.join("ca.crt")),
        format!("--kubelet-client-certificate={}", folder.join("kubelet-client.crt")),
        format!("--kubelet-client-key={}", folder.join("kubelet-client.key")),
    ]
}

fn service_account_flags(folder: &Folder) -> [String; 3] {
    [
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", folder.join("service-account.pub")),
        format!("--service-account-signing-key-file={}", folder.join("service-account.key")),
    ]
}

fn audit_flags(folder: &Folder) -> Result<[String; 2], Error> {
    let policy = folder.write("audit-policy.yaml", AUDIT_POLICY)?;
    Ok([
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", folder.join(AUDIT_LOG)),
    ])
}

pub(crate) fn start_controller_manager(
    program: &Path,
    folder: &Folder,
    pki: &Pki,
    url: &str,
    nodes: bool,
) -> Result<Server, Error> {
    let controllers = if nodes { "*" } else { CONTROLLERS };
    let text = access::certificate_kubeconfig(url, &pki.authority, &pki.controller_manager);
    let kubeconfig = folder.write("controller-manager.kubeconfig", &text)?;
    let flags = [
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-ca-file={}", folder.join("ca.crt")),
        format!("--service-account-private-key-file={}", folder.join("service-account.key")),
        format!("--controllers={controllers}"),
        "--use-service-account-credentials=true".to_owned(),
        "--leader-elect=false".to_owned(),
        // Nobody asks it anything, so it needs no port.
        "--secure-port=0".to_owned(),
    ];
    let log = folder.path().join("kube-controller-manager.log");
    Server::spawn(Tool::ControllerManager.name(), program, &flags, log)
}

/// Puts the files that the flags name into the folder.
pub(crate) fn write_certificates(folder: &Folder, pki: &Pki) -> Result<(), Error> {
    folder.write("ca.crt", &pki.authority)?;
    folder.write("server.crt", &pki.server.certificate)?;
    folder.write("server.key", &pki.server.key)?;
    // kubelets ask the API server what a caller may do: an admin may call them.
    folder.write("kubelet-client.crt", &pki.admin.certificate)?;
    folder.write("kubelet-client.key", &pki.admin.key)?;
    folder.write("service-account.key", &pki.service_account_key)?;
    folder.write("service-account.pub", &pki.service_account_public_key)?;
    Ok(())
}
