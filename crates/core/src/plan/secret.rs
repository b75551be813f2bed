//! Whose the target Secret is, and when it has to be read live.

use crate::names::{LABEL_CREDENTIAL, record};
use crate::reason::Reason;
use crate::secret::{Controller, SecretFacts};
use crate::step::Step;
use crate::world::SecretView;

use super::view::View;
use super::{blocked, repair, retire, wait};

/// A Secret that the cache doesn't show is looked for live: the cache holds only ours, and may lag.
pub fn looked_at(view: &View) -> Option<Step> {
    matches!(view.world.secret, SecretView::Unlooked).then_some(Step::ReadSecret)
}

/// A Secret that isn't ours ends the pass before anything is done in AWS (S4, S7).
pub fn not_foreign(view: &View) -> Option<Step> {
    let facts = view.secret()?;
    let owner = &view.desired.identity.owner;
    match &facts.controller {
        Controller::Credential { uid, .. } if *uid == owner.uid => being_deleted(view, facts),
        Controller::Credential { name, .. } if *name == owner.name => Some(wait(
            Reason::Provisioning,
            None,
            format!(
                "Secret {} belongs to a deleted object of this name and is being collected: it is made again afterwards",
                view.desired.identity.secret_path()
            ),
        )),
        Controller::Nobody => unowned(view, facts),
        Controller::Credential { name, .. } => Some(foreign(view, &format!("SesSmtpCredential {name}"))),
        Controller::Other { kind, name } => Some(foreign(view, &format!("{kind} {name}"))),
    }
}

fn being_deleted(view: &View, facts: &SecretFacts) -> Option<Step> {
    let message = || {
        format!(
            "Secret {} is being deleted: it is made again afterwards",
            view.desired.identity.secret_path()
        )
    };
    facts.deleting.then(|| wait(Reason::Provisioning, None, message()))
}

/// Only the owner reference was removed: given back if the record names this object and the
/// password is confirmed by its digest; anything less could be somebody else's Secret, unless a
/// person who may edit it says that it may be taken over, such as one restored from a backup.
fn unowned(view: &View, facts: &SecretFacts) -> Option<Step> {
    let names_us = facts.record.uid.as_ref() == Some(&view.desired.identity.owner.uid);
    if !names_us && !facts.record.adopt {
        return Some(foreign(view, "nobody"));
    }
    if facts.content.is_none() {
        return Some(Step::ReadSecret);
    }
    if facts.record.adopt {
        return None;
    }
    let confirmed = facts.record.password_digests.values().any(|digest| facts.holds(digest) == Some(true));
    (!confirmed).then(|| foreign(view, "nobody"))
}

fn foreign(view: &View, controller: &str) -> Step {
    let owned = view.secret().is_some_and(|facts| facts.controller != Controller::Nobody);
    // The way out for a Secret without an owner.
    let adopt = if owned {
        String::new()
    } else {
        format!(
            ", or let this object take it over and replace its credential: annotate it with {}={}",
            record::ADOPT,
            record::YES
        )
    };
    let message = format!(
        "Secret {} exists and is controlled by {controller}: it is left untouched and nothing is done in AWS. \
         Delete it, or give this object another spec.secret.name{adopt}",
        view.desired.identity.secret_path()
    );
    blocked(Reason::SecretNotOwned, message)
}

/// A pass that will change the Secret, or that has reason to doubt it, reads it live and whole.
pub fn read_live(view: &View) -> Option<Step> {
    let facts = view.secret()?;
    let needed = !view.is_believed()
        || view.need().is_some()
        || view.world.memo.is_dirty()
        || repair::is_due(view)
        || retire::is_due(view)
        || !facts.labels.contains_key(LABEL_CREDENTIAL);
    (facts.content.is_none() && needed).then_some(Step::ReadSecret)
}

/// An immutable Secret takes a fence but not the data, so it is found out before a key is made.
pub fn changeable(view: &View) -> Option<Step> {
    let immutable = view.live()?.content.as_ref()?.immutable;
    let message = || {
        format!(
            "Secret {} is immutable, so neither key nor host can be changed: delete it, it is made again with a new key",
            view.desired.identity.secret_path()
        )
    };
    immutable.then(|| blocked(Reason::SecretImmutable, message()))
}
