//! The watches: our custom resources, the metadata of our Secrets, that of Secrets that may be used as
//! sources of access keys, and what Namespaces say.

mod merged;
mod namespaces;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Config, Event};
use kube::runtime::{PredicateConfig, WatchStreamExt as _, predicates};
use kube::{Client, ResourceExt as _};
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::names::{CONSENT, LABEL_CREDENTIAL, LABEL_MANAGED_BY, LABEL_SOURCE, MANAGER};
use ses_smtp_core::secret::{Controller, SecretFacts};
use tokio::sync::watch as channel;

use super::Context;
use super::cache::Key;
use super::unserved::Unserved;
use crate::cluster::Extent;

/// Pause between looks for something that is not there yet.
pub const RETRY: Duration = Duration::from_secs(2);
/// Objects per page of a list: larger pages cost memory, smaller ones calls.
const PAGE: u32 = 200;

/// What it takes to begin a watch.
const LIST_OBJECTS: &str = "list sessmtpcredentials";
const LIST_SECRETS: &str = "list secrets";

/// What turns true once it was listed, or won't be.
pub struct Listed {
    /// Our Secrets.
    pub secrets: channel::Sender<bool>,
    /// Secrets that may be used as sources.
    pub sources: channel::Sender<bool>,
    /// What Namespaces say.
    pub namespaces: channel::Sender<bool>,
}

/// The objects that changes of anything but themselves are about.
pub fn changes(
    client: &Client,
    context: &Arc<Context>,
    listed: Listed,
) -> BoxStream<'static, ObjectRef<SesSmtpCredential>> {
    let namespaces = match &context.extent {
        Extent::Cluster => namespaces::namespaces(client.clone(), context.clone(), listed.namespaces).boxed(),
        Extent::Namespaces(names) => {
            namespaces::polled(context.clone(), names.clone(), listed.namespaces).boxed()
        }
    };
    if !context.watch_secrets {
        // Nobody may wait for a list that won't come: passes read for themselves.
        listed.secrets.send_replace(true);
        listed.sources.send_replace(true);
        return namespaces;
    }
    let ours = secrets(client, context.clone(), listed.secrets).boxed();
    let sources = sources(client, context.clone(), listed.sources).boxed();
    stream::select_all([ours, sources, namespaces]).boxed()
}

/// Changes of custom resources that matter, and the store of all of them.
///
/// Our own status writes change none of that and so cause no pass, but for the first. `listed`
/// turns true after the first list: the store's own wait wakes only one of two that wait, and the
/// controller is one of them.
pub fn objects(
    client: &Client,
    extent: &Extent,
    unserved: &Arc<Unserved>,
    listed: channel::Sender<bool>,
) -> (impl Stream<Item = Result<SesSmtpCredential, watcher::Error>> + Send + use<>, Store<SesSmtpCredential>)
{
    use kube::runtime::Predicate as _;
    let (store, writer) = reflector::store();
    let changed = predicates::generation
        .combine(predicates::finalizers)
        .combine(predicates::annotations)
        .combine(is_unreported);
    let config = Config::default().page_size(PAGE);
    let stream = merged::events(client, extent, &config, (unserved, LIST_OBJECTS))
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
fn secrets(
    client: &Client,
    context: Arc<Context>,
    synced: channel::Sender<bool>,
) -> impl Stream<Item = ObjectRef<SesSmtpCredential>> + Send + use<> {
    let ours = format!("{LABEL_MANAGED_BY}={MANAGER},{LABEL_CREDENTIAL}");
    let config = Config::default().labels(&ours).page_size(PAGE);
    let mut listed = HashSet::new();
    merged::events(client, &context.extent, &config, (&context.unserved, LIST_SECRETS))
        .flat_map(move |event| stream::iter(changed(&context, &mut listed, &synced, event)))
}

/// Keeps the versions of the Secrets whose owners consent to their use as sources, and tells which
/// objects use one that changed.
fn sources(
    client: &Client,
    context: Arc<Context>,
    synced: channel::Sender<bool>,
) -> impl Stream<Item = ObjectRef<SesSmtpCredential>> + Send + use<> {
    let config = Config::default().labels(&format!("{LABEL_SOURCE}={CONSENT}")).page_size(PAGE);
    let mut listed = HashSet::new();
    let events = merged::events(client, &context.extent, &config, (&context.unserved, LIST_SECRETS));
    events.flat_map(move |event| {
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
