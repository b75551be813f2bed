//! What people and other programs do to the Secret, the user and the object.

use super::actions::Deed;
use super::state::{KeyGhost, Named, State, User};
use super::turn::{Model, Turn};
use crate::record::Record;
use crate::secret::SecretFacts;

impl Model {
    /// True if the deed changes anything.
    pub fn can(&self, state: &State, deed: Deed) -> bool {
        let content = || self.tables.secrets.get(state.secret?).content.as_ref();
        let named = || content()?.names.as_ref().map(super::state::small);
        let key = || state.account.key(named()?);
        match deed {
            Deed::Label | Deed::DeleteSecret | Deed::Strip => state.secret.is_some(),
            Deed::EditPassword => named().is_some(),
            Deed::PutBack => self.backup.is_some() && state.secret != self.backup,
            Deed::DeletePublished => key().is_some(),
            Deed::Inactivate => key().is_some_and(|key| key.active),
            Deed::DeleteUser => state.account.user.is_some(),
            Deed::RecreateUser | Deed::PlantUser => state.account.user.is_none(),
            Deed::Rotate | Deed::DeleteObject => !state.ghost.teardown,
        }
    }
}

impl Turn<'_> {
    pub fn person(&mut self, deed: Deed) {
        self.spend(deed.kind());
        match deed {
            Deed::Rotate => self.state.spec += 1,
            Deed::Label => self.edit(|_| ()),
            Deed::DeleteSecret => self.delete_secret(),
            Deed::EditPassword => self.edit_password(),
            Deed::Strip => self.edit(|facts| facts.record = Record::default()),
            Deed::PutBack => self.put_back(),
            Deed::DeletePublished => self.end_published(|turn, named| drop(turn.delete_key(named))),
            Deed::Inactivate => self.end_published(|turn, named| {
                turn.change_keys(|keys| {
                    keys.iter_mut().filter(|key| key.number == named).for_each(|key| key.active = false);
                });
            }),
            Deed::DeleteUser => self.delete_user_by_hand(),
            Deed::RecreateUser => self.state.account.user = Some(User::default()),
            Deed::PlantUser => self.plant_user(),
            Deed::DeleteObject => self.state.ghost.teardown = true,
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut SecretFacts)) {
        let Some(mut facts) = self.secret().cloned() else { return };
        change(&mut facts);
        let edited = self.model.tables.secrets.put(facts);
        self.store(edited, None);
    }

    fn edit_password(&mut self) {
        self.state.ghost.lost = true;
        self.edit(|facts| {
            facts.touched = true;
            if let Some(content) = &mut facts.content {
                content.digests.insert("password".into(), "edited".into());
            }
        });
    }

    fn delete_secret(&mut self) {
        self.state.ghost.deleted = Some(self.state.now);
        self.state.ghost.lost = true;
        self.remember_secret();
        self.state.secret = None;
    }

    /// Nothing tells any more which keys were published since: the invariants don't speak of them.
    fn put_back(&mut self) {
        let Some(facts) = self.model.backup.map(|id| self.model.tables.secrets.get(id).clone()) else {
            return;
        };
        self.state.ghost.keys.iter_mut().for_each(|key| key.exempt |= key.named != Named::Never);
        let old = self.model.tables.secrets.put(SecretFacts { touched: true, ..facts });
        self.store(old, None);
    }

    fn end_published(&mut self, end: impl FnOnce(&mut Self, u8)) {
        let Some(named) = self.named() else { return };
        self.state.ghost.key(named).exempt = true;
        end(self, named);
    }

    fn plant_user(&mut self) {
        self.state.account.user = Some(User { foreign: true, ..User::default() });
        let passes = self.state.operators.iter_mut().filter_map(|operator| operator.pass.as_mut());
        passes.for_each(|pass| pass.proved = true);
    }

    fn delete_user_by_hand(&mut self) {
        self.state.account.user = None;
        self.state.account.before = None;
        let all = usize::from(self.state.account.made) + 1;
        self.state.ghost.keys.resize(all, KeyGhost::default());
        self.state.ghost.keys.iter_mut().for_each(|key| key.exempt = true);
    }
}
