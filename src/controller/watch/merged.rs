//! One watch of the whole cluster, or one of each namespace of a list, told as if they were one.
//!
//! Owns how the events of several watches become those of one. A namespace that can't be watched keeps no
//! other waiting: it counts as empty until it can be.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use kube::core::NamespaceResourceScope;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::cluster::Extent;
use crate::controller::unserved::Unserved;

/// What a watch tells.
type Told<K> = Result<Event<K>, watcher::Error>;

/// The events of a kind within `extent`. `call` is what it takes to begin, such as `list secrets`.
pub fn events<K>(
    client: &Client,
    extent: &Extent,
    config: &Config,
    (unserved, call): (&Arc<Unserved>, &'static str),
) -> BoxStream<'static, Told<K>>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    let apis = extent.apis(client).into_iter();
    let watches: Vec<_> = apis
        .map(|(name, api)| {
            let watch = watcher(api, config.clone()).default_backoff();
            watch.map(move |event| (name.clone(), event)).boxed()
        })
        .collect();
    match extent {
        Extent::Cluster => stream::select_all(watches).map(|(_, event)| event).boxed(),
        Extent::Namespaces(names) => merged(watches, names, unserved.clone(), call).boxed(),
    }
}

fn merged<K: ResourceExt + Clone + Send + 'static>(
    watches: Vec<BoxStream<'static, (String, Told<K>)>>,
    names: &[String],
    unserved: Arc<Unserved>,
    call: &'static str,
) -> impl Stream<Item = Told<K>> + use<K> {
    let mut merged = Merged::new(names);
    stream::select_all(watches).flat_map(move |(name, event)| {
        tell(&unserved, &name, call, &event);
        stream::iter(merged.take(&name, event).into_iter().map(Ok))
    })
}

/// A list that fails may fail for long; a watch that breaks begins again from where it was.
fn tell<K>(unserved: &Unserved, namespace: &str, call: &'static str, event: &Told<K>) {
    match event {
        Err(watcher::Error::InitialListFailed(error)) => unserved.fails(namespace, call, error),
        Err(error) => tracing::warn!(namespace, call, %error, "a watch broke and is set up again"),
        Ok(Event::InitDone) => unserved.works(namespace, call),
        Ok(_) => {}
    }
}

/// What the watches have told so far.
struct Merged<K> {
    /// Namespaces of which nothing is known yet, not even that they can't be listed.
    awaited: BTreeSet<String>,
    /// What there is, by namespace and name.
    known: BTreeMap<String, HashMap<String, K>>,
    /// What a list under way has shown of a namespace.
    listed: BTreeMap<String, HashSet<String>>,
}

impl<K: ResourceExt + Clone> Merged<K> {
    fn new(names: &[String]) -> Self {
        Self { awaited: names.iter().cloned().collect(), known: BTreeMap::new(), listed: BTreeMap::new() }
    }

    /// What one watch of the whole would have told. Nothing is told before each namespace was listed or
    /// refused. From then on a list of one namespace is told as one of the whole, with what is known of the
    /// others: whoever remembers more than the watches have told, such as a write of its own, finds out so that
    /// it is gone.
    fn take(&mut self, namespace: &str, event: Told<K>) -> Vec<Event<K>> {
        match event {
            Ok(Event::Init) => {
                self.listed.remove(namespace);
                Vec::new()
            }
            Ok(Event::InitApply(object)) => {
                self.listed.entry(namespace.to_owned()).or_default().insert(object.name_any());
                self.keep(namespace, object);
                Vec::new()
            }
            Ok(Event::InitDone) => {
                let listed = self.listed.remove(namespace).unwrap_or_default();
                self.of(namespace).retain(|name, _| listed.contains(name));
                self.awaited.remove(namespace);
                self.told(Self::whole)
            }
            Ok(Event::Apply(object)) => {
                self.keep(namespace, object.clone());
                self.told(|_| vec![Event::Apply(object)])
            }
            Ok(Event::Delete(object)) => {
                self.of(namespace).remove(&object.name_any());
                self.told(|_| vec![Event::Delete(object)])
            }
            // Refused for the first time, it is waited for no longer.
            Err(_) if self.awaited.remove(namespace) => self.told(Self::whole),
            Err(_) => Vec::new(),
        }
    }

    fn of(&mut self, namespace: &str) -> &mut HashMap<String, K> {
        self.known.entry(namespace.to_owned()).or_default()
    }

    fn keep(&mut self, namespace: &str, object: K) {
        self.of(namespace).insert(object.name_any(), object);
    }

    fn told(&mut self, events: impl FnOnce(&mut Self) -> Vec<Event<K>>) -> Vec<Event<K>> {
        if self.awaited.is_empty() { events(self) } else { Vec::new() }
    }

    fn whole(&mut self) -> Vec<Event<K>> {
        let objects = self.known.values().flat_map(HashMap::values);
        let shown = objects.map(|object| Event::InitApply(object.clone()));
        std::iter::once(Event::Init).chain(shown).chain([Event::InitDone]).collect()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use kube::core::Status;

    use super::*;

    fn secret(name: &str) -> Secret {
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.into());
        secret
    }

    fn refused() -> watcher::Error {
        watcher::Error::InitialListFailed(kube::Error::Api(Box::<Status>::default()))
    }

    /// Each event as a word.
    fn words(events: Vec<Event<Secret>>) -> Vec<String> {
        let word = |event: Event<Secret>| match event {
            Event::Init => "init".to_owned(),
            Event::InitApply(object) => format!("init {}", object.name_any()),
            Event::InitDone => "done".to_owned(),
            Event::Apply(object) => format!("+{}", object.name_any()),
            Event::Delete(object) => format!("-{}", object.name_any()),
        };
        events.into_iter().map(word).collect()
    }

    fn list(merged: &mut Merged<Secret>, namespace: &str, names: &[&str]) -> Vec<String> {
        let shown = names.iter().map(|name| Event::InitApply(secret(name)));
        let events = std::iter::once(Event::Init).chain(shown).chain([Event::InitDone]);
        events.flat_map(|event| words(merged.take(namespace, Ok(event)))).collect()
    }

    #[test]
    fn the_first_list_is_that_of_all_but_those_that_are_refused() {
        let mut merged = Merged::new(&["a".into(), "b".into(), "c".into()]);
        assert!(list(&mut merged, "a", &["x", "y"]).is_empty());
        assert!(merged.take("c", Err(refused())).is_empty());
        assert!(merged.take("a", Ok(Event::Delete(secret("y")))).is_empty());
        assert!(merged.take("a", Ok(Event::Apply(secret("z")))).is_empty());
        let mut told = list(&mut merged, "b", &["x"]);
        told[1..4].sort();
        assert_eq!(told, ["init", "init x", "init x", "init z", "done"]);
        assert!(merged.take("c", Err(refused())).is_empty());
        told = list(&mut merged, "c", &["v"]);
        told[1..5].sort();
        assert_eq!(told, ["init", "init v", "init x", "init x", "init z", "done"], "one that comes late");
    }

    #[test]
    fn a_list_of_one_namespace_is_told_with_what_is_known_of_the_others() {
        let mut merged = Merged::new(&["a".into(), "b".into()]);
        list(&mut merged, "a", &["x", "y"]);
        list(&mut merged, "b", &["u"]);
        assert_eq!(words(merged.take("b", Ok(Event::Apply(secret("w"))))), ["+w"]);
        assert_eq!(words(merged.take("b", Ok(Event::Delete(secret("u"))))), ["-u"]);
        assert_eq!(list(&mut merged, "a", &["y"]), ["init", "init y", "init w", "done"]);
        assert_eq!(words(merged.take("a", Ok(Event::Delete(secret("y"))))), ["-y"]);
        assert!(merged.take("b", Err(refused())).is_empty(), "what was known of it stays");
        assert_eq!(list(&mut merged, "a", &[]), ["init", "init w", "done"]);
        assert_eq!(list(&mut merged, "b", &[]), ["init", "done"]);
    }
}
