//! What all credentials look like together, counted from what is known without a call. For metrics.
//!
//! Owns what is counted and what counts as late. It decides nothing, and nothing is decided by it.

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::{SesSmtpCredential, SesSmtpCredentialStatus};
use crate::desired::{Rotation, Settings, durations};
use crate::reason::Reason;
use crate::record::Previous;
use crate::secret::SecretFacts;
use crate::time::after;

/// Ages in days by which published keys are counted. 90 is what audits ask for most.
pub const AGES: [i32; 7] = [0, 1, 7, 30, 90, 180, 365];

/// How a credential shows itself in its conditions; of several that are true, the one to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is to be done.
    Ready,
    /// It is being worked on, or waited for.
    Reconciling,
    /// Somebody has to act.
    Stalled,
    /// `spec.suspend` is true.
    Suspended,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Reconciling, Self::Stalled, Self::Suspended];

    /// As a word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Reconciling => "reconciling",
            Self::Stalled => "stalled",
            Self::Suspended => "suspended",
        }
    }
}

/// What a pass reported of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Condition `Ready`.
    pub ready: bool,
    /// The state.
    pub state: State,
    /// Reason of condition `Stalled`.
    pub stalled: Option<Reason>,
}

impl Shown {
    /// What `status`, as a pass has just computed it, says.
    pub fn of(status: &SesSmtpCredentialStatus) -> Self {
        let holds = |type_: &str| {
            status.conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")
        };
        let ready = holds("Ready").is_some();
        let stalled = holds("Stalled").and_then(|condition| Reason::named(&condition.reason));
        let state = if stalled.is_some() {
            State::Stalled
        } else if holds("Suspended").is_some() {
            State::Suspended
        } else if ready && holds("Reconciling").is_none() {
            State::Ready
        } else {
            State::Reconciling
        };
        Self { ready, state, stalled }
    }
}

/// How far the key before the published one is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Usable beside its successor, as it should be.
    Overlap,
    /// Usable although its overlap is over: somebody uses it, or it can't be made Inactive.
    Held,
    /// Inactive, before it is deleted.
    Inactive,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 3] = [Self::Overlap, Self::Held, Self::Inactive];

    /// As a word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Held => "held",
            Self::Inactive => "inactive",
        }
    }

    fn of(previous: &Previous, overlap: SignedDuration, now: Timestamp) -> Self {
        if previous.deactivated_at.is_some() {
            Self::Inactive
        } else if now < after(previous.superseded_at, overlap) {
            Self::Overlap
        } else {
            Self::Held
        }
    }
}

/// A published key of the operator's own making, as its Secret's record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// When it was issued.
    pub issued: Timestamp,
    /// When it is due to be replaced, if it is replaced by age.
    pub next_rotation: Option<Timestamp>,
    /// The key before it, while that exists.
    pub previous: Option<Stage>,
}

impl PublishedKey {
    /// The key that `secret` publishes for `object`. None of a Secret that is another's, nor of a
    /// derived credential: nobody knows when its key was issued.
    pub fn of(
        object: &SesSmtpCredential,
        secret: &SecretFacts,
        settings: &Settings,
        now: Timestamp,
    ) -> Option<Self> {
        let (uid, spec) = (object.metadata.uid.as_deref()?, &object.spec);
        if spec.access_key_from.is_some() || !secret.is_controlled_by(uid) {
            return None;
        }
        secret.published()?;
        let issued = secret.record.issued_at?;
        let rests = spec.suspend || object.metadata.deletion_timestamp.is_some();
        let rotation = spec.rotation.as_ref().filter(|_| !rests);
        let rotation = rotation.and_then(|spec| Rotation::parse(spec, uid, settings).ok());
        let overlap = durations(spec.rotation.as_ref(), settings).overlap;
        Some(Self {
            issued,
            next_rotation: rotation.and_then(|rotation| rotation.due_at(issued)),
            previous: secret.record.previous_key().map(|previous| Stage::of(previous, overlap, now)),
        })
    }
}

/// Counts over all credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Objects there are.
    pub credentials: usize,
    /// Those that no pass has ended for since the operator started.
    pub unseen: usize,
    /// The others by state and condition `Ready`.
    pub states: BTreeMap<(State, bool), usize>,
    /// Those that are Stalled, by reason.
    pub stalled: BTreeMap<Reason, usize>,
    /// Published keys that are at least so old, for each of [`AGES`].
    pub older: [usize; AGES.len()],
    /// Age of the oldest published key.
    pub oldest: Option<SignedDuration>,
    /// When the next key falls due that isn't yet.
    pub next_rotation: Option<Timestamp>,
    /// Keys that are due and not yet replaced.
    pub overdue: usize,
    /// How long the first of them has been due; zero if there is none.
    pub longest_overdue: SignedDuration,
    /// Keys before the published ones, by stage.
    pub previous: BTreeMap<Stage, usize>,
}

impl Fleet {
    /// Counts a credential.
    pub fn add(&mut self, shown: Option<Shown>, key: Option<PublishedKey>, now: Timestamp) {
        self.credentials += 1;
        match shown {
            None => self.unseen += 1,
            Some(shown) => self.add_shown(shown),
        }
        if let Some(key) = key {
            self.add_key(&key, now);
        }
    }

    fn add_shown(&mut self, shown: Shown) {
        *self.states.entry((shown.state, shown.ready)).or_default() += 1;
        if let Some(reason) = shown.stalled {
            *self.stalled.entry(reason).or_default() += 1;
        }
    }

    fn add_key(&mut self, key: &PublishedKey, now: Timestamp) {
        // A clock that is behind IAM's makes no key younger than new.
        let age = now.duration_since(key.issued).max(SignedDuration::ZERO);
        self.oldest = self.oldest.max(Some(age));
        for (count, days) in self.older.iter_mut().zip(AGES) {
            *count += usize::from(age >= SignedDuration::from_hours(24).saturating_mul(days));
        }
        if let Some(due) = key.next_rotation {
            self.add_rotation(due, now);
        }
        if let Some(stage) = key.previous {
            *self.previous.entry(stage).or_default() += 1;
        }
    }

    fn add_rotation(&mut self, due: Timestamp, now: Timestamp) {
        if due <= now {
            self.overdue += 1;
            self.longest_overdue = self.longest_overdue.max(now.duration_since(due));
        } else {
            self.next_rotation = Some(self.next_rotation.map_or(due, |next| next.min(due)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    use crate::record::Record;

    use crate::secret::Controller;

    use crate::test::{key, object, owner, record, settings, time};

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn facts(record: Record, uid: &str) -> SecretFacts {
        SecretFacts {
            resource_version: "1".into(),
            created: Some(time(0)),
            deleting: false,
            controller: Controller::Credential { name: "mailer".into(), uid: uid.into() },
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            record,
            touched: false,
            content: None,
        }
    }

    fn published(spec: Value, record: Record, now: i64) -> Option<PublishedKey> {
        PublishedKey::of(&object(spec), &facts(record, &owner().uid), &settings(), time(now))
    }

    fn rotating() -> Value {
        json!({ "region": "eu-central-1", "rotation": { "interval": "720h", "overlap": "10h" } })
    }

    fn superseded(at: i64, deactivated: Option<i64>) -> Record {
        let (superseded_at, deactivated_at) = (time(at), deactivated.map(time));
        let previous = Previous { key: key(1), superseded_at, deactivated_at };
        Record { previous: Some(Some(previous)), ..record(&key(2)) }
    }

    #[test]
    fn a_key_is_known_by_its_record_alone() {
        let known = published(rotating(), record(&key(1)), 0).unwrap();
        assert_eq!((known.issued, known.previous), (time(0), None));
        let due = known.next_rotation.unwrap();
        assert!(due > time(27 * DAY) && due <= time(30 * DAY), "early, and never late: {due}");
        assert_eq!(
            published(json!({ "region": "eu-central-1" }), record(&key(1)), 0).unwrap().next_rotation,
            None
        );
    }

    #[test]
    fn nothing_is_told_of_keys_that_are_not_ours() {
        let derived = json!({ "region": "eu-central-1", "accessKeyFrom": { "secretRef": { "name": "x" } } });
        assert_eq!(published(derived, record(&key(1)), 0), None);
        assert_eq!(published(rotating(), Record { key: None, ..record(&key(1)) }, 0), None);
        assert_eq!(published(rotating(), Record { issued_at: None, ..record(&key(1)) }, 0), None);
        let foreign = facts(record(&key(1)), "another");
        assert_eq!(PublishedKey::of(&object(rotating()), &foreign, &settings(), time(0)), None);
    }

    #[test]
    fn a_suspended_object_is_not_due() {
        let mut spec = rotating();
        spec["suspend"] = true.into();
        assert_eq!(published(spec, record(&key(1)), 0).unwrap().next_rotation, None);
    }

    #[test]
    fn the_previous_key_is_held_from_the_end_of_its_overlap() {
        let stage =
            |record: Record, now: i64| published(rotating(), record, now).and_then(|known| known.previous);
        assert_eq!(stage(superseded(0, None), 10 * HOUR - 1), Some(Stage::Overlap));
        assert_eq!(stage(superseded(0, None), 10 * HOUR), Some(Stage::Held));
        assert_eq!(stage(superseded(0, Some(10 * HOUR)), 11 * HOUR), Some(Stage::Inactive));
    }

    fn due(issued: i64, at: i64) -> PublishedKey {
        PublishedKey { issued: time(issued), next_rotation: Some(time(at)), previous: None }
    }

    #[test]
    fn counts_keys_by_age_and_by_what_is_due() {
        let (mut fleet, now) = (Fleet::default(), time(100 * DAY));
        fleet.add(None, Some(due(0, 99 * DAY)), now);
        fleet.add(None, Some(due(93 * DAY, 120 * DAY)), now);
        fleet.add(None, Some(due(100 * DAY + 60, 110 * DAY)), now);
        fleet.add(None, None, now);
        assert_eq!((fleet.credentials, fleet.unseen), (4, 4));
        assert_eq!(fleet.older, [3, 2, 2, 1, 1, 0, 0]);
        assert_eq!(fleet.oldest, Some(SignedDuration::from_hours(2400)));
        assert_eq!((fleet.overdue, fleet.longest_overdue), (1, SignedDuration::from_hours(24)));
        assert_eq!(fleet.next_rotation, Some(time(110 * DAY)));
    }

    fn status(conditions: &[(&str, &str, &str)]) -> SesSmtpCredentialStatus {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(type_, status, reason)| {
                json!({ "type": type_, "status": status, "reason": reason, "message": "",
                        "lastTransitionTime": "2026-01-01T00:00:00Z" })
            })
            .collect();
        serde_json::from_value(json!({ "conditions": conditions })).unwrap()
    }

    #[test]
    fn of_several_conditions_the_one_to_act_on_counts() {
        let ready = ("Ready", "True", "Provisioned");
        for (conditions, ready, state) in [
            (vec![ready], true, State::Ready),
            (vec![ready, ("Stalled", "True", "AccessDenied")], true, State::Stalled),
            (vec![ready, ("Reconciling", "True", "WaitingForKeySlot")], true, State::Reconciling),
            (vec![ready, ("Suspended", "True", "Suspended")], true, State::Suspended),
            (vec![("Ready", "False", "Provisioning")], false, State::Reconciling),
            (vec![], false, State::Reconciling),
        ] {
            let shown = Shown::of(&status(&conditions));
            assert_eq!((shown.ready, shown.state), (ready, state), "{conditions:?}");
            let mut fleet = Fleet::default();
            fleet.add(Some(shown), None, time(0));
            assert_eq!(fleet.states, BTreeMap::from([((state, ready), 1)]));
            assert_eq!(fleet.stalled.values().sum::<usize>(), usize::from(state == State::Stalled));
        }
    }
}
