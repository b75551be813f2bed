//! What may happen next in a state.

use super::state::{Kind, Late, Seconds, State};
use super::turn::{Model, SETTLE};
use crate::step::Step;

/// What befalls a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    ReplyLost,
    RequestLost,
    /// No reply, and the effect comes up to a minute later.
    Late,
    /// A list from before the last change.
    Stale,
}

/// What the cache shows a pass that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    Fresh,
    Nothing,
    /// The Secret before its last change.
    Stale,
    /// The Secret as it is, and an object that is not being deleted yet.
    Unaware,
}

/// What a person or another program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Rotate,
    Label,
    DeleteSecret,
    EditPassword,
    Strip,
    PutBack,
    DeletePublished,
    Inactivate,
    DeleteUser,
    RecreateUser,
    PlantUser,
    DeleteObject,
}

/// One action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Begin(usize, Cache),
    Step(usize, Fault),
    /// A crash after a step is this: what the process knew is gone either way.
    Crash(usize),
    /// A late call has its effect.
    Land(usize),
    /// So many seconds pass.
    Tick(Seconds),
    /// Time passes to the end of the next pause.
    Resume(Seconds),
    Person(Deed),
}

const DEEDS: [(Kind, Deed); 12] = [
    (Kind::Rotate, Deed::Rotate),
    (Kind::Label, Deed::Label),
    (Kind::DeleteSecret, Deed::DeleteSecret),
    (Kind::EditPassword, Deed::EditPassword),
    (Kind::Strip, Deed::Strip),
    (Kind::PutBack, Deed::PutBack),
    (Kind::DeletePublished, Deed::DeletePublished),
    (Kind::Inactivate, Deed::Inactivate),
    (Kind::DeleteUser, Deed::DeleteUser),
    (Kind::RecreateUser, Deed::RecreateUser),
    (Kind::PlantUser, Deed::PlantUser),
    (Kind::DeleteObject, Deed::DeleteObject),
];

impl Deed {
    pub fn kind(self) -> Kind {
        DEEDS.iter().find(|(_, deed)| *deed == self).unwrap().0
    }
}

impl Model {
    /// Everything that may happen next.
    pub fn actions(&mut self, state: &State, ticks: &[Seconds]) -> Vec<Action> {
        let mut actions = Vec::new();
        for who in 0..state.operators.len() {
            self.of_operator(state, who, &mut actions);
        }
        actions.extend((0..state.late.len()).map(Action::Land));
        actions.extend(passing(state, ticks));
        let deeds = DEEDS.iter().filter(|(kind, deed)| state.left(*kind) > 0 && self.can(state, *deed));
        actions.extend(deeds.map(|(_, deed)| Action::Person(*deed)));
        actions
    }

    fn of_operator(&mut self, state: &State, who: usize, actions: &mut Vec<Action>) {
        let operator = state.operators[who];
        if state.left(Kind::Crash) > 0 && (operator.pass.is_some() || operator.memo != 0) {
            actions.push(Action::Crash(who));
        }
        let Some(pass) = operator.pass else {
            let most = if state.left(Kind::Pass) > 0 { usize::MAX } else { 0 };
            actions.extend(caches(state).into_iter().take(most).map(|cache| Action::Begin(who, cache)));
            return;
        };
        if pass.until > state.now {
            return;
        }
        let step = self.tables.next(pass.world, pass.goal, state.now);
        let faults = faults(state, self.tables.steps.get(step));
        actions.extend(faults.into_iter().map(|fault| Action::Step(who, fault)));
    }
}

fn caches(state: &State) -> Vec<Cache> {
    let mut caches = vec![Cache::Fresh];
    if state.left(Kind::StaleCache) > 0 {
        caches.extend(state.secret.map(|_| Cache::Nothing));
        caches.extend(state.ghost.teardown.then_some(Cache::Unaware));
        caches.extend(state.older.flatten().filter(|old| Some(*old) != state.secret).map(|_| Cache::Stale));
    }
    caches
}

fn faults(state: &State, step: &Step) -> Vec<Fault> {
    let mut faults = vec![Fault::None];
    let reads = matches!(step, Step::ReadSecret | Step::ReadUser | Step::ListKeys | Step::ReadLastUsed(_));
    let local = matches!(step, Step::Pause { .. } | Step::Forget | Step::End(_));
    if !reads && !local {
        faults.extend((state.left(Kind::ReplyLost) > 0).then_some(Fault::ReplyLost));
        faults.extend((state.left(Kind::RequestLost) > 0).then_some(Fault::RequestLost));
        let late = matches!(step, Step::MintKey | Step::DeleteKey(_) | Step::WriteSecret(_));
        faults.extend((late && state.left(Kind::Late) > 0).then_some(Fault::Late));
    }
    let fresh = |(_, at): &(_, Seconds)| state.now < at + SETTLE;
    let lags = *step == Step::ListKeys && state.account.before.as_ref().is_some_and(fresh);
    faults.extend((lags && state.left(Kind::StaleList) > 0).then_some(Fault::Stale));
    faults
}

/// Time may pass unless a call on its way has to land first.
fn passing(state: &State, ticks: &[Seconds]) -> Vec<Action> {
    let latest = state.late.iter().map(|Late { by, .. }| *by).min().unwrap_or(Seconds::MAX);
    let pauses = state.operators.iter().filter_map(|operator| operator.pass).map(|pass| pass.until);
    let resume = pauses.filter(|until| *until > state.now).min().filter(|until| *until <= latest);
    let ticks = ticks.iter().filter(|by| state.left(Kind::Tick) > 0 && state.now + **by <= latest);
    ticks.map(|by| Action::Tick(*by)).chain(resume.map(Action::Resume)).collect()
}
