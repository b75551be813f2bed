//! Evaluates IAM policies: identity policies within a permissions boundary (IAM User Guide, "Policy
//! evaluation logic"). Pure. A document that cannot be read allows nothing.

mod condition;
mod pattern;

use std::collections::BTreeMap;

use serde_json::Value;

use pattern::Pattern;

/// Context keys by lower-case name. IAM's condition keys ignore case; their values do not.
#[derive(Debug, Clone, Default)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// The context with a key and its values: one, or several of a multi-valued key.
    #[must_use]
    pub fn with(mut self, key: &str, values: Vec<String>) -> Self {
        self.0.insert(key.to_lowercase(), values);
        self
    }

    fn values(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_lowercase()).map(Vec::as_slice)
    }

    /// The value of a policy variable: a key with one value.
    fn variable(&self, name: &str) -> Option<&str> {
        match self.values(name)? {
            [one] => Some(one),
            _ => None,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The action, such as `ses:SendRawEmail`.
    pub action: &'a str,
    /// The ARN that it is about, or `*`.
    pub resource: &'a str,
    /// What is known of the request.
    pub context: &'a Context,
}

/// What a set of documents says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
    Silent,
}

/// Whether the identity policies allow it, the boundary (if there is one) too, and nothing denies it.
pub fn allows(identity: &[&str], boundary: Option<&str>, question: &Question<'_>) -> bool {
    let bounded = boundary.is_none_or(|text| verdict(&[text], question) == Verdict::Allow);
    bounded && verdict(identity, question) == Verdict::Allow
}

fn verdict(documents: &[&str], question: &Question<'_>) -> Verdict {
    let parsed: Vec<Value> = documents.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    let applying = parsed.iter().flat_map(statements).filter(|statement| applies(statement, question));
    applying.fold(Verdict::Silent, |so_far, statement| match (so_far, effect(statement)) {
        (Verdict::Deny, _) | (_, Verdict::Deny) => Verdict::Deny,
        (Verdict::Allow, _) | (_, Verdict::Allow) => Verdict::Allow,
        _ => Verdict::Silent,
    })
}

fn statements(document: &Value) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

fn effect(statement: &Value) -> Verdict {
    match statement.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Verdict::Allow,
        Some("Deny") => Verdict::Deny,
        _ => Verdict::Silent,
    }
}

fn applies(statement: &Value, question: &Question<'_>) -> bool {
    // Actions ignore case, resources do not.
    let action = |text: &str| {
        Pattern::wild(&text.to_lowercase(), question.context).matches(&question.action.to_lowercase())
    };
    let resource = |text: &str| Pattern::wild(text, question.context).matches(question.resource);
    let conditions = statement.get("Condition").is_none_or(|block| condition::holds(block, question.context));
    conditions && element(statement, "Action", action) && element(statement, "Resource", resource)
}

/// Whether `Action` or `NotAction` (`Resource` or `NotResource`) takes the question in.
fn element(statement: &Value, name: &str, matches: impl Fn(&str) -> bool) -> bool {
    let any = |value: &Value| texts(value).into_iter().any(&matches);
    match (statement.get(name), statement.get(format!("Not{name}"))) {
        (Some(value), _) => any(value),
        (None, Some(value)) => !any(value),
        (None, None) => false,
    }
}

/// A text or a list of texts, as a list.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(documents: &[&str], boundary: Option<&str>, from: &str, to: &[&str]) -> bool {
        let context = Context::default()
            .with("ses:FromAddress", vec![from.to_owned()])
            .with("ses:Recipients", to.iter().map(|t| (*t).to_owned()).collect())
            .with("aws:SourceIp", vec!["127.0.0.1".to_owned()]);
        let resource = "arn:aws:ses:eu-west-1:123456789012:identity/example.com";
        allows(documents, boundary, &Question { action: "ses:SendRawEmail", resource, context: &context })
    }

    fn document(effect: &str, action: &str, condition: &str) -> String {
        let condition =
            if condition.is_empty() { String::new() } else { format!(",\"Condition\":{condition}") };
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"{action}","Resource":"*"{condition}}}]}}"#
        )
    }

    #[test]
    fn conditions_decide() {
        let cases = [
            ("", "a@example.com", true),
            (r#"{"StringLike":{"ses:FromAddress":"*@example.com"}}"#, "a@example.com", true),
            (r#"{"StringLike":{"ses:FromAddress":"*@example.com"}}"#, "a@Example.com", false),
            (r#"{"StringEquals":{"ses:FromAddress":"*@example.com"}}"#, "a@example.com", false),
            (r#"{"StringEquals":{"ses:fromaddress":["x","a@example.com"]}}"#, "a@example.com", true),
            (r#"{"StringLike":{"ses:FromAddress":"${*}@example.com"}}"#, "a@example.com", false),
            (r#"{"StringLike":{"ses:FromAddress":"${*}@example.com"}}"#, "*@example.com", true),
            (r#"{"StringNotLike":{"ses:FromAddress":"*@example.com"}}"#, "a@example.com", false),
            (r#"{"ForAllValues:StringLike":{"ses:Recipients":"*@b.example"}}"#, "a@example.com", true),
            (r#"{"ForAllValues:StringLike":{"ses:Recipients":"*@c.example"}}"#, "a@example.com", false),
            (r#"{"ForAnyValue:StringLike":{"ses:Recipients":"y@*"}}"#, "a@example.com", true),
            (r#"{"Null":{"ses:Recipients":"false"}}"#, "a@example.com", true),
            (r#"{"Null":{"ses:FeedbackAddress":"false"}}"#, "a@example.com", false),
            (r#"{"Null":{"ses:FeedbackAddress":"true"}}"#, "a@example.com", true),
            (r#"{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","127.0.0.0/8"]}}"#, "a@example.com", true),
            (r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#, "a@example.com", false),
            (r#"{"StringEquals":{"ses:FeedbackAddress":"x@y"}}"#, "a@example.com", false),
            (r#"{"StringEqualsIfExists":{"ses:FeedbackAddress":"x@y"}}"#, "a@example.com", true),
            (r#"{"NoSuchOperator":{"ses:FromAddress":"a@example.com"}}"#, "a@example.com", false),
        ];
        for (condition, from, allowed) in cases {
            let text = document("Allow", "ses:SendRawEmail", condition);
            assert_eq!(
                ask(&[&text], None, from, &["x@b.example", "y@b.example"]),
                allowed,
                "{condition} {from}"
            );
        }
    }

    /// A key without values counts as absent: for all of none anything is true.
    #[test]
    fn all_of_none_needs_a_null_check() {
        let all = r#""ForAllValues:StringLike":{"ses:Recipients":"*@b.example"}"#;
        let alone = document("Allow", "ses:SendRawEmail", &format!("{{{all}}}"));
        let guarded = document(
            "Allow",
            "ses:SendRawEmail",
            &format!(r#"{{{all},"Null":{{"ses:Recipients":"false"}}}}"#),
        );
        assert!(ask(&[&alone], None, "a@example.com", &[]));
        assert!(!ask(&[&guarded], None, "a@example.com", &[]));
        assert!(ask(&[&guarded], None, "a@example.com", &["x@b.example"]));
        assert!(!ask(&[&guarded], None, "a@example.com", &["x@b.example", "x@c.example"]));
    }

    #[test]
    fn boundary_and_deny_narrow() {
        let (send, all, other) = (
            document("Allow", "ses:sendrawemail", ""),
            document("Allow", "*", ""),
            document("Allow", "ses:SendEmail", ""),
        );
        let deny = document("Deny", "ses:Send*", "");
        assert!(ask(&[&all], Some(&send), "a@example.com", &[]));
        assert!(!ask(&[&other], Some(&send), "a@example.com", &[]));
        assert!(!ask(&[&all], Some(&other), "a@example.com", &[]));
        assert!(!ask(&[&all, &deny], None, "a@example.com", &[]));
        assert!(!ask(&[], Some(&all), "a@example.com", &[]));
        assert!(!ask(&["{"], None, "a@example.com", &[]));
    }
}
