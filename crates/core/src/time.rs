//! Durations of the protocol and arithmetic on points in time. The clock itself is the caller's.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// Every duration that the protocol waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    /// How long IAM may lag behind itself.
    pub settle: SignedDuration,
    /// How long a new key may take until SES knows it; waited in place of a login.
    pub key_settle: SignedDuration,
    /// Pause before the first login with a new key; doubles from there.
    pub first_login: SignedDuration,
    /// How long SES may refuse a new key before that counts as final.
    pub login_window: SignedDuration,
    /// When a login is tried again that found nobody to ask.
    pub login_again: SignedDuration,
    /// How long volumes may take to show a changed Secret: a use of the key before it within that
    /// time says nothing about who still holds it.
    pub refresh: SignedDuration,
    /// The shortest overlap, and the shortest soak.
    pub least_overlap: SignedDuration,
    /// How long a superseded key stays usable.
    pub overlap: SignedDuration,
    /// How long a deactivated key is kept before it is deleted.
    pub soak: SignedDuration,
    /// Pause before the second replacement of a lost password; doubles from there.
    pub loss_backoff: SignedDuration,
    /// The longest pause between two replacements of a lost password.
    pub loss_backoff_cap: SignedDuration,
    /// Age at which a key that nobody has seen published may be deleted: a Secret naming it has
    /// landed by then, or never will. Bound to real request timeouts, so never scaled.
    pub unseen_key_age: SignedDuration,
    /// Age up to which a fresh key may be published without a settle pause. Never scaled.
    pub publish_window: SignedDuration,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            settle: SignedDuration::from_secs(crate::iam::SETTLE_SECONDS),
            key_settle: SignedDuration::from_secs(60),
            first_login: SignedDuration::from_secs(5),
            login_window: SignedDuration::from_mins(5),
            login_again: SignedDuration::from_hours(1),
            refresh: SignedDuration::from_mins(10),
            least_overlap: SignedDuration::from_mins(15),
            overlap: SignedDuration::from_hours(24),
            soak: SignedDuration::from_hours(24),
            loss_backoff: SignedDuration::from_mins(5),
            loss_backoff_cap: SignedDuration::from_hours(1),
            unseen_key_age: SignedDuration::from_mins(2),
            publish_window: SignedDuration::from_secs(30),
        }
    }
}

impl Durations {
    /// The durations, `scale` times shorter but for the two that are bound to real timeouts.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        let shorter = |duration| shortened(duration, scale);
        Self {
            settle: shorter(self.settle),
            key_settle: shorter(self.key_settle),
            first_login: shorter(self.first_login),
            login_window: shorter(self.login_window),
            login_again: shorter(self.login_again),
            refresh: shorter(self.refresh),
            least_overlap: shorter(self.least_overlap),
            overlap: shorter(self.overlap),
            soak: shorter(self.soak),
            loss_backoff: shorter(self.loss_backoff),
            loss_backoff_cap: shorter(self.loss_backoff_cap),
            ..self
        }
    }
}

impl Durations {
    /// The durations with another overlap, and the soak that goes with it: as long, but no longer
    /// than usual.
    #[must_use]
    pub fn with_overlap(self, overlap: SignedDuration) -> Self {
        let soak = overlap.min(self.soak).max(self.least_overlap);
        Self { overlap, soak, ..self }
    }
}

/// How much our clock and IAM's may differ.
pub const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

/// A duration in hours, minutes and seconds, such as `2160h` or `1h30m`; `None` for anything else,
/// and for one that is out of all bounds.
pub fn parse(text: &str) -> Option<SignedDuration> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b".hms".contains(&byte));
    text.parse().ok().filter(|_| plain)
}

/// `duration`, `scale` times shorter.
pub fn shortened(duration: SignedDuration, scale: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(duration.as_secs_f64() / scale).unwrap_or(duration)
}

/// `time` plus `duration`, or the end of time.
pub fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// `time` cut to whole seconds, the precision of every record.
pub fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_as_kubernetes_writes_them() {
        for (text, seconds) in [
            ("1h", 3_600),
            ("1h30m", 5_400),
            ("90m", 5_400),
            ("2160h", 7_776_000),
            ("1.5h", 5_400),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(SignedDuration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "1", "h", "-1h", "1d", "1 h", "PT1H", "1000000000000000000h", "9999999999999999999999999h"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn scaling_spares_what_real_timeouts_bound() {
        let scaled = Durations::default().scaled(600.0);
        assert_eq!(scaled.overlap, SignedDuration::from_secs(144));
        assert_eq!(scaled.unseen_key_age, SignedDuration::from_mins(2));
        assert_eq!(scaled.publish_window, SignedDuration::from_secs(30));
    }
}
