//! What happens around a pass: its place at the gate, its memo, status, event, and when to come back.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::Goal;
use ses_smtp_core::fleet::Shown;
use ses_smtp_core::names::{AWS_ACCOUNT, FINALIZER};
use ses_smtp_core::reason::Reason;
use ses_smtp_core::status;
use ses_smtp_core::step::End;
use ses_smtp_core::tenancy::Tenancy;
use ses_smtp_core::time::after;
use ses_smtp_core::world::{ObjectFacts, World};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::backoff::{self, pause, random, scaled, spread};
use super::cache::{key_of, source_of};
use super::memory::Entry;
use super::pass::Pass;
use super::watch::RETRY;
use super::{Context, all_done};
use crate::aws::{Subject, on_behalf_of};
use crate::causes::causes;

/// Shortest pause before a wait is looked at again, however much time is scaled.
const LOOK: Duration = Duration::from_secs(5);

/// How often an object's Secrets are looked at where they aren't watched: nothing else tells of an edit, a
/// deletion, or another access key in the source.
const SECRET_POLL: Duration = Duration::from_mins(5);

/// A pass can't fail: whatever goes wrong is one of its ends.
#[derive(Debug, thiserror::Error)]
pub enum Never {}

/// One pass over `object`, and when to come back.
pub async fn reconcile(object: Arc<SesSmtpCredential>, context: Arc<Context>) -> Result<Action, Never> {
    // The senders go only with the process; then there is nothing left to do either.
    all_done([context.synced.clone(), context.known.clone()]).await;
    let permit = context.gate.acquire().await.ok();
    let Some(tenancy) = tenancy(&object, &context).await else { return Ok(Action::requeue(RETRY)) };
    // On the heap only from here on: what waits at the gate has to be small, for all may wait.
    let pass = passed(&object, &context, permit, tenancy);
    let next = Box::pin(on_behalf_of(subject(&object), pass)).await;
    Ok(next.map_or_else(Action::await_change, Action::requeue))
}

/// The object, for the audit log.
fn subject(object: &SesSmtpCredential) -> Subject {
    Subject {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
}

/// What the object's Namespace says, if that is known. Before an object has its finalizer, and with it the
/// account for good, the Namespace is read live: its watch may lag behind that of objects.
async fn tenancy(object: &SesSmtpCredential, context: &Context) -> Option<Tenancy> {
    let namespace = object.namespace().unwrap_or_default();
    let placed = object.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
    if !placed && object.metadata.deletion_timestamp.is_none() {
        match context.namespaces.get(&namespace).await {
            Ok(Some(metadata)) => drop(context.tenancies.put(&metadata)),
            Ok(None) => return None,
            Err(error) => {
                tracing::warn!(namespace, %error, "the Namespace can't be read; trying again");
                return None;
            }
        }
    }
    context.tenancies.get(&namespace)
}

/// The pass itself, what becomes known by it, and after what time the next one is due.
pub async fn passed(
    object: &SesSmtpCredential,
    context: &Context,
    permit: Option<SemaphorePermit<'_>>,
    tenancy: Tenancy,
) -> Option<Duration> {
    let began = Instant::now();
    let goal = Goal::of(object, &context.settings, &tenancy);
    let uid = object.uid().unwrap_or_default();
    let entry = context.memory.get(&uid);
    let world = world(context, object, &goal, &entry);
    let mut pass = Pass { context, object, goal: &goal, tenancy, permit, spent: Duration::ZERO };
    let (world, end) = pass.run(world).await?;
    let gone = object.metadata.deletion_timestamp.is_some() && !world.object.finalizer;
    let told = gone || report(context, object, &goal, &world, &end).await;
    drop(pass);
    context.metrics.reconciled(outcome(&end), began.elapsed());
    let well = told && matches!(end, End::Done { .. });
    let failures = if well { 0 } else { entry.failures.saturating_add(1) };
    if gone {
        context.memory.forget(&uid);
        context.unseen(&key_of(goal.identity()));
        return None;
    }
    context.memory.put(&uid, Entry { memo: world.memo, failures });
    let next = looked_at(context, due(context, &end, failures));
    if told { next } else { Some(sooner(next, pause(failures, context.clock.scale()))) }
}

/// Never called: see [`Never`].
pub fn after_error(_: Arc<SesSmtpCredential>, error: &Never, _: Arc<Context>) -> Action {
    match *error {}
}

fn world(context: &Context, object: &SesSmtpCredential, goal: &Goal, entry: &Entry) -> World {
    let facts = ObjectFacts {
        finalizer: object.finalizers().iter().any(|finalizer| finalizer == FINALIZER),
        account: object.annotations().get(AWS_ACCOUNT).cloned(),
        logins: object.status.as_ref().map(status::reported_logins).unwrap_or_default(),
    };
    let cached = context.cache.get(&key_of(goal.identity()));
    let nonce = format!("{:016x}{:016x}", random(), random());
    let source = source_of(goal).and_then(|key| context.sources.get(&key));
    World::new(facts, cached, entry.memo.clone(), nonce, context.clock.now()).watching(source)
}

/// Writes the status if it says anything new, and tells the pass's event. False if the status has
/// still to be written: nothing else may ever cause another pass.
pub async fn report(
    context: &Context,
    object: &SesSmtpCredential,
    goal: &Goal,
    world: &World,
    end: &End,
) -> bool {
    let (uid, version) = (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default());
    let known = context.memory.newer_report(&uid, &version);
    let before = known.or_else(|| object.status.clone()).unwrap_or_default();
    let now = context.clock.now();
    let after = status::compute(goal, world, end, object.metadata.generation, &before, now);
    context.memory.show(&uid, Shown::of(&after));
    let mut told = true;
    if status::differs(&before, &after) {
        let written = context.credentials.write_status(object, &after).await;
        context.metrics.kube_write("Status", if written.is_ok() { "ok" } else { "refused" });
        log(object, end, written.as_ref().err());
        told = written.is_ok();
        if let Ok(version) = written {
            context.memory.reported(&uid, version, after);
        }
    }
    if let Some(note) = status::note(goal, world, end, &before) {
        context.credentials.tell(object, note).await;
    }
    told
}

fn log(object: &SesSmtpCredential, end: &End, unwritten: Option<&kube::Error>) {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let reason = outcome(end);
    // Not `message`: that is the name of a line's own text.
    match end {
        End::Done { .. } => tracing::info!(namespace, name, reason, "pass ended"),
        End::Wait { message, .. } => tracing::info!(namespace, name, reason, detail = message, "pass ended"),
        End::Blocked { message, .. } => {
            tracing::warn!(namespace, name, reason, detail = message, "pass ended");
        }
    }
    if let Some(error) = unwritten {
        // The client's own rendering of a refusal says everything twice.
        let error = match error {
            kube::Error::Api(status) => status.message.clone(),
            other => causes(other),
        };
        tracing::warn!(namespace, name, error, "the status could not be written");
    }
}

fn outcome(end: &End) -> &'static str {
    match end {
        End::Done { .. } => Reason::Provisioned.as_str(),
        End::Wait { reason, .. } | End::Blocked { reason, .. } => reason.as_str(),
    }
}

/// When to come back: when something falls due, or later and later.
fn due(context: &Context, end: &End, failures: u32) -> Option<Duration> {
    let due = match end {
        End::Done { wake_at: None } => return None,
        End::Done { wake_at } => *wake_at,
        End::Wait { until, .. } => until.map(|at| at.min(look_again(context))),
        End::Blocked { .. } => None,
    };
    let pause = || pause(failures, context.clock.scale());
    Some(due.map_or_else(pause, |at| until(context, at)))
}

/// Not later than Secrets that nobody watches are looked at again; spread, so that objects that were looked
/// at together aren't for ever.
fn looked_at(context: &Context, next: Option<Duration>) -> Option<Duration> {
    let poll = || spread(scaled(SECRET_POLL, context.clock.scale()));
    if context.watch_secrets { next } else { Some(sooner(next, poll())) }
}

fn sooner(next: Option<Duration>, pause: Duration) -> Duration {
    next.map_or(pause, |next| next.min(pause))
}

/// What is waited for may come to pass sooner, by somebody's hand in IAM that no watch tells of.
fn look_again(context: &Context) -> Timestamp {
    let longest = SignedDuration::try_from(backoff::LONGEST.div_f64(context.clock.scale()).max(LOOK));
    after(context.clock.now(), longest.unwrap_or(SignedDuration::MAX))
}

/// Time left, a little more than less, so that what is due is due when the pass runs.
fn until(context: &Context, at: Timestamp) -> Duration {
    let left = at.duration_since(context.clock.now());
    Duration::try_from(left).unwrap_or_default() + Duration::from_millis(50)
}
