//! The `orphans` command: IAM users of this cluster id whose custom resource is gone, as the sweep
//! sees them, and their removal by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use ses_smtp_core::api::DeletionPolicy;
use ses_smtp_core::iam::Failure;
use ses_smtp_core::identity::Installation;
use ses_smtp_core::sweep::Scope;
use ses_smtp_core::sweep::orphans::{Orphan, may_act};
use ses_smtp_core::tenancy::{Role, RoleArn};

use super::settings::{ExtentArgs, Nameless, PlaceArgs};
use super::{Metrics, output};
use crate::aws::{Accounts, Iam, Limits, Session, identify};
use crate::clock::Clock;
use crate::cluster::{Extent, connect};
use crate::controller::{Ids, installation_ids, live_uids, namespace_ids, remove_orphan, users_of_cluster};
use crate::leadership::Leadership;

/// The pace of the command's calls: the operator's share of the account's limits comes first.
const LIMITS: Limits = Limits { rate: 5.0, burst: 5 };

/// Arguments of `orphans`.
#[derive(Args, Clone, Debug)]
pub struct OrphansArgs {
    /// Delete them, with their keys and policies
    #[arg(long)]
    delete: bool,
    /// Also those whose deletion policy isn't Delete, or can't be read
    #[arg(long, requires = "delete")]
    any_policy: bool,
    /// Those of the installation with this id instead of this cluster's own, or of the watched namespaces'
    /// own: its custom resources are in another cluster, or were in a namespace that is gone, and can't be seen
    /// from here
    #[arg(long, value_name = "ID")]
    install: Option<String>,
    /// Look in the account of this role instead of the one that the AWS credentials are of; it is
    /// assumed as for objects of `--namespace`
    #[arg(long, value_name = "ARN", requires = "namespace", value_parser = role)]
    role: Option<RoleArn>,
    /// Namespace whose `ExternalId` (`<cluster id>/<namespace>`) the role's trust policy expects; it need
    /// not exist any more
    #[arg(long, value_name = "NAME", requires = "role")]
    namespace: Option<String>,
    #[command(flatten)]
    extent: ExtentArgs,
    #[command(flatten)]
    place: PlaceArgs,
}

fn role(text: &str) -> Result<RoleArn, String> {
    RoleArn::parse(text).ok_or_else(|| format!("it {}", RoleArn::FORM))
}

/// Runs the command.
pub fn command(args: &OrphansArgs) -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&format!("the async runtime can't start: {error}")),
    };
    match runtime.block_on(run(args)) {
        Ok(code) => code,
        Err(error) => output::fail(&error),
    }
}

/// Why the command can't tell.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Connect(#[from] crate::cluster::ConnectError),
    #[error(transparent)]
    Ids(#[from] crate::controller::IdError),
    #[error(transparent)]
    Nameless(#[from] Nameless),
    #[error("AWS credentials don't work: {0}")]
    Caller(String),
    #[error("the SesSmtpCredentials can't be listed: {0}")]
    Live(#[from] kube::Error),
    #[error("role {arn} can't be assumed with ExternalId {external_id}: {failure:?}")]
    Role { arn: String, external_id: String, failure: Failure },
    #[error("the account's users can't be read: {0:?}")]
    Iam(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Iam(failure)
    }
}

/// IAM of the account to look in, and the installation there.
async fn reach(args: &OrphansArgs, ids: Ids) -> Result<(Arc<dyn Iam>, Installation), Trouble> {
    let session = Session::load().await;
    let caller = identify(&session).await.map_err(|error| Trouble::Caller(error.to_string()))?;
    let mut installation = Installation {
        cluster_id: ids.cluster,
        install_id: ids.install.unwrap_or_default(),
        account: caller.account.clone(),
        partition: caller.partition,
        user_path: args.place.user_path.clone(),
        user_prefix: String::new(),
        boundary_name: None,
    };
    let (metrics, alone) = (Arc::new(Metrics::default()), Leadership::uncontested());
    let accounts = Accounts::new(session, &caller, metrics, LIMITS, Clock::system(), alone);
    let role = args.role.as_ref().zip(args.namespace.as_ref());
    let used = role.map(|(arn, namespace)| Role::of(arn, namespace, &installation));
    if let Some((arn, _)) = role {
        (installation.account, installation.partition) = (arn.account.clone(), arn.partition);
    }
    let iam = accounts.iam(&installation.account, used.as_ref()).await.map_err(|failure| match used {
        Some(Role { arn, external_id, .. }) => Trouble::Role { arn, external_id, failure },
        None => Trouble::Iam(failure),
    })?;
    Ok((iam, installation))
}

async fn run(args: &OrphansArgs) -> Result<ExitCode, Trouble> {
    let kubernetes = connect().await?;
    let extent = args.extent.extent(&args.place)?;
    let ids = installation_ids(&kubernetes, &extent, args.place.cluster_id.clone()).await?;
    let namespaces = installs(&kubernetes, &extent).await?;
    let (iam, installation) = reach(args, ids).await?;
    output::note(&format!("looked in account {} and in no other", installation.account));
    let scope = Scope { installation: &installation, namespaces: namespaces.as_ref() };
    let users = users_of_cluster(&*iam, &scope).await?;
    let live = live_uids(&kubernetes, &extent).await?;
    let orphans = wanted(args, users, &live);
    let shown = output::result(&table(&orphans));
    if !args.delete {
        return Ok(shown);
    }
    if !may_act(&live) && args.install.is_none() && !orphans.is_empty() {
        let installs: BTreeSet<&str> = orphans.iter().map(|orphan| orphan.install.as_str()).collect();
        let installs = installs.into_iter().collect::<Vec<_>>().join(" or ");
        return Ok(output::refuse(&format!(
            "no SesSmtpCredential exists, so every user looks orphaned: to delete them all the same, name the \
             installation: --install {installs}"
        )));
    }
    Ok(delete(args, &*iam, &installation, &orphans).await)
}

/// The install ids of the namespaces' users, where each has its own.
async fn installs(
    kubernetes: &kube::Client,
    extent: &Extent,
) -> Result<Option<BTreeMap<String, String>>, Trouble> {
    match extent {
        Extent::Cluster => Ok(None),
        Extent::Namespaces(names) => Ok(Some(namespace_ids(kubernetes, names).await?)),
    }
}

/// The orphans of our own installation, or of the one that was asked for.
fn wanted(args: &OrphansArgs, users: Vec<(Orphan, bool)>, live: &BTreeSet<String>) -> Vec<Orphan> {
    let asked = |orphan: &Orphan, ours: bool| match &args.install {
        None => ours,
        Some(install) => orphan.install == *install,
    };
    let orphans = users.into_iter().filter(|(orphan, ours)| asked(orphan, *ours));
    orphans.map(|(orphan, _)| orphan).filter(|orphan| !live.contains(&orphan.uid)).collect()
}

async fn delete(
    args: &OrphansArgs,
    iam: &dyn Iam,
    installation: &Installation,
    orphans: &[Orphan],
) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for orphan in orphans {
        if orphan.policy != Some(DeletionPolicy::Delete) && !args.any_policy {
            output::note(&format!(
                "kept {}: its deletion policy isn't Delete; --any-policy deletes it all the same",
                orphan.name
            ));
            continue;
        }
        match remove_orphan(iam, installation, orphan).await {
            Ok(()) => output::note(&format!("deleted {}", orphan.name)),
            Err(failure) => code = output::fail(&format!("{} can't be deleted: {failure:?}", orphan.name)),
        }
    }
    code
}

fn table(orphans: &[Orphan]) -> String {
    let user = width("USER", orphans.iter().map(|orphan| &orphan.name));
    let object = width("OBJECT", orphans.iter().map(|orphan| &orphan.object));
    let install = width("INSTALL", orphans.iter().map(|orphan| &orphan.install));
    let row = |cells: [&str; 5]| {
        let [name, made_for, by, policy, since] = cells;
        format!("{name:user$}  {made_for:object$}  {by:install$}  {policy:10}  {since}\n")
    };
    let rows = orphans.iter().map(|orphan| {
        let policy = orphan.policy.map_or("unknown", DeletionPolicy::as_str);
        let since = orphan.since.map_or_else(|| "-".to_owned(), |since| since.to_string());
        row([&orphan.name, &orphan.object, &orphan.install, policy, &since])
    });
    std::iter::once(row(["USER", "OBJECT", "INSTALL", "POLICY", "ORPHANED SINCE"])).chain(rows).collect()
}

fn width<'a>(head: &str, cells: impl Iterator<Item = &'a String>) -> usize {
    cells.map(String::len).max().unwrap_or_default().max(head.len())
}
