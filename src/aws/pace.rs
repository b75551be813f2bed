//! How fast IAM is called: a token bucket whose rate halves when IAM throttles and grows back.
//!
//! Owns arithmetic only: it is told the time and never waits. IAM's limits are unpublished, shared
//! with everybody in the account and can't be raised, so the rate that holds has to be felt out.

use std::time::Duration;

use tokio::time::Instant;

/// The slowest rate, in calls a second.
const FLOOR: f64 = 1.0;
/// Share by which the rate grows in a second without throttling.
const GROWTH: f64 = 0.05;
/// Throttle answers within this time of a cut belong to the same congestion and cut no further.
const CUT_INTERVAL: Duration = Duration::from_secs(1);

/// The limits that the operator's own calls keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Calls a second, the rate to start with and never to exceed.
    pub rate: f64,
    /// Calls that may be made at once after a quiet time.
    pub burst: u32,
}

/// The state of the bucket.
#[derive(Debug)]
pub(super) struct Pace {
    limits: Limits,
    rate: f64,
    tokens: f64,
    updated: Instant,
    cut: Option<Instant>,
    not_before: Instant,
}

impl Pace {
    /// A full bucket.
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        let tokens = f64::from(limits.burst.max(1));
        Self { limits, rate: limits.rate, tokens, updated: now, cut: None, not_before: now }
    }

    /// Takes a token, or says how long to wait before asking again.
    pub(super) fn take(&mut self, now: Instant) -> Option<Duration> {
        self.refill(now);
        let pause = self.not_before.saturating_duration_since(now);
        if !pause.is_zero() {
            return Some(pause);
        }
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return None;
        }
        // A little more than the time of the missing part, lest rounding leave it a hair short.
        Some(Duration::from_secs_f64((1.0 - self.tokens) / self.rate) + Duration::from_micros(1))
    }

    /// IAM throttled: halves the rate, empties the bucket and holds every caller for `pause`.
    pub(super) fn throttled(&mut self, now: Instant, pause: Duration) {
        self.refill(now);
        if self.cut.is_none_or(|cut| now.duration_since(cut) >= CUT_INTERVAL) {
            self.rate = (self.rate / 2.0).max(FLOOR.min(self.limits.rate));
            self.cut = Some(now);
            self.not_before = self.not_before.max(now + pause);
        }
        self.tokens = 0.0;
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.updated = now;
        self.rate = (self.rate * (1.0 + GROWTH).powf(elapsed)).min(self.limits.rate);
        self.tokens = (self.tokens + elapsed * self.rate).min(f64::from(self.limits.burst.max(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(rate: f64, burst: u32) -> (Pace, Instant) {
        let now = Instant::now();
        (Pace::new(Limits { rate, burst }, now), now)
    }

    #[test]
    fn gives_the_burst_and_then_the_rate() {
        let (mut pace, now) = pace(10.0, 3);
        assert!((0..3).all(|_| pace.take(now).is_none()));
        let wait = pace.take(now).unwrap();
        assert!((0.09..0.11).contains(&wait.as_secs_f64()));
        assert!(pace.take(now + wait).is_none());
    }

    #[test]
    fn halves_once_a_second_down_to_the_floor() {
        let (mut pace, now) = pace(10.0, 1);
        pace.throttled(now, Duration::ZERO);
        pace.throttled(now, Duration::ZERO);
        assert!((pace.rate - 5.0).abs() < 0.01);
        for second in 1..20 {
            pace.throttled(now + SECOND * second, Duration::ZERO);
        }
        assert!((pace.rate - FLOOR).abs() < f64::EPSILON);
    }

    #[test]
    fn grows_back_to_the_limit_and_no_further() {
        let (mut pace, now) = pace(10.0, 1);
        pace.throttled(now, Duration::ZERO);
        pace.take(now + SECOND * 10);
        assert!((7.0..9.0).contains(&pace.rate));
        pace.take(now + SECOND * 1000);
        assert!((pace.rate - 10.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_limit_below_the_floor_holds() {
        let (mut pace, now) = pace(0.5, 1);
        pace.throttled(now, Duration::ZERO);
        assert!((pace.rate - 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn holds_everybody_while_iam_throttles() {
        let (mut pace, now) = pace(10.0, 5);
        pace.throttled(now, SECOND);
        assert_eq!(pace.take(now), Some(SECOND));
    }
}
