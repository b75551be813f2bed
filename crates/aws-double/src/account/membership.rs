//! Groups and console passwords: things the operator never makes, and which block a user's deletion.

use k8s_openapi::jiff::Timestamp;

use super::{Account, ApiError, Group, Page, Paged, names};

/// Groups per user.
pub(crate) const GROUPS_PER_USER: usize = 10;

impl Account {
    /// `CreateGroup`.
    pub fn create_group(
        &mut self,
        name: &str,
        path: Option<&str>,
        now: Timestamp,
    ) -> Result<&Group, ApiError> {
        let path = path.unwrap_or("/");
        names::name(name, "groupName")?;
        names::path(path)?;
        let index = name.to_lowercase();
        if self.groups.contains_key(&index) {
            return Err(ApiError::exists("Group", name));
        }
        let arn = self.arn("group", path, name);
        let id = self.rng.id("AGPA", 17);
        let group = Group { name: name.to_owned(), path: path.to_owned(), id, arn, created: now };
        Ok(self.groups.entry(index).or_insert(group))
    }

    fn group(&self, name: &str) -> Result<&Group, ApiError> {
        names::name(name, "groupName")?;
        let missing = || ApiError::no_such_entity(format!("The group with name {name} cannot be found."));
        self.groups.get(&name.to_lowercase()).ok_or_else(missing)
    }

    /// `AddUserToGroup`.
    pub fn add_user_to_group(&mut self, user: &str, group: &str, now: Timestamp) -> Result<(), ApiError> {
        let name = self.group(group)?.name.clone();
        let user = self.user_mut(user, now)?;
        if !user.groups.contains(&name) && user.groups.len() >= GROUPS_PER_USER {
            return Err(ApiError::quota("GroupsPerUser", GROUPS_PER_USER));
        }
        user.groups.insert(name);
        Ok(())
    }

    /// `RemoveUserFromGroup`.
    pub fn remove_user_from_group(
        &mut self,
        user: &str,
        group: &str,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let name = self.group(group)?.name.clone();
        self.user_mut(user, now)?.groups.remove(&name);
        Ok(())
    }

    /// `ListGroupsForUser`.
    pub fn list_groups_for_user(
        &self,
        user: &str,
        page: &Page,
        now: Timestamp,
    ) -> Result<Paged<Group>, ApiError> {
        let names = self.user(user, now)?.groups.iter();
        let groups = names.filter_map(|name| self.groups.get(&name.to_lowercase()));
        page.cut(groups.map(|group| (group.name.as_str(), group.clone())), self.settings.page_cap)
    }

    /// `CreateLoginProfile`. The password is not kept.
    pub fn create_login_profile(&mut self, user: &str, now: Timestamp) -> Result<(), ApiError> {
        let user = self.user_mut(user, now)?;
        if user.login_profile.is_some() {
            let text = format!("Login Profile for user {} already exists.", user.name);
            return Err(ApiError::new(409, "EntityAlreadyExists", text));
        }
        user.login_profile = Some(now);
        Ok(())
    }

    /// `DeleteLoginProfile`.
    pub fn delete_login_profile(&mut self, user: &str, now: Timestamp) -> Result<(), ApiError> {
        let user = self.user_mut(user, now)?;
        let missing =
            || ApiError::no_such_entity(format!("Login Profile for User {} cannot be found.", user.name));
        user.login_profile.take().map(|_| ()).ok_or_else(missing)
    }
}
