//! One case from beginning to end.

use std::sync::Arc;

use crate::ending::{self, Ending};
use crate::fault::Case;
use crate::run::Operator;
use crate::workload::Workload;
use crate::world::{Bed, World};

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
    if world.script.pending() > 0 {
        wrong.push("the fault never struck".into());
    }
    Outcome::of(&world, wrong)
}

/// Lives through a case. What went wrong, but for comparisons.
async fn play(bed: &Bed, case: &Case) -> (Arc<World>, Vec<String>) {
    let workload = Workload::named(&case.workload).expect("a workload of that name");
    let world = bed.world().await;
    let mut operator = Operator::start(&world, 0).await;
    workload.prepare(&world, &mut operator).await;
    world.script.begin(case.strikes.clone());
    let wrong = settled(&world, workload, &mut operator).await;
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

/// L1: a process started afterwards changes nothing more.
async fn still(world: &Arc<World>, operator: &mut Operator) -> Option<String> {
    let before = world.script.calls().len();
    operator.restart().await;
    operator.live().await;
    let calls = world.script.calls();
    let changing =
        calls.iter().skip(before).find(|(call, _)| !call.starts_with("get") && !call.starts_with("Get"));
    changing.map(|(call, _)| format!("L1: {call} after it came to rest"))
}
