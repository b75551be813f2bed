//! Who a credential is in IAM: user name, path and tags, and whether a user found there is ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::api::DeletionPolicy;
use crate::iam::{UserFacts, UserSpec};
use crate::names::{MANAGER, tag};
use crate::password::digest;
use crate::region::Partition;

/// Digits of an account id.
const ACCOUNT_DIGITS: usize = 12;

/// True for the id of an AWS account: 12 digits.
pub fn is_account(text: &str) -> bool {
    text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Longest user name that `CreateUser` takes.
pub const MAX_USER_NAME: usize = 64;
/// Hex digits of the object's UID at the end of a user name.
const UID_DIGITS: usize = 10;
/// Hex digits of an install id.
const INSTALL_DIGITS: usize = 16;

/// The install id that the UID of a Namespace makes: kube-system's for a whole cluster, or each Namespace's
/// own where they are watched one by one.
pub fn install_id(uid: &str) -> String {
    digest(uid.as_bytes()).chars().take(INSTALL_DIGITS).collect()
}

/// What the installation adds to every user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Cluster id, last part of the users' path.
    pub cluster_id: String,
    /// Short hash of the kube-system namespace's UID. Where Namespaces are watched one by one, each has
    /// its own instead: `Tenancy::install_id`.
    pub install_id: String,
    /// Account that the operator works in, 12 digits.
    pub account: String,
    /// Partition of that account.
    pub partition: Partition,
    /// Path under which all users live, with a slash at both ends.
    pub user_path: String,
    /// Put before every user name.
    pub user_prefix: String,
    /// Name of the permissions boundary policy in the account.
    pub boundary_name: Option<String>,
}

/// The custom resource that a user stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

impl Installation {
    /// The user that belongs to `owner`.
    pub fn user(&self, owner: &Owner, deletion: DeletionPolicy) -> UserSpec {
        UserSpec {
            name: self.user_name(owner),
            path: self.path(),
            tags: self.tags(owner, deletion),
            boundary: self.boundary_arn(),
        }
    }

    /// The path of this cluster's users.
    pub fn path(&self) -> String {
        format!("{}{}/", self.user_path, self.cluster_id)
    }

    /// `<prefix><namespace>-<name>-<10 hex of the UID>`: whatever has to go to fit goes from the
    /// readable part, never from the UID, so two objects never share a name.
    fn user_name(&self, owner: &Owner) -> String {
        let digits: String = owner.uid.chars().filter(char::is_ascii_hexdigit).take(UID_DIGITS).collect();
        let readable = format!("{}{}-{}", self.user_prefix, owner.namespace, owner.name);
        let room = MAX_USER_NAME.saturating_sub(digits.len() + 1);
        let head: String = readable.to_ascii_lowercase().chars().take(room).collect();
        format!("{head}-{}", digits.to_ascii_lowercase())
    }

    fn tags(&self, owner: &Owner, deletion: DeletionPolicy) -> BTreeMap<String, String> {
        let pairs: [(&str, &str); 7] = [
            (tag::MANAGED_BY, MANAGER),
            (tag::CLUSTER, &self.cluster_id),
            (tag::INSTALL, &self.install_id),
            (tag::UID, &owner.uid),
            (tag::NAMESPACE, &owner.namespace),
            (tag::NAME, &owner.name),
            (tag::DELETION_POLICY, deletion.as_str()),
        ];
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn boundary_arn(&self) -> Option<String> {
        let name = self.boundary_name.as_ref()?;
        Some(format!("arn:{}:iam::{}:policy/{name}", self.partition, self.account))
    }

    /// ARN of a user.
    pub fn user_arn(&self, user: &UserSpec) -> String {
        format!("arn:{}:iam::{}:user{}{}", self.partition, self.account, user.path, user.name)
    }
}

/// SHA-256 over a user's tags in the order of their keys.
pub fn tags_hash(tags: &BTreeMap<String, String>) -> String {
    let text = tags.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key}={value}");
        text
    });
    digest(text.as_bytes())
}

/// Whose a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Path, cluster, UID and install are this object's.
    Ours,
    /// Made for this object by another installation with the same cluster id.
    OtherInstall,
    /// Anything else.
    Foreign,
}

/// Compares a user that was found with the one that is wanted (invariant S4).
pub fn ownership(wanted: &UserSpec, found: &UserFacts) -> Ownership {
    let same = |key: &str| wanted.tags.get(key) == found.tags.get(key);
    if wanted.path != found.path || !same(tag::CLUSTER) || !same(tag::UID) {
        Ownership::Foreign
    } else if same(tag::INSTALL) {
        Ownership::Ours
    } else {
        Ownership::OtherInstall
    }
}

/// True if every wanted tag is on the user.
pub fn tags_hold(wanted: &UserSpec, found: &UserFacts) -> bool {
    wanted.tags.iter().all(|(key, value)| found.tags.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test::{installation, owner};

    fn facts(user: &UserSpec) -> UserFacts {
        UserFacts {
            user_id: "AIDAEXAMPLE".into(),
            arn: String::new(),
            path: user.path.clone(),
            tags: user.tags.clone(),
            boundary: user.boundary.clone(),
        }
    }

    #[test]
    fn names_a_user_after_its_object() {
        let user = installation().user(&owner(), DeletionPolicy::Delete);
        assert_eq!(user.name, "ses-smtp-shop-mailer-0f9d3c1a22");
        assert_eq!(user.path, "/ses-smtp/c1/");
        assert_eq!(user.tags.get("ses-smtp.dev/deletion-policy").unwrap(), "Delete");
    }

    #[test]
    fn tells_owners_apart() {
        let user = installation().user(&owner(), DeletionPolicy::Delete);
        assert_eq!(ownership(&user, &facts(&user)), Ownership::Ours);
        for (key, expected) in [
            (tag::UID, Ownership::Foreign),
            (tag::CLUSTER, Ownership::Foreign),
            (tag::INSTALL, Ownership::OtherInstall),
            (tag::NAME, Ownership::Ours),
        ] {
            let mut found = facts(&user);
            found.tags.remove(key);
            assert_eq!(ownership(&user, &found), expected, "{key}");
            assert!(!tags_hold(&user, &found));
        }
        let moved = UserFacts { path: "/".into(), ..facts(&user) };
        assert_eq!(ownership(&user, &moved), Ownership::Foreign);
    }

    proptest! {
        #[test]
        fn a_name_is_valid_and_keeps_the_uid(namespace in "[a-z0-9-]{1,63}", name in "[a-z0-9.-]{1,253}") {
            let owner = Owner { namespace, name, ..owner() };
            let user = installation().user(&owner, DeletionPolicy::Delete).name;
            prop_assert!(user.len() <= MAX_USER_NAME);
            prop_assert!(user.ends_with("-0f9d3c1a22"));
        }
    }
}
