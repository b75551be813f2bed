//! What an account's admin grants: the operator's own policy and the permissions boundary of the users that
//! it makes. The files in `deploy/iam`, the README and the command `iam-policy` all come from here.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::names::{MANAGER, tag};
use crate::policy::{SEND, VERSION};

/// Beginning of the names of all policies with which AWS quarantines a user.
const QUARANTINE: &str = "AWSCompromisedKeyQuarantine*";

/// What the rights reach. The texts go into ARNs as they are, so they have to be valid there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Partition, as in ARNs.
    pub partition: String,
    /// Account, 12 digits.
    pub account: String,
    /// Path of the cluster's users, with a slash at both ends.
    pub path: String,
    /// Name of the permissions boundary policy in the account.
    pub boundary_name: String,
    /// ARNs of roles in other accounts that the operator may take.
    pub roles: Vec<String>,
}

/// An IAM policy document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Texts,
    resource: Texts,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: Conditions,
}

/// Operator, then condition key, then value.
type Conditions = BTreeMap<&'static str, BTreeMap<String, String>>;

/// One text, or a list of texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl From<&[&str]> for Texts {
    fn from(texts: &[&str]) -> Self {
        match texts {
            [one] => Self::One((*one).to_owned()),
            many => Self::Many(many.iter().map(|text| (*text).to_owned()).collect()),
        }
    }
}

impl Statement {
    fn allow(sid: &'static str, actions: &[&str], resource: &str) -> Self {
        let (action, resource) = (Texts::from(actions), Texts::One(resource.to_owned()));
        Self { sid, effect: "Allow", action, resource, condition: Conditions::new() }
    }

    fn only_if<const N: usize>(mut self, operator: &'static str, values: [(String, String); N]) -> Self {
        self.condition.insert(operator, values.into());
        self
    }
}

impl Reach {
    fn users(&self) -> String {
        format!("arn:{}:iam::{}:user{}*", self.partition, self.account, self.path)
    }

    /// The condition that a user has our boundary, or is to get it.
    fn with_boundary(&self) -> (String, String) {
        let arn = format!("arn:{}:iam::{}:policy/{}", self.partition, self.account, self.boundary_name);
        ("iam:PermissionsBoundary".to_owned(), arn)
    }

    /// The least that the operator needs.
    pub fn operator(&self) -> Document {
        let statement = [create, tag_user, policy, own, quarantine, sweep].map(|make| make(self));
        document(statement.into_iter().chain(assume_roles(&self.roles)).collect())
    }
}

/// What users of the operator may do at most: send mail.
pub fn boundary() -> Document {
    document(vec![Statement::allow("SendMailAndNothingElse", &[SEND], "*")])
}

fn document(statement: Vec<Statement>) -> Document {
    Document { version: VERSION, statement }
}

fn create(reach: &Reach) -> Statement {
    let tagged = (format!("aws:RequestTag/{}", tag::MANAGED_BY), MANAGER.to_owned());
    Statement::allow("Create", &["iam:CreateUser"], &reach.users())
        .only_if("StringEquals", [reach.with_boundary(), tagged])
}

fn tag_user(reach: &Reach) -> Statement {
    Statement::allow("Tag", &["iam:TagUser"], &reach.users())
}

fn policy(reach: &Reach) -> Statement {
    let actions = ["iam:PutUserPolicy", "iam:DeleteUserPolicy", "iam:PutUserPermissionsBoundary"];
    Statement::allow("Policy", &actions, &reach.users()).only_if("StringEquals", [reach.with_boundary()])
}

fn own(reach: &Reach) -> Statement {
    let actions = [
        "iam:GetUser",
        "iam:DeleteUser",
        "iam:CreateAccessKey",
        "iam:UpdateAccessKey",
        "iam:DeleteAccessKey",
        "iam:ListAccessKeys",
        "iam:GetAccessKeyLastUsed",
    ];
    Statement::allow("Own", &actions, &reach.users())
}

fn quarantine(reach: &Reach) -> Statement {
    let arn = format!("arn:{}:iam::aws:policy/{QUARANTINE}", reach.partition);
    Statement::allow("Quarantine", &["iam:DetachUserPolicy"], &reach.users())
        .only_if("ArnLike", [("iam:PolicyARN".to_owned(), arn)])
}

fn sweep(_: &Reach) -> Statement {
    let actions = [
        "iam:ListUsers",
        "iam:GetAccountAuthorizationDetails",
        "iam:GenerateCredentialReport",
        "iam:GetCredentialReport",
    ];
    Statement::allow("Sweep", &actions, "*")
}

fn assume_roles(roles: &[String]) -> Option<Statement> {
    let arns: Vec<&str> = roles.iter().map(String::as_str).collect();
    let base = Statement::allow("AssumeRole", &["sts:AssumeRole"], "");
    (!arns.is_empty()).then(|| Statement { resource: arns.as_slice().into(), ..base })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn reach() -> Reach {
        Reach {
            partition: "aws-cn".to_owned(),
            account: "123456789012".to_owned(),
            path: "/mail/prod/".to_owned(),
            boundary_name: "limits".to_owned(),
            roles: Vec::new(),
        }
    }

    fn statements(document: &Document) -> Vec<Value> {
        let value = serde_json::to_value(document).unwrap();
        assert_eq!(value["Version"], "2012-10-17");
        value["Statement"].as_array().unwrap().clone()
    }

    #[test]
    fn every_arn_is_of_the_reach() {
        let users = "arn:aws-cn:iam::123456789012:user/mail/prod/*";
        let boundary = "arn:aws-cn:iam::123456789012:policy/limits";
        let all = statements(&reach().operator());
        let sids: Vec<&str> = all.iter().map(|one| one["Sid"].as_str().unwrap()).collect();
        assert_eq!(sids, ["Create", "Tag", "Policy", "Own", "Quarantine", "Sweep"]);
        for one in &all {
            let wanted = if one["Sid"] == "Sweep" { "*" } else { users };
            assert_eq!(one["Resource"], wanted, "{one}");
        }
        for n in [0, 2] {
            assert_eq!(all[n]["Condition"]["StringEquals"]["iam:PermissionsBoundary"], boundary);
        }
        assert_eq!(
            all[4]["Condition"],
            json!({ "ArnLike": { "iam:PolicyARN": "arn:aws-cn:iam::aws:policy/AWSCompromisedKeyQuarantine*" } })
        );
    }

    #[test]
    fn roles_are_granted_only_if_there_are_any() {
        let of = |roles: &[&str]| {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            statements(&Reach { roles, ..reach() }.operator()).into_iter().nth(6)
        };
        assert_eq!(of(&[]), None);
        let one = of(&["a"]).unwrap();
        assert_eq!((&one["Action"], &one["Resource"]), (&json!("sts:AssumeRole"), &json!("a")));
        assert_eq!(of(&["a", "b"]).unwrap()["Resource"], json!(["a", "b"]));
    }

    #[test]
    fn the_quarantine_right_covers_every_policy_that_is_detached() {
        let stem = QUARANTINE.trim_end_matches('*');
        assert!(crate::names::QUARANTINE_POLICIES.iter().all(|name| name.starts_with(stem)));
    }
}
