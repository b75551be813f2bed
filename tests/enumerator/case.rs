//! One case from beginning to end.

use std::sync::Arc;

use k8s_openapi::jiff::SignedDuration;

use crate::ending::{self, Ending};
use crate::fault::Case;
use crate::run::{ORPHANS, Operator, Sweep};
use crate::workload::Workload;
use crate::world::{Bed, QUOTA_LAG, World};

/// L1's bound: 120 s, settle, the wait of step 4b, and a minute until SES knows a key.
const LIVE: SignedDuration = SignedDuration::from_secs(120 + 15 + 120 + 60);

/// A credential report is made so often.
const REPORT: SignedDuration = SignedDuration::from_hours(4);
/// An orphaned user's keys are Inactive for so long.
const SOAK: SignedDuration = SignedDuration::from_hours(24);

/// A run without faults.
pub struct Clean {
    pub ending: Ending,
    pub calls: Vec<(String, usize)>,
}

/// What became of a case.
#[derive(Debug, Default)]
pub struct Outcome {
    pub wrong: Vec<String>,
    /// The calls after the last fault.
    pub calls: Vec<(String, usize)>,
    /// The fault could not happen.
    pub void: bool,
    /// What the operator logged, if anything is wrong.
    pub log: String,
}

impl Outcome {
    /// What became of a world.
    pub fn of(world: &World, wrong: Vec<String>) -> Self {
        let log = if wrong.is_empty() { String::new() } else { world.log.text() };
        Self { wrong, calls: world.script.calls(), void: world.script.is_void(), log }
    }

    /// The case itself broke.
    pub fn broken(why: &str) -> Self {
        Self { wrong: vec![why.to_owned()], ..Self::default() }
    }
}

/// Runs a workload without faults.
pub async fn clean(bed: &Bed, workload: &str) -> Clean {
    let case = Case { workload: workload.into(), strikes: Vec::new() };
    let (world, wrong) = play(bed, &case).await;
    assert!(wrong.is_empty(), "{workload} without faults: {wrong:#?}\n{}", world.log.text());
    Clean { ending: Ending::of(&world).await, calls: world.script.calls() }
}

/// Runs a case and holds it against the run without faults.
pub async fn run(bed: &Bed, case: &Case, clean: &Clean) -> Outcome {
    let (world, mut wrong) = play(bed, case).await;
    wrong.extend(Ending::of(&world).await.differs(&clean.ending, case.strikes.len()));
    match (world.script.pending(), case.strikes.len()) {
        (0, _) => {}
        (_, 1) => wrong.push("the fault never struck".into()),
        // Backoff has jitter, and with it the calls of a recovery may differ from the recorded ones.
        _ => world.script.void(),
    }
    Outcome::of(&world, wrong)
}

/// Lives through a case. What went wrong, but for comparisons.
async fn play(bed: &Bed, case: &Case) -> (Arc<World>, Vec<String>) {
    let workload = Workload::named(&case.workload).expect("a workload of that name");
    let world = bed.world(QUOTA_LAG).await;
    let mut operator = Operator::start(&world, 0).await;
    workload.prepare(&world, &mut operator).await;
    world.begin(case.strikes.clone());
    let mut wrong = settled(&world, workload, &mut operator).await;
    wrong.extend(late(&world, workload));
    (world, wrong)
}

/// Lets an operator live until nothing is left to do. What is wrong then, or was on the way.
pub async fn settled(world: &Arc<World>, workload: &Workload, operator: &mut Operator) -> Vec<String> {
    let mut wrong = Vec::new();
    if !operator.live().await {
        wrong.push("L3: it never comes to rest".to_owned());
    }
    wrong.extend(still(world, operator).await);
    wrong.extend(ending::wrong(world, workload).await);
    wrong.extend(std::mem::take(&mut world.judge.lock().unwrap().violations));
    wrong
}

/// L1: it took too long until the credential worked, or was gone.
fn late(world: &World, workload: &Workload) -> Option<String> {
    let took = if workload.ends_life() { Some(world.took()) } else { world.worked_after() };
    let bound = match *world.sweep.lock().unwrap() {
        None => LIVE,
        Some(Sweep::Drift) => REPORT + LIVE,
        Some(Sweep::Orphans) => SOAK + ORPHANS * 5,
    };
    took.is_none_or(|took| took > bound).then(|| format!("L1: it took {took:?} and not {bound:?}"))
}

/// L1: a process started afterwards changes nothing more.
async fn still(world: &Arc<World>, operator: &mut Operator) -> Option<String> {
    let before = world.script.calls().len();
    operator.restart().await;
    operator.live().await;
    let calls = world.script.calls();
    let reads = |call: &str| ["get", "Ge", "list", "List"].iter().any(|verb| call.starts_with(verb));
    let changing = calls.iter().skip(before).find(|(call, _)| !reads(call));
    changing.map(|(call, _)| format!("L1: {call} after it came to rest"))
}
