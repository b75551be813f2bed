//! The operator as the kernel and the kubelet see it.

use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use testbed::{Error, SOON, eventually};

use crate::install::OPERATOR_NAME;
use crate::stage::Stage;
use crate::tell::{ensure, fact, step};

/// What the kernel has to say of its process: user and groups of the image, no capability, no way to
/// get one, filtered system calls.
const STATUS: [(&str, &str); 7] = [
    ("Uid", "65532\t65532\t65532\t65532"),
    ("Gid", "65532\t65532\t65532\t65532"),
    ("CapPrm", "0000000000000000"),
    ("CapEff", "0000000000000000"),
    ("CapBnd", "0000000000000000"),
    ("NoNewPrivs", "1"),
    ("Seccomp", "2"),
];

/// The process's folder below `/proc`: the sandbox sees only its own.
fn process() -> Result<PathBuf, Error> {
    let entries = fs::read_dir("/proc").map_err(Error::io("read /proc"))?;
    let found = entries.flatten().map(|entry| entry.path()).find(|path| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.next().is_some_and(|program| program.ends_with(OPERATOR_NAME.as_bytes()))
            && words.next() == Some(b"run")
    });
    found.ok_or_else(|| Error::Wrong("the operator's process does not run".to_owned()))
}

/// The pod runs under the restricted level of Pod Security, and really without rights.
pub(crate) async fn hardened(stage: &Stage) -> Result<(), Error> {
    step("What the kernel says of the operator's process");
    let folder = process()?;
    let read = |name: &str| fs::read_to_string(folder.join(name)).map_err(Error::io(format!("read {name}")));
    let status = read("status")?;
    for (name, wanted) in STATUS {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        fact(&format!("{name:<10} {}", value.unwrap_or_default()));
        ensure(value == Some(wanted), || format!("{name} is not {wanted}"))?;
    }
    let mounts = read("mounts")?;
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap_or_default();
    let read_only = root.split(' ').nth(3).is_some_and(|options| options.starts_with("ro,"));
    ensure(read_only, || format!("the root file system can be written to: {root}"))?;
    fact("its root file system is read-only");
    restricted(stage).await
}

/// The namespace takes no pod that asks for more.
async fn restricted(stage: &Stage) -> Result<(), Error> {
    let image = format!("--image={}", crate::programs::MAILER);
    let refused = stage.kubectl(&["-n", OPERATOR_NAME, "run", "other", &image]).await;
    let said = refused.err().map(|error| error.to_string()).unwrap_or_default();
    ensure(said.contains("violates PodSecurity \"restricted"), || format!("an unrestricted pod: {said}"))?;
    fact("its namespace refuses a pod that isn't restricted");
    Ok(())
}

/// Kills the process as a crash would, and waits until the kubelet has started it again.
pub(crate) async fn killed(stage: &Stage) -> Result<(), Error> {
    let before = restarts(stage).await?;
    let folder = process()?;
    let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    node::run("kill", &["-KILL", &id]).await?;
    let started = eventually("the operator's container to be started again", SOON, async || {
        let now = restarts(stage).await?;
        Ok(now.filter(|now| Some(*now) > before))
    });
    fact(&format!("killed process {id}; restarts of its container: {}", started.await?));
    Ok(())
}

/// How often its container was started again; nothing while it isn't ready.
async fn restarts(stage: &Stage) -> Result<Option<i32>, Error> {
    let pods: Api<Pod> = Api::namespaced(stage.bed.client.clone(), OPERATOR_NAME);
    let pods = pods.list(&ListParams::default()).await?;
    let all = pods.items.into_iter().filter_map(|pod| pod.status?.container_statuses).flatten();
    Ok(all.filter(|status| status.ready).map(|status| status.restart_count).max())
}

/// What helps to understand a failure.
pub(crate) async fn show(stage: &Stage) {
    step("What is seen after the failure");
    for arguments in [
        &["get", "pods,smtpcred,secrets", "-A", "-o", "wide"][..],
        &["get", "events", "-A", "--sort-by=.lastTimestamp"],
        &["-n", OPERATOR_NAME, "logs", "-l", "app.kubernetes.io/name=ses-smtp-operator", "--tail=60"],
    ] {
        match stage.kubectl(arguments).await {
            Ok(text) => fact(&format!("{}\n{text}", arguments.join(" "))),
            Err(error) => fact(&error.to_string()),
        }
    }
}
