//! What the shipped policy denies, line by line of `forbidden.txt`: by the evaluator, and over the wire where the
//! call is one of IAM or STS.

use std::collections::BTreeSet;

use aws_double::policy::{Context, Question, allows};
use aws_double::{ACCOUNT, CALLER_KEY_ID, CALLER_SECRET, Config, Double};
use serde_json::{Value, json};
use testbed::{boundary_arn, boundary_policy, operator_policy};

use crate::wire::Call;

const CLUSTER: &str = "c1";
const ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// A call that must be denied.
struct Line {
    action: String,
    resource: String,
    context: Vec<(String, String)>,
    /// The line itself.
    text: &'static str,
}

fn lines() -> Vec<Line> {
    let texts = include_str!("forbidden.txt").lines();
    texts.filter(|line| !line.is_empty() && !line.starts_with('#')).map(Line::read).collect()
}

impl Line {
    fn read(text: &'static str) -> Self {
        let filled = text
            .replace("USERS", &format!("arn:aws:iam::ACCOUNT:user/ses-smtp/{CLUSTER}"))
            .replace("OURS", &boundary_arn("ACCOUNT"))
            .replace("ACCOUNT", ACCOUNT);
        let parts: Vec<&str> = filled.split('|').map(str::trim).collect();
        let [action, resource, context, why] = parts[..] else { panic!("not of four parts: {text}") };
        assert!(!why.is_empty(), "without a reason: {text}");
        let pairs = context.split(';').filter(|pair| !pair.trim().is_empty());
        let pairs = pairs.map(|pair| pair.trim().split_once('=').unwrap_or_else(|| panic!("{text}")));
        Self {
            action: action.to_owned(),
            resource: resource.to_owned(),
            context: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            text,
        }
    }

    fn is_allowed(&self, policy: &str) -> bool {
        let with = |context: Context, (key, value): &(String, String)| {
            let key = key.strip_prefix("user:").map_or(key.clone(), |tag| format!("aws:ResourceTag/{tag}"));
            context.with(&key, vec![value.clone()])
        };
        let context = self.context.iter().fold(Context::default(), with);
        let question = Question { action: &self.action, resource: &self.resource, context: &context };
        allows(&[policy], None, &question)
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.context.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    fn tags(&self, prefix: &str) -> Vec<(&str, &str)> {
        let tags =
            self.context.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())));
        tags.collect()
    }

    /// Path and name of the user, where the call is about one of the account's.
    fn user(&self) -> Option<(String, String)> {
        let rest = self.resource.strip_prefix(&format!("arn:aws:iam::{ACCOUNT}:user/"))?;
        let (path, name) = rest.rsplit_once('/').unwrap_or(("", rest));
        let path = if path.is_empty() { "/".to_owned() } else { format!("/{path}/") };
        Some((path, name.to_owned()))
    }

    /// The call as a client sends it; `None` where it can't be sent to the double.
    fn call(&self) -> Option<Call> {
        let (service, action) = self.action.split_once(':').unwrap();
        let service = ["iam", "sts"].into_iter().find(|known| *known == service)?;
        let mut params: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: &str| params.push((name.to_owned(), value.to_owned()));
        match (service, self.user(), self.resource.split_once(":group/")) {
            ("sts", ..) => {
                set("RoleArn", &self.resource);
                set("RoleSessionName", "test");
                if let Some(id) = self.value("sts:ExternalId") {
                    set("ExternalId", id);
                }
            }
            (_, Some((path, name)), _) => {
                set("UserName", &name);
                set("Path", &path);
            }
            (_, None, Some((_, group))) => {
                set("GroupName", group.rsplit('/').next().unwrap());
                set("UserName", "nobody");
            }
            // Of another account or partition, or of a kind that the double keeps no list of.
            _ if self.resource.contains(":user/") => return None,
            _ => {}
        }
        for (name, key) in
            [("PermissionsBoundary", "iam:PermissionsBoundary"), ("PolicyArn", "iam:PolicyARN")]
        {
            if let Some(value) = self.value(key) {
                set(name, value);
            }
        }
        for (n, (key, value)) in (1..).zip(self.tags("aws:RequestTag/")) {
            set(&format!("Tags.member.{n}.Key"), key);
            set(&format!("Tags.member.{n}.Value"), value);
        }
        let policy = [("PolicyName", "p"), ("PolicyDocument", ALL), ("Status", "Inactive")];
        for (name, value) in policy {
            set(name, value);
        }
        Some(Call { service, action: action.to_owned(), params })
    }

    /// Makes the user as the line has it.
    fn prepare(&self, aws: &Double) {
        let Some((path, name)) = self.user().filter(|_| self.action != "iam:CreateUser") else { return };
        aws.call("CreateUser", &[("UserName", &name), ("Path", &path)]).unwrap();
        aws.by_hand().set_tags(&name, &self.tags("user:")).unwrap();
        let of_request = self.action == "iam:PutUserPermissionsBoundary";
        let boundary = self.value("iam:PermissionsBoundary").filter(|_| !of_request);
        if let Some(arn) = boundary {
            aws.by_hand().set_boundary(&name, Some(arn)).unwrap();
        }
    }

    fn clear(&self, aws: &Double) {
        if let Some(user) = self.user().and_then(|(_, name)| aws.user(&name)) {
            aws.by_hand().purge_user(&user.name).unwrap();
        }
    }
}

fn shipped() -> String {
    operator_policy(ACCOUNT, CLUSTER).unwrap()
}

#[test]
fn the_evaluator_denies_every_line() {
    let (all, policy) = (lines(), shipped());
    assert!(all.len() >= 60, "{}", all.len());
    let distinct: BTreeSet<&str> = all.iter().map(|line| line.text).collect();
    assert_eq!(distinct.len(), all.len());
    for line in &all {
        assert!(!line.is_allowed(&policy), "allowed: {}", line.text);
        // It is this policy that denies it, and not a line that nothing could allow.
        assert!(line.is_allowed(ALL), "denied by everything: {}", line.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_denies_every_line_that_can_be_sent() {
    let mut config = Config::default().policy(&boundary_arn(ACCOUNT), &boundary_policy().unwrap());
    let foreign =
        lines().into_iter().filter_map(|line| line.value("iam:PermissionsBoundary").map(str::to_owned));
    for arn in foreign.filter(|arn| *arn != boundary_arn(ACCOUNT)) {
        config = config.policy(&arn, ALL);
    }
    let aws = Double::start(config).await.unwrap();
    let mut sent = 0;
    for line in lines() {
        let Some(call) = line.call() else { continue };
        for (policy, denied) in [(Some(shipped()), true), (None, false)] {
            aws.set_policy(CALLER_KEY_ID, policy.as_deref());
            line.prepare(&aws);
            let before = aws.users();
            let code = call.send(&aws.iam_url(), (CALLER_KEY_ID, CALLER_SECRET)).await;
            // Without a policy all is allowed: then anything else may be wrong with the call, a role be missing too.
            let ended_at_the_policy = code == "AccessDenied" && (denied || call.service != "sts");
            assert_eq!(ended_at_the_policy, denied, "{code}: {}", line.text);
            assert!(!denied || aws.users() == before, "{}", line.text);
            line.clear(&aws);
        }
        sent += 1;
    }
    assert!(sent >= 60, "{sent}");
}

/// A policy that is wider in one place.
fn wider() -> Vec<(String, String)> {
    let policy: Value = serde_json::from_str(&shipped()).unwrap();
    let mut all = Vec::new();
    let mut add = |what: String, changed: &Value| all.push((what, changed.to_string()));
    for (n, statement) in policy["Statement"].as_array().unwrap().iter().enumerate() {
        let (sid, mut changed) = (&statement["Sid"], policy.clone());
        let conditions = statement["Condition"].as_object().into_iter().flatten();
        for (operator, keys) in conditions {
            for key in keys.as_object().unwrap().keys() {
                let mut changed = policy.clone();
                changed["Statement"][n]["Condition"][operator].as_object_mut().unwrap().remove(key);
                add(format!("{sid} without {key}"), &changed);
            }
        }
        changed["Statement"][n]["Action"] = json!("*");
        add(format!("{sid} with every action"), &changed);
        if statement["Resource"] == "*" {
            continue;
        }
        let users = statement["Resource"].as_str().unwrap();
        for resource in
            ["*", &users.replace("c1/*", "*"), &users.replace("/c1/*", "*"), &users.replace("c1/*", "c1*")]
        {
            let mut changed = policy.clone();
            changed["Statement"][n]["Resource"] = json!(resource);
            add(format!("{sid} on {resource}"), &changed);
        }
    }
    all
}

/// Statements that differ in their actions alone are tried by one line each: what widens one of them has to be
/// noticed by a line about it.
#[test]
fn the_lines_notice_every_way_in_which_the_policy_could_be_wider() {
    let all = lines();
    let unnoticed: Vec<String> = wider()
        .into_iter()
        .filter(|(_, policy)| !all.iter().any(|line| line.is_allowed(policy)))
        .map(|(what, _)| what)
        .collect();
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}
