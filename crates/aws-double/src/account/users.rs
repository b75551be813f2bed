//! Users and their tags.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use super::{Account, ApiError, LastChange, Page, Paged, Tag, User, View, names};
use crate::clock;

/// Users per account.
const USERS: usize = 5000;
/// Departed users kept for lagging lists.
const DEPARTED: usize = 1000;

/// The arguments of `CreateUser`.
#[derive(Debug, Clone, Default)]
pub struct NewUser {
    /// Name.
    pub name: String,
    /// Path; `/` when absent.
    pub path: Option<String>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
}

impl Account {
    /// `CreateUser`.
    pub fn create_user(&mut self, new: NewUser, now: Timestamp) -> Result<&User, ApiError> {
        self.check_new_user(&new)?;
        let path = new.path.unwrap_or_else(|| "/".to_owned());
        let user = User {
            arn: self.arn("user", &path, &new.name),
            id: self.rng.id("AIDA", 17),
            name: new.name,
            path,
            created: now,
            tags: new.tags,
            boundary: new.boundary,
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
            groups: BTreeSet::new(),
            login_profile: None,
            key_ids: Vec::new(),
        };
        let index = user.name.to_lowercase();
        self.last_change = LastChange::Created(index.clone());
        Ok(self.users.entry(index).or_insert(user))
    }

    fn check_new_user(&self, new: &NewUser) -> Result<(), ApiError> {
        names::new_user_name(&new.name)?;
        names::path(new.path.as_deref().unwrap_or("/"))?;
        names::tags(&new.tags)?;
        if self.find_user(&new.name).is_some() {
            return Err(ApiError::exists("User", &new.name));
        }
        self.check_boundary(new.boundary.as_deref())?;
        if self.users.len() >= USERS {
            return Err(ApiError::quota("UsersPerAccount", USERS));
        }
        Ok(())
    }

    /// `GetUser`.
    pub fn get_user(&self, name: &str, now: Timestamp) -> Result<&User, ApiError> {
        self.user(name, now)
    }

    /// `DeleteUser`: refused while anything hangs on the user.
    pub fn delete_user(&mut self, name: &str, now: Timestamp) -> Result<(), ApiError> {
        if let Some(what) = self.blocker(self.user(name, now)?) {
            return Err(ApiError::delete_conflict(what));
        }
        let index = name.to_lowercase();
        if let Some(user) = self.users.remove(&index) {
            self.departed.truncate(DEPARTED);
            self.departed.push_front((now, index.clone(), user));
            self.last_change = LastChange::Deleted(index);
        }
        Ok(())
    }

    /// What must go before the user can, in the order in which IAM names it.
    fn blocker(&self, user: &User) -> Option<&'static str> {
        let live = user.key_ids.iter().filter_map(|id| self.keys.get(id)).any(|key| key.state().is_live());
        [
            (user.login_profile.is_some(), "delete login profile"),
            (live, "delete access keys"),
            (!user.inline.is_empty(), "delete policies"),
            (!user.attached.is_empty(), "detach all policies"),
            (!user.groups.is_empty(), "remove users from group"),
        ]
        .into_iter()
        .find_map(|(blocks, what)| blocks.then_some(what))
    }

    /// `ListUsers`: neither tags nor boundary are part of it, which is the caller's matter.
    pub fn list_users(
        &self,
        prefix: Option<&str>,
        page: &Page,
        view: View,
    ) -> Result<Paged<&User>, ApiError> {
        let prefix = prefix.unwrap_or("/");
        let ghosts = self.ghosts(view);
        let start = page.start().unwrap_or_default().to_owned();
        let living = self.users.range(start..).filter(|(index, user)| self.listed(index, user, view));
        let cap = self.settings.page_cap;
        if ghosts.is_empty() {
            return page.cut(living.filter(|(_, user)| user.path.starts_with(prefix)), cap);
        }
        let mut all: BTreeMap<&String, &User> = ghosts;
        all.extend(living);
        page.cut(all.into_iter().filter(|(_, user)| user.path.starts_with(prefix)), cap)
    }

    /// Whether a living user shows in a list.
    fn listed(&self, index: &str, user: &User, view: View) -> bool {
        let missed = view.stale && matches!(&self.last_change, LastChange::Created(last) if last == index);
        !missed && user.created <= clock::before(view.now, self.settings.list_delay)
    }

    /// Deleted users that a lagging or stale list still shows.
    fn ghosts(&self, view: View) -> BTreeMap<&String, &User> {
        let cutoff = clock::before(view.now, self.settings.list_delay);
        let missed = |index: &String| {
            view.stale && matches!(&self.last_change, LastChange::Deleted(last) if last == index)
        };
        let shown = |at: &Timestamp, index: &String| *at > cutoff || missed(index);
        // Oldest first, so that the latest bearer of a name wins.
        let departed = self.departed.iter().rev().filter(|(at, index, _)| shown(at, index));
        departed.map(|(_, index, user)| (index, user)).collect()
    }

    /// `TagUser`: replaces tags whose keys match ignoring case, adds the others.
    pub fn tag_user(&mut self, name: &str, tags: Vec<Tag>, now: Timestamp) -> Result<(), ApiError> {
        names::tags(&tags)?;
        let user = self.user_mut(name, now)?;
        let mut merged = user.tags.clone();
        merged.retain(|old| !tags.iter().any(|new| new.key.to_lowercase() == old.key.to_lowercase()));
        merged.extend(tags);
        names::tag_count(&merged)?;
        user.tags = merged;
        Ok(())
    }

    /// `UntagUser`. Unknown keys are no error.
    pub fn untag_user(&mut self, name: &str, keys: &[String], now: Timestamp) -> Result<(), ApiError> {
        let gone: Vec<String> = keys.iter().map(|key| key.to_lowercase()).collect();
        self.user_mut(name, now)?.tags.retain(|tag| !gone.contains(&tag.key.to_lowercase()));
        Ok(())
    }

    /// `ListUserTags`, in the order of keys.
    pub fn list_user_tags(&self, name: &str, page: &Page, now: Timestamp) -> Result<Paged<Tag>, ApiError> {
        let mut tags = self.user(name, now)?.tags.clone();
        tags.sort_by(|a, b| a.key.cmp(&b.key));
        page.cut(tags.into_iter().map(|tag| (tag.key.clone(), tag)), self.settings.page_cap)
    }

    /// `GetAccountSummary`, as far as the double has the things counted.
    pub fn summary(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("Users", self.users.len()),
            ("UsersQuota", USERS),
            ("Groups", self.groups.len()),
            ("AccessKeysPerUserQuota", super::keys::KEYS_PER_USER),
            ("UserPolicySizeQuota", super::policies::INLINE_SIZE),
            ("AttachedPoliciesPerUserQuota", super::policies::ATTACHED),
            ("GroupsPerUserQuota", super::membership::GROUPS_PER_USER),
        ]
    }
}
