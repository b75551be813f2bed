//! The inline policy of an SMTP user: `ses:SendRawEmail` and nothing else, from typed statements.

use serde::Serialize;

use crate::password::digest;

/// Version of IAM's policy language.
pub const VERSION: &str = "2012-10-17";
/// The one right of an SMTP user.
pub const SEND: &str = "ses:SendRawEmail";
/// Characters that all inline policies of a user may have together, white space not counted.
pub const MAX_POLICY: usize = 2_048;
/// Longest sender pattern.
pub const MAX_ADDRESS: usize = 320;
/// Most sender patterns.
pub const MAX_ADDRESSES: usize = 20;
/// Sender patterns: `user@domain`, `*@domain`, `*@*.domain` or `*`.
///
/// A star stands only for a whole local part or for whole labels, so `*example.com`, which would
/// match evilexample.com, can't be written. `$`, `?`, quotes and non-ASCII are left out: under
/// `StringLike` they would be variables, wildcards or text that IAM refuses.
pub const ADDRESS_PATTERN: &str = concat!(
    r"^(\*|((\*|[A-Za-z0-9!#%&'+/=^_`{|}~-]+(\.[A-Za-z0-9!#%&'+/=^_`{|}~-]+)*)@|\*@\*\.)",
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+)$",
);

/// Whom a user may send as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender(String);

impl Sender {
    /// Takes a sender pattern of one of the four forms.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text == "*" || text.len() <= MAX_ADDRESS && is_address(text);
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The pattern as it stands in the policy.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    match (local, domain.strip_prefix("*.")) {
        ("*", Some(parent)) => is_domain(parent),
        ("*", None) => is_domain(domain),
        _ => is_local(local) && is_domain(domain),
    }
}

fn is_local(text: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#%&'+/=^_`{|}~-".contains(&b))
    };
    text.split('.').all(is_atom)
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.contains('.') && text.split('.').all(is_label)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    statement: [Statement<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    effect: &'static str,
    action: &'static str,
    resource: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition<'a> {
    string_like: FromAddress<'a>,
}

#[derive(Serialize)]
struct FromAddress<'a> {
    #[serde(rename = "ses:FromAddress")]
    from_address: Vec<&'a str>,
}

/// A policy document, ready to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// JSON text without white space.
    pub document: String,
    /// SHA-256 of the text.
    pub hash: String,
}

impl Policy {
    /// The policy of a user who may send as `senders`, or as anybody if there are none.
    pub fn new(senders: &[Sender]) -> Self {
        let from_address: Vec<&str> = senders.iter().map(|sender| sender.0.as_str()).collect();
        let condition =
            (!from_address.is_empty()).then_some(Condition { string_like: FromAddress { from_address } });
        let statement = Statement { effect: "Allow", action: SEND, resource: "*", condition };
        let document = Document { version: VERSION, statement: [statement] };
        // Strings in structs always serialize; an empty document would be refused by IAM.
        let document = serde_json::to_string(&document).unwrap_or_default();
        Self { hash: digest(document.as_bytes()), document }
    }

    /// Length as IAM counts it, if that is over IAM's limit.
    pub fn excess(&self) -> Option<usize> {
        let counted = self.document.chars().filter(|c| !c.is_whitespace()).count();
        (counted > MAX_POLICY).then_some(counted)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn allows_sending_and_nothing_else() {
        let policy = Policy::new(&[Sender::parse("*@shop.example.com").unwrap()]);
        assert_eq!(
            policy.document,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ses:SendRawEmail","Resource":"*","Condition":{"StringLike":{"ses:FromAddress":["*@shop.example.com"]}}}]}"#
        );
        assert!(!Policy::new(&[]).document.contains("Condition"));
    }

    #[test]
    fn takes_four_forms_of_senders() {
        for good in ["*", "a@example.com", "first.last+tag@example.com", "*@example.com", "*@*.example.com"] {
            assert!(Sender::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "*example.com",
            "a*@example.com",
            "a@*.example.com",
            "*@*",
            "*@*.",
            "a@b",
            "a@@example.com",
            "\"a\"@example.com",
            "${aws:username}@example.com",
            "a?@example.com",
            "a@exa mple.com",
            "ä@example.com",
            "a@example.com\n",
            "**@example.com",
            ".a@example.com",
            "a@-example.com",
        ] {
            assert!(Sender::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn counts_what_iam_counts() {
        let long: Vec<Sender> = (0..20)
            .map(|n| Sender::parse(&format!("{}{n}@{}.com", "a".repeat(60), "b".repeat(60))).unwrap())
            .collect();
        assert!(Policy::new(&long).excess().unwrap() > MAX_POLICY);
        assert_eq!(Policy::new(&[]).excess(), None);
    }

    proptest! {
        #[test]
        fn no_text_reaches_the_document_but_a_sender(text in "\\PC{0,40}") {
            if let Some(sender) = Sender::parse(&text) {
                let document = Policy::new(&[sender]).document;
                let value: serde_json::Value = serde_json::from_str(&document).unwrap();
                prop_assert_eq!(&value["Statement"][0]["Condition"]["StringLike"]["ses:FromAddress"][0], &text);
                prop_assert!(!text.contains('$') && !text.contains('?') && !text.contains('"'));
            }
        }
    }
}
