//! One action on a state: an operator's step with whatever befalls it, a call that lands late, time.

use super::actions::{Action, Cache, Fault};
use super::intern::{Id, unused};
use super::state::{Call, Kind, Late, Operator, Pass, Seconds, State, small};
use super::tables::{Reply, TEARDOWN, Tables, seconds};
use super::verdict::{Broken, Rule};
use crate::plan::mutant::{Mutant, is};
use crate::step::{End, Step};

/// How long after its request a call may still have an effect: the API server ends requests then.
const LATE: Seconds = 60;
/// How old a list may be.
pub const SETTLE: Seconds = 15;

/// The rules of a configuration that the world keeps to.
pub struct Model {
    pub tables: Tables,
    /// IAM counts keys and refuses a third.
    pub quota: bool,
    /// More than one operator acts, or acted.
    pub raced: bool,
    /// The Secret that a person may put back.
    pub backup: Option<Id>,
    /// Invariants that are looked at; empty for all.
    pub only: Vec<Rule>,
}

/// A state on its way to the next.
pub struct Turn<'a> {
    pub model: &'a mut Model,
    pub state: State,
    pub broken: Option<Broken>,
    /// How the pass ended, if one did.
    pub ended: Option<End>,
}

impl Model {
    pub fn new() -> Self {
        let mut tables = Tables::new();
        // Number 0 is the memory of a process that has just started.
        tables.memos.put(crate::world::Memo::default());
        Self { tables, quota: true, raced: false, backup: None, only: Vec::new() }
    }

    pub fn turn(&mut self, state: State) -> Turn<'_> {
        Turn { model: self, state, broken: None, ended: None }
    }
}

impl Turn<'_> {
    pub fn take(&mut self, action: Action) {
        match action {
            Action::Begin(who, cache) => self.begin(who, cache),
            Action::Step(who, fault) => self.step(who, fault),
            Action::Crash(who) => self.crash(who),
            Action::Land(index) => self.land(index),
            Action::Tick(by) => self.tick(by),
            Action::Resume(at) => self.go_to(at),
            Action::Person(deed) => self.person(deed),
        }
        self.look();
    }

    pub fn spend(&mut self, kind: Kind) {
        self.state.left[kind as usize] -= 1;
    }

    pub fn pass(&self, who: usize) -> Pass {
        self.state.operators[who].pass.expect("no pass")
    }

    pub fn set_world(&mut self, who: usize, world: Id) {
        if let Some(pass) = &mut self.state.operators[who].pass {
            pass.world = world;
        }
    }

    fn begin(&mut self, who: usize, cache: Cache) {
        self.spend(Kind::Pass);
        let cached = match cache {
            Cache::Fresh | Cache::Unaware => self.state.secret,
            Cache::Nothing => None,
            Cache::Stale => self.state.older.flatten(),
        };
        if cache != Cache::Fresh {
            self.spend(Kind::StaleCache);
        }
        let tables = &mut self.model.tables;
        let nonce = unused(self.state.refs(tables).nonces);
        let (memo, now) = (self.state.operators[who].memo, self.state.now);
        let world = tables.begin((cached, memo, nonce, self.state.finalizer, now));
        let goal =
            if self.state.ghost.teardown && cache != Cache::Unaware { TEARDOWN } else { self.state.spec };
        self.state.operators[who] =
            Operator { memo: 0, pass: Some(Pass { world, goal, until: 0, proved: false }) };
        self.rest(who);
        self.read_at_once(who);
    }

    /// A pass that reads the Secret before anything else does so as it begins: what the cache showed
    /// it is forgotten then, but for a lag of the cache, which is a case of its own.
    fn read_at_once(&mut self, who: usize) {
        let Some(pass) = self.state.operators[who].pass else { return };
        let step = self.model.tables.next(pass.world, pass.goal, self.state.now);
        if **self.model.tables.steps.get(step) == Step::ReadSecret {
            self.step(who, Fault::None);
        }
    }

    fn crash(&mut self, who: usize) {
        self.spend(Kind::Crash);
        self.state.operators[who] = Operator { memo: 0, pass: None };
    }

    fn tick(&mut self, by: Seconds) {
        self.spend(Kind::Tick);
        self.go_to(self.state.now + by);
    }

    /// Whoever doesn't pause thinks again at the new time.
    pub fn go_to(&mut self, now: Seconds) {
        self.state.now = now;
        for who in 0..self.state.operators.len() {
            if self.state.operators[who].pass.is_some_and(|pass| pass.until <= now) {
                self.rest(who);
            }
        }
    }

    fn step(&mut self, who: usize, fault: Fault) {
        let pass = self.pass(who);
        let id = self.model.tables.next(pass.world, pass.goal, self.state.now);
        let step = self.model.tables.steps.get(id).clone();
        let reply = match fault {
            Fault::None => self.act(who, &step),
            Fault::ReplyLost => {
                self.spend(Kind::ReplyLost);
                self.lose_reply(who, &step)
            }
            Fault::RequestLost => {
                self.spend(Kind::RequestLost);
                unclear(&step)
            }
            Fault::Late => {
                self.spend(Kind::Late);
                self.postpone(who, &step);
                unclear(&step)
            }
            Fault::Stale => {
                self.spend(Kind::StaleList);
                let before = self.state.account.before.clone();
                Reply::Keys(before.map(|(keys, _)| keys).unwrap_or_default())
            }
        };
        self.fold(who, id, reply);
        self.rest(who);
    }

    /// A client that retries a mint by itself makes a second key and tells of that one (R5).
    fn lose_reply(&mut self, who: usize, step: &Step) -> Reply {
        let reply = self.act(who, step);
        let again =
            *step == Step::MintKey && is(Mutant::ClientRetriesMint) && matches!(reply, Reply::Minted(_));
        if again { self.act(who, step) } else { unclear(step) }
    }

    fn fold(&mut self, who: usize, step: Id, reply: Reply) {
        let (world, now) = (self.pass(who).world, self.state.now);
        let world = self.model.tables.after(world, step, reply, now);
        self.set_world(who, world);
    }

    /// Takes the steps that touch nothing outside: they could as well have been taken later.
    fn rest(&mut self, who: usize) {
        loop {
            let pass = self.pass(who);
            let id = self.model.tables.next(pass.world, pass.goal, self.state.now);
            let step = self.model.tables.steps.get(id).clone();
            match &*step {
                Step::Forget => self.fold(who, id, Reply::Done),
                Step::Pause { until, .. } => {
                    let until = seconds(*until);
                    self.state.operators[who].pass = Some(Pass { until, ..pass });
                    return;
                }
                Step::End(end) => return self.end(who, end.clone()),
                _ => {
                    self.state.operators[who].pass = Some(Pass { until: 0, ..pass });
                    return;
                }
            }
        }
    }

    fn end(&mut self, who: usize, end: End) {
        let memo = self.model.tables.memo_of(self.pass(who).world);
        self.state.operators[who] = Operator { memo, pass: None };
        self.ended = Some(end);
    }

    /// No reply, and the effect comes later.
    fn postpone(&mut self, who: usize, step: &Step) {
        let call = match step {
            Step::MintKey => Call::Mint,
            Step::DeleteKey(id) => {
                self.judge_user(who, step);
                self.judge_deletion(who, small(id));
                Call::Delete(small(id))
            }
            Step::WriteSecret(write) => Call::Write(self.built(who, write)),
            other => panic!("not to be late: {other:?}"),
        };
        self.state.late.push(Late { by: self.state.now + LATE, call });
    }

    pub fn land(&mut self, index: usize) {
        match self.state.late.remove(index).call {
            Call::Mint => drop(self.mint()),
            Call::Delete(number) => drop(self.delete_key(number)),
            Call::Write(write) => drop(self.write(&write)),
        }
    }
}

fn unclear(step: &Step) -> Reply {
    match step {
        Step::WriteSecret(_) | Step::AddFinalizer { .. } | Step::RemoveFinalizer => Reply::ClusterUnclear,
        _ => Reply::IamUnclear,
    }
}
