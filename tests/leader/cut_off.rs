//! The API server can't be reached by the leader alone.

use control_plane::proxy::{Action, Rule};
use k8s_openapi::jiff::Timestamp;

use crate::stage::Stage;

/// A lease of fifteen seconds, of which the last five are for a leader's calls to end.
const SCALE: f64 = 2.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_gives_up_before_another_takes_over() {
    let stage = Stage::set(SCALE).await;
    let (mut leader, mut standby) = stage.pair().await;
    for (lost, trouble) in [Action::Hang, Action::Status(500)].into_iter().enumerate() {
        let before = stage.record().await.unwrap();
        leader.proxy.add(Rule::new(trouble).always());
        leader.proxy.disconnect_all();
        let status = leader.operator.ended().await.unwrap();
        let ended = Timestamp::now();
        assert_eq!(status.code(), Some(1));
        let after = stage.taken_from(&before.holder).await;
        assert!(ended <= after.acquired, "{ended} {after:?}");
        standby.leads().await;
        assert_eq!(stage.told("is lost"), lost + 1, "{}", stage.bed.log());
        let another = stage.other(&standby).await;
        (leader, standby) = (standby, another);
    }
}
