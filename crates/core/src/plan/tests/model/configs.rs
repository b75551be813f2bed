//! What a world to search is: where it starts, who acts, and how often what may go wrong.

use super::actions::{Action, Deed};
use super::search::{Report, Search};
use super::state::Kind::{Crash, Pass, ReplyLost};
use super::state::{Account, Ghost, KINDS, Kind, Operator, Seconds, State};
use super::turn::Model;
use super::verdict::Rule;

/// What stands at the start.
#[derive(Clone, Copy)]
pub enum Start {
    Nothing,
    /// One published key, an hour old.
    Provisioned,
    /// Two keys, an hour into the overlap.
    Rotated,
}

/// A world to search.
#[derive(Clone, Copy)]
pub struct Config {
    pub name: &'static str,
    pub start: Start,
    /// What people did right before.
    pub deeds: &'static [Deed],
    pub operators: usize,
    pub quota: bool,
    pub budgets: &'static [(Kind, u8)],
    pub ticks: &'static [Seconds],
    pub cap: usize,
    pub alone: usize,
}

impl Config {
    pub fn search(&self, only: &[Rule]) -> Search {
        let mut model = Model::new();
        let start = self.start(&mut model);
        (model.quota, model.raced, model.only) = (self.quota, self.operators > 1, only.to_vec());
        let mut search = Search::new(model, start);
        search.ticks = self.ticks.to_vec();
        (search.cap, search.alone) = (self.cap, self.alone);
        search
    }

    pub fn run(&self) -> Report {
        self.search(&[]).run()
    }

    /// The same world with one more pass, crash and lost reply.
    pub fn run_at_length(&self) -> Report {
        let mut search = self.search(&[]);
        for kind in [Pass, Crash, ReplyLost] {
            search.start.left[kind as usize] += 1;
        }
        search.cap = 1_500_000;
        search.run()
    }

    fn start(&self, model: &mut Model) -> State {
        let mut state = self.start.state(model);
        model.backup = state.secret;
        for deed in self.deeds {
            state.left = [1; KINDS];
            let mut turn = model.turn(state);
            turn.take(Action::Person(*deed));
            state = turn.state;
        }
        state.left = [0; KINDS];
        for (kind, count) in self.budgets {
            state.left[*kind as usize] = *count;
        }
        (state.older, state.account.before) = (None, None);
        state.operators = vec![Operator { memo: 0, pass: None }; self.operators];
        state
    }
}

impl Start {
    fn state(self, model: &mut Model) -> State {
        let nothing = State {
            now: 0,
            spec: 0,
            finalizer: false,
            account: Account::default(),
            secret: None,
            older: None,
            operators: vec![Operator { memo: 0, pass: None }],
            late: Vec::new(),
            left: [0; KINDS],
            ghost: Ghost::default(),
        };
        match self {
            Self::Nothing => nothing,
            Self::Provisioned => an_hour_after_a_pass(model, nothing),
            Self::Rotated => {
                let state = an_hour_after_a_pass(model, nothing);
                an_hour_after_a_pass(model, State { spec: 1, ..state })
            }
        }
    }
}

fn an_hour_after_a_pass(model: &mut Model, state: State) -> State {
    let mut turn = model.turn(state);
    turn.one_pass();
    assert!(turn.broken.is_none(), "{:?}", turn.broken);
    State { now: turn.state.now + 3600, operators: vec![Operator { memo: 0, pass: None }], ..turn.state }
}

/// Enough for a key to be old enough.
pub const OLD: Seconds = 120;
/// Enough for a key to be too old to be published.
pub const LATE: Seconds = 31;

/// Two operators on a provisioned credential.
pub const CONFIG: Config = Config {
    name: "",
    start: Start::Provisioned,
    deeds: &[],
    operators: 2,
    quota: true,
    budgets: &[],
    ticks: &[],
    cap: 400_000,
    alone: 24,
};
