//! The one clock of the operator. The core is told the time and never asks for it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

/// The environment variable that makes protocol durations shorter, in binaries built for suites.
pub const SCALE_VARIABLE: &str = "SES_SMTP_TIME_SCALE";
/// The longest uninterrupted sleep, so that a corrected system clock is noticed.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// Time that a suite makes itself, so that days of a credential's life pass in no time.
pub trait Time: Debug + Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Returns once it is `time`.
    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'_, ()>;
}

/// Tells and awaits the time.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    scale: f64,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    Virtual { start: Timestamp, since: Instant },
    Made(Arc<dyn Time>),
}

impl Clock {
    /// The system's clock. With cargo feature `scaled-time` the scale is read from
    /// [`SCALE_VARIABLE`]; otherwise it is 1 and the variable isn't looked at.
    pub fn system() -> Self {
        Self { source: Source::System, scale: configured_scale() }
    }

    /// A clock that shows `start` now and then follows tokio's time, which tests can pause and
    /// advance. Must be called within a tokio runtime.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { source: Source::Virtual { start, since: Instant::now() }, scale: 1.0 }
    }

    /// A clock that shows the time that a suite makes.
    pub fn made(time: Arc<dyn Time>) -> Self {
        Self { source: Source::Made(time), scale: 1.0 }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System => Timestamp::now(),
            Source::Virtual { start, since } => later(*start, since.elapsed()),
            Source::Made(time) => time.now(),
        }
    }

    /// How many times shorter protocol durations are than written: 1 in any shipped binary.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Returns once the clock shows `time`; at once if it already does.
    pub async fn sleep_until(&self, time: Timestamp) {
        if let Source::Made(made) = &self.source {
            return made.sleep_until(time).await;
        }
        loop {
            let left = self.now().duration_until(time);
            let Ok(left) = Duration::try_from(left.max(SignedDuration::ZERO)) else { return };
            if left.is_zero() {
                return;
            }
            sleep(left.min(LONGEST_SLEEP)).await;
        }
    }
}

/// `start` and `elapsed` on top, held at the end of the calendar.
fn later(start: Timestamp, elapsed: Duration) -> Timestamp {
    start.saturating_add(elapsed).unwrap_or(start)
}

#[cfg(feature = "scaled-time")]
fn configured_scale() -> f64 {
    let given = std::env::var(SCALE_VARIABLE).ok().and_then(|text| text.parse::<f64>().ok());
    given.filter(|scale| scale.is_finite() && *scale >= 1.0).unwrap_or(1.0)
}

#[cfg(not(feature = "scaled-time"))]
fn configured_scale() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn follows_paused_time() {
        let clock = Clock::starting_at(epoch(1000));
        clock.sleep_until(epoch(1500)).await;
        assert!(clock.now() >= epoch(1500) && clock.now() < epoch(1501));
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_the_past() {
        let clock = Clock::starting_at(epoch(1000));
        clock.sleep_until(epoch(10)).await;
        assert_eq!(clock.now(), epoch(1000));
    }
}
