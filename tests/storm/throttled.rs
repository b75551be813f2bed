//! IAM answers most calls with `Throttling`.

use std::time::Duration;

use aws_double::{Fault, FaultKind};
use testbed::{Error, eventually};

use crate::stage::Stage;

const OBJECTS: usize = 30;
/// The storm ends after so many throttled calls.
const ENOUGH: usize = 300;
const STORM: Duration = Duration::from_mins(4);
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

#[tokio::test(flavor = "multi_thread")]
async fn rotations_get_through_an_account_that_throttles_nine_calls_of_ten() {
    let stage = Stage::set(OBJECTS).await;
    let pods = stage.pods();
    throttle(&stage);
    stage.rotate_once().await;
    let operator = stage.launch.start().await.unwrap();
    eventually("enough throttled calls", STORM, async || match throttled(&stage) {
        count if count >= ENOUGH => Ok(Some(())),
        count => Error::wrong(format!("{count} throttled calls")),
    })
    .await
    .unwrap();
    stage.bed.aws.clear_faults();
    let (seen, keys) = stage.calm(&format!("throttled {} times", throttled(&stage)), pods).await;
    // A throttled mint is certainly not carried out: none is made in vain.
    assert_eq!((keys.made, seen.rotations), (2 * OBJECTS, OBJECTS));
    stage.no_secret_leaked().await;
    operator.stop().await.unwrap();
}
