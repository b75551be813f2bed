//! The `iam-policy` command: the policy that the operator needs in an account, or the permissions boundary.

use std::process::ExitCode;

use clap::Args;
use ses_smtp_core::iam::Caller;
use ses_smtp_core::identity::is_account;
use ses_smtp_core::region::Partition;
use ses_smtp_core::rights::{Document, Reach, boundary};
use ses_smtp_core::tenancy::RoleArn;

use super::output;
use super::settings::{PlaceArgs, policy_name};
use crate::aws::{Session, Unidentified, identify};
use crate::cluster::{Extent, connect};
use crate::controller::installation_ids;

/// Arguments of `iam-policy`.
#[derive(Args, Clone, Debug)]
pub(super) struct IamPolicyArgs {
    /// Print the permissions boundary of the operator's users instead; it is the same in every account
    #[arg(long, conflicts_with = "roles")]
    boundary: bool,
    /// Account of the users, 12 digits. Default: that of the AWS credentials
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    account: Option<String>,
    /// Partition of the account: aws, aws-us-gov, aws-cn or aws-eusc. Default: that of the AWS
    /// credentials if they were asked for the account, else aws
    #[arg(long, value_name = "PARTITION", value_parser = partition)]
    partition: Option<Partition>,
    /// Name of the permissions boundary, without which no user may be made
    #[arg(long, env = "SES_SMTP_PERMISSIONS_BOUNDARY_NAME", value_name = "NAME", default_value = "ses-smtp-boundary", value_parser = policy_name)]
    boundary_name: String,
    /// Also allow to take these roles, by ARN, separated by commas
    #[arg(long = "assume-role", value_name = "ARN", value_delimiter = ',', value_parser = role)]
    roles: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Runs the command.
pub(super) fn command(args: &IamPolicyArgs) -> ExitCode {
    if args.boundary {
        return print(&boundary());
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&format!("the async runtime can't start: {error}")),
    };
    match runtime.block_on(reach(args)) {
        Ok(reach) => print(&reach.operator()),
        Err(trouble @ Trouble::Partition { .. }) => output::refuse(&trouble),
        Err(trouble) => output::fail(&trouble),
    }
}

fn print(document: &Document) -> ExitCode {
    match serde_json::to_string_pretty(document) {
        Ok(json) => output::result(&(json + "\n")),
        Err(error) => output::fail(&error),
    }
}

/// Why the policy can't be told.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the account isn't known: name it with --account, or give AWS credentials of it ({0})")]
    Account(#[from] Unidentified),
    #[error("the cluster id isn't known: name it with --cluster-id, or point KUBECONFIG at the cluster: {0}")]
    Connect(#[from] crate::cluster::ConnectError),
    #[error("the cluster id isn't known: name it with --cluster-id, or point KUBECONFIG at the cluster: {0}")]
    Ids(#[from] crate::controller::IdError),
    #[error("{what} {wrong} is not of partition {right}: {way_out}")]
    Partition { what: &'static str, wrong: String, right: Partition, way_out: &'static str },
}

async fn reach(args: &IamPolicyArgs) -> Result<Reach, Trouble> {
    let Caller { account, partition } = owner(args).await?;
    of_partition(&args.roles, partition)?;
    let path = format!("{}{}/", args.place.user_path, cluster_id(args).await?);
    Ok(Reach {
        partition: partition.to_string(),
        account,
        path,
        boundary_name: args.boundary_name.clone(),
        roles: args.roles.clone(),
    })
}

/// Account and partition that were named, or those of the credentials.
async fn owner(args: &IamPolicyArgs) -> Result<Caller, Trouble> {
    if let Some(account) = args.account.clone() {
        return Ok(Caller { account, partition: args.partition.unwrap_or(Partition::Commercial) });
    }
    let caller = identify(&Session::load().await).await?;
    match args.partition {
        Some(right) if right != caller.partition => Err(Trouble::Partition {
            what: "the credentials' account",
            wrong: caller.account,
            right,
            way_out: "leave --partition out, or name an account of it with --account",
        }),
        _ => Ok(caller),
    }
}

/// A role can be taken only within its partition.
fn of_partition(roles: &[String], right: Partition) -> Result<(), Trouble> {
    match roles.iter().find(|role| Partition::of_arn(role) != Some(right)) {
        None => Ok(()),
        Some(wrong) => Err(Trouble::Partition {
            what: "role",
            wrong: wrong.clone(),
            right,
            way_out: "an operator can take roles of its own partition only",
        }),
    }
}

async fn cluster_id(args: &IamPolicyArgs) -> Result<String, Trouble> {
    match args.place.cluster_id.clone() {
        Some(given) => Ok(given),
        None => Ok(installation_ids(&connect().await?, &Extent::Cluster, None).await?.cluster),
    }
}

fn account(text: &str) -> Result<String, String> {
    is_account(text).then(|| text.to_owned()).ok_or_else(|| "allowed are 12 digits".to_owned())
}

fn partition(text: &str) -> Result<Partition, String> {
    Partition::parse(text)
        .ok_or_else(|| format!("allowed are {}", Partition::ALL.map(Partition::as_str).join(", ")))
}

/// The ARN of a role, without wildcards: the operator is to take the roles that are named.
fn role(text: &str) -> Result<String, String> {
    RoleArn::parse(text).map(|role| role.to_string()).ok_or_else(|| {
        "allowed are ARNs of roles, such as arn:aws:iam::123456789012:role/ses-smtp".to_owned()
    })
}
