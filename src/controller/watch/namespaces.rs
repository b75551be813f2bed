//! The watch of all Namespaces, for metadata only.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Client, ResourceExt as _};
use ses_smtp_core::api::SesSmtpCredential;
use tokio::sync::watch as channel;

use super::PAGE;
use crate::controller::Context;

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
        Ok(Event::Apply(namespace)) => put(context, &namespace),
        Ok(Event::InitApply(namespace)) => {
            listed.insert(namespace.name_any());
            put(context, &namespace)
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

/// The Namespace's objects, if what it says has changed.
fn put(context: &Context, namespace: &PartialObjectMeta<Namespace>) -> Vec<ObjectRef<SesSmtpCredential>> {
    if !context.tenancies.put(&namespace.metadata) {
        return Vec::new();
    }
    let name = namespace.name_any();
    let objects = context.objects.state().into_iter();
    let within = objects.filter(|object| object.metadata.namespace.as_deref() == Some(&name));
    within.map(|object| ObjectRef::from_obj(&*object)).collect()
}
