//! What the story plays on: the control plane with its node, the AWS double at the node's address, kubectl.

use std::fs;
use std::path::Path;
use std::time::Duration;

use aws_double::account::Settings;
use aws_double::{ACCOUNT, CALLER_KEY_ID, CALLER_SECRET, Caller, Config, Double};
use control_plane::ControlPlane;
use node::{API, HOST, Kubectl, Node};
use testbed::{Bed, Error};

use crate::programs::{Programs, images, workspace};
use crate::tell::{fact, step};

/// The Region that mail is sent from.
pub(crate) const REGION: &str = "eu-central-1";
/// How many times faster than real the protocol's waits pass: an overlap of 15 minutes takes 30 seconds.
pub(crate) const SCALE: f64 = 30.0;
/// The operator's name for this cluster, in paths of IAM users.
pub(crate) const CLUSTER: &str = "node-test";
/// Where the operator's pod finds what it is told of SMTP endpoints.
pub(crate) const FILES: &str = "/etc/double";
/// How long SES takes to learn of a key, before scaling.
const KEY_DELAY: Duration = Duration::from_secs(45);

/// The stage. Fields are dropped in this order: the node before its control plane.
pub(crate) struct Stage {
    _node: Node,
    /// Control plane and AWS double.
    pub bed: Bed,
    /// An admin's kubectl.
    pub kubectl: Kubectl,
    _programs: Programs,
}

impl Stage {
    /// Starts everything but the operator.
    pub(crate) async fn set(cgroup: &str) -> Result<Self, Error> {
        step("Making the images from static programs");
        let programs = images().await?;
        step("Starting etcd, kube-apiserver and kube-controller-manager");
        Node::network().await?;
        let plane = ControlPlane::builder().for_nodes(API).start().await?;
        step("Starting containerd, kube-scheduler and the kubelet");
        let node = Node::join(&plane, cgroup, &programs.archives).await?;
        let kubectl = Kubectl::new(&plane)?;
        fact(&kubectl.run(&["get", "nodes", "-o", "wide"]).await?);
        let bed = Bed::on(plane, aws().await?, SCALE, CLUSTER.to_owned())?;
        Ok(Self { _node: node, bed, kubectl, _programs: programs })
    }

    /// Another account, as new as the first one was.
    pub(crate) async fn new_account(&mut self) -> Result<(), Error> {
        self.bed.aws = aws().await?;
        Ok(())
    }

    /// Runs kubectl.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Result<String, Error> {
        self.kubectl.run(arguments).await
    }

    /// Waits until a Deployment is rolled out.
    pub(crate) async fn rolled_out(&self, namespace: &str, name: &str) -> Result<(), Error> {
        let deployment = format!("deployment/{name}");
        let status = ["-n", namespace, "rollout", "status", &deployment, "--timeout=120s"];
        let said = self.kubectl(&status).await?;
        fact(said.lines().last().unwrap_or_default());
        Ok(())
    }

    /// Writes a manifest to a file and applies it.
    pub(crate) async fn apply(&self, name: &str, manifest: &str) -> Result<(), Error> {
        let path = self.bed.folder().join(name);
        fs::write(&path, manifest).map_err(Error::io(format!("write {name}")))?;
        self.kubectl(&["apply", "-f", &path.display().to_string()]).await.map(drop)
    }

    /// The operator's environment, but for the files that tell of SMTP endpoints.
    pub(crate) fn settings(&self) -> [(String, String); 4] {
        let url = self.bed.aws.iam_url();
        [
            ("AWS_ENDPOINT_URL_IAM", url.clone()),
            ("AWS_ENDPOINT_URL_STS", url),
            ("SES_SMTP_CLUSTER_ID", CLUSTER.to_owned()),
            ("SES_SMTP_TIME_SCALE", SCALE.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }
}

/// The operator's credentials, as its Secret holds them.
pub(crate) const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", CALLER_KEY_ID), ("AWS_SECRET_ACCESS_KEY", CALLER_SECRET)];

/// The double, which holds the operator to the policy and the boundary that people are told to make.
async fn aws() -> Result<Double, Error> {
    let folder = workspace()?.join("deploy/iam");
    let policy = text(&folder.join("operator-policy.json"))?;
    let policy = policy.replace("ACCOUNT", ACCOUNT).replace("CLUSTER", CLUSTER);
    let boundary = text(&folder.join("boundary-policy.json"))?;
    let config = Config {
        regions: vec![REGION.to_owned()],
        time_scale: SCALE,
        address: HOST,
        callers: vec![Caller::default().with_policy(&policy)],
        settings: Settings { key_delay: KEY_DELAY, ..Settings::default() },
        ..Config::default()
    };
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/ses-smtp-boundary");
    Ok(Double::start(config.policy(&arn, &boundary)).await?)
}

fn text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))
}
