//! Inline policies, attached policies and the permissions boundary.

use k8s_openapi::jiff::Timestamp;

use super::{Account, ApiError, Page, Paged, document, names};

/// Characters of all inline policies of a user together, white space not counted.
pub(crate) const INLINE_SIZE: usize = 2048;
/// Managed policies per user.
pub(crate) const ATTACHED: usize = 10;
/// The policy that AWS attaches to a user whose key has leaked.
const QUARANTINE: &str = "AWSCompromisedKeyQuarantineV3";

impl Account {
    /// `PutUserPolicy`: replaces the whole document.
    pub fn put_user_policy(
        &mut self,
        user: &str,
        policy: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        names::name(policy, "policyName")?;
        names::policy_text(text)?;
        let user = self.user_mut(user, now)?;
        document::check(text)?;
        let others = user.inline.iter().filter(|(name, _)| *name != policy).map(|(_, text)| weight(text));
        if others.sum::<usize>().saturating_add(weight(text)) > INLINE_SIZE {
            let text = format!("Maximum policy size of {INLINE_SIZE} bytes exceeded for user {}", user.name);
            return Err(ApiError::limit(text));
        }
        user.inline.insert(policy.to_owned(), text.to_owned());
        Ok(())
    }

    /// `GetUserPolicy`: the document as it was put.
    pub fn get_user_policy(&self, user: &str, policy: &str, now: Timestamp) -> Result<&str, ApiError> {
        names::name(policy, "policyName")?;
        let found = self.user(user, now)?.inline.get(policy);
        found.map(String::as_str).ok_or_else(|| no_such_policy(policy))
    }

    /// `DeleteUserPolicy`.
    pub fn delete_user_policy(&mut self, user: &str, policy: &str, now: Timestamp) -> Result<(), ApiError> {
        names::name(policy, "policyName")?;
        let removed = self.user_mut(user, now)?.inline.remove(policy);
        removed.map(|_| ()).ok_or_else(|| no_such_policy(policy))
    }

    /// `ListUserPolicies`: names.
    pub fn list_user_policies(
        &self,
        user: &str,
        page: &Page,
        now: Timestamp,
    ) -> Result<Paged<String>, ApiError> {
        let names = self.user(user, now)?.inline.keys();
        page.cut(names.map(|name| (name, name.clone())), self.settings.page_cap)
    }

    /// `AttachUserPolicy`.
    pub fn attach_user_policy(&mut self, user: &str, arn: &str, now: Timestamp) -> Result<(), ApiError> {
        // AWS's own policies can be attached in every account.
        let known = arn.starts_with(&self.aws_policy("")) || self.managed_policy(arn);
        let user = self.user_mut(user, now)?;
        if !known {
            return Err(ApiError::no_such_policy_arn(arn));
        }
        if !user.attached.contains(arn) && user.attached.len() >= ATTACHED {
            return Err(ApiError::quota("PoliciesPerUser", ATTACHED));
        }
        user.attached.insert(arn.to_owned());
        Ok(())
    }

    /// Attaches AWS's quarantine policy.
    pub(crate) fn quarantine(&mut self, user: &str, now: Timestamp) -> Result<(), ApiError> {
        self.attach_user_policy(user, &self.aws_policy(QUARANTINE), now)
    }

    /// `DetachUserPolicy`.
    pub fn detach_user_policy(&mut self, user: &str, arn: &str, now: Timestamp) -> Result<(), ApiError> {
        if self.user_mut(user, now)?.attached.remove(arn) {
            return Ok(());
        }
        Err(ApiError::no_such_entity(format!("Policy {arn} was not found.")))
    }

    /// `ListAttachedUserPolicies`: ARNs.
    pub fn list_attached_user_policies(
        &self,
        user: &str,
        page: &Page,
        now: Timestamp,
    ) -> Result<Paged<String>, ApiError> {
        let arns = self.user(user, now)?.attached.iter();
        page.cut(arns.map(|arn| (arn, arn.clone())), self.settings.page_cap)
    }

    /// `PutUserPermissionsBoundary`.
    pub fn put_boundary(&mut self, user: &str, arn: &str, now: Timestamp) -> Result<(), ApiError> {
        self.user(user, now)?;
        self.check_boundary(Some(arn))?;
        self.user_mut(user, now)?.boundary = Some(arn.to_owned());
        Ok(())
    }

    /// `DeleteUserPermissionsBoundary`.
    pub fn delete_boundary(&mut self, user: &str, now: Timestamp) -> Result<(), ApiError> {
        let user = self.user_mut(user, now)?;
        let missing = || ApiError::no_such_entity(format!("User {} does not have a boundary.", user.name));
        user.boundary.take().map(|_| ()).ok_or_else(missing)
    }

    pub(super) fn check_boundary(&self, arn: Option<&str>) -> Result<(), ApiError> {
        match arn {
            Some(arn) if !self.managed_policy(arn) => Err(ApiError::no_such_entity(format!(
                "Scope ARN: {arn} does not exist or is not attachable."
            ))),
            _ => Ok(()),
        }
    }
}

fn no_such_policy(name: &str) -> ApiError {
    ApiError::no_such_entity(format!("The user policy with name {name} cannot be found."))
}

/// The size that counts against the limit.
fn weight(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}
