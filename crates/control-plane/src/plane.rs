//! Starting a control plane and keeping it alive. What a running one offers is in `access`, `apply` and `audit`.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use http::Request;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client, Config};

use crate::{
    Error, Tool, access, apply, binaries,
    pki::Pki,
    process::{Folder, Server},
    servers::{self, Extras},
    wait::Deadline,
};

/// Enough for a busy machine of two cores; an idle one needs a tenth.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(90);
/// How often a port taken by somebody else is replaced before giving up.
const PORT_ATTEMPTS: usize = 5;
/// What kube-apiserver then logs.
const PORT_TAKEN: &str = "address already in use";

/// Choices for a [`ControlPlane`].
#[derive(Debug, Clone)]
pub struct Builder {
    controller_manager: bool,
    extras: Extras,
    manifests: Vec<String>,
    timeout: Duration,
}

impl Builder {
    /// Also starts kube-controller-manager, for collection by owner reference, deletion of namespaces and `default`
    /// service accounts. Start-up then waits until the first such account exists.
    #[must_use]
    pub fn controller_manager(mut self) -> Self {
        self.controller_manager = true;
        self
    }

    /// Writes an audit log, which [`ControlPlane::audit`] reads.
    #[must_use]
    pub fn audit_log(mut self) -> Self {
        self.extras.audit = true;
        self
    }

    /// Applies manifests as soon as the API server is ready. Put CRDs here rather than apply them later: the garbage
    /// collector learns of the kinds that exist when it starts at once, of others only every 30 s.
    #[must_use]
    pub fn manifests(mut self, yaml: impl Into<String>) -> Self {
        self.manifests.push(yaml.into());
        self
    }

    /// A further flag for kube-apiserver, such as `--feature-gates=A=false`.
    #[must_use]
    pub fn api_server_flag(mut self, flag: impl Into<String>) -> Self {
        self.extras.flags.push(flag.into());
        self
    }

    /// For a cluster that a node joins: the API server listens at port 443 of `address`, which an interface of this
    /// machine must have, knows the rights of nodes and calls kubelets, and the controller manager runs all its controllers. With the first
    /// address of the service range, 10.96.0.1, the Service `kubernetes` leads to the API server without kube-proxy.
    #[must_use]
    pub fn for_nodes(mut self, address: Ipv4Addr) -> Self {
        self.extras.for_nodes = Some(address);
        self.controller_manager()
    }

    /// How long each server may take to get ready; 90 s if not set. Building the programs does not count.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Builds the programs if need be, starts the servers and waits until they are ready.
    pub async fn start(self) -> Result<ControlPlane, Error> {
        let programs = Programs::locate(self.controller_manager).await?;
        let folder = Folder::create()?;
        let pki = Pki::generate()?;
        servers::write_certificates(&folder, &pki)?;
        let mut etcd = servers::start_etcd(&programs.etcd, &folder)?;
        let (api_server, config) =
            self.start_api_server(&programs.api_server, &folder, &pki, &mut etcd).await?;
        let mut plane = ControlPlane {
            controller_manager: None,
            _api_server: api_server,
            _etcd: etcd,
            folder,
            pki,
            config,
        };
        for yaml in &self.manifests {
            plane.apply_yaml(yaml).await?;
        }
        if let Some(program) = &programs.controller_manager {
            plane.start_controller_manager(program, self.timeout, self.extras.for_nodes.is_some()).await?;
        }
        Ok(plane)
    }

    async fn start_api_server(
        &self,
        program: &Path,
        folder: &Folder,
        pki: &Pki,
        etcd: &mut Server,
    ) -> Result<(Server, Config), Error> {
        let mut attempt = 1;
        loop {
            match self.try_port(program, folder, pki, etcd).await {
                Err(Error::Exited { log, .. }) if attempt < PORT_ATTEMPTS && log.contains(PORT_TAKEN) => {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn try_port(
        &self,
        program: &Path,
        folder: &Folder,
        pki: &Pki,
        etcd: &mut Server,
    ) -> Result<(Server, Config), Error> {
        let address = self.extras.address()?;
        let mut server = servers::start_api_server(program, folder, address, &self.extras)?;
        let url = format!("https://{address}");
        let config =
            access::config(&access::certificate_kubeconfig(&url, &pki.authority, &pki.admin)).await?;
        let client = access::client(config.clone())?;
        let ready = Deadline::after(self.timeout).until("/readyz of kube-apiserver", async || {
            etcd.check()?;
            server.check()?;
            Ok(ready(&client).await)
        });
        let outcome = ready.await;
        outcome.map_err(|error| server.with_log(error))?;
        Ok((server, config))
    }
}

/// Where the programs of this control plane are.
struct Programs {
    etcd: PathBuf,
    api_server: PathBuf,
    controller_manager: Option<PathBuf>,
}

impl Programs {
    /// May build for minutes, so not on the runtime's own threads.
    async fn locate(controller_manager: bool) -> Result<Self, Error> {
        let task = tokio::task::spawn_blocking(move || {
            Ok(Self {
                etcd: binaries::locate(Tool::Etcd)?,
                api_server: binaries::locate(Tool::ApiServer)?,
                controller_manager: controller_manager
                    .then(|| binaries::locate(Tool::ControllerManager))
                    .transpose()?,
            })
        });
        task.await.map_err(|error| Error::Io { action: "build".to_owned(), source: error.into() })?
    }
}

/// The health check answers 500 with the list of checks until all of them pass.
async fn ready(client: &Client) -> Result<(), String> {
    let request = Request::get("/readyz?verbose").body(Vec::new()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(drop).map_err(|error| error.to_string())
}

/// A running etcd, kube-apiserver and perhaps kube-controller-manager. Dropping it ends them and removes their folder;
/// so does the end of this process.
// Fields are dropped in this order: clients of a server before the server, the folder last.
pub struct ControlPlane {
    controller_manager: Option<Server>,
    _api_server: Server,
    _etcd: Server,
    folder: Folder,
    pki: Pki,
    config: Config,
}

impl ControlPlane {
    /// A control plane without controller manager and audit log, unless the builder is told otherwise.
    pub fn builder() -> Builder {
        Builder {
            controller_manager: false,
            extras: Extras::default(),
            manifests: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// The temporary folder with logs, data and kubeconfigs. It goes with the control plane.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn files(&self) -> &Folder {
        &self.folder
    }

    pub(crate) fn pki(&self) -> &Pki {
        &self.pki
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Server-side apply of all documents as admin; see [`crate::apply_yaml`].
    pub async fn apply_yaml(&self, yaml: &str) -> Result<Vec<kube::api::DynamicObject>, Error> {
        apply::apply_yaml(&self.admin_client()?, yaml).await
    }

    /// The controllers start together, so the first `default` account shows that they have started.
    async fn start_controller_manager(
        &mut self,
        program: &Path,
        timeout: Duration,
        nodes: bool,
    ) -> Result<(), Error> {
        let mut server =
            servers::start_controller_manager(program, &self.folder, &self.pki, &self.url(), nodes)?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin_client()?, "default");
        let started = Deadline::after(timeout).until("the service account default/default", async || {
            server.check()?;
            Ok(accounts.get_metadata("default").await)
        });
        let outcome = started.await;
        outcome.map_err(|error| server.with_log(error))?;
        self.controller_manager = Some(server);
        Ok(())
    }
}
