//! Changes behind the operator's back, in the words of a test. Each is atomic, ignores throttling
//! and faults, and leaves a record whose caller is `out-of-band`.

use k8s_openapi::jiff::Timestamp;

use crate::account::{Account, ApiError, KeyState, NewKey, NewUser, Tag, User};
use crate::journal::{OUT_OF_BAND, Record};
use crate::world::Shared;

/// Somebody with all rights in one account.
#[derive(Debug, Clone, Copy)]
pub struct ByHand<'a> {
    shared: &'a Shared,
    account: &'a str,
}

impl<'a> ByHand<'a> {
    pub(crate) fn new(shared: &'a Shared, account: &'a str) -> Self {
        Self { shared, account }
    }

    /// Moves a user to another path.
    pub fn set_path(&self, user: &str, path: &str) -> Result<(), ApiError> {
        self.change("UpdateUser", user, |account, now| account.update_user(user, None, Some(path), now))
    }

    /// Renames a user. Its id, keys and tags stay.
    pub fn rename(&self, user: &str, name: &str) -> Result<(), ApiError> {
        self.change("UpdateUser", user, |account, now| account.update_user(user, Some(name), None, now))
    }

    /// Replaces all tags.
    pub fn set_tags(&self, user: &str, tags: &[(&str, &str)]) -> Result<(), ApiError> {
        let tags = tags.iter().map(|(k, v)| Tag { key: (*k).to_owned(), value: (*v).to_owned() }).collect();
        self.change("TagUser", user, |account, now| {
            let old: Vec<String> = account.get_user(user, now)?.tags.iter().map(|t| t.key.clone()).collect();
            account.untag_user(user, &old, now)?;
            account.tag_user(user, tags, now)
        })
    }

    /// Sets the permissions boundary, or takes it away.
    pub fn set_boundary(&self, user: &str, arn: Option<&str>) -> Result<(), ApiError> {
        let Some(arn) = arn else {
            let action = "DeleteUserPermissionsBoundary";
            return self.change(action, user, |account, now| account.delete_boundary(user, now));
        };
        self.change("PutUserPermissionsBoundary", user, |account, now| account.put_boundary(user, arn, now))
    }

    /// Puts an inline policy.
    pub fn put_policy(&self, user: &str, name: &str, text: &str) -> Result<(), ApiError> {
        self.change("PutUserPolicy", user, |account, now| account.put_user_policy(user, name, text, now))
    }

    /// Deletes an inline policy.
    pub fn delete_policy(&self, user: &str, name: &str) -> Result<(), ApiError> {
        self.change("DeleteUserPolicy", user, |account, now| account.delete_user_policy(user, name, now))
    }

    /// Attaches a managed policy.
    pub fn attach_policy(&self, user: &str, arn: &str) -> Result<(), ApiError> {
        self.change("AttachUserPolicy", user, |account, now| account.attach_user_policy(user, arn, now))
    }

    /// Attaches AWS's quarantine policy, as AWS does when a key of the user is found in public.
    pub fn quarantine(&self, user: &str) -> Result<(), ApiError> {
        self.change("AttachUserPolicy", user, |account, now| account.quarantine(user, now))
    }

    /// Makes a key.
    pub fn make_key(&self, user: &str) -> Result<NewKey, ApiError> {
        self.change("CreateAccessKey", user, |account, now| account.create_access_key(user, now))
    }

    /// Makes a key Active or Inactive, or deletes it.
    pub fn set_key(&self, user: &str, id: &str, state: KeyState) -> Result<(), ApiError> {
        if state == KeyState::Deleted {
            let action = "DeleteAccessKey";
            return self.change(action, user, |account, now| account.delete_access_key(user, id, now));
        }
        let status = state.as_str();
        self.change("UpdateAccessKey", user, |account, now| account.update_access_key(user, id, status, now))
    }

    /// Gives a user a console password.
    pub fn add_login_profile(&self, user: &str) -> Result<(), ApiError> {
        self.change("CreateLoginProfile", user, |account, now| account.create_login_profile(user, now))
    }

    /// Deletes a user with everything on it.
    pub fn purge_user(&self, user: &str) -> Result<(), ApiError> {
        self.change("DeleteUser", user, |account, now| account.purge_user(user, now))
    }

    /// Deletes a user with everything on it, and makes it again under its name and path with
    /// nothing on it: no tags, no boundary, no keys. Gives the new user.
    pub fn recreate_user(&self, user: &str) -> Result<User, ApiError> {
        self.change("CreateUser", user, |account, now| {
            let User { name, path, .. } = account.get_user(user, now)?.clone();
            account.purge_user(user, now)?;
            let new = NewUser { name, path: Some(path), ..NewUser::default() };
            account.create_user(new, now).cloned()
        })
    }

    fn change<T>(
        &self,
        action: &str,
        user: &str,
        change: impl FnOnce(&mut Account, Timestamp) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let now = self.shared.now();
        let world = &mut *self.shared.lock();
        let missing = || ApiError::no_such_entity(format!("There is no account {}.", self.account));
        let result = world.accounts.get_mut(self.account).ok_or_else(missing).and_then(|a| change(a, now));
        let outcome = result.as_ref().map_or_else(|error| error.code.to_string(), |_| "ok".to_owned());
        self.shared.note_in(world, self.record(action, user, outcome, now));
        result
    }

    fn record(&self, action: &str, user: &str, outcome: String, now: Timestamp) -> Record {
        Record {
            sequence: 0,
            time: now,
            action: action.to_owned(),
            account: Some(self.account.to_owned()),
            caller: Some(OUT_OF_BAND.to_owned()),
            user: Some(user.to_owned()),
            key: None,
            outcome,
            executed: true,
            fault: None,
            request_id: None,
        }
    }
}
