//! Traces that once broke an invariant, played again.

use super::actions::{Action, Cache, Deed, Fault};
use super::configs::{CONFIG, Config, OLD, Start};
use super::search::Search;
use super::state::Kind::{DeleteSecret, DeleteUser, Pass, Tick};
use super::state::State;

const A: usize = 0;
const B: usize = 1;

fn begins(who: usize) -> Action {
    Action::Begin(who, Cache::Fresh)
}

fn steps(who: usize) -> Action {
    Action::Step(who, Fault::None)
}

/// The state after these actions, none of which breaks anything.
fn play(search: &mut Search, trace: &[Action]) -> State {
    let mut state = search.start.clone();
    for action in trace {
        let mut turn = search.model.turn(state);
        turn.take(*action);
        assert_eq!(turn.broken, None);
        state = turn.state;
    }
    state
}

/// A user was deleted by hand and made anew by B, whose fence is refused because A placed its own.
/// A then publishes. B's plan is out of date, although it never listed anything: the list of a user
/// made in the same pass is the empty one. Placing its fence again, B would publish a key of its own
/// and forget A's, which pods may use.
#[test]
fn a_refused_fence_beside_a_new_user_is_not_placed_on_another_key() {
    let config = Config { deeds: &[Deed::Rotate], budgets: &[(Pass, 2), (DeleteUser, 1)], ..CONFIG };
    let mut search = config.search(&[]);
    let trace = [
        [begins(A), steps(A), begins(B), steps(A), Action::Person(Deed::DeleteUser)],
        [steps(B), Action::Resume(3615), steps(B), steps(B), steps(A)],
    ];
    // B's fence is refused, A publishes, and B does not go on.
    let rest = [steps(B), steps(B), Action::Resume(3675), steps(A)];
    let state = play(&mut search, &[trace.as_flattened(), &rest].concat());
    assert!(state.operators[B].pass.is_none(), "the plan of B is out of date");
    assert_eq!(search.model.turn(state).named(), Some(2));
}

/// B listed no key and read no Secret, then hung for two minutes in which A provisioned and a person
/// deleted the Secret. A placeholder made of that list would forget A's key, which pods may use: the
/// next pass would delete it without overlap.
#[test]
fn a_placeholder_is_not_made_of_an_old_list() {
    let budgets = &[(Pass, 2), (DeleteSecret, 1), (Tick, 1)];
    let config = Config { start: Start::Nothing, budgets, ..CONFIG };
    let mut search = config.search(&[]);
    let trace = [
        // A makes the user, B finds it and lists no key.
        [begins(A), steps(A), steps(A), steps(A), begins(B)],
        [steps(B), steps(B), Action::Resume(15), steps(B), steps(A)],
        // B reads no Secret, A creates it.
        [steps(B), steps(B), steps(A), Action::Tick(OLD), Action::Person(Deed::DeleteSecret)],
    ];
    let state = play(&mut search, trace.as_flattened());
    assert!(state.operators[B].pass.is_none(), "a placeholder from an old list");
}
