//! Roles, and the sessions that were begun of them. No I/O.
//!
//! Facts are of the IAM and STS references: a role that doesn't exist and one that isn't trusted are
//! denied alike; a session is three values, all of which a request needs; it ends by the clock.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::account::ApiError;
use crate::config::Role;
use crate::policy::{Context, Question, allows, texts};
use crate::rng::Rng;
use crate::world::Identity;

/// The roles that there are, and the sessions of them.
#[derive(Debug)]
pub(crate) struct Sessions {
    roles: HashMap<String, Role>,
    begun: HashMap<String, Session>,
    /// How long one lasts whose caller doesn't say it.
    pub(crate) usual: Duration,
}

/// A session of a role.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) identity: Identity,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) ends: Timestamp,
    role: String,
}

/// A wish for a session.
pub(crate) struct Wish<'a> {
    pub(crate) role: &'a str,
    pub(crate) name: &'a str,
    pub(crate) ends: Timestamp,
}

/// Who wishes for it, as trust policies see them.
pub(crate) struct Asker {
    /// Kind of principal: `AWS`, `Federated` or `Service`.
    pub(crate) kind: &'static str,
    /// Every name that a trust policy may call the principal by.
    pub(crate) names: Vec<String>,
    /// What the role has to let it do.
    pub(crate) actions: &'static [&'static str],
    pub(crate) context: Context,
}

impl Asker {
    /// Somebody with a key: its account, or the role that it is a session of.
    pub(crate) fn caller(caller: &Identity, external_id: Option<&str>) -> Self {
        let account = &caller.account;
        let role = caller.arn.split('/').nth(1).unwrap_or_default();
        let root = format!("arn:aws:iam::{account}:root");
        let role = format!("arn:aws:iam::{account}:role/{role}");
        let context = Context::default();
        let context = match external_id {
            Some(id) => context.with("sts:ExternalId", vec![id.to_owned()]),
            None => context,
        };
        Self { kind: "AWS", names: vec![account.clone(), root, role], actions: &["sts:AssumeRole"], context }
    }
}

impl Sessions {
    pub(crate) fn new(roles: &[Role], usual: Duration) -> Self {
        let roles = roles.iter().map(|role| (role.arn.clone(), role.clone())).collect();
        Self { roles, begun: HashMap::new(), usual }
    }

    /// Adds a role, or puts it in the place of another of its ARN. Sessions go on under its policy.
    pub(crate) fn set_role(&mut self, role: Role) {
        self.roles.insert(role.arn.clone(), role);
    }

    /// Ends every session, as when somebody revokes a role's sessions.
    pub(crate) fn end_all(&mut self) {
        self.begun.clear();
    }

    /// Begins a session, if the role trusts who asks.
    pub(crate) fn begin(&mut self, wish: &Wish<'_>, asker: &Asker, ids: &mut Rng) -> Option<&Session> {
        let role = self.roles.get(wish.role).filter(|role| trusts(role, asker))?;
        let key_id = ids.id("ASIA", 16);
        let account = account_of(&role.arn).to_owned();
        let name = role.arn.rsplit('/').next().unwrap_or_default();
        let session = Session {
            identity: Identity {
                key_id: key_id.clone(),
                arn: format!("arn:aws:sts::{account}:assumed-role/{name}/{}", wish.name),
                user_id: format!("AROADOUBLE{account}:{}", wish.name),
                account,
                minted: false,
            },
            secret: ids.secret(),
            token: ids.token(),
            ends: wish.ends,
            role: role.arn.clone(),
        };
        Some(self.begun.entry(key_id).insert_entry(session).into_mut())
    }

    pub(crate) fn secrets(&self) -> Vec<String> {
        self.begun.values().flat_map(|session| [session.secret.clone(), session.token.clone()]).collect()
    }

    pub(crate) fn get(&self, key_id: &str) -> Option<&Session> {
        self.begun.get(key_id)
    }

    /// The policy that a session's IAM calls are held against, if any.
    pub(crate) fn policy_of(&self, key_id: &str) -> Option<&str> {
        self.roles.get(&self.begun.get(key_id)?.role)?.policy.as_deref()
    }
}

/// The denial of a wish for a session.
pub(crate) fn denied(caller: &Identity, role: &str) -> ApiError {
    let text =
        format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role}", caller.arn);
    ApiError::new(403, "AccessDenied", text)
}

/// The account of an ARN.
pub(crate) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// Whether the role's trust policy lets who asks in. It has principals where other policies have
/// resources.
fn trusts(role: &Role, asker: &Asker) -> bool {
    let Ok(mut document) = serde_json::from_str::<Value>(&role.trust) else { return false };
    let statements = match document.get_mut("Statement").map(Value::take) {
        Some(Value::Array(list)) => list,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let about = statements.into_iter().filter(|statement| names(statement, asker)).map(|mut statement| {
        if let Some(statement) = statement.as_object_mut() {
            statement.insert("Resource".to_owned(), Value::from("*"));
        }
        statement
    });
    let document = serde_json::json!({ "Statement": about.collect::<Vec<_>>() }).to_string();
    asker.actions.iter().all(|action| {
        allows(&[&document], None, &Question { action, resource: &role.arn, context: &asker.context })
    })
}

/// Whether the statement's principals hold who asks.
fn names(statement: &Value, asker: &Asker) -> bool {
    let principals = statement.get("Principal").and_then(|principal| principal.get(asker.kind));
    principals
        .is_some_and(|named| texts(named).into_iter().any(|named| asker.names.iter().any(|own| own == named)))
}
