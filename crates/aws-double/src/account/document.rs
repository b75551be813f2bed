//! The grammar of policy documents, as far as IAM checks it when one is put. Pure; evaluation is
//! `policy`'s matter.

use serde_json::Value;

use super::ApiError;

/// Checks a document: an object with statements that have an effect, an action and a resource.
pub(super) fn check(text: &str) -> Result<(), ApiError> {
    let syntax = || ApiError::malformed_policy("Syntax errors in policy.");
    let value: Value = serde_json::from_str(text).map_err(|_| syntax())?;
    let version = value.get("Version").is_none_or(|v| v == "2012-10-17" || v == "2008-10-17");
    let statements = match value.get("Statement") {
        Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    };
    if !version || statements.is_empty() || !statements.iter().all(|one| shaped(one)) {
        return Err(syntax());
    }
    statements.into_iter().try_for_each(named)
}

/// Whether a statement has all its parts.
fn shaped(statement: &Value) -> bool {
    let effect = statement.get("Effect").is_some_and(|e| e == "Allow" || e == "Deny");
    let has = |name: &str| part(statement, name).is_some_and(texts);
    let condition = statement
        .get("Condition")
        .is_none_or(|c| c.as_object().is_some_and(|o| o.values().all(Value::is_object)));
    effect && condition && has("Action") && has("Resource")
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
fn part<'a>(statement: &'a Value, name: &str) -> Option<&'a Value> {
    statement.get(name).or_else(|| statement.get(format!("Not{name}")))
}

/// A text, or a list of at least one text.
fn texts(value: &Value) -> bool {
    value.is_string()
        || value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
}

/// Whether a statement's actions name their service and its resources are ARNs.
fn named(statement: &Value) -> Result<(), ApiError> {
    if each(statement, "Action").any(|action| !is_action(action)) {
        let text = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
        return Err(ApiError::malformed_policy(text));
    }
    match each(statement, "Resource").find(|resource| !is_resource(resource)) {
        Some(other) => {
            Err(ApiError::malformed_policy(format!("Resource {other} must be in ARN format or \"*\".")))
        }
        None => Ok(()),
    }
}

fn each<'a>(statement: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    let value = part(statement, name);
    let list = value.and_then(Value::as_array).into_iter().flatten();
    value.filter(|value| value.is_string()).into_iter().chain(list).filter_map(Value::as_str)
}

fn is_action(text: &str) -> bool {
    text == "*"
        || text.split_once(':').is_some_and(|(vendor, action)| !vendor.is_empty() && !action.is_empty())
}

/// IAM fills up an ARN that ends early with wildcards, so only its beginning counts.
fn is_resource(text: &str) -> bool {
    text == "*" || text.strip_prefix("arn:").is_some_and(|rest| !rest.is_empty())
}
