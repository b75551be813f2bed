//! Whose turn it is, where two operators work at once: one call at a time, in an order that a seed
//! decides.

use std::collections::BTreeMap;
use std::sync::Mutex;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, oneshot};

/// How long one operator may sleep while the other is held up in the middle of its work: longer than
/// settle, shorter than the time after which the API server ends requests. Nothing holds a process up
/// for longer without ending its calls, which the protocol builds on.
const HELD_UP: SignedDuration = SignedDuration::from_secs(20);

/// One operator alone is never held up.
#[derive(Default)]
pub struct Turns {
    seats: Mutex<Option<Seats>>,
    changed: Notify,
}

struct Seats {
    working: usize,
    rng: fastrand::Rng,
    waiting: BTreeMap<usize, (Option<Timestamp>, oneshot::Sender<()>)>,
}

impl Turns {
    /// From here on so many operators take turns as `seed` decides.
    pub fn share(&self, operators: usize, seed: u64) {
        let rng = fastrand::Rng::with_seed(seed);
        *self.seats.lock().unwrap() = Some(Seats { working: operators, rng, waiting: BTreeMap::new() });
    }

    /// Returns when this operator may make its next call.
    pub async fn call(&self, operator: usize) {
        self.wait(operator, None).await;
    }

    /// Returns when this operator may wake, which it does at `time`.
    pub async fn sleep(&self, operator: usize, time: Timestamp) {
        self.wait(operator, Some(time)).await;
    }

    async fn wait(&self, operator: usize, until: Option<Timestamp>) {
        let (go, gone) = oneshot::channel();
        match &mut *self.seats.lock().unwrap() {
            None => return,
            Some(seats) => drop(seats.waiting.insert(operator, (until, go))),
        }
        self.changed.notify_one();
        let _ = gone.await;
    }

    /// This operator has nothing left to do.
    pub fn leave(&self) {
        if let Some(seats) = &mut *self.seats.lock().unwrap() {
            seats.working -= 1;
        }
        self.changed.notify_one();
    }

    /// True for one of four looks at the cache: the watch lags.
    pub fn lags(&self) -> bool {
        self.seats.lock().unwrap().as_mut().is_some_and(|seats| seats.rng.u8(..4) == 0)
    }

    /// Gives turns until everybody has left. `now` tells the time.
    pub async fn run(&self, now: impl Fn() -> Timestamp) {
        loop {
            match &mut *self.seats.lock().unwrap() {
                Some(seats) if seats.working > 0 => seats.give(now()),
                _ => break,
            }
            self.changed.notified().await;
        }
        *self.seats.lock().unwrap() = None;
    }
}

impl Seats {
    /// Gives a turn once all wait for one.
    fn give(&mut self, now: Timestamp) {
        if self.waiting.len() < self.working {
            return;
        }
        let busy = self.waiting.values().any(|(until, _)| until.is_none());
        let first = self.waiting.values().filter_map(|(until, _)| *until).min();
        let horizon = if busy { now + HELD_UP } else { first.unwrap_or(now) };
        let ready = self.waiting.iter().filter(|(_, (until, _))| until.is_none_or(|until| until <= horizon));
        let ready: Vec<usize> = ready.map(|(operator, _)| *operator).collect();
        let next = ready.get(self.rng.usize(..ready.len().max(1)));
        if let Some((_, go)) = next.and_then(|operator| self.waiting.remove(operator)) {
            let _ = go.send(());
        }
    }
}
