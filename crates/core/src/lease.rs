//! Leader election: one candidate's view of the Lease that replicas agree by.
//!
//! Owns what is sent next, what an answer means, and until when this process may work. It is told its own
//! monotonic time (since any start of its own) and compares it with nobody else's: another holder has run
//! out when its record has not been seen to change for a whole lease. The times in the record are for
//! people. It sends nothing and knows no clock.

#[cfg(test)]
mod tests;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;

/// How long a record has to stand unchanged until another candidate may take it over.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long a leader works on from the moment at which it began its last successful renewal. The time
/// between this and [`LEASE`] is for calls that were sent just before the end.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(20);
/// Pause between two tries.
pub const RETRY: Duration = Duration::from_secs(2);
/// How long one try may take, so that a silent server leaves time for another.
pub const TRY: Duration = Duration::from_secs(8);
/// A scale of time shortens the lease so many times at most: its calls take real time, on busy machines
/// some seconds of it.
pub const LARGEST_SCALE: f64 = 4.0;

/// The durations of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// See [`LEASE`].
    pub lease: Duration,
    /// See [`RENEW_DEADLINE`].
    pub renew_deadline: Duration,
    /// See [`RETRY`].
    pub retry: Duration,
    /// See [`TRY`].
    pub longest_try: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { lease: LEASE, renew_deadline: RENEW_DEADLINE, retry: RETRY, longest_try: TRY }
    }
}

impl Times {
    /// The times, `scale` times shorter but never more than [`LARGEST_SCALE`] times.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        let shorter = |time: Duration| time.div_f64(scale.clamp(1.0, LARGEST_SCALE));
        Self {
            lease: shorter(self.lease),
            renew_deadline: shorter(self.renew_deadline),
            retry: shorter(self.retry),
            longest_try: shorter(self.longest_try),
        }
    }
}

/// What is sent after the record was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Nothing: somebody else holds the lease.
    Follow {
        /// The identity in the record.
        holder: String,
    },
    /// The record as a new object.
    Create(Lease),
    /// The record in place of the one that was read, and only of that one: it carries its version.
    Update(Lease),
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The record is ours.
    Written,
    /// Somebody else wrote meanwhile.
    Conflict,
    /// An error or silence: it may have been written or not.
    Unclear,
}

/// Where a candidate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenure {
    /// It has not led.
    Before,
    /// It leads until then, unless it renews. A deadline and no flag: it passes also while the process
    /// is stopped.
    Until(Duration),
    /// It has led, and never will again: what it knows may be out of date.
    Over,
}

/// One candidate.
#[derive(Clone, Debug)]
pub struct Candidate {
    name: String,
    identity: String,
    times: Times,
    /// Version of the record as read last, and when it was first seen.
    seen: Option<(Option<String>, Duration)>,
    tenure: Tenure,
}

impl Candidate {
    /// For the Lease called `name`; no other candidate has this `identity`.
    pub fn new(name: &str, identity: &str, times: Times) -> Self {
        let (name, identity) = (name.to_owned(), identity.to_owned());
        Self { name, identity, times, seen: None, tenure: Tenure::Before }
    }

    /// Its durations.
    pub fn times(&self) -> Times {
        self.times
    }

    /// True while this candidate, and no other, may work.
    pub fn held(&self, now: Duration) -> bool {
        self.held_until().is_some_and(|until| now < until)
    }

    /// Until when it leads if it doesn't renew; `None` if it doesn't lead.
    pub fn held_until(&self) -> Option<Duration> {
        match self.tenure {
            Tenure::Until(until) => Some(until),
            Tenure::Before | Tenure::Over => None,
        }
    }

    /// True once it has led and may not any more.
    pub fn is_over(&self, now: Duration) -> bool {
        self.tenure != Tenure::Before && !self.held(now)
    }

    /// How long a try that begins now may take. One that outlasts the deadline could only end in doubt.
    pub fn patience(&self, now: Duration) -> Duration {
        let left = self.held_until().map(|until| until.saturating_sub(now));
        left.map_or(self.times.longest_try, |left| left.min(self.times.longest_try))
    }

    /// What to send after the record was `found`, or found missing. `now` is the time after the answer:
    /// counted from before it, a change could seem older than it is. `date` is for people.
    pub fn next(&mut self, found: Option<Lease>, now: Duration, date: Timestamp) -> Next {
        let Some(found) = found else { return Next::Create(self.record(Lease::default(), date)) };
        let version = &found.metadata.resource_version;
        let since = match &self.seen {
            Some((known, since)) if known == version => *since,
            _ => now,
        };
        self.seen = Some((version.clone(), since));
        match self.other(&found) {
            Some(holder) if now < since + self.times.lease => {
                self.resign();
                Next::Follow { holder }
            }
            _ => Next::Update(self.record(found, date)),
        }
    }

    /// Takes the answer to a write; the try had begun at `began`, before its first call was sent.
    pub fn wrote(&mut self, answer: Answer, began: Duration, now: Duration) {
        match answer {
            // An answer that comes after the end doesn't bring it back: steps may have been refused since.
            Answer::Written if !self.is_over(now) => {
                self.tenure = Tenure::Until(began + self.times.renew_deadline);
            }
            Answer::Conflict => self.resign(),
            // Otherwise the deadline stays as it is and runs out by itself.
            Answer::Written | Answer::Unclear => {}
        }
    }

    /// Gives up the lease at once. Gives the record by which others see it, if the one that was `found`
    /// is still this candidate's.
    pub fn release(&mut self, found: Lease, date: Timestamp) -> Option<Lease> {
        self.resign();
        let spec = found.spec.filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity))?;
        let spec = LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            renew_time: Some(MicroTime(date)),
            ..spec
        };
        Some(Lease { spec: Some(spec), ..found })
    }

    fn resign(&mut self) {
        if self.tenure != Tenure::Before {
            self.tenure = Tenure::Over;
        }
    }

    /// Somebody else who holds the lease by this record.
    fn other(&self, found: &Lease) -> Option<String> {
        let holder = found.spec.as_ref()?.holder_identity.clone()?;
        (!holder.is_empty() && holder != self.identity).then_some(holder)
    }

    /// The record with this candidate as holder; the fields mean what they mean in every Lease. What
    /// others put on the object stays.
    fn record(&self, found: Lease, date: Timestamp) -> Lease {
        let fresh = found.metadata.resource_version.is_none();
        let before = found.spec.unwrap_or_default();
        let again = before.holder_identity.as_ref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(whole_seconds(self.times.lease)),
            acquire_time: before.acquire_time.filter(|_| again).or(Some(MicroTime(date))),
            renew_time: Some(MicroTime(date)),
            lease_transitions: Some(transitions.saturating_add(i32::from(!again && !fresh))),
            ..before
        };
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..found.metadata };
        Lease { metadata, spec: Some(spec) }
    }
}

/// At least one second, which is the least that the API server takes.
fn whole_seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs().max(1)).unwrap_or(i32::MAX)
}
