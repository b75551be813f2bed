//! The watches: our custom resources, the metadata of our Secrets, that of Secrets that may be used as
//! sources of access keys, and that of all Namespaces.

mod namespaces;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::runtime::{PredicateConfig, WatchStreamExt as _, predicates};
use kube::{Client, ResourceExt as _};
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::names::{CONSENT, LABEL_CREDENTIAL, LABEL_MANAGED_BY, LABEL_SOURCE, MANAGER};
use ses_smtp_core::secret::{Controller, SecretFacts};
use tokio::sync::watch as channel;

pub use namespaces::namespaces;

use super::Context;
use super::cache::Key;

/// Pause between looks for something that is not there yet.
pub const RETRY: Duration = Duration::from_secs(2);
/// Objects per page of a list: larger pages cost memory, smaller ones calls.
const PAGE: u32 = 200;

/// Changes of custom resources that matter, and the store of all of them.
///
/// Our own status writes change none of that and so cause no pass, but for the first. `listed`
/// turns true after the first list: the store's own wait wakes only one of two that wait, and the
/// controller is one of them.
pub fn objects(
    client: Client,
    listed: channel::Sender<bool>,
) -> (impl Stream<Item = Result<SesSmtpCredential, watcher::Error>> + Send, Store<SesSmtpCredential>) {
    use kube::runtime::Predicate as _;
    let (store, writer) = reflector::store();
    let changed = predicates::generation
        .combine(predicates::finalizers)
        .combine(predicates::annotations)
        .combine(is_unreported);
    let stream = watcher(Api::all(client), Config::default().page_size(PAGE))
        .default_backoff()
        .inspect(move |event| {
            if matches!(event, Ok(Event::InitDone)) {
                listed.send_replace(true);
            }
        })
        .modify(|object: &mut SesSmtpCredential| object.metadata.managed_fields = None)
        .reflect(writer)
        .applied_objects()
        .predicate_filter(changed, PredicateConfig::default());
    (stream, store)
}

/// A status that was emptied is filled again.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a predicate")]
fn is_unreported(object: &SesSmtpCredential) -> Option<u64> {
    let reported = object.status.as_ref().is_some_and(|status| !status.conditions.is_empty());
    Some(u64::from(!reported))
}

/// Keeps the cache of Secrets and tells which objects theirs changed. `synced` turns true after the
/// first list.
pub fn secrets(
    client: Client,
    context: Arc<Context>,
    synced: channel::Sender<bool>,
) -> impl Stream<Item = ObjectRef<SesSmtpCredential>> + Send {
    let ours = format!("{LABEL_MANAGED_BY}={MANAGER},{LABEL_CREDENTIAL}");
    let config = Config::default().labels(&ours).page_size(PAGE);
    let mut listed = HashSet::new();
    watcher(Api::<PartialObjectMeta<Secret>>::all(client), config)
        .default_backoff()
        .flat_map(move |event| stream::iter(changed(&context, &mut listed, &synced, event)))
}

/// Keeps the versions of the Secrets whose owners consent to their use as sources, and tells which
/// objects use one that changed.
pub fn sources(
    client: Client,
    context: Arc<Context>,
    synced: channel::Sender<bool>,
) -> impl Stream<Item = ObjectRef<SesSmtpCredential>> + Send {
    let config = Config::default().labels(&format!("{LABEL_SOURCE}={CONSENT}")).page_size(PAGE);
    let mut listed = HashSet::new();
    watcher(Api::<PartialObjectMeta<Secret>>::all(client), config).default_backoff().flat_map(move |event| {
        let changed = sources_changed(&context, &mut listed, &synced, event);
        stream::iter(users_of(&context, &changed))
    })
}

fn sources_changed(
    context: &Context,
    listed: &mut HashSet<Key>,
    synced: &channel::Sender<bool>,
    event: SecretEvent,
) -> Vec<Key> {
    match event {
        Ok(Event::Apply(secret)) => source_applied(context, &secret),
        Ok(Event::InitApply(secret)) => {
            listed.insert(key(&secret));
            source_applied(context, &secret)
        }
        Ok(Event::Delete(secret)) => {
            context.sources.remove(&key(&secret));
            vec![key(&secret)]
        }
        Ok(Event::Init) => {
            listed.clear();
            Vec::new()
        }
        Ok(Event::InitDone) => {
            synced.send_replace(true);
            context.sources.retain(&std::mem::take(listed))
        }
        Err(error) => {
            tracing::warn!(%error, "the watch of source Secrets broke and is set up again");
            Vec::new()
        }
    }
}

fn source_applied(context: &Context, secret: &PartialObjectMeta<Secret>) -> Vec<Key> {
    let news = context.sources.put(key(secret), secret.resource_version().unwrap_or_default());
    if news { vec![key(secret)] } else { Vec::new() }
}

/// The objects that take their access key from one of these Secrets.
fn users_of(context: &Context, sources: &[Key]) -> Vec<ObjectRef<SesSmtpCredential>> {
    if sources.is_empty() {
        return Vec::new();
    }
    let uses = |object: &Arc<SesSmtpCredential>| {
        let from = object.spec.access_key_from.as_ref();
        from.is_some_and(|from| {
            let source = (object.namespace().unwrap_or_default(), from.secret_ref.name.clone());
            sources.contains(&source)
        })
    };
    let objects = context.objects.state().into_iter().filter(uses);
    objects.map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}

type SecretEvent = Result<Event<PartialObjectMeta<Secret>>, watcher::Error>;

fn changed(
    context: &Context,
    listed: &mut HashSet<Key>,
    synced: &channel::Sender<bool>,
    event: SecretEvent,
) -> Vec<ObjectRef<SesSmtpCredential>> {
    match event {
        Ok(Event::Apply(secret)) => applied(context, &secret),
        Ok(Event::InitApply(secret)) => {
            listed.insert(key(&secret));
            applied(context, &secret)
        }
        Ok(Event::Delete(secret)) => {
            let key = key(&secret);
            context.cache.remove(&key);
            owner(&key, &SecretFacts::of_metadata(&secret.metadata)).into_iter().collect()
        }
        Ok(Event::Init) => {
            listed.clear();
            Vec::new()
        }
        Ok(Event::InitDone) => {
            let gone = context.cache.retain(&std::mem::take(listed));
            synced.send_replace(true);
            // The default name of a Secret is its object's; any other is found at the next pass.
            gone.into_iter().map(|(namespace, name)| ObjectRef::new(&name).within(&namespace)).collect()
        }
        Err(error) => {
            tracing::warn!(%error, "the watch of Secrets broke and is set up again");
            Vec::new()
        }
    }
}

fn applied(context: &Context, secret: &PartialObjectMeta<Secret>) -> Vec<ObjectRef<SesSmtpCredential>> {
    let (key, facts) = (key(secret), SecretFacts::of_metadata(&secret.metadata));
    let owner = owner(&key, &facts);
    let news = context.cache.put(key, facts);
    owner.filter(|_| news).into_iter().collect()
}

fn key(secret: &PartialObjectMeta<Secret>) -> Key {
    (secret.namespace().unwrap_or_default(), secret.name_any())
}

/// The object that a Secret belongs to: by owner reference or, if that was stripped, by label.
fn owner((namespace, _): &Key, facts: &SecretFacts) -> Option<ObjectRef<SesSmtpCredential>> {
    let name = match &facts.controller {
        Controller::Credential { name, .. } => name,
        _ => facts.labels.get(LABEL_CREDENTIAL)?,
    };
    Some(ObjectRef::new(name).within(namespace))
}
