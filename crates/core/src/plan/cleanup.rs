//! What an attempt that did not end well left behind: keys that nobody uses, and its nonce.

use k8s_openapi::jiff::Timestamp;

use crate::record::Record;
use crate::step::{SecretWrite, Step};
use crate::time::after;

use super::mutant::{Mutant, is};
use super::view::View;
use super::{attempt, keys};

/// Looks for leftovers where there is a trace of one, and removes them behind a fence.
pub fn leftovers(view: &View) -> Option<Step> {
    let traced = view.recorded(|record| record.attempt.as_ref()).is_some() || is_suspect(view);
    if !traced {
        return None;
    }
    attempt::fenced_first(view)
        .or_else(|| keys::listed(view))
        .or_else(|| removed(view))
        .or_else(|| untraced(view))
}

/// A trace in memory is followed until a list taken late enough after it shows nothing.
fn is_suspect(view: &View) -> bool {
    view.world.memo.is_dirty() && !was_looked_for(view)
}

/// True if this pass listed the keys and found nothing, but it is too early to be sure.
fn was_looked_for(view: &View) -> bool {
    let looked = view.keys().is_some() && keys::orphans(view).is_empty();
    looked && settled_at(view).is_some_and(|at| view.now < at)
}

/// When an unclear outcome can no longer have a late effect.
fn settled_at(view: &View) -> Option<Timestamp> {
    let unclear = view.world.memo.unclear?;
    Some(after(unclear, view.desired.identity.durations.unseen_key_age))
}

fn removed(view: &View) -> Option<Step> {
    let orphans = keys::orphans(view);
    let orphan = orphans.first()?;
    if view.world.attempt.fence.is_some() || is(Mutant::NoFence) {
        return keys::listed_again(view).or_else(|| Some(Step::DeleteKey(orphan.id.clone())));
    }
    keys::old_enough(view, None).or_else(|| Some(attempt::fence(view)))
}

fn untraced(view: &View) -> Option<Step> {
    let facts = view.secret()?;
    if facts.record.attempt.is_some() {
        let record = Record { attempt: None, found_keys: Vec::new(), ..facts.record.clone() };
        return Some(Step::WriteSecret(SecretWrite::Annotate(record)));
    }
    (view.world.memo.is_dirty() && !was_looked_for(view)).then_some(Step::Forget)
}

/// When a trace in memory is to be followed again.
pub fn due_at(view: &View) -> Option<Timestamp> {
    view.world.memo.is_dirty().then(|| settled_at(view)).flatten()
}
