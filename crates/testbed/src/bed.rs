//! The surroundings: a control plane with the project's manifests, and the AWS double.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_double::{Config, Double};
use control_plane::{ControlPlane, FaultProxy};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use tempfile::TempDir;

use crate::mail::Letter;
use crate::operator::Launch;
use crate::{Credential, Error, Object, condition, eventually, rights};

/// Namespace and name of the operator's service account in the manifests.
const ACCOUNT: (&str, &str) = ("ses-smtp-operator", "ses-smtp-operator");
/// The custom resource definition, applied before the garbage collector starts, so that it knows
/// the kind at once.
const CRD: &str = "crds/sessmtpcredentials.ses-smtp.dev.yaml";
/// The operator's rights in the whole cluster.
const RIGHTS: &str = "deploy/overlays/cluster-wide/rbac.yaml";
/// Manifests that are applied besides, in order. The Deployment is applied too: the API server checks it,
/// and without a controller for it no pod comes.
const MANIFESTS: [&str; 4] = [
    "deploy/base/namespace.yaml",
    "deploy/base/serviceaccount.yaml",
    "deploy/base/lease.yaml",
    "deploy/base/deployment.yaml",
];
/// Calls that are about the account or the caller and about no user.
const LOOKS: [&str; 5] = [
    "GetCallerIdentity",
    "AssumeRole",
    "GetAccountAuthorizationDetails",
    "GenerateCredentialReport",
    "GetCredentialReport",
];
/// How long anything may take that isn't waited for on purpose.
pub const SOON: Duration = Duration::from_mins(1);

/// What a bed is made with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The AWS double. Its time scale is the operator's too. Callers without a policy get the one that is
    /// shipped, and their account gets the shipped boundary.
    pub aws: Config,
    /// kube-controller-manager as well: for collection of owned objects and of namespaces.
    pub controller_manager: bool,
    /// The API server's audit log.
    pub audit: bool,
    /// No right for the operator: a suite applies others than those in the whole cluster.
    pub no_rights: bool,
}

/// The surroundings of an operator.
pub struct Bed {
    /// The control plane.
    pub plane: ControlPlane,
    /// AWS.
    pub aws: Double,
    /// An admin's client.
    pub client: Client,
    /// Scale of time.
    pub scale: f64,
    /// Cluster id of an operator that is given none.
    pub cluster: String,
    folder: TempDir,
}

impl Bed {
    /// Starts control plane and double, and applies the manifests.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let scale = options.aws.time_scale;
        let mut builder = ControlPlane::builder().manifests(text(&root().join(CRD))?);
        if options.controller_manager {
            builder = builder.controller_manager();
        }
        if options.audit {
            builder = builder.audit_log();
        }
        let plane = builder.start().await?;
        let cluster = rights::cluster_id(&plane.admin_client()?).await?;
        let plain = options.aws.callers.iter().filter(|caller| caller.policy.is_none());
        let plain: Vec<_> = plain.map(|it| (it.access_key_id.clone(), it.account.clone())).collect();
        let aws = Double::start(rights::with_boundary(options.aws)?).await?;
        rights::grant(&aws, &plain, &cluster)?;
        let rbac = [RIGHTS].into_iter().filter(|_| !options.no_rights);
        for manifest in MANIFESTS.into_iter().chain(rbac) {
            plane.apply_yaml(&text(&root().join(manifest))?).await?;
        }
        Self::on(plane, aws, scale, cluster)
    }

    /// A bed on a control plane that runs already and that somebody else puts the operator on, as `cluster`.
    pub fn on(plane: ControlPlane, aws: Double, scale: f64, cluster: String) -> Result<Self, Error> {
        let folder = TempDir::with_prefix("testbed-").map_err(Error::io("make a folder"))?;
        Ok(Self { client: plane.admin_client()?, plane, aws, scale, cluster, folder })
    }

    /// A folder that goes with the bed.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// An operator that talks to the API server with a token of its own service account.
    pub async fn launch(&self, binary: &Path) -> Result<Launch, Error> {
        let kubeconfig = self.plane.service_account_kubeconfig(ACCOUNT.0, ACCOUNT.1).await?;
        self.launch_with(binary, &kubeconfig)
    }

    /// The same by way of `proxy`, which can make its calls fail.
    pub async fn launch_behind(&self, binary: &Path, proxy: &FaultProxy) -> Result<Launch, Error> {
        let token = self.plane.service_account_token(ACCOUNT.0, ACCOUNT.1).await?;
        self.launch_with(binary, &proxy.kubeconfig(&token))
    }

    fn launch_with(&self, binary: &Path, kubeconfig: &str) -> Result<Launch, Error> {
        let http = free_address()?;
        let kubeconfig =
            self.write(&format!("operator-{}.kubeconfig", http.replace(':', "-")), kubeconfig)?;
        let endpoints = self.write("endpoints.yaml", &self.aws.endpoints_yaml())?;
        let ca = self.write("smtp-ca.pem", self.aws.ca_pem())?;
        let set = |key: &str, value: String| (key.to_owned(), value);
        let environment = BTreeMap::from([
            set("PATH", std::env::var("PATH").unwrap_or_default()),
            set("KUBECONFIG", kubeconfig.display().to_string()),
            set("AWS_ENDPOINT_URL_IAM", self.aws.iam_url()),
            set("AWS_ENDPOINT_URL_STS", self.aws.iam_url()),
            set("AWS_REGION", "us-east-1".to_owned()),
            set("AWS_ACCESS_KEY_ID", aws_double::CALLER_KEY_ID.to_owned()),
            set("AWS_SECRET_ACCESS_KEY", aws_double::CALLER_SECRET.to_owned()),
            set("SES_SMTP_ENDPOINTS_FILE", endpoints.display().to_string()),
            set("SES_SMTP_SMTP_CA_FILE", ca.display().to_string()),
            set("SES_SMTP_PERMISSIONS_BOUNDARY_NAME", rights::BOUNDARY.to_owned()),
            set("SES_SMTP_HTTP_ADDRESS", http.clone()),
            set("SES_SMTP_TIME_SCALE", self.scale.to_string()),
            // One operator has nobody to agree with; suites of several switch it on.
            set("SES_SMTP_LEADER_ELECT", "false".to_owned()),
            set("SES_SMTP_IAM_RATE", "1000".to_owned()),
            set("SES_SMTP_IAM_BURST", "1000".to_owned()),
        ]);
        let log = self.log_file();
        Ok(Launch { binary: binary.to_owned(), environment, log, http })
    }

    /// What the operator has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("operator.log")
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.folder.path().join(name);
        fs::write(&path, text).map_err(Error::io(format!("write {name}")))?;
        Ok(path)
    }

    /// The custom resources of a namespace.
    pub fn objects(&self, namespace: &str) -> Api<Object> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The Secrets of a namespace.
    pub fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Applies a custom resource; `spec` is YAML in flow style, such as `{region: eu-west-1}`.
    pub async fn apply(&self, namespace: &str, name: &str, spec: &str) -> Result<Object, Error> {
        let yaml = manifest(namespace, name, spec);
        self.plane.apply_yaml(&yaml).await?;
        Ok(self.objects(namespace).get(name).await?)
    }

    /// Merges into a custom resource's spec.
    pub async fn patch(&self, namespace: &str, name: &str, spec: serde_json::Value) -> Result<Object, Error> {
        let patch = Patch::Merge(serde_json::json!({ "spec": spec }));
        Ok(self.objects(namespace).patch(name, &PatchParams::default(), &patch).await?)
    }

    /// Asks for a custom resource to be deleted.
    pub async fn delete(&self, namespace: &str, name: &str) -> Result<(), Error> {
        self.objects(namespace).delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until a condition of the object reads so, such as `True Provisioned`, for its present
    /// generation.
    pub async fn reads(
        &self,
        namespace: &str,
        name: &str,
        type_: &str,
        wanted: &str,
    ) -> Result<Object, Error> {
        self.reads_within(SOON, namespace, name, type_, wanted).await
    }

    /// The same with a time of one's own.
    pub async fn reads_within(
        &self,
        time: Duration,
        namespace: &str,
        name: &str,
        type_: &str,
        wanted: &str,
    ) -> Result<Object, Error> {
        let api = self.objects(namespace);
        eventually(&format!("{namespace}/{name} to be {type_}={wanted}"), time, async || {
            let object = api.get(name).await?;
            let observed = object.status.as_ref().and_then(|status| status.observed_generation);
            if observed == object.metadata.generation && condition(&object, type_) == wanted {
                return Ok(Some(object));
            }
            Error::wrong(format!("{:?}", object.status.map(|status| status.conditions)))
        })
        .await
    }

    /// Waits until the object is ready.
    pub async fn ready(&self, namespace: &str, name: &str) -> Result<Object, Error> {
        self.reads(namespace, name, "Ready", "True Provisioned").await
    }

    /// Waits until the object is gone.
    pub async fn gone(&self, namespace: &str, name: &str) -> Result<(), Error> {
        let api = self.objects(namespace);
        eventually(&format!("{namespace}/{name} to be gone"), SOON, async || {
            match api.get_opt(name).await? {
                None => Ok(Some(())),
                Some(object) => Error::wrong(format!("{:?}", object.status.map(|status| status.conditions))),
            }
        })
        .await
    }

    /// What the Secret of that name holds.
    pub async fn credential(&self, namespace: &str, name: &str) -> Result<Credential, Error> {
        let secret = self.secrets(namespace).get(name).await?;
        Credential::of(&secret).map_or_else(|| Error::wrong(format!("Secret {name} is not complete")), Ok)
    }

    /// Logs in with what the Secret of that name holds.
    pub async fn login(&self, namespace: &str, name: &str) -> Result<Credential, Error> {
        let credential = self.credential(namespace, name).await?;
        self.log_in(&credential).await??;
        Ok(credential)
    }

    /// True if the double accepts the credential; an error only if that could not be tried.
    pub async fn accepts(&self, credential: &Credential) -> Result<bool, Error> {
        Ok(self.log_in(credential).await?.is_ok())
    }

    /// The outer error is of the trial, the inner one of the login.
    async fn log_in(&self, credential: &Credential) -> Result<Result<(), Error>, Error> {
        let (with, ca) = (credential.clone(), self.aws.ca_pem().to_owned());
        let session = tokio::task::spawn_blocking(move || crate::mail::login(&with, &ca).map(|_| ()));
        session.await.map_err(|error| Error::Wrong(error.to_string()))
    }

    /// Logs in with what the Secret of that name holds, and sends.
    pub async fn send(&self, namespace: &str, name: &str, letter: Letter<'static>) -> Result<(), Error> {
        let (with, ca) = (self.credential(namespace, name).await?, self.aws.ca_pem().to_owned());
        let sent =
            tokio::task::spawn_blocking(move || crate::mail::login(&with, &ca)?.post(&letter).map(|_| ()));
        sent.await.map_err(|error| Error::Wrong(error.to_string()))?
    }

    /// Takes every finalizer off an object, as somebody in a hurry does.
    pub async fn strip_finalizers(&self, namespace: &str, name: &str) -> Result<(), Error> {
        let patch = serde_json::json!({ "metadata": { "finalizers": null } });
        self.objects(namespace).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Reason and text of every event in a namespace.
    pub async fn events(&self, namespace: &str) -> Result<Vec<(String, String)>, Error> {
        let events =
            Api::<Event>::namespaced(self.client.clone(), namespace).list(&ListParams::default()).await?;
        let told = |event: Event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default());
        Ok(events.items.into_iter().map(told).collect())
    }

    /// Calls to IAM so far, by action: those that passes make. Looks at the whole account come as time
    /// goes by, and logins are not IAM's.
    pub fn iam_calls(&self) -> BTreeMap<String, u64> {
        let of_pass = |action: &str| !LOOKS.contains(&action) && !action.chars().all(char::is_uppercase);
        self.aws.counts().into_iter().filter(|(action, _)| of_pass(action)).collect()
    }

    /// The IAM user of an object, found by its tag.
    pub fn user_of(&self, object: &Object) -> Option<aws_double::UserSnapshot> {
        let uid = object.uid().unwrap_or_default();
        self.aws.users().into_iter().find(|user| user.tags.get("ses-smtp.dev/uid") == Some(&uid))
    }
}

/// A custom resource as YAML.
pub fn manifest(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: ses-smtp.dev/v1alpha1, kind: SesSmtpCredential, \
         metadata: {{name: {name}, namespace: {namespace}}}, spec: {spec}}}"
    )
}

/// The workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))
}

/// An address on loopback that nobody listens at just now.
fn free_address() -> Result<String, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Error::io("find a free port"))?;
    Ok(listener.local_addr().map_err(Error::io("find a free port"))?.to_string())
}
