//! The double's clock. Owns "now" and the scaling of AWS-side durations; nothing else reads the time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// A clock that can be frozen and moved.
#[derive(Debug)]
pub(crate) struct Clock {
    frozen: Option<Timestamp>,
    offset: Mutex<SignedDuration>,
    scale: f64,
}

impl Clock {
    pub(crate) fn new(frozen: Option<Timestamp>, scale: f64) -> Self {
        let scale = if scale.is_finite() && scale > 0.0 { scale } else { 1.0 };
        Self { frozen, offset: Mutex::new(SignedDuration::ZERO), scale }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let offset = *self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        let base = self.frozen.unwrap_or_else(system);
        base.checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        let mut offset = self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        *offset = offset.saturating_add(by);
    }

    /// An AWS-side duration in the double's own time.
    pub(crate) fn scaled(&self, duration: Duration) -> Duration {
        Duration::try_from_secs_f64(duration.as_secs_f64() / self.scale).unwrap_or(duration)
    }

    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }
}

/// The system's time; jiff's own `now` needs a feature that k8s-openapi leaves off.
fn system() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::UNIX_EPOCH.checked_add(since).unwrap_or(Timestamp::MAX)
}

/// The moment `by` before `now`.
pub(crate) fn before(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// The form of dates in IAM's replies.
pub(crate) fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The form of dates in credential reports.
pub(crate) fn offset_form(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// The form of the HTTP `Date` header (RFC 9110 section 5.6.7).
pub(crate) fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
