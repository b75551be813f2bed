//! The gauges that describe all credentials: counted anew at each scrape, so that what is gone is gone.
//!
//! Owns how a [`Picture`] is written. Where it comes from, and what counts as what, is others' affair.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use k8s_openapi::jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use ses_smtp_core::fleet::{AGES, Fleet, PublishedKey, Shown, Stage, State};
use ses_smtp_core::reason::Reason;

use super::Described;
use super::{
    ACCOUNTS, CREDENTIALS, HELD_BACK, KEYS, NEXT_ROTATION, OBJECT_ISSUED, OBJECT_READY, OBJECT_ROTATION,
    OBJECT_STALLED, OLDEST_KEY, ORPHANS, OVERDUE, OVERDUE_SECONDS, PREVIOUS_KEYS, STALLED, STATES,
    SWEEP_COMPLETED, SWEEP_DUE,
};

/// What there is to see at a moment.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Counts over all credentials.
    pub fleet: Fleet,
    /// AWS accounts in use.
    pub accounts: usize,
    /// The looks at the whole account, by kind.
    pub sweeps: BTreeMap<&'static str, SweepTimes>,
    /// Users without a custom resource at the last look for them.
    pub orphans: Option<usize>,
    /// Those of them that the breaker holds back.
    pub held_back: Option<usize>,
    /// Single objects; empty unless they were asked for.
    pub objects: Vec<OneShown>,
}

/// When looks of a kind were and will be made.
#[derive(Clone, Copy, Debug)]
pub struct SweepTimes {
    /// When the last whole one ended.
    pub completed: Option<Timestamp>,
    /// When the next whole one should have begun.
    pub due: Timestamp,
}

/// One object.
#[derive(Clone, Debug)]
pub struct OneShown {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What its last pass reported.
    pub shown: Option<Shown>,
    /// Its published key.
    pub key: Option<PublishedKey>,
}

/// Where pictures come from.
type Source = Box<dyn Fn() -> Option<Picture> + Send + Sync>;

/// The gauges. Clones share their source; without one, or without a picture, nothing is written: a
/// missing number is better than a wrong one.
#[derive(Clone, Default)]
pub(super) struct Gauges(Arc<OnceLock<Source>>);

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauges").field(&self.0.get().is_some()).finish()
    }
}

impl Gauges {
    /// From now on pictures come from `source`. A second one is not taken.
    pub(super) fn set(&self, source: impl Fn() -> Option<Picture> + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(source));
    }
}

impl Collector for Gauges {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        match self.0.get().and_then(|source| source()) {
            Some(picture) => Page(encoder).write(&picture),
            None => Ok(()),
        }
    }
}

/// A page under way.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn write(&mut self, picture: &Picture) -> fmt::Result {
        let fleet = &picture.fleet;
        self.one(&CREDENTIALS, fleet.credentials)?;
        self.states(fleet)?;
        self.stalled(fleet)?;
        self.keys(fleet)?;
        self.one(&ACCOUNTS, picture.accounts)?;
        self.sweeps(picture)?;
        self.objects(&picture.objects)
    }

    /// Every state has a series, also one that nothing is in.
    fn states(&mut self, fleet: &Fleet) -> fmt::Result {
        let of = |state: State, ready: bool| fleet.states.get(&(state, ready)).copied().unwrap_or_default();
        let row = |state: State, ready: bool, label| {
            ([("state", state.as_str()), ("ready", label)], of(state, ready))
        };
        let known =
            State::ALL.into_iter().flat_map(|state| [row(state, true, "true"), row(state, false, "false")]);
        self.many(&STATES, known.chain([([("state", "unseen"), ("ready", "unknown")], fleet.unseen)]))
    }

    fn stalled(&mut self, fleet: &Fleet) -> fmt::Result {
        let row = |reason: &Reason| {
            let who = reason.who()?;
            let count = fleet.stalled.get(reason).copied().unwrap_or_default();
            Some(([("reason", reason.as_str()), ("who", who.as_str())], count))
        };
        self.many(&STALLED, Reason::ALL.iter().filter_map(row))
    }

    fn keys(&mut self, fleet: &Fleet) -> fmt::Result {
        let row = |(days, count): (i32, &usize)| ([("days", days)], *count);
        self.many(&KEYS, AGES.into_iter().zip(&fleet.older).map(row))?;
        self.maybe(&OLDEST_KEY, fleet.oldest.map(|age| age.as_secs()))?;
        self.maybe(&NEXT_ROTATION, fleet.next_rotation.map(Timestamp::as_second))?;
        self.one(&OVERDUE, fleet.overdue)?;
        self.one(&OVERDUE_SECONDS, fleet.longest_overdue.as_secs())?;
        let row = |stage: Stage| {
            ([("stage", stage.as_str())], fleet.previous.get(&stage).copied().unwrap_or_default())
        };
        self.many(&PREVIOUS_KEYS, Stage::ALL.into_iter().map(row))
    }

    fn sweeps(&mut self, picture: &Picture) -> fmt::Result {
        let completed = |(kind, times): (&&'static str, &SweepTimes)| {
            times.completed.map(|at| ([("kind", *kind)], at.as_second()))
        };
        self.many(&SWEEP_COMPLETED, picture.sweeps.iter().filter_map(completed))?;
        let due = |(kind, times): (&&'static str, &SweepTimes)| ([("kind", *kind)], times.due.as_second());
        self.many(&SWEEP_DUE, picture.sweeps.iter().map(due))?;
        self.maybe(&ORPHANS, picture.orphans)?;
        self.maybe(&HELD_BACK, picture.held_back)
    }

    fn objects(&mut self, objects: &[OneShown]) -> fmt::Result {
        if objects.is_empty() {
            return Ok(());
        }
        let ready = |one: &OneShown| Some((named(one), i64::from(one.shown?.ready)));
        self.many(&OBJECT_READY, objects.iter().filter_map(ready))?;
        let issued = |one: &OneShown| Some((named(one), one.key?.issued.as_second()));
        self.many(&OBJECT_ISSUED, objects.iter().filter_map(issued))?;
        let due = |one: &OneShown| Some((named(one), one.key?.next_rotation?.as_second()));
        self.many(&OBJECT_ROTATION, objects.iter().filter_map(due))?;
        let stalled = |one: &OneShown| {
            let reason = one.shown?.stalled?;
            let [namespace, name] = named(one);
            Some(([namespace, name, ("reason", reason.as_str().to_owned())], 1_i64))
        };
        self.many(&OBJECT_STALLED, objects.iter().filter_map(stalled))
    }

    fn one(&mut self, described: &Described, value: impl EncodeGaugeValue) -> fmt::Result {
        self.maybe(described, Some(value))
    }

    /// Nothing at all if there is no value.
    fn maybe(&mut self, described: &Described, value: Option<impl EncodeGaugeValue>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        // The registry ends the help of its own metrics with a full stop.
        let help = format!("{}.", described.help);
        self.0.encode_descriptor(described.name, &help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn many<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        described: &Described,
        rows: impl Iterator<Item = (L, V)>,
    ) -> fmt::Result {
        let help = format!("{}.", described.help);
        let mut metric = self.0.encode_descriptor(described.name, &help, None, MetricType::Gauge)?;
        for (labels, value) in rows {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

fn named(one: &OneShown) -> [(&'static str, String); 2] {
    [("namespace", one.namespace.clone()), ("name", one.name.clone())]
}
