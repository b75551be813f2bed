//! kill -9, again and again.

use std::time::Duration;

use serde_json::json;
use testbed::{Deadline, Launch};
use tokio::time::sleep;

use crate::stage::{Stage, full};

/// Decides when the operator is killed.
const SEED: u64 = 7;

/// Lives of one to five seconds; gives their number.
async fn lives(launch: &Launch, time: Duration) -> usize {
    let mut random = fastrand::Rng::with_seed(SEED);
    let (over, mut kills) = (Deadline::after(time), 0);
    while !over.is_over() {
        let operator = launch.spawn().unwrap();
        sleep(Duration::from_millis(random.u64(1_000..5_000))).await;
        operator.kill().await.unwrap();
        kills += 1;
    }
    kills
}

/// The operator is killed every few seconds.
pub async fn storm() {
    let (objects, seconds) = if full() { (200, 600) } else { (50, 60) };
    let stage = Stage::set(objects).await;
    stage.rotate_by_age().await;
    let pods = stage.pods();
    let kills = lives(&stage.launch, Duration::from_secs(seconds)).await;
    stage.rotation(json!({ "interval": null })).await;
    let operator = stage.launch.start().await.unwrap();
    let (seen, keys) = stage.calm(&format!("killed {kills} times"), pods).await;
    assert!(kills > 5 && seen.rotations > 0 && keys.made > objects, "{kills} kills, {seen:?}, {keys:?}");
    operator.stop().await.unwrap();
}
