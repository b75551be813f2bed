//! Changes that only people make: renaming and moving a user, and removing it with all it has.

use k8s_openapi::jiff::Timestamp;

use super::{Account, ApiError, KeyState, User, names};

impl Account {
    /// `UpdateUser`: another name or path. Id, tags, keys and policies stay; the ARN changes.
    pub fn update_user(
        &mut self,
        name: &str,
        new_name: Option<&str>,
        new_path: Option<&str>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let old = self.user(name, now)?.clone();
        let (name, path) = (new_name.unwrap_or(&old.name), new_path.unwrap_or(&old.path));
        names::new_user_name(name)?;
        names::path(path)?;
        let (from, to) = (old.name.to_lowercase(), name.to_lowercase());
        if from != to && self.users.contains_key(&to) {
            return Err(ApiError::exists("User", name));
        }
        self.users.remove(&from);
        self.hand_keys(&old.key_ids, name);
        let arn = self.arn("user", path, name);
        self.users.insert(to, User { arn, name: name.to_owned(), path: path.to_owned(), ..old });
        Ok(())
    }

    fn hand_keys(&mut self, ids: &[String], user: &str) {
        for id in ids {
            if let Some(key) = self.keys.get_mut(id) {
                user.clone_into(&mut key.user);
            }
        }
    }

    /// Removes a user with everything on it, as the console does.
    pub fn purge_user(&mut self, name: &str, now: Timestamp) -> Result<(), ApiError> {
        let name = self.user(name, now)?.name.clone();
        let live = self.keys_of(&name).filter(|key| key.state().is_live());
        for id in live.map(|key| key.id.clone()).collect::<Vec<_>>() {
            self.change_key(&id, KeyState::Deleted, now);
        }
        let user = self.user_mut(&name, now)?;
        user.inline.clear();
        user.attached.clear();
        user.groups.clear();
        user.login_profile = None;
        self.delete_user(&name, now)
    }
}
