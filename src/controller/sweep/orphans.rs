//! The orphan sweep: users whose custom resource is gone without its finalizer having run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::iam::{Blocker, Failure, KeyStatus, ListedKey, UserFacts};
use ses_smtp_core::identity::Installation;
use ses_smtp_core::names::{POLICY_NAME, quarantine_arns, tag};
use ses_smtp_core::region::Partition;
use ses_smtp_core::sweep::Scope;
use ses_smtp_core::sweep::orphans::{Census, Fate, Memory, Orphan, may_act};
use ses_smtp_core::tenancy::Place;

use super::{Incomplete, Sweeper, pages};
use crate::aws::{Activity, Iam, Subject, on_behalf_of};
use crate::cluster::Extent;
use crate::controller::Context;

/// Objects per page of a list.
const PAGE: u32 = 500;

/// The custom resources there are, and where they were listed whole.
struct Living {
    uids: BTreeSet<String>,
    /// With the install ids of their users; `None`: everywhere.
    namespaces: Option<BTreeMap<String, String>>,
}

/// Looks for orphans in every account and does what is due to them, at most so many at a time in all.
/// Gives the accounts, and the lists, that could not be looked at.
pub async fn sweep(sweeper: &Sweeper, memory: &mut Memory) -> Vec<Incomplete> {
    let mut missed = Vec::new();
    let Some(living) = living(&sweeper.context, &mut missed).await else { return missed };
    if !may_act(&living.uids) {
        return missed;
    }
    let (census, accounts) = count(sweeper, &living, &mut missed).await;
    let now = sweeper.context.clock.now();
    let plan = memory.plan(census, sweeper.context.sweep_rules, now);
    sweeper.context.looks.orphans(plan.orphans, plan.held_back);
    if plan.held_back > 0 {
        tracing::warn!(
            orphans = plan.orphans,
            held_back = plan.held_back,
            "more orphaned IAM users than may be dealt with in an hour: look whether this is meant"
        );
    }
    for (orphan, fate) in &plan.acts {
        if !sweeper.context.leadership.held() {
            break;
        }
        let Some(iam) = accounts.get(&orphan.account) else { continue };
        let deed = end(&**iam, &sweeper.context.settings.installation, orphan, *fate, now);
        let done = on_behalf_of(subject(orphan), deed).await;
        if done.is_err() {
            memory.failed(orphan);
        }
        log(orphan, *fate, done.err());
    }
    missed
}

/// All custom resources, or those of each namespace that is watched: of one whose list fails, or of whose UID
/// nothing is known, no user is looked at. `None` if there is nothing to look at.
async fn living(context: &Context, missed: &mut Vec<Incomplete>) -> Option<Living> {
    let (mut uids, mut listed) = (BTreeSet::new(), BTreeSet::new());
    for (namespace, api) in context.extent.apis(&context.client) {
        match uids_of(&api).await {
            Ok(found) => {
                uids.extend(found);
                listed.insert(namespace);
            }
            Err(error) => missed.push(Incomplete::Kubernetes { namespace, error }),
        }
    }
    let namespaces = (context.extent != Extent::Cluster).then(|| {
        let mut installs = context.tenancies.installs();
        installs.retain(|namespace, _| listed.contains(namespace));
        installs
    });
    (!listed.is_empty()).then_some(Living { uids, namespaces })
}

/// The object that was, for the audit log.
fn subject(orphan: &Orphan) -> Subject {
    let (namespace, name) = orphan.object.split_once('/').unwrap_or_default();
    Subject { namespace: namespace.to_owned(), name: name.to_owned(), uid: orphan.uid.clone() }
}

/// The users of every account that can be looked at whole, and IAM of each of those.
async fn count(
    sweeper: &Sweeper,
    living: &Living,
    missed: &mut Vec<Incomplete>,
) -> (Census, HashMap<String, Arc<dyn Iam>>) {
    let (mut census, mut accounts) = (Census::default(), HashMap::new());
    for place in sweeper.context.tenancies.places(&sweeper.context.settings) {
        match counted(sweeper, &place, living).await {
            Ok((iam, found)) => {
                census.join(found);
                accounts.insert(place.account, iam);
            }
            Err(failure) => missed.push(sweeper.missed(&place, failure).await),
        }
    }
    (census, accounts)
}

async fn counted(
    sweeper: &Sweeper,
    place: &Place,
    living: &Living,
) -> Result<(Arc<dyn Iam>, Census), Failure> {
    let installation = &sweeper.context.settings.installation;
    let scope = Scope { installation, namespaces: living.namespaces.as_ref() };
    let iam = sweeper.reach(place).await?;
    let mut census = Census::default();
    pages(&*iam, |page| census.add(&scope, &place.account, &page.users, &living.uids)).await?;
    Ok((iam, census))
}

fn log(orphan: &Orphan, fate: Fate, failure: Option<Failure>) {
    let (user, object, install) = (&orphan.name, &orphan.object, &orphan.install);
    let account = &orphan.account;
    match failure {
        None => tracing::info!(user, account, object, install, ?fate, "an orphaned IAM user was dealt with"),
        Some(failure) => {
            tracing::warn!(
                user,
                account,
                object,
                install,
                ?fate,
                ?failure,
                "an orphaned IAM user could not be dealt with"
            );
        }
    }
}

/// The UIDs of all custom resources there are within `extent`, whole or not at all.
pub async fn live(client: &Client, extent: &Extent) -> Result<BTreeSet<String>, kube::Error> {
    let mut uids = BTreeSet::new();
    for (_, api) in extent.apis(client) {
        uids.extend(uids_of(&api).await?);
    }
    Ok(uids)
}

async fn uids_of(api: &Api<SesSmtpCredential>) -> Result<BTreeSet<String>, kube::Error> {
    let mut uids = BTreeSet::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list_metadata(&params).await?;
        uids.extend(page.items.iter().filter_map(ResourceExt::uid));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(uids),
        }
    }
}

/// The users of a cluster id within the scope, whoever's installation made them, and whether `scope` holds
/// them: the orphans are those of no live object. What is live has to be asked after this: an object made
/// meanwhile is no longer missed.
pub async fn users(iam: &dyn Iam, scope: &Scope<'_>) -> Result<Vec<(Orphan, bool)>, Failure> {
    let live = BTreeSet::new();
    let mut orphans = Vec::new();
    pages(iam, |page| {
        let ours = page.users.iter().filter(|user| scope.holds_but_for_install(user));
        let seen = |user| Some((Orphan::of(user, &scope.installation.account, &live)?, scope.holds(user)));
        orphans.extend(ours.filter_map(seen));
    })
    .await?;
    Ok(orphans)
}

/// Deletes an orphan with its keys and its policy, at once.
pub async fn remove(iam: &dyn Iam, installation: &Installation, orphan: &Orphan) -> Result<(), Failure> {
    match still(iam, installation, orphan).await? {
        Some(_) => {
            let keys = iam.list_access_keys(&orphan.name).await?.keys;
            delete(iam, &orphan.name, &keys, installation.partition).await
        }
        None => Ok(()),
    }
}

/// Carries out the fate of an orphan, after a fresh look at it (S4).
async fn end(
    iam: &dyn Iam,
    installation: &Installation,
    orphan: &Orphan,
    fate: Fate,
    now: Timestamp,
) -> Result<(), Failure> {
    let Some(user) = still(iam, installation, orphan).await? else { return Ok(()) };
    let name = &orphan.name;
    if fate == Fate::Release {
        return mark(iam, name, user, tag::RELEASED, now).await;
    }
    let keys = iam.list_access_keys(name).await?.keys;
    // One that works was made Active again since the mark was set: by an object that came back for a
    // while, or by somebody who needs it.
    let idle = keys.iter().all(|key| key.status == KeyStatus::Inactive);
    if fate == Fate::Delete && idle {
        return delete(iam, name, &keys, installation.partition).await;
    }
    deactivate(iam, name, &keys).await?;
    let marked = if fate == Fate::Deactivate { tag::RELEASED } else { tag::ORPHANED_SINCE };
    mark(iam, name, user, marked, now).await
}

/// The user as it is now, if it is still the one that was seen (S4).
async fn still(
    iam: &dyn Iam,
    installation: &Installation,
    orphan: &Orphan,
) -> Result<Option<UserFacts>, Failure> {
    match iam.get_user(&orphan.name).await {
        Ok(user) => Ok(is_same(installation, orphan, &user).then_some(user)),
        Err(Failure::Absent) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The user is still the one that was seen, with the path and tags that make it an orphan.
fn is_same(installation: &Installation, orphan: &Orphan, user: &UserFacts) -> bool {
    let says = |key: &str, value: &str| user.tags.get(key).is_some_and(|found| found == value);
    user.user_id == orphan.user_id
        && user.path == installation.path()
        && says(tag::CLUSTER, &installation.cluster_id)
        && says(tag::UID, &orphan.uid)
        && says(tag::INSTALL, &orphan.install)
        && !user.tags.contains_key(tag::RELEASED)
}

async fn deactivate(iam: &dyn Iam, user: &str, keys: &[ListedKey]) -> Result<(), Failure> {
    for key in keys {
        if key.status != KeyStatus::Inactive {
            iam.update_access_key(user, &key.id, Activity::Inactive).await?;
        }
    }
    Ok(())
}

async fn mark(iam: &dyn Iam, name: &str, user: UserFacts, key: &str, now: Timestamp) -> Result<(), Failure> {
    let mut tags = user.tags;
    tags.insert(key.to_owned(), ses_smtp_core::time::seconds(now).to_string());
    iam.tag_user(name, &tags).await
}

async fn delete(iam: &dyn Iam, user: &str, keys: &[ListedKey], partition: Partition) -> Result<(), Failure> {
    for key in keys {
        done(iam.delete_access_key(user, &key.id).await)?;
    }
    done(iam.delete_user_policy(user, POLICY_NAME).await)?;
    match iam.delete_user(user).await {
        Err(Failure::Conflict(Blocker::AttachedPolicies)) => {
            lift_quarantine(iam, user, partition).await?;
            done(iam.delete_user(user).await)
        }
        other => done(other),
    }
}

/// AWS's own quarantine keeps a user from being deleted; nothing else is taken off.
async fn lift_quarantine(iam: &dyn Iam, user: &str, partition: Partition) -> Result<(), Failure> {
    for arn in quarantine_arns(&partition.to_string()) {
        done(iam.detach_user_policy(user, &arn).await)?;
    }
    Ok(())
}

/// What is gone already is as good as deleted.
fn done(result: Result<(), Failure>) -> Result<(), Failure> {
    match result {
        Err(Failure::Absent) => Ok(()),
        other => other,
    }
}
