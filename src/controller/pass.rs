//! One pass: ask for a step, carry it out, fold the effect in, until the plan says that it is over.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::Goal;
use ses_smtp_core::plan;
use ses_smtp_core::reason::Reason;
use ses_smtp_core::step::{End, Step};
use ses_smtp_core::world::World;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::Context;
use super::act::Hands;

/// Time that the calls of a pass may take together; pauses aren't counted (liveness L3).
const BUDGET: Duration = Duration::from_mins(1);
/// A pause from which on the status is written before it.
const LONG_PAUSE: i64 = 15;

/// A pass under way.
pub struct Pass<'a> {
    pub context: &'a Context,
    pub object: &'a SesSmtpCredential,
    pub goal: &'a Goal,
    /// The place at the gate, given up during pauses.
    pub permit: Option<SemaphorePermit<'a>>,
    /// Time spent in calls.
    pub spent: Duration,
}

impl Pass<'_> {
    /// Runs to the end, and gives what is known then.
    pub async fn run(&mut self, mut world: World) -> (World, End) {
        let mut hands = Hands::new(self.context, self.goal, self.object);
        for _ in 0..plan::MAX_STEPS {
            world.ending |= self.spent > BUDGET || *self.context.shutdown.borrow();
            match plan::next(self.goal, &world, self.context.clock.now()) {
                Step::End(end) => return (world, end),
                Step::Pause { until, message } => self.pause(&world, until, message).await,
                step => world = self.carry_out(&mut hands, world, &step).await,
            }
        }
        tracing::warn!("a pass did not end within {} steps", plan::MAX_STEPS);
        let message = "the pass took too many steps".to_owned();
        (world, End::Wait { until: None, reason: Reason::Provisioning, message })
    }

    async fn carry_out(&mut self, hands: &mut Hands<'_>, world: World, step: &Step) -> World {
        let began = Instant::now();
        let version = world.secret().map(|facts| facts.resource_version.as_str());
        let effect = hands.act(step, version).await;
        self.spent += began.elapsed();
        world.after(step, effect, self.context.clock.now())
    }

    /// Waits outside the gate, so that others can work meanwhile; a shutdown ends the wait.
    async fn pause(&mut self, world: &World, until: Timestamp, message: String) {
        let now = self.context.clock.now();
        if until.duration_since(now).as_secs() >= LONG_PAUSE {
            let end = End::Wait { until: Some(until), reason: Reason::Provisioning, message };
            super::reconcile::report(self.context, self.object, self.goal, world, &end).await;
        }
        self.permit = None;
        let mut shutdown = self.context.shutdown.clone();
        tokio::select! {
            () = self.context.clock.sleep_until(until) => {}
            _ = shutdown.wait_for(|ending| *ending) => {}
        }
        self.permit = self.context.gate.acquire().await.ok();
    }
}
