//! The rights that an operator works with here: what `deploy/iam` ships, for the bed's own account and cluster.

use std::fs;
use std::path::Path;

use aws_double::{Config, Double};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::{Client, ResourceExt as _};
use ses_smtp_core::password::digest;

use crate::{Error, SOON, eventually};

/// Name of the permissions boundary in the manifests and in the shipped policies.
pub const BOUNDARY: &str = "ses-smtp-boundary";
/// The namespace whose UID makes the cluster id, and how many digits of its hash do.
const ANCHOR: (&str, usize) = ("kube-system", 10);

/// The operator's policy as shipped, for an account and a cluster id.
pub fn operator_policy(account: &str, cluster: &str) -> Result<String, Error> {
    let text = shipped("operator-policy.json")?;
    Ok(text.replace("ACCOUNT", account).replace("CLUSTER", cluster))
}

/// The permissions boundary as shipped.
pub fn boundary_policy() -> Result<String, Error> {
    shipped("boundary-policy.json")
}

fn shipped(name: &str) -> Result<String, Error> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/iam").join(name);
    fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
}

/// The cluster id of an operator that is given none.
pub(crate) async fn cluster_id(client: &Client) -> Result<String, Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let uid = eventually("kube-system to be there", SOON, async || Ok(namespaces.get(ANCHOR.0).await?.uid()));
    Ok(digest(uid.await?.as_bytes()).chars().take(ANCHOR.1).collect())
}

/// The boundary, in the account of every caller that the suite says nothing about.
pub(crate) fn with_boundary(config: Config) -> Result<Config, Error> {
    let text = boundary_policy()?;
    let accounts = config.callers.iter().filter(|caller| caller.policy.is_none());
    let arns: Vec<String> = accounts.map(|caller| boundary_arn(&caller.account)).collect();
    let missing = |config: &Config, arn: &String| !config.settings.policies.contains_key(arn);
    Ok(arns.iter().fold(
        config,
        |config, arn| {
            if missing(&config, arn) { config.policy(arn, &text) } else { config }
        },
    ))
}

/// ARN of the boundary in an account.
pub fn boundary_arn(account: &str) -> String {
    format!("arn:aws:iam::{account}:policy/{BOUNDARY}")
}

/// Gives the shipped policy to callers, by key id and account.
pub(crate) fn grant(aws: &Double, callers: &[(String, String)], cluster: &str) -> Result<(), Error> {
    for (key, account) in callers {
        aws.set_policy(key, Some(&operator_policy(account, cluster)?));
    }
    Ok(())
}
