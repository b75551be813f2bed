//! Two operators without a lease: both believe that they lead, and take turns call by call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ses_smtp_operator::clock::Time as _;

use crate::case::{Outcome, settled};
use crate::fault::{Fault, Strike};
use crate::run::{Next, Operator, Sweep};
use crate::suite::Cleans;
use crate::workload::Workload;
use crate::world::{Bed, World};

/// Workloads that two operators share.
const WORKLOADS: [&str; 10] = [
    "provision",
    "user-exists",
    "region",
    "trigger",
    "age",
    "revoked",
    "password-edited",
    "secret-deleted",
    "object-deleted",
    VANISHING,
];
/// Provisioning, where the second Secret that is created comes late, and somebody deletes the first
/// just before. This is what step 4b is for: meanwhile its key looks as if nobody could name it.
const VANISHING: &str = "provision-vanishing";
/// Passes of each operator; a case that needs more doesn't settle.
const PASSES: usize = 60;
/// Pause of an operator that has nothing to do, until it looks once more.
const REST: i64 = 15 * 60;

/// Names of all cases, such as `two/region/7`.
pub fn names(schedules: u64) -> Vec<String> {
    let seeds = |workload: &'static str| (0..schedules).map(move |seed| format!("two/{workload}/{seed}"));
    WORKLOADS.into_iter().flat_map(seeds).collect()
}

/// Runs a case: the workload, and a seed that decides turns, lags and one fault.
pub async fn run(bed: &Bed, workload: &str, seed: u64, cleans: &Cleans) -> Outcome {
    let vanishing = workload == VANISHING;
    let workload = Workload::named(if vanishing { "provision" } else { workload });
    let workload = workload.expect("a workload of that name");
    let world = bed.world(Duration::ZERO).await;
    let mut first = Operator::start(&world, 0).await;
    workload.prepare(&world, &mut first).await;
    let second = Operator::start(&world, 1).await;
    world.vanishing.store(vanishing, Ordering::SeqCst);
    forgive(&world, workload);
    world.begin(if vanishing { late_create() } else { strike(seed, &cleans[workload.name].calls) });
    world.turns.share(2, seed);
    let (first, second, ()) = tokio::join!(Box::pin(live(first)), Box::pin(live(second)), world.turns.run());
    let rested = [first, second].into_iter().flatten().collect::<Vec<_>>();
    // A key that both have lost sight of shows in a credential report only.
    *world.sweep.lock().unwrap() = vanishing.then_some(Sweep::Drift);
    let mut operator = Operator::start(&world, 0).await;
    let mut wrong = settled(&world, workload, &mut operator).await;
    wrong.extend((rested.len() < 2).then(|| "L3: an operator never comes to rest".to_owned()));
    Outcome::of(&world, wrong)
}

/// What invariants don't promise to two operators.
fn forgive(world: &World, workload: &Workload) {
    let mut judge = world.judge.lock().unwrap();
    judge.raced = true;
    // Known and accepted: a person deletes the Secret beside two operators.
    judge.meddled = workload.name == "secret-deleted" || world.vanishing.load(Ordering::SeqCst);
}

fn late_create() -> Vec<Strike> {
    vec![Strike { call: "create-secret".into(), nth: 2, fault: Fault::Timeout }]
}

/// Two of three schedules meet a fault at one of the calls that a single operator makes.
fn strike(seed: u64, calls: &[(String, usize)]) -> Vec<Strike> {
    let mut rng = fastrand::Rng::with_seed(!seed);
    let (call, _) = &calls[rng.usize(..calls.len())];
    let faults = Fault::fitting(call);
    let fault = faults[rng.usize(..faults.len())];
    if seed.is_multiple_of(3) { Vec::new() } else { vec![Strike { call: call.clone(), nth: 1, fault }] }
}

/// Passes until two in a row found nothing to do. Nothing if that never comes.
async fn live(mut operator: Operator) -> Option<()> {
    let world = operator.world.clone();
    let rested = rest(&mut operator, &world).await;
    world.turns.leave();
    rested
}

async fn rest(operator: &mut Operator, world: &Arc<World>) -> Option<()> {
    let mut quiet = 0;
    for _ in 0..PASSES {
        operator.watching = !world.turns.lags();
        let pause = match operator.once().await {
            Next::Gone => return Some(()),
            Next::Quiet if quiet > 0 => return Some(()),
            Next::Quiet => {
                quiet += 1;
                k8s_openapi::jiff::SignedDuration::from_secs(REST)
            }
            Next::After(time) => {
                quiet = 0;
                time
            }
            Next::Crashed => {
                operator.restart().await;
                k8s_openapi::jiff::SignedDuration::from_secs(5)
            }
        };
        world.sleep(operator.number, world.time.now() + pause).await;
    }
    None
}
