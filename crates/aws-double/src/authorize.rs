//! What a caller's own policy says of an IAM call: which resource and which condition keys the call
//! has (Service Authorization Reference, "AWS Identity and Access Management"). The evaluation
//! itself is `policy`'s.

use crate::account::{Account, ApiError, Tag, User};
use crate::iam::Params;
use crate::policy::{self, Context, Question};

/// Actions that no resource can narrow: a policy must grant them on `*`.
const ACCOUNT_WIDE: [&str; 5] = [
    "ListUsers",
    "GetAccountAuthorizationDetails",
    "GenerateCredentialReport",
    "GetCredentialReport",
    "GetAccountSummary",
];

/// An IAM call as a policy sees it.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) account: &'a Account,
    pub(crate) action: &'a str,
    pub(crate) params: &'a Params,
    /// The user concerned, named or found by its key.
    pub(crate) user: Option<&'a str>,
}

impl Request<'_> {
    /// The ARN that the call is about, or `*`.
    pub(crate) fn resource(&self) -> String {
        let path = self.params.get("Path").unwrap_or("/");
        match (self.action, self.user, self.params.get("GroupName")) {
            ("CreateGroup" | "AddUserToGroup" | "RemoveUserFromGroup", _, Some(group)) => {
                self.account.arn("group", path, group)
            }
            // A user of that name may exist under another path: what counts is what is asked for.
            ("CreateUser", Some(user), _) => self.account.arn("user", path, user),
            (action, Some(user), _) if !ACCOUNT_WIDE.contains(&action) => self.account.user_arn(user, None),
            _ => "*".to_owned(),
        }
    }

    /// Refuses the call unless `allows` has it, which speaks for the principal `caller`.
    pub(crate) fn authorize(
        &self,
        caller: &str,
        allows: impl Fn(&Question<'_>) -> bool,
    ) -> Result<(), ApiError> {
        let (resource, context) = (self.resource(), self.context());
        for action in self.actions() {
            if !allows(&Question { action: &action, resource: &resource, context: &context }) {
                return Err(ApiError::access_denied(caller, &action, &resource));
            }
        }
        Ok(())
    }

    /// The rights that the call needs: tags given at creation need one of their own.
    fn actions(&self) -> Vec<String> {
        let tags = self.action == "CreateUser" && !self.params.tags().is_empty();
        let tag = tags.then(|| "iam:TagUser".to_owned());
        [format!("iam:{}", self.action)].into_iter().chain(tag).collect()
    }

    fn context(&self) -> Context {
        let found = self.user.filter(|_| self.action != "CreateUser");
        let found = found.and_then(|user| self.account.find_user(user));
        let context = self.with_request_tags(with_tags(Context::default(), found));
        let context = match self.boundary(found) {
            Some(arn) => context.with("iam:PermissionsBoundary", vec![arn.to_owned()]),
            None => context,
        };
        match (self.action, self.params.get("PolicyArn")) {
            ("AttachUserPolicy" | "DetachUserPolicy", Some(arn)) => {
                context.with("iam:PolicyARN", vec![arn.to_owned()])
            }
            _ => context,
        }
    }

    /// The boundary that conditions see: the one asked for, or the one the user has.
    fn boundary<'a>(&'a self, found: Option<&'a User>) -> Option<&'a str> {
        match self.action {
            "CreateUser" | "PutUserPermissionsBoundary" => self.params.get("PermissionsBoundary"),
            "PutUserPolicy"
            | "DeleteUserPolicy"
            | "AttachUserPolicy"
            | "DetachUserPolicy"
            | "DeleteUserPermissionsBoundary" => found?.boundary.as_deref(),
            _ => None,
        }
    }

    fn with_request_tags(&self, context: Context) -> Context {
        let tags = self.params.tags();
        let keys: Vec<String> = tags.iter().map(|tag| tag.key.clone()).collect();
        let keys: Vec<String> = keys.into_iter().chain(self.params.list("TagKeys")).collect();
        let context = if keys.is_empty() { context } else { context.with("aws:TagKeys", keys) };
        tags.into_iter().fold(context, |context, Tag { key, value }| {
            context.with(&format!("aws:RequestTag/{key}"), vec![value])
        })
    }
}

/// Whether a user's inline and attached policies, within the boundary, allow it. A boundary whose
/// text is not known any more allows nothing.
pub(crate) fn permitted(account: &Account, user: &str, question: &Question<'_>) -> bool {
    let Some(user) = account.find_user(user) else { return false };
    let known = &account.settings().policies;
    let attached = user.attached.iter().filter_map(|arn| known.get(arn));
    let documents: Vec<&str> = user.inline.values().chain(attached).map(String::as_str).collect();
    let boundary = user.boundary.as_ref().map(|arn| known.get(arn).map_or("", String::as_str));
    policy::allows(&documents, boundary, question)
}

fn with_tags(context: Context, found: Option<&User>) -> Context {
    found.into_iter().flat_map(|user| &user.tags).fold(context, |context, Tag { key, value }| {
        let context = context.with(&format!("aws:ResourceTag/{key}"), vec![value.clone()]);
        context.with(&format!("iam:ResourceTag/{key}"), vec![value.clone()])
    })
}
