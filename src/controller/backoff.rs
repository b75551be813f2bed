//! How long an object whose passes don't end well is left alone.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// After the first pass that did not end well.
const FIRST: Duration = Duration::from_secs(5);
/// At most (liveness L3).
pub const LONGEST: Duration = Duration::from_mins(10);
/// At least, however much time is scaled.
const SHORTEST: Duration = Duration::from_millis(250);

/// The pause after `failures` passes in a row: doubling, with a fifth of jitter so that objects
/// that failed together don't come back together.
pub fn pause(failures: u32, scale: f64) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16)));
    spread(scaled(doubled.min(LONGEST), scale))
}

/// `pause`, or up to a fifth less.
pub fn spread(pause: Duration) -> Duration {
    let share = f64::from(u32::try_from(random() % 1_000).unwrap_or_default()) / 1_000.0;
    pause.mul_f64(share.mul_add(0.2, 0.8))
}

/// `interval`, `scale` times shorter, but never so short that it becomes a load.
pub fn scaled(interval: Duration, scale: f64) -> Duration {
    interval.div_f64(scale).max(SHORTEST)
}

/// A random number. The standard library seeds its hashers from the system's randomness, which is
/// all that jitter and nonces need.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_ten_minutes() {
        for (failures, longest) in [(1, 5), (2, 10), (3, 20), (8, 600), (100, 600)] {
            let pause = pause(failures, 1.0);
            let longest = Duration::from_secs(longest);
            assert!(pause <= longest && pause >= longest.mul_f64(0.79), "{failures}: {pause:?}");
        }
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!(random(), random());
    }
}
