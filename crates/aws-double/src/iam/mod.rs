//! IAM's query protocol over an account: form parameters in, XML out. No I/O.
//!
//! Owns the mapping between the wire's names and the account's calls. Rules live in `account`.

mod account_wide;
mod keys;
mod membership;
mod params;
mod policies;
mod users;
mod xml;

pub use params::Params;
pub(crate) use xml::{Xml, error_body, reply_body};

use crate::account::{Account, ApiError, View};

/// The XML name space and API version of IAM.
pub(crate) const VERSION: &str = "2010-05-08";
/// The name space of IAM's replies.
pub(crate) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// What a call brought forth.
pub(crate) struct Done {
    /// The inside of the `…Result` element; `None` for calls that have none.
    pub(crate) result: Option<String>,
    /// The access key made, for the journal.
    pub(crate) key: Option<String>,
}

impl Done {
    fn nothing() -> Self {
        Self { result: None, key: None }
    }

    pub(crate) fn with(xml: Xml) -> Self {
        Self { result: Some(xml.into_text()), key: None }
    }
}

type Answer = Result<Done, ApiError>;

/// Carries out one action. An action the double does not have is `InvalidAction`.
pub(crate) fn call(account: &mut Account, action: &str, p: &Params, view: View) -> Answer {
    match action {
        "CreateUser" => users::create(account, p, view),
        "GetUser" => users::get(account, p, view),
        "UpdateUser" => users::update(account, p, view),
        "DeleteUser" => users::delete(account, p, view),
        "ListUsers" => users::list(account, p, view),
        "TagUser" => users::tag(account, p, view),
        "UntagUser" => users::untag(account, p, view),
        "ListUserTags" => users::list_tags(account, p, view),
        "GetAccountSummary" => Ok(users::summary(account)),
        "CreateAccessKey" => keys::create(account, p, view),
        "ListAccessKeys" => keys::list(account, p, view),
        "UpdateAccessKey" => keys::update(account, p, view),
        "DeleteAccessKey" => keys::delete(account, p, view),
        "GetAccessKeyLastUsed" => keys::last_used(account, p, view),
        _ => policies::call(account, action, p, view)
            .or_else(|| membership::call(account, action, p, view))
            .or_else(|| account_wide::call(account, action, p, view))
            .unwrap_or_else(|| Err(invalid_action(action))),
    }
}

fn invalid_action(action: &str) -> ApiError {
    let text = format!("Could not find operation {action} for version {VERSION}");
    ApiError::new(400, "InvalidAction", text)
}

/// The user a call names, or IAM's complaint: only a caller that is itself a user may leave it out.
fn user(p: &Params) -> Result<&str, ApiError> {
    let missing = || ApiError::validation("Must specify userName when calling with non-User credentials");
    p.get("UserName").ok_or_else(missing)
}
