//! The real decisions, each asked for once: `plan::next` and `World::after` by numbered arguments.

use std::collections::HashMap;
use std::rc::Rc;

use k8s_openapi::jiff::Timestamp;

use super::intern::{Id, Interner, QuickBuild};
use super::state::{Key, Seconds, Write};
use crate::desired::{Desired, Goal};
use crate::iam::{Blocker, Failure, KeyList, KeyStatus, ListedKey, UserFacts};
use crate::names::tag;
use crate::plan::next;
use crate::plan::tests::sim::Sim;
use crate::secret::SecretFacts;
use crate::step::{Effect, Refusal, Step};
use crate::test;
use crate::world::{Memo, ObjectFacts, World};

/// What a call answered, small enough to look up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    Done,
    /// The Secret, whole.
    Secret(Id),
    /// The Secret's metadata.
    Metadata(Id),
    NoSecret,
    User {
        foreign: bool,
    },
    Keys(Vec<Key>),
    LastUsed(Option<Seconds>),
    Minted(u8),
    Exists,
    Absent,
    Limit,
    BlockedByKeys,
    BlockedByPolicy,
    IamUnclear,
    Conflict,
    SecretExists,
    SecretGone,
    ClusterUnclear,
}

/// Region of each successive spec: every change of it is a rotation that is due.
const REGIONS: [&str; 4] = ["eu-central-1", "us-east-1", "eu-west-1", "us-west-2"];
/// The goal of an object that is being deleted.
pub const TEARDOWN: u8 = 4;

/// A pass's first facts: Secret in the cache, memo, nonce, finalizer, time.
type Begun = (Option<Id>, Id, u32, bool, Seconds);

/// Everything that was ever decided.
pub struct Tables {
    goals: Vec<Goal>,
    pub worlds: Interner<World>,
    pub memos: Interner<Memo>,
    pub secrets: Interner<SecretFacts>,
    pub steps: Interner<Rc<Step>>,
    stored: HashMap<(Id, u32, Option<Seconds>), Id, QuickBuild>,
    /// What a pass sends, by its world, goal and time.
    pub built: HashMap<(Id, u8, Seconds), Write, QuickBuild>,
    begun: HashMap<Begun, Id, QuickBuild>,
    nexts: HashMap<(Id, u8, Seconds), Id, QuickBuild>,
    afters: HashMap<(Id, Id, Reply, Seconds), Id, QuickBuild>,
}

impl Tables {
    pub fn new() -> Self {
        Self {
            goals: goals(),
            worlds: Interner::default(),
            memos: Interner::default(),
            secrets: Interner::default(),
            steps: Interner::default(),
            stored: HashMap::default(),
            built: HashMap::default(),
            begun: HashMap::default(),
            nexts: HashMap::default(),
            afters: HashMap::default(),
        }
    }

    pub fn goal(&self, number: u8) -> &Goal {
        &self.goals[usize::from(number)]
    }

    pub fn desired(&self, number: u8) -> &Desired {
        match self.goal(number) {
            Goal::Serve(desired) => desired,
            other => panic!("not to be served: {other:?}"),
        }
    }

    /// A sent object as it is stored under a version.
    pub fn store(&mut self, sent: Id, version: u32, created: Option<Seconds>) -> Id {
        if let Some(id) = self.stored.get(&(sent, version, created)) {
            return *id;
        }
        let facts = self.secrets.get(sent).clone();
        let created_at = created.map(time).or(facts.created);
        let resource_version = format!("version#{version}");
        let id = self.secrets.put(SecretFacts { resource_version, created: created_at, ..facts });
        self.stored.insert((sent, version, created), id);
        id
    }

    /// The world of a pass that begins.
    pub fn begin(&mut self, begun: Begun) -> Id {
        if let Some(world) = self.begun.get(&begun) {
            return *world;
        }
        let (cached, memo, nonce, finalizer, now) = begun;
        let facts = cached.map(|id| SecretFacts { content: None, ..self.secrets.get(id).clone() });
        let account = finalizer.then(|| test::installation().account);
        let object = ObjectFacts { finalizer, account, logins: Vec::new() };
        let memo = self.memos.get(memo).clone();
        let world = self.worlds.put(World::new(object, facts, memo, format!("nonce#{nonce}"), time(now)));
        self.begun.insert(begun, world);
        world
    }

    /// The plan's next step.
    pub fn next(&mut self, world: Id, goal: u8, now: Seconds) -> Id {
        if let Some(step) = self.nexts.get(&(world, goal, now)) {
            return *step;
        }
        let step = next(self.goal(goal), self.worlds.get(world), time(now));
        let step = self.steps.put(Rc::new(step));
        self.nexts.insert((world, goal, now), step);
        step
    }

    /// The world after a step.
    pub fn after(&mut self, world: Id, step: Id, reply: Reply, now: Seconds) -> Id {
        let key = (world, step, reply, now);
        if let Some(world) = self.afters.get(&key) {
            return *world;
        }
        let effect = self.effect(&key.2, now);
        let before = self.worlds.get(world).clone();
        let after = self.worlds.put(tidied(before.after(self.steps.get(step), effect, time(now))));
        self.afters.insert(key, after);
        after
    }

    /// How many distinct decisions were asked for.
    pub fn decisions(&self) -> usize {
        self.nexts.len()
    }

    /// The memo that a pass leaves.
    pub fn memo_of(&mut self, world: Id) -> Id {
        let memo = self.worlds.get(world).memo.clone();
        self.memos.put(memo)
    }

    fn effect(&self, reply: &Reply, now: Seconds) -> Effect {
        let iam = Effect::Iam;
        let cluster = Effect::Cluster;
        match reply {
            Reply::Done => Effect::Done,
            Reply::Secret(id) => Effect::Secret(Box::new(self.secrets.get(*id).clone())),
            Reply::Metadata(id) => {
                Effect::Secret(Box::new(SecretFacts { content: None, ..self.secrets.get(*id).clone() }))
            }
            Reply::NoSecret => Effect::NoSecret,
            Reply::User { foreign } => Effect::User(self.user(*foreign)),
            Reply::Keys(keys) => Effect::Keys(KeyList {
                keys: keys.iter().copied().map(listed).collect(),
                server_time: time(now),
            }),
            Reply::LastUsed(at) => Effect::LastUsed(at.map(time)),
            Reply::Minted(number) => Effect::Minted(test::key(u32::from(*number))),
            Reply::Exists => iam(Failure::Exists),
            Reply::Absent => iam(Failure::Absent),
            Reply::Limit => iam(Failure::Limit),
            Reply::BlockedByKeys => iam(Failure::Conflict(Blocker::AccessKeys)),
            Reply::BlockedByPolicy => iam(Failure::Conflict(Blocker::InlinePolicies)),
            Reply::IamUnclear => iam(Failure::Unclear),
            Reply::Conflict => cluster(Refusal::Conflict),
            Reply::SecretExists => cluster(Refusal::Exists),
            Reply::SecretGone => cluster(Refusal::NotFound),
            Reply::ClusterUnclear => cluster(Refusal::Unclear),
        }
    }

    fn user(&self, foreign: bool) -> UserFacts {
        let spec = &self.goal(0).identity().user;
        let mut tags = spec.tags.clone();
        if foreign {
            tags.remove(tag::UID);
        }
        let (path, boundary) = (spec.path.clone(), spec.boundary.clone());
        UserFacts { user_id: "AIDA".into(), arn: String::new(), path, tags, boundary }
    }
}

fn goals() -> Vec<Goal> {
    let mut sim = Sim::new();
    let mut goals: Vec<Goal> = REGIONS
        .iter()
        .map(|region| {
            sim.object.spec.region = (*region).into();
            sim.goal()
        })
        .collect();
    sim.delete_object();
    goals.push(sim.goal());
    goals
}

/// A world without the part of its history that no decision reads: of what was done, the plan looks
/// at deletions and deactivations only. Passes that differ in no more than their way are one state.
fn tidied(mut world: World) -> World {
    world.did.retain(|step| matches!(step, Step::DeleteKey(_) | Step::DeactivateKey(_)));
    world
}

fn listed(key: Key) -> ListedKey {
    let status = if key.active { KeyStatus::Active } else { KeyStatus::Inactive };
    ListedKey { id: test::key(u32::from(key.number)), status, created: time(key.created) }
}

/// A model's time as a timestamp.
pub fn time(now: Seconds) -> Timestamp {
    test::time(i64::from(now))
}

/// A timestamp as a model's time.
pub fn seconds(at: Timestamp) -> Seconds {
    u32::try_from(at.as_second() - test::time(0).as_second()).unwrap()
}
