//! What a fresh operator makes of a state when nothing goes wrong any more.

use super::actions::{Action, Cache, Fault};
use super::state::{KINDS, Kind, Operator, Seconds, State};
use super::tables::seconds;
use super::turn::{Model, Turn};
use super::verdict::Broken;
use crate::plan::tests::model::verdict::Rule;
use crate::reason::Reason;
use crate::step::End;

/// Passes that it may take to the end of life of every key, settling and waiting included.
const PASSES: usize = 60;

impl Model {
    /// The state after one operator alone has done all there was to do, or what it broke.
    pub fn settled(&mut self, state: &State) -> Result<State, Broken> {
        let mut turn = self.turn(State {
            operators: vec![Operator { memo: 0, pass: None }],
            left: [0; KINDS],
            ..state.clone()
        });
        while !turn.state.late.is_empty() {
            turn.land(0);
            turn.look();
        }
        turn.run();
        match turn.broken {
            Some(broken) => Err(broken),
            None => Ok(turn.state),
        }
    }

    /// Demands that one operator alone gets to the goal.
    pub fn judge_alone(&mut self, state: &State) -> Option<Broken> {
        let later = State { now: state.now + 120, ..state.clone() };
        match self.settled(&later) {
            Err(broken) => Some(broken),
            Ok(end) => {
                let mut turn = self.turn(end);
                turn.judge_goal();
                turn.broken
            }
        }
    }
}

impl Turn<'_> {
    fn run(&mut self) {
        for _ in 0..PASSES {
            self.one_pass();
            let next = match &self.ended {
                _ if self.broken.is_some() => return,
                Some(End::Done { wake_at: None }) => return,
                Some(End::Blocked { reason, .. }) if is_final(*reason) => return,
                Some(End::Done { wake_at: Some(at) } | End::Wait { until: Some(at), .. }) => seconds(*at),
                _ => self.state.now + 30,
            };
            self.state.now = next.max(self.state.now + 1);
        }
    }

    /// One pass from its beginning to its end.
    pub fn one_pass(&mut self) {
        self.state.left[Kind::Pass as usize] = 1;
        self.take(Action::Begin(0, Cache::Fresh));
        while let Some(pass) = self.state.operators[0].pass {
            let paused = pass.until > self.state.now;
            self.take(if paused { Action::Resume(pass.until) } else { Action::Step(0, Fault::None) });
        }
    }

    fn judge_goal(&mut self) {
        let reached = self.is_whole() || self.is_gone() || self.is_stuck_for_a_reason();
        let how = || "a fresh operator alone doesn't get to the goal";
        self.demand(Rule::Goal, reached, || how().to_owned());
    }

    /// One Active key that the Secret names with its password, nothing under way and nothing to do.
    fn is_whole(&self) -> bool {
        let Some(facts) = self.secret() else { return false };
        let record = &facts.record;
        self.works() && record.is_complete() && (&record.previous, &record.attempt) == (&Some(None), &None)
    }

    fn is_gone(&self) -> bool {
        self.state.ghost.teardown && !self.state.finalizer
    }

    /// A person has to act: a published key that was made Inactive by hand, a foreign user.
    fn is_stuck_for_a_reason(&self) -> bool {
        let inactive =
            self.named().and_then(|named| self.state.account.key(named)).is_some_and(|key| !key.active);
        let foreign = self.state.account.user.as_ref().is_some_and(|user| user.foreign);
        inactive || foreign
    }
}

fn is_final(reason: Reason) -> bool {
    matches!(reason, Reason::KeyDeactivated | Reason::UserNotOwned)
}

/// How many seconds a day has.
pub const DAY: Seconds = 24 * 3600;
