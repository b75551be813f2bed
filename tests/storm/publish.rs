//! The API server goes away in the middle of a publish.

use std::time::Duration;

use control_plane::proxy::{Action, Rule, RuleHandle};
use testbed::{Error, eventually};

use crate::stage::{Stage, full};

const STORM: Duration = Duration::from_mins(4);

/// The request of one publish is lost, the reply of the next, and so on. With no publish let through
/// in between all of them happen before the first key is old enough to be tried again.
fn outages(stage: &Stage, count: usize) -> Vec<RuleHandle> {
    let lost = |n: usize| if n.is_multiple_of(2) { Action::LostRequest } else { Action::LostReply };
    let rule = |n: usize| Rule::new(lost(n)).verb("update").resource("secrets").nth(n + 1);
    (0..count).map(|n| stage.proxy.add(rule(n))).collect()
}

fn fired(outages: &[RuleHandle]) -> usize {
    outages.iter().map(RuleHandle::fired).sum()
}

/// An API server that goes away mid-publish costs no login.
pub async fn storm() {
    let (objects, count) = if full() { (160, 100) } else { (32, 20) };
    let stage = Stage::set(objects).await;
    let pods = stage.pods();
    let outages = outages(&stage, count);
    stage.rotate_once().await;
    let operator = stage.launch.start().await.unwrap();
    eventually("every outage", STORM, async || match fired(&outages) {
        now if now == count => Ok(Some(())),
        now => Error::wrong(format!("{now} outages")),
    })
    .await
    .unwrap();
    // At last its other connections break as well, watches too.
    stage.proxy.disconnect_all();
    let (seen, keys) = stage.calm(&format!("API server away {count} times"), pods).await;
    assert!(seen.rotations > 0, "{seen:?}");
    // A lost request leaves a key that nobody names; so may a broken connection.
    assert!(keys.made >= 2 * objects + count / 2, "{keys:?}");
    stage.no_secret_leaked().await;
    operator.stop().await.unwrap();
}
