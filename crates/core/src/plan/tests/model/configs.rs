//! The worlds that are searched: where they start, who acts, and how often what may go wrong.

use super::actions::{Action, Deed};
use super::alone::DAY;
use super::search::{Report, Search};
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
        (model.quota, model.only) = (self.quota, only.to_vec());
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
        search.cap = 4_000_000;
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

use Kind::{Crash, Late, Pass, ReplyLost, RequestLost, StaleCache, StaleList, Tick};

/// One operator, beside which there is none.
const ONE: Config = Config { operators: 1, ..CONFIG };
/// A rotation that is due.
const DUE: Config = Config { deeds: &[Deed::Rotate], ..CONFIG };

/// The worlds of the ordinary test run.
pub const SMALL: &[Config] = &[
    Config {
        name: "provision, crash, lost reply",
        start: Start::Nothing,
        budgets: &[(Pass, 3), (Crash, 1), (ReplyLost, 1)],
        ..CONFIG
    },
    Config {
        name: "provision, late",
        start: Start::Nothing,
        budgets: &[(Pass, 3), (Late, 1), (Tick, 1)],
        ticks: &[LATE],
        ..CONFIG
    },
    Config { name: "rotation, crash", budgets: &[(Pass, 4), (Crash, 1)], ..DUE },
    Config {
        name: "rotation, lost reply",
        budgets: &[(Pass, 3), (ReplyLost, 1), (Tick, 1)],
        ticks: &[OLD],
        ..DUE
    },
    Config { name: "rotation, late", budgets: &[(Pass, 3), (Late, 1), (Tick, 1)], ticks: &[OLD], ..DUE },
    Config {
        name: "rotation, lost request, label",
        budgets: &[(Pass, 3), (RequestLost, 1), (Kind::Label, 1)],
        ..DUE
    },
    Config {
        name: "rotation, stale list and cache",
        budgets: &[(Pass, 3), (StaleList, 1), (StaleCache, 1), (Crash, 1)],
        ..DUE
    },
    Config {
        name: "two rotations",
        start: Start::Rotated,
        deeds: &[Deed::Rotate],
        budgets: &[(Pass, 3), (Kind::Rotate, 1), (Tick, 2), (Crash, 1)],
        ticks: &[DAY],
        ..CONFIG
    },
    Config {
        name: "retirement, crash, lost reply",
        start: Start::Rotated,
        budgets: &[(Pass, 4), (Crash, 1), (ReplyLost, 1), (Tick, 2)],
        ticks: &[DAY],
        ..CONFIG
    },
    Config {
        name: "Secret deleted",
        budgets: &[(Pass, 3), (Kind::DeleteSecret, 1), (Crash, 1), (Tick, 1)],
        ticks: &[LATE],
        ..DUE
    },
    Config {
        name: "Secret deleted in an overlap",
        start: Start::Rotated,
        budgets: &[(Pass, 3), (Kind::DeleteSecret, 1), (ReplyLost, 1)],
        ..CONFIG
    },
    Config {
        name: "password edited, stale cache",
        budgets: &[(Pass, 3), (Kind::EditPassword, 1), (StaleCache, 1), (Crash, 1)],
        ..CONFIG
    },
    Config {
        name: "password edited in an overlap",
        start: Start::Rotated,
        budgets: &[(Pass, 3), (Kind::EditPassword, 1), (ReplyLost, 1), (Tick, 1)],
        ticks: &[DAY],
        ..CONFIG
    },
    Config {
        name: "record stripped",
        start: Start::Rotated,
        budgets: &[(Pass, 3), (Kind::Strip, 1), (Crash, 1), (Tick, 1)],
        ticks: &[DAY],
        ..CONFIG
    },
    Config {
        name: "record stripped in a rotation",
        budgets: &[(Pass, 3), (Kind::Strip, 1), (ReplyLost, 1)],
        ..DUE
    },
    Config {
        name: "published key deleted",
        budgets: &[(Pass, 3), (Kind::DeletePublished, 1), (Crash, 1), (ReplyLost, 1)],
        ..DUE
    },
    Config {
        name: "published key Inactive",
        start: Start::Rotated,
        budgets: &[(Pass, 3), (Kind::Inactivate, 1), (Crash, 1), (Tick, 1)],
        ticks: &[DAY],
        ..CONFIG
    },
    Config {
        name: "old Secret put back",
        budgets: &[(Pass, 3), (Kind::PutBack, 1), (Crash, 1), (Tick, 1)],
        ticks: &[OLD],
        ..DUE
    },
    Config {
        name: "object deleted, stale view",
        budgets: &[(Pass, 3), (Kind::DeleteObject, 1), (StaleCache, 1), (Crash, 1)],
        ..DUE
    },
    Config {
        name: "object and user deleted",
        budgets: &[(Pass, 3), (Kind::DeleteObject, 1), (Kind::DeleteUser, 1), (ReplyLost, 1)],
        ..DUE
    },
    Config {
        name: "user deleted and made by hand",
        budgets: &[(Pass, 3), (Kind::DeleteUser, 1), (Kind::RecreateUser, 1), (Crash, 1)],
        ..DUE
    },
    Config {
        name: "foreign user planted",
        budgets: &[(Pass, 3), (Kind::DeleteUser, 1), (Kind::PlantUser, 1), (Kind::DeleteObject, 1)],
        ..DUE
    },
    Config { name: "three operators", operators: 3, budgets: &[(Pass, 3), (Tick, 1)], ticks: &[OLD], ..DUE },
    Config {
        name: "one operator without IAM's quota",
        quota: false,
        budgets: &[(Pass, 5), (Kind::Rotate, 1), (ReplyLost, 2), (Crash, 1), (StaleList, 1), (Tick, 1)],
        ticks: &[OLD],
        ..ONE_DUE
    },
];

const ONE_DUE: Config = Config { deeds: &[Deed::Rotate], ..ONE };
