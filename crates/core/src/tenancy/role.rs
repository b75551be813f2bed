//! Roles in other accounts, and where the users of namespaces are.

use std::collections::BTreeMap;
use std::fmt;

use crate::desired::Settings;
use crate::identity::{Installation, is_account};
use crate::region::Partition;

use super::Tenancy;

/// Longest ARN of a role: IAM's path of 512 characters and name of 64, and what is before them.
const MAX_ARN: usize = 620;

/// The ARN of an IAM role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn {
    text: String,
    /// Account that the role is in, 12 digits.
    pub account: String,
    /// Partition of that account.
    pub partition: Partition,
}

impl RoleArn {
    /// What a text has to be, to go after a wrong one in a message.
    pub const FORM: &'static str =
        "is not the ARN of a role such as arn:aws:iam::123456789012:role/ses-smtp-tenant";

    /// Reads `arn:<partition>:iam::<account>:role/<path and name>`. A comma, which IAM takes in names,
    /// isn't taken: roles stand in lists.
    pub fn parse(text: &str) -> Option<Self> {
        let partition = Partition::of_arn(text)?;
        let (account, name) = text.strip_prefix(&format!("arn:{partition}:iam::"))?.split_once(":role/")?;
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=.@-".contains(&b))
        };
        let good = text.len() <= MAX_ARN && is_account(account) && name.split('/').all(is_word);
        good.then(|| Self { text: text.to_owned(), account: account.to_owned(), partition })
    }

    /// The ARN as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How a role is assumed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// `<cluster id>/<namespace>`, which nobody can set: so the owner of a role decides which namespace
    /// of which cluster may use it.
    pub external_id: String,
    /// What the account's logs call the session; 2 to 64 characters.
    pub session_name: String,
}

impl Role {
    /// How objects of `namespace` make use of a role.
    pub fn of(arn: &RoleArn, namespace: &str, installation: &Installation) -> Self {
        let Installation { cluster_id, install_id, .. } = installation;
        Self {
            arn: arn.text.clone(),
            external_id: format!("{cluster_id}/{namespace}"),
            session_name: format!("ses-smtp-{cluster_id}-{install_id}").chars().take(64).collect(),
        }
    }
}

/// Where the users of a namespace live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Account, 12 digits.
    pub account: String,
    /// Its partition.
    pub partition: Partition,
    /// How it is reached; `None`: with the operator's own credentials.
    pub role: Option<Role>,
}

impl Home {
    /// The account of the operator's own credentials.
    pub fn own(settings: &Settings) -> Self {
        let Installation { account, partition, .. } = &settings.installation;
        Self { account: account.clone(), partition: *partition, role: None }
    }

    pub(super) fn by_role(arn: &RoleArn, namespace: &str, installation: &Installation) -> Self {
        let role = Role::of(arn, namespace, installation);
        Self { account: arn.account.clone(), partition: arn.partition, role: Some(role) }
    }
}

/// An account in use, for the looks at whole accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Account, 12 digits.
    pub account: String,
    /// The ways to it: the first that works will do. Empty: the operator's own credentials.
    pub roles: Vec<Role>,
}

/// Every account in use, each once: the operator's own first, then those of namespaces.
pub fn places<'a>(
    settings: &Settings,
    namespaces: impl Iterator<Item = (&'a String, &'a Tenancy)>,
) -> Vec<Place> {
    let own = settings.installation.account.clone();
    let mut others: BTreeMap<String, Vec<Role>> = BTreeMap::new();
    for (namespace, tenancy) in namespaces {
        match tenancy.home(namespace, settings) {
            Ok(Home { account, role: Some(role), .. }) if account != own => {
                others.entry(account).or_default().push(role);
            }
            _ => {}
        }
    }
    let others = others.into_iter().map(|(account, mut roles)| {
        roles.sort();
        Place { account, roles }
    });
    std::iter::once(Place { account: own, roles: Vec::new() }).chain(others).collect()
}
