//! What the controller looks like at a moment, for metrics: counted at each scrape from its memory and
//! caches, without a call.
//!
//! Owns what sweeps have shown and when. What is counted is decided by `ses_smtp_core::fleet`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::secret_name;
use ses_smtp_core::fleet::{Fleet, PublishedKey};

use super::Context;
use super::lock::lock;
use crate::process::{OneShown, Picture, SweepTimes};

/// What is remembered of the looks at the whole account.
#[derive(Default)]
pub struct Looks(Mutex<Known>);

#[derive(Clone, Default)]
struct Known {
    sweeps: BTreeMap<&'static str, SweepTimes>,
    orphans: Option<Orphans>,
}

/// The orphans of the last look for them.
#[derive(Clone, Copy)]
struct Orphans {
    all: usize,
    held_back: usize,
}

impl Looks {
    /// The first look of this kind is to be made at `due`.
    pub fn expect(&self, kind: &'static str, due: Timestamp) {
        lock(&self.0).sweeps.entry(kind).or_insert(SweepTimes { completed: None, due });
    }

    /// A look was completed, and the next is to be made at `due`.
    pub fn completed(&self, kind: &'static str, at: Timestamp, due: Timestamp) {
        lock(&self.0).sweeps.insert(kind, SweepTimes { completed: Some(at), due });
    }

    /// So many users have no custom resource, and so many of them have to wait for the breaker.
    pub fn orphans(&self, all: usize, held_back: usize) {
        lock(&self.0).orphans = Some(Orphans { all, held_back });
    }
}

/// Gives the picture for as long as the controller is there; none before everything was listed.
pub fn source(
    context: &Arc<Context>,
    per_object: bool,
) -> impl Fn() -> Option<Picture> + Send + Sync + 'static {
    let context: Weak<Context> = Arc::downgrade(context);
    move || {
        let context = context.upgrade()?;
        let listed = *context.synced.borrow() && *context.known.borrow() && *context.listed.borrow();
        listed.then(|| picture(&context, per_object))
    }
}

fn picture(context: &Context, per_object: bool) -> Picture {
    let now = context.clock.now();
    let mut fleet = Fleet::default();
    let mut objects = Vec::new();
    for object in context.objects.state() {
        let shown = context.memory.shown(&object.uid().unwrap_or_default());
        let key = published(context, &object, now);
        fleet.add(shown, key, now);
        if per_object {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            objects.push(OneShown { namespace, name, shown, key });
        }
    }
    let Known { sweeps, orphans } = lock(&context.looks.0).clone();
    Picture {
        fleet,
        objects,
        accounts: context.tenancies.places(&context.settings).len(),
        sweeps,
        orphans: orphans.map(|orphans| orphans.all),
        held_back: orphans.map(|orphans| orphans.held_back),
    }
}

fn published(context: &Context, object: &SesSmtpCredential, now: Timestamp) -> Option<PublishedKey> {
    let key = (object.namespace()?, secret_name(object).to_owned());
    context.cache.look(&key, |secret| PublishedKey::of(object, secret, &context.settings, now))?
}
