//! Traces that once broke an invariant, played again.

use super::actions::{Action, Cache, Deed, Fault};
use super::configs::{CONFIG, Config};
use super::state::Kind::{DeleteUser, Pass};

const A: usize = 0;
const B: usize = 1;

fn begins(who: usize) -> Action {
    Action::Begin(who, Cache::Fresh)
}

fn steps(who: usize) -> Action {
    Action::Step(who, Fault::None)
}

/// A user was deleted by hand and made anew by B, whose fence is refused because A placed its own.
/// A then publishes. B's plan is out of date, although it never listed anything: the list of a user
/// made in the same pass is the empty one. Placing its fence again, B would publish a key of its own
/// and forget A's, which pods may use.
#[test]
fn a_refused_fence_beside_a_new_user_is_not_placed_on_another_key() {
    let config = Config { deeds: &[Deed::Rotate], budgets: &[(Pass, 2), (DeleteUser, 1)], ..CONFIG };
    let mut search = config.search(&[]);
    let mut state = search.start.clone();
    let trace = [
        [begins(A), steps(A), begins(B), steps(A)],
        [Action::Person(Deed::DeleteUser), steps(B), Action::Resume(3615), steps(B)],
        // B makes the user, A a key, B's fence is refused.
        [steps(B), steps(A), steps(B), steps(B)],
        [Action::Resume(3675), steps(A), steps(B), Action::Tick(0)],
    ];
    for action in trace.into_iter().flatten().filter(|action| *action != Action::Tick(0)) {
        let mut turn = search.model.turn(state);
        turn.take(action);
        assert_eq!(turn.broken, None);
        state = turn.state;
    }
    assert!(state.operators[B].pass.is_none(), "the plan of B is out of date");
    assert_eq!(search.model.turn(state).named(), Some(2));
}
