//! What is known of Namespaces, for metadata only: by a watch of all of them, or by reads of some now and then.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Client, ResourceExt as _};
use ses_smtp_core::api::SesSmtpCredential;
use tokio::sync::watch as channel;

use super::PAGE;
use crate::controller::Context;
use crate::controller::backoff::scaled;

/// How often Namespaces are read that can't be watched: a watch of one by name takes a right that only a
/// `ClusterRole` can give.
const POLL: Duration = Duration::from_mins(1);
/// The call by which they are read.
const GET: &str = "get namespaces";

/// Keeps what is known of Namespaces and tells which objects a change of theirs is about. `known` turns
/// true after the first list.
pub fn namespaces(
    client: Client,
    context: Arc<Context>,
    known: channel::Sender<bool>,
) -> impl Stream<Item = ObjectRef<SesSmtpCredential>> + Send {
    let mut listed = HashSet::new();
    watcher(Api::<PartialObjectMeta<Namespace>>::all(client), Config::default().page_size(PAGE))
        .default_backoff()
        .flat_map(move |event| stream::iter(said(&context, &mut listed, &known, event)))
}

fn said(
    context: &Context,
    listed: &mut HashSet<String>,
    known: &channel::Sender<bool>,
    event: Result<Event<PartialObjectMeta<Namespace>>, watcher::Error>,
) -> Vec<ObjectRef<SesSmtpCredential>> {
    match event {
        Ok(Event::Apply(namespace)) => put(context, &namespace.metadata),
        Ok(Event::InitApply(namespace)) => {
            listed.insert(namespace.name_any());
            put(context, &namespace.metadata)
        }
        Ok(Event::Delete(namespace)) => {
            context.tenancies.remove(&namespace.name_any());
            Vec::new()
        }
        Ok(Event::Init) => {
            listed.clear();
            Vec::new()
        }
        Ok(Event::InitDone) => {
            context.tenancies.retain(&std::mem::take(listed));
            known.send_replace(true);
            Vec::new()
        }
        Err(error) => {
            tracing::warn!(%error, "the watch of Namespaces broke and is set up again");
            Vec::new()
        }
    }
}

/// The same for these Namespaces alone, each read by itself now and then. `known` turns true after the first
/// round, whatever it has shown: one that can't be read keeps no other waiting.
pub fn polled(
    context: Arc<Context>,
    names: Vec<String>,
    known: channel::Sender<bool>,
) -> impl Stream<Item = ObjectRef<SesSmtpCredential>> + Send {
    let rounds =
        stream::unfold((context, names, known, Duration::ZERO), async |(context, names, known, pause)| {
            tokio::time::sleep(pause).await;
            let changed = join_all(names.iter().map(|name| read(&context, name))).await.concat();
            known.send_replace(true);
            let pause = scaled(POLL, context.clock.scale());
            Some((changed, (context, names, known, pause)))
        });
    rounds.flat_map(stream::iter)
}

async fn read(context: &Context, name: &str) -> Vec<ObjectRef<SesSmtpCredential>> {
    match context.namespaces.get(name).await {
        Ok(Some(metadata)) => {
            context.unserved.works(name, GET);
            put(context, &metadata)
        }
        Ok(None) => {
            context.unserved.fails(name, GET, "it doesn't exist");
            context.tenancies.remove(name);
            Vec::new()
        }
        Err(error) => {
            context.unserved.fails(name, GET, error);
            Vec::new()
        }
    }
}

/// The Namespace's objects, if what it says has changed.
fn put(context: &Context, metadata: &ObjectMeta) -> Vec<ObjectRef<SesSmtpCredential>> {
    if !context.tenancies.put(metadata) {
        return Vec::new();
    }
    let name = metadata.name.clone().unwrap_or_default();
    let objects = context.objects.state().into_iter();
    let within = objects.filter(|object| object.metadata.namespace.as_deref() == Some(&name));
    within.map(|object| ObjectRef::from_obj(&*object)).collect()
}
