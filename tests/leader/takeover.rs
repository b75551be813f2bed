//! How long it takes until another leads.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use ses_smtp_core::lease::Times;

use crate::stage::{Replica, Stage, between, full};

/// A lease of ten seconds: long enough for a busy machine to renew it.
const SCALE: f64 = 3.0;

/// Kills and clean ends, and the scale of time for them.
fn trials() -> (usize, f64) {
    if full() { (10, 1.0) } else { (1, SCALE) }
}

struct Trial {
    stage: Stage,
    times: Times,
    leader: Replica,
    standby: Replica,
}

impl Trial {
    async fn begin(scale: f64) -> Self {
        let stage = Stage::set(scale).await;
        let (leader, standby) = stage.pair().await;
        Self { stage, times: Times::default().scaled(scale), leader, standby }
    }

    /// The standby leads now, and another process stands by.
    async fn turn(self, took: Duration) -> (Self, Duration) {
        let Self { stage, times, standby, .. } = self;
        standby.leads().await;
        let another = stage.other(&standby).await;
        (Self { stage, times, leader: standby, standby: another }, took)
    }

    async fn kill(mut self) -> (Self, Duration) {
        let before = self.stage.record().await.unwrap();
        let killed = Timestamp::now();
        self.leader.operator.signal("KILL").await.unwrap();
        self.leader.operator.ended().await.unwrap();
        let last = self.stage.record().await.unwrap();
        let after = self.stage.taken_from(&before.holder).await;
        assert!(between(last.renewed, after.acquired) >= self.times.lease, "{last:?} {after:?}");
        assert_eq!(after.transitions, before.transitions + 1);
        self.turn(between(killed, after.acquired)).await
    }

    async fn end(mut self) -> (Self, Duration) {
        let before = self.stage.record().await.unwrap();
        self.leader.operator.signal("TERM").await.unwrap();
        let status = self.leader.operator.ended().await.unwrap();
        let ended = Timestamp::now();
        assert_eq!(status.code(), Some(0));
        let after = self.stage.taken_from(&before.holder).await;
        assert!(between(before.renewed, after.acquired) < self.times.lease, "{before:?} {after:?}");
        self.turn(between(ended, after.acquired)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_leads_once_the_lease_of_a_dead_leader_has_run_out_and_at_once_after_a_clean_end() {
    let (count, scale) = trials();
    let mut trial = Trial::begin(scale).await;
    let page = trial.standby.operator.readiness().await.unwrap();
    let holder = trial.stage.record().await.unwrap().holder;
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains(&format!("standing by: {holder} leads")),
        "{page}"
    );
    assert!(trial.standby.operator.metrics().await.unwrap().contains("ses_smtp_leader 0"));
    let (mut kills, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let took;
        (trial, took) = Box::pin(trial.kill()).await;
        kills.push(took);
        let took;
        (trial, took) = Box::pin(trial.end()).await;
        ends.push(took);
    }
    println!("after a kill: {kills:?}, at most {:?}", kills.iter().max().unwrap());
    println!("after a clean end: {ends:?}, at most {:?}", ends.iter().max().unwrap());
    if full() {
        assert!(kills.iter().all(|took| *took <= Duration::from_secs(35)), "{kills:?}");
        assert!(ends.iter().all(|took| *took <= Duration::from_secs(3)), "{ends:?}");
    }
}
