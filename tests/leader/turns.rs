//! Leaders are killed in turn while many objects rotate.

use std::time::Duration;

use serde_json::json;
use testbed::Pods;

use crate::stage::{NAMESPACE, REGION, Stage, full};

/// 24 hours in 14.4 seconds.
const SCALE: f64 = 6000.0;
/// As a spec has it, and in this time.
const OVERLAP: (&str, Duration) = ("10h", Duration::from_secs(6));
const OBJECTS: usize = 20;
/// Two minutes until a key that nobody has seen published is deleted, an overlap that use has made longer,
/// the soak, and as much again.
const CALM: Duration = Duration::from_mins(9);

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_rotate_while_leaders_are_killed_end_with_one_key() {
    let stage = Stage::set(SCALE).await;
    let (mut leader, mut standby) = stage.pair().await;
    let names: Vec<String> = (0..OBJECTS).map(|n| format!("mailer-{n}")).collect();
    let spec = format!("{{region: {REGION}, rotation: {{overlap: {}}}}}", OVERLAP.0);
    for name in &names {
        stage.bed.apply(NAMESPACE, name, &spec).await.unwrap();
    }
    for name in &names {
        stage.bed.ready(NAMESPACE, name).await.unwrap();
    }
    let pods = Pods::start(&stage.bed, NAMESPACE, &names, OVERLAP.1);
    for kill in 0..if full() { 10 } else { 3 } {
        for name in &names {
            let trigger = json!({ "rotation": { "trigger": format!("{kill}") } });
            stage.bed.patch(NAMESPACE, name, trigger).await.unwrap();
        }
        let before = stage.record().await.unwrap();
        leader.operator.signal("KILL").await.unwrap();
        leader.operator.ended().await.unwrap();
        stage.taken_from(&before.holder).await;
        let another = stage.other(&standby).await;
        (leader, standby) = (standby, another);
    }
    let at_rest = async {
        for name in &names {
            stage.bed.at_rest(NAMESPACE, name, CALM).await.unwrap();
        }
    };
    stage.kept(&mut [leader, standby], at_rest).await;
    let seen = pods.end().await.unwrap();
    assert!(seen.rotations > 0, "{seen:?}");
    println!("{OBJECTS} objects: {seen:?}");
    stage.bed.no_secret_leaked(None, &[REGION]).await.unwrap();
}
