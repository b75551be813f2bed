//! What to do next: one pure function over what is wanted and what is known.
//!
//! Owns every decision of the operator. A plan is an ordered list of small checks; the first that
//! has something to say gives the step. Rules of the protocol are cited by their labels where a
//! check carries them out. Nothing here fails, waits or holds secret material.

mod account;
mod attempt;
mod cleanup;
mod derive;
mod discard;
mod drift;
mod faults;
mod keys;
mod login;
mod mutant;
mod repair;
mod retire;
mod secret;
mod teardown;
mod user;
mod view;

#[cfg(test)]
mod tests;

use k8s_openapi::jiff::Timestamp;

use crate::desired::Goal;
use crate::reason::Reason;
use crate::step::{End, Step};
use crate::time::after;
use crate::world::World;

pub use derive::derives;
pub use faults::AGAIN;
pub use login::{is_trusted, known as known_login};
pub use retire::{deletes_at, still_in_use};
use view::View;
pub use view::serves;

/// Most steps in a pass, pauses and logins not counted (liveness L3).
pub const MAX_STEPS: usize = 24;

/// The next step towards `goal`, given what is known at `now`.
pub fn next(goal: &Goal, world: &World, now: Timestamp) -> Step {
    match goal {
        Goal::Serve(desired) => serve(&View { desired, world, now }),
        Goal::Derive(derived) => derive::next(derived, world, now),
        Goal::Teardown(identity) if identity.derives => derive::teardown(world),
        Goal::Teardown(identity) => teardown::next(identity, world, now),
        Goal::Suspended(_) => Step::End(End::Done { wake_at: None }),
        Goal::Invalid(_, invalid) => blocked(invalid.reason, invalid.message.clone()),
    }
}

/// The checks of a credential that is to be kept, in order.
const CHECKS: [fn(&View) -> Option<Step>; 20] = [
    discard::unpublished_key,
    faults::ending,
    attempt::contended,
    faults::lagging,
    secret::looked_at,
    secret::not_foreign,
    account::recorded,
    secret::read_live,
    secret::changeable,
    repair::owner,
    repair::history,
    drift::user_looked_at,
    retire::revoked,
    attempt::replace_key,
    cleanup::leftovers,
    user::up_to_date,
    repair::secret,
    drift::released,
    user::deactivated,
    login::verified,
];

fn serve(view: &View) -> Step {
    let step = CHECKS.iter().find_map(|check| check(view));
    let step = step.or_else(|| retire::previous_key(view)).unwrap_or_else(|| done(view));
    discard::before_end(view, step)
}

/// What is due already but can't be done yet is looked at again after a while, not at once.
fn done(view: &View) -> Step {
    let soonest = after(view.now, view.desired.identity.durations.settle);
    let due = [retire::due_at(view), cleanup::due_at(view), view.rotation_due_at(), login::due_at(view)];
    let due = due.into_iter().flatten().min();
    Step::End(End::Done { wake_at: due.map(|at| if at > view.now { at } else { soonest }) })
}

fn blocked(reason: Reason, message: String) -> Step {
    Step::End(End::Blocked { reason, message })
}

fn wait(reason: Reason, until: Option<Timestamp>, message: String) -> Step {
    Step::End(End::Wait { until, reason, message })
}

fn pause(until: Timestamp, message: &str) -> Step {
    Step::Pause { until, reason: Reason::Provisioning, message: message.to_owned() }
}
