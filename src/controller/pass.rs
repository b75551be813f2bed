//! One pass: ask for a step, carry it out, fold the effect in, until the plan says that it is over.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::Goal;
use ses_smtp_core::plan;
use ses_smtp_core::reason::Reason;
use ses_smtp_core::step::{End, Step};
use ses_smtp_core::tenancy::Tenancy;
use ses_smtp_core::world::World;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::Context;
use super::act::Hands;
use super::cache::{is_newer, source_of};

/// Time that the calls of a pass may take together; pauses and logins aren't counted (liveness L3).
const BUDGET: Duration = Duration::from_mins(1);
/// A pause from which on the status is written before it.
const LONG_PAUSE: i64 = 15;

/// How often a pass that waits looks whether it is still wanted.
const LOOK: Duration = Duration::from_secs(1);

/// A pass under way.
pub struct Pass<'a> {
    pub context: &'a Context,
    pub object: &'a SesSmtpCredential,
    pub goal: &'a Goal,
    /// What the Namespace said when the goal was set.
    pub tenancy: Tenancy,
    /// The place at the gate, given up during pauses.
    pub permit: Option<SemaphorePermit<'a>>,
    /// Time spent in calls.
    pub spent: Duration,
}

impl Pass<'_> {
    /// Runs to the end, and gives what is known then. `None` if this process doesn't lead any more: another
    /// one may work on the object by now, so nothing is sent and nothing told (rule R7).
    pub async fn run(&mut self, mut world: World) -> Option<(World, End)> {
        let mut hands = Hands::new(self.context, self.goal, self.object);
        let mut steps = 0;
        if !self.context.watch_secrets {
            // What is remembered of the Secret may be as old as the last pass, so nothing is planned on it.
            world = self.carry_out(&mut hands, world, &Step::ReadSecret).await;
            steps += 1;
        }
        while steps < plan::MAX_STEPS {
            if !self.context.leadership.held() {
                return None;
            }
            world.ending |= self.spent > BUDGET || *self.context.shutdown.borrow();
            match plan::next(self.goal, &world, self.context.clock.now()) {
                Step::End(end) => return Some((world, end)),
                Step::Pause { until, reason, message } => {
                    let end = End::Wait { until: Some(until), reason, message };
                    world.ending |= self.pause(&world, until, end).await;
                }
                step => {
                    steps += usize::from(!matches!(step, Step::ProbeLogin(_)));
                    world = self.carry_out(&mut hands, world, &step).await;
                }
            }
        }
        tracing::warn!("a pass did not end within {} steps", plan::MAX_STEPS);
        let message = "the pass took too many steps: it goes on in the next".to_owned();
        Some((world, End::Wait { until: None, reason: Reason::Provisioning, message }))
    }

    async fn carry_out(&mut self, hands: &mut Hands<'_>, world: World, step: &Step) -> World {
        let login = matches!(step, Step::ProbeLogin(_));
        if login {
            self.permit = None;
        }
        let began = Instant::now();
        let version = world.secret().map(|facts| facts.resource_version.as_str());
        let effect = hands.act(step, version).await;
        if login {
            self.permit = self.context.gate.acquire().await.ok();
        } else {
            self.spent += began.elapsed();
        }
        world.after(step, effect, self.context.clock.now())
    }

    /// Waits outside the gate, so that others can work meanwhile. True if the object was changed
    /// meanwhile: what is waited for may not be wanted any more. That and a shutdown end the wait.
    async fn pause(&mut self, world: &World, until: Timestamp, end: End) -> bool {
        let now = self.context.clock.now();
        if until.duration_since(now).as_secs() >= LONG_PAUSE {
            super::reconcile::report(self.context, self.object, self.goal, world, &end).await;
        }
        self.permit = None;
        let mut shutdown = self.context.shutdown.clone();
        let changed = tokio::select! {
            () = self.context.clock.sleep_until(until) => false,
            _ = shutdown.wait_for(|ending| *ending) => false,
            () = self.changed(world) => true,
        };
        self.permit = self.context.gate.acquire().await.ok();
        changed
    }

    /// Returns once the object has another spec, is being deleted, or is gone, or its Namespace says
    /// something else, or the Secret that its access key comes from was changed.
    async fn changed(&self, world: &World) {
        let known = ObjectRef::from_obj(self.object);
        let is_same = |now: &SesSmtpCredential| {
            now.metadata.generation == self.object.metadata.generation
                && now.metadata.deletion_timestamp == self.object.metadata.deletion_timestamp
        };
        let namespace = self.object.metadata.namespace.as_deref().unwrap_or_default();
        let says_same = || self.context.tenancies.get(namespace).is_none_or(|now| now == self.tenancy);
        let stays = || self.context.objects.get(&known).is_some_and(|now| is_same(&now));
        while says_same() && stays() && !self.source_changed(world) {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn source_changed(&self, world: &World) -> bool {
        let shown = source_of(self.goal).and_then(|key| self.context.sources.get(&key));
        shown.is_some_and(|shown| world.source_version().is_some_and(|known| is_newer(&shown, known)))
    }
}
