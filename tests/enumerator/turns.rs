//! Whose turn it is, where two operators work at once: one call at a time, in an order that a seed
//! decides.

use std::collections::BTreeMap;
use std::sync::Mutex;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, oneshot};

/// How long a call may be held up. Longer than settle, and shorter than the time that the protocol
/// gives a call until it has landed or never will: nothing holds a process up for longer without
/// ending its calls.
const HELD_UP: SignedDuration = SignedDuration::from_secs(50);
/// Turns in a row, at most.
const LONGEST_RUN: u8 = 6;

/// One operator alone is never held up.
#[derive(Default)]
pub struct Turns {
    seats: Mutex<Option<Seats>>,
    changed: Notify,
}

struct Seats {
    working: usize,
    rng: fastrand::Rng,
    /// Who has the turn, and for how many more.
    run: Option<(usize, u8)>,
    waiting: BTreeMap<usize, (Wish, oneshot::Sender<()>)>,
}

/// What an operator waits for.
#[derive(Clone, Copy)]
enum Wish {
    /// To make a call, decided on at that time.
    Call(Timestamp),
    /// To wake at that time.
    Wake(Timestamp),
}

impl Turns {
    /// From here on so many operators take turns as `seed` decides.
    pub fn share(&self, operators: usize, seed: u64) {
        let rng = fastrand::Rng::with_seed(seed);
        *self.seats.lock().unwrap() =
            Some(Seats { working: operators, rng, run: None, waiting: BTreeMap::new() });
    }

    /// Returns when this operator may make its next call.
    pub async fn call(&self, operator: usize, now: Timestamp) {
        self.wait(operator, Wish::Call(now)).await;
    }

    /// Returns when this operator may wake, which it does at `time`.
    pub async fn sleep(&self, operator: usize, time: Timestamp) {
        self.wait(operator, Wish::Wake(time)).await;
    }

    async fn wait(&self, operator: usize, wish: Wish) {
        let (go, gone) = oneshot::channel();
        match &mut *self.seats.lock().unwrap() {
            None => return,
            Some(seats) => drop(seats.waiting.insert(operator, (wish, go))),
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

    /// Gives turns until everybody has left.
    pub async fn run(&self) {
        loop {
            match &mut *self.seats.lock().unwrap() {
                Some(seats) if seats.working > 0 => seats.give(),
                _ => break,
            }
            self.changed.notified().await;
        }
        *self.seats.lock().unwrap() = None;
    }
}

impl Seats {
    /// Gives a turn once all wait for one.
    fn give(&mut self) {
        if self.waiting.len() < self.working {
            return;
        }
        let limits = self.waiting.values().map(|(wish, _)| match wish {
            Wish::Call(since) => *since + HELD_UP,
            Wish::Wake(at) => *at,
        });
        let horizon = limits.min().unwrap_or(Timestamp::MAX);
        let ready = self.waiting.iter().filter(|(_, (wish, _))| match wish {
            Wish::Call(_) => true,
            Wish::Wake(at) => *at <= horizon,
        });
        let ready: Vec<usize> = ready.map(|(operator, _)| *operator).collect();
        let next = self.pick(&ready);
        if let Some((_, go)) = next.and_then(|operator| self.waiting.remove(&operator)) {
            let _ = go.send(());
        }
    }

    /// The same one for some turns, while it can: a race needs one that overtakes the other between
    /// two of its calls, not two that go hand in hand.
    fn pick(&mut self, ready: &[usize]) -> Option<usize> {
        if let Some((operator, turns)) =
            self.run.filter(|(operator, turns)| *turns > 0 && ready.contains(operator))
        {
            self.run = Some((operator, turns - 1));
            return Some(operator);
        }
        let operator = *ready.get(self.rng.usize(..ready.len().max(1)))?;
        let run = if self.rng.bool() { 0 } else { self.rng.u8(..LONGEST_RUN) };
        self.run = Some((operator, run));
        Some(operator)
    }
}
