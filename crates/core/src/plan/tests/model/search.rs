//! Breadth first through all schedules: the first broken invariant has the shortest trace.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use super::actions::{Action, Fault};
use super::intern::{QuickBuild, fingerprint};
use super::state::{Seconds, State};
use super::turn::Model;
use super::verdict::Broken;
use crate::plan::tests::process::word;

/// What is searched.
pub struct Search {
    pub model: Model,
    pub start: State,
    pub ticks: Vec<Seconds>,
    /// States at which it stops.
    pub cap: usize,
    /// Of how many distinct situations one is given to a fresh operator alone; 0 for none.
    pub alone: usize,
    seen: HashSet<u128, QuickBuild>,
    /// Where each state came from.
    parents: Vec<(u32, Action)>,
    situations: HashSet<u128, QuickBuild>,
    taken: usize,
}

/// What was found.
pub struct Report {
    pub states: usize,
    pub depth: usize,
    pub took: Duration,
    pub exhausted: bool,
    /// Situations that a fresh operator was given.
    pub situations: usize,
    pub broken: Option<(Broken, Vec<String>)>,
    /// Actions taken.
    pub taken: usize,
    /// Distinct decisions asked for.
    pub decisions: usize,
}

/// A state that waits to be expanded.
struct Open {
    index: u32,
    depth: usize,
    state: State,
}

impl Search {
    pub fn new(model: Model, start: State) -> Self {
        Self {
            model,
            start,
            ticks: Vec::new(),
            cap: usize::MAX,
            alone: 0,
            seen: HashSet::default(),
            parents: Vec::new(),
            situations: HashSet::default(),
            taken: 0,
        }
    }

    pub fn run(&mut self) -> Report {
        let began = Instant::now();
        let mut open = VecDeque::new();
        self.seen.insert(self.start.fingerprint());
        self.parents.push((0, Action::Tick(0)));
        open.push_back(Open { index: 0, depth: 0, state: self.start.clone() });
        let (mut depth, mut broken) = (0, None);
        while let Some(next) = open.pop_front() {
            depth = next.depth;
            broken = self.expand(&next, &mut open);
            if broken.is_some() || self.seen.len() >= self.cap {
                open.push_back(next);
                break;
            }
        }
        Report {
            states: self.seen.len(),
            depth,
            took: began.elapsed(),
            exhausted: open.is_empty(),
            situations: self.situations.len(),
            broken,
            taken: self.taken,
            decisions: self.model.tables.decisions(),
        }
    }

    fn expand(&mut self, from: &Open, open: &mut VecDeque<Open>) -> Option<(Broken, Vec<String>)> {
        for action in self.model.actions(&from.state, &self.ticks) {
            let mut turn = self.model.turn(from.state.clone());
            turn.take(action);
            self.taken += 1;
            let idle = turn.ended.is_some();
            let (state, broken) = (turn.state, turn.broken);
            // A pass that found nothing to do.
            let idle = idle && matches!(action, Action::Begin(..)) && state.operators == from.state.operators;
            if idle && broken.is_none() {
                continue;
            }
            if !self.seen.insert(state.fingerprint()) && broken.is_none() {
                continue;
            }
            let index = u32::try_from(self.parents.len()).unwrap();
            self.parents.push((from.index, action));
            if let Some(broken) = broken.or_else(|| self.alone(&state)) {
                return Some((broken, self.trace(index)));
            }
            open.push_back(Open { index, depth: from.depth + 1, state });
        }
        None
    }

    /// Gives the situation outside the operators to a fresh one.
    fn alone(&mut self, state: &State) -> Option<Broken> {
        if self.alone == 0 {
            return None;
        }
        let outside = (state.now, state.spec, state.finalizer, &state.account, state.secret, &state.late);
        let new = self.situations.insert(fingerprint(&(outside, &state.ghost)));
        let due = new && self.situations.len().is_multiple_of(self.alone);
        if due { self.model.judge_alone(state) } else { None }
    }

    fn trace(&mut self, mut index: u32) -> Vec<String> {
        let mut actions = Vec::new();
        while index != 0 {
            let (parent, action) = self.parents[index as usize];
            actions.push(action);
            index = parent;
        }
        let mut state = self.start.clone();
        let mut lines = Vec::new();
        for action in actions.into_iter().rev() {
            lines.push(self.model.line(&state, action));
            let mut turn = self.model.turn(state);
            turn.take(action);
            state = turn.state;
        }
        lines
    }
}

impl Model {
    /// An action in words.
    fn line(&mut self, state: &State, action: Action) -> String {
        match action {
            Action::Step(who, fault) => {
                let pass = state.operators[who].pass.unwrap();
                let id = self.tables.next(pass.world, pass.goal, state.now);
                let step = word(self.tables.steps.get(id));
                let fault = if fault == Fault::None { String::new() } else { format!(" {fault:?}") };
                format!("{:>6}  {} {step}{fault}", state.now, name(who))
            }
            Action::Begin(who, cache) => format!("{:>6}  {} begins, cache {cache:?}", state.now, name(who)),
            Action::Crash(who) => format!("{:>6}  {} crashes", state.now, name(who)),
            Action::Land(index) => format!("{:>6}  lands: {:?}", state.now, state.late[index].call),
            other => format!("{:>6}  {other:?}", state.now),
        }
    }
}

fn name(who: usize) -> char {
    char::from(b'A' + u8::try_from(who).unwrap())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.exhausted { "exhausted" } else { "cut" };
        let (states, depth, took) = (self.states, self.depth, self.took.as_secs_f64());
        write!(
            f,
            "{states:>9} states, depth {depth:>3}, {took:>6.1} s, {whole}, {} alone, {} actions, {} decisions",
            self.situations, self.taken, self.decisions
        )?;
        let Some((broken, trace)) = &self.broken else { return Ok(()) };
        write!(f, "\n  {:?}: {} after {} actions", broken.rule, broken.how, trace.len())?;
        trace.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}
