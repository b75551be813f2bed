//! The drift sweep: pages of account details, now and then a credential report, and nothing else.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::{Goal, Identity};
use ses_smtp_core::iam::Failure;
use ses_smtp_core::inventory::{CredentialReport, KeySlot, ReportState, UserRow};
use ses_smtp_core::names::AWS_ACCOUNT;
use ses_smtp_core::reason::Reason;
use ses_smtp_core::record::Record;
use ses_smtp_core::status::Note;
use ses_smtp_core::sweep::drift::{Findings, REPORT_LAG, compare, keys_differ};
use ses_smtp_core::tenancy::Place;
use ses_smtp_core::time::{after, shortened};
use ses_smtp_core::world::Suspicion;

use super::{Incomplete, Sweeper, pages};
use crate::aws::Iam;
use crate::controller::cache::key_of;

/// IAM makes a credential report this often at most.
const REPORT_INTERVAL: SignedDuration = SignedDuration::from_hours(4);

/// What is remembered between looks.
#[derive(Default)]
pub struct Reports {
    /// When the latest report was made, by account.
    generated: BTreeMap<String, Timestamp>,
    /// What was already told of users, by UID.
    told: BTreeMap<String, Vec<String>>,
}

/// The objects that are to have a user in one account, by its name.
type Objects = HashMap<String, Arc<SesSmtpCredential>>;

/// Compares every user of ours with its spec and raises suspicion where they differ. Gives the accounts
/// that could not be looked at.
pub async fn sweep(sweeper: &Sweeper, reports: &mut Reports) -> Vec<Incomplete> {
    let began = sweeper.context.clock.now();
    let mut expected = expected(sweeper);
    forget_the_dead(sweeper, reports);
    let mut missed = Vec::new();
    for place in sweeper.context.tenancies.places(&sweeper.context.settings) {
        let objects = expected.remove(&place.account).unwrap_or_default();
        if let Err(failure) = look(sweeper, reports, &place, objects, began).await {
            missed.push(sweeper.missed(&place, failure).await);
        }
    }
    missed
}

/// One account.
async fn look(
    sweeper: &Sweeper,
    reports: &mut Reports,
    place: &Place,
    objects: Objects,
    began: Timestamp,
) -> Result<(), Failure> {
    let iam = sweeper.reach(place).await?;
    let mut left = objects.clone();
    let mut foreign = Vec::new();
    pages(&*iam, |page| {
        for user in page.users {
            let Some(object) = left.remove(&user.name) else { continue };
            foreign.extend(compared(sweeper, object, &user, began));
        }
    })
    .await?;
    for object in left.into_values() {
        let Some(goal) = sweeper.context.goal(&object) else { continue };
        if settled(sweeper, goal.identity(), began).is_some() {
            suspect(sweeper, &object, Suspicion { user: true, ..Suspicion::default() });
        }
    }
    for (object, found) in foreign {
        tell(sweeper, reports, &object, found).await;
    }
    if let Some(report) = due_report(sweeper, reports, place, &*iam, began).await? {
        report_compared(sweeper, &objects, &report);
    }
    Ok(())
}

/// Some objects go without a pass: force-deleted ones, and those that never had a finalizer.
fn forget_the_dead(sweeper: &Sweeper, reports: &mut Reports) {
    let living: HashSet<String> =
        sweeper.context.objects.state().iter().filter_map(|object| object.uid()).collect();
    sweeper.context.memory.retain(&living);
    reports.told.retain(|uid, _| living.contains(uid));
}

/// The objects that are to have a user, by account. One that was made in another account is left out: its
/// user is not looked for here.
fn expected(sweeper: &Sweeper) -> HashMap<String, Objects> {
    let mut expected: HashMap<String, Objects> = HashMap::new();
    for object in sweeper.context.objects.state() {
        if object.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let Some(Goal::Serve(desired)) = sweeper.context.goal(&object) else { continue };
        let Identity { account, user, .. } = desired.identity;
        if object.annotations().get(AWS_ACCOUNT).is_none_or(|recorded| *recorded == account) {
            expected.entry(account).or_default().insert(user.name, object);
        }
    }
    expected
}

/// What the object's Secret says of it, as the watch shows.
fn recorded(sweeper: &Sweeper, identity: &Identity) -> Option<Record> {
    Some(sweeper.context.cache.get(&key_of(identity))?.record)
}

/// What the Secret says of an object whose user there was before this look began, if that is so: one
/// that was only just made has no policy yet.
fn settled(sweeper: &Sweeper, identity: &Identity, began: Timestamp) -> Option<Record> {
    let record = recorded(sweeper, identity)?;
    let settle = sweeper.context.settings.durations.settle;
    (after(record.issued_at?, settle) < began).then_some(record)
}

fn compared(
    sweeper: &Sweeper,
    object: Arc<SesSmtpCredential>,
    user: &UserRow,
    now: Timestamp,
) -> Option<(Arc<SesSmtpCredential>, Vec<String>)> {
    let Some(Goal::Serve(desired)) = sweeper.context.goal(&object) else { return None };
    let Findings { mut suspicion, foreign } = compare(&desired, user, now);
    if let Some(record) = settled(sweeper, &desired.identity, now) {
        suspicion.lifted = record.quarantined_at.is_some() && suspicion.quarantine.is_none();
        if suspicion != Suspicion::default() {
            suspect(sweeper, &object, suspicion);
        }
    }
    (!foreign.is_empty()).then_some((object, foreign))
}

fn suspect(sweeper: &Sweeper, object: &SesSmtpCredential, suspicion: Suspicion) {
    tracing::info!(
        namespace = object.namespace().unwrap_or_default(),
        name = object.name_any(),
        ?suspicion,
        "the account differs from the spec"
    );
    sweeper.context.memory.suspect(&object.uid().unwrap_or_default(), suspicion);
    // The receiver goes only with the process.
    let _ = sweeper.suspects.unbounded_send(ObjectRef::from_obj(object));
}

/// What others hung on a user is told once.
async fn tell(sweeper: &Sweeper, reports: &mut Reports, object: &SesSmtpCredential, found: Vec<String>) {
    let uid = object.uid().unwrap_or_default();
    if reports.told.get(&uid) == Some(&found) {
        return;
    }
    let Some(goal) = sweeper.context.goal(object) else { return };
    let user = &goal.identity().user.name;
    let text = format!(
        "IAM user {user} has {} that the operator didn't put there: it is left alone, may widen what the \
         credential can do, and keeps the user from being deleted. Remove what isn't meant to be there",
        found.join(", ")
    );
    let note = Note { warning: true, reason: Reason::ForeignAttachment.as_str(), action: "Sweep", text };
    sweeper.context.credentials.tell(object, note).await;
    reports.told.insert(uid, found);
}

/// A credential report, if a new one is due and there is one.
async fn due_report(
    sweeper: &Sweeper,
    reports: &mut Reports,
    place: &Place,
    iam: &dyn Iam,
    now: Timestamp,
) -> Result<Option<CredentialReport>, Failure> {
    let scale = sweeper.context.clock.scale();
    let interval = shortened(REPORT_INTERVAL, scale);
    if reports.generated.get(&place.account).is_some_and(|generated| now < after(*generated, interval)) {
        return Ok(None);
    }
    if iam.generate_credential_report().await? == ReportState::InProgress {
        return Ok(None);
    }
    let report = iam.get_credential_report().await?;
    let before = reports.generated.insert(place.account.clone(), report.generated);
    let news = before != Some(report.generated);
    Ok(news.then_some(report))
}

fn report_compared(sweeper: &Sweeper, objects: &Objects, report: &CredentialReport) {
    for (name, object) in objects {
        let Some(slots) = report.users.get(name) else { continue };
        if keys_of(sweeper, object, slots, report.generated) {
            suspect(sweeper, object, Suspicion { keys: true, ..Suspicion::default() });
        }
    }
}

fn keys_of(sweeper: &Sweeper, object: &SesSmtpCredential, slots: &[KeySlot], generated: Timestamp) -> bool {
    let Some(goal) = sweeper.context.goal(object) else { return false };
    let lag = shortened(REPORT_LAG, sweeper.context.clock.scale());
    let record = recorded(sweeper, goal.identity());
    record.is_some_and(|record| keys_differ(&record, slots, generated, lag))
}
