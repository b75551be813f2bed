//! IAM answers most calls with `Throttling`.

use std::time::Duration;

use aws_double::{Fault, FaultKind};
use testbed::{Error, eventually};

use crate::stage::{Stage, full};

const OBJECTS: usize = 30;
/// So slow does the operator get: down to a call a second.
const STORM: Duration = Duration::from_mins(10);
const ACTIONS: [&str; 5] =
    ["CreateAccessKey", "ListAccessKeys", "GetAccessKeyLastUsed", "UpdateAccessKey", "DeleteAccessKey"];

/// Nine of ten calls of each action are throttled.
fn throttle(stage: &Stage) {
    for action in ACTIONS {
        for ten in 0..100 {
            let throttling = FaultKind::ErrorBefore { status: 400, code: "Throttling".into() };
            stage.bed.aws.inject(Fault::on(action, throttling).nth(10 * ten + 1).times(9));
        }
    }
}

fn throttled(stage: &Stage) -> usize {
    let journal = stage.bed.aws.journal();
    journal.iter().filter(|record| record.outcome == "Throttling").count()
}

/// Rotations get through an account that throttles nine calls of ten.
pub async fn storm() {
    let enough = if full() { 300 } else { 50 };
    let stage = Stage::set(OBJECTS).await;
    let pods = stage.pods();
    throttle(&stage);
    stage.rotate_once().await;
    let operator = stage.launch.start().await.unwrap();
    eventually("enough throttled calls", STORM, async || match throttled(&stage) {
        count if count >= enough => Ok(Some(())),
        count => Error::wrong(format!("{count} throttled calls")),
    })
    .await
    .unwrap();
    stage.bed.aws.clear_faults();
    let (seen, keys) = stage.calm(&format!("throttled {} times", throttled(&stage)), pods).await;
    // A throttled mint is certainly not carried out. On a busy machine a pass may run out of time and
    // take its key back; more would be mints that nobody knows of.
    let vain = keys.made.checked_sub(2 * OBJECTS);
    assert!(vain.is_some_and(|vain| vain <= OBJECTS / 4) && seen.rotations > 0, "{keys:?}, {seen:?}");
    stage.no_secret_leaked().await;
    operator.stop().await.unwrap();
}
