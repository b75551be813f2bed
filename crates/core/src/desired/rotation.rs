//! When a key is replaced, and how long the one before it stays: parsed from the spec.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::RotationSpec;
use crate::password::digest;
use crate::reason::Reason;
use crate::time::{Durations, after, parse, shortened};

use super::{Invalid, Settings};

/// Shortest interval.
const MIN_INTERVAL: (&str, SignedDuration) = ("1h", SignedDuration::from_hours(1));
/// Shortest overlap.
const MIN_OVERLAP: (&str, SignedDuration) = ("15m", SignedDuration::from_mins(15));
/// Objects of one interval are spread over this part of it, in percent.
const SPREAD_PERCENT: i32 = 5;

/// When the key is replaced without being broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Age at which it falls due; `None`: never.
    age: Option<SignedDuration>,
    /// A key issued under another trigger is replaced. Empty if the spec has none, which replaces
    /// nothing.
    pub trigger: String,
}

impl Rotation {
    /// The rotation of the object with this UID.
    pub fn parse(spec: &RotationSpec, uid: &str, settings: &Settings) -> Result<Self, Invalid> {
        let interval = duration("interval", spec.interval.as_deref(), MIN_INTERVAL)?;
        let overlap = duration("overlap", spec.overlap.as_deref(), MIN_OVERLAP)?;
        if let (Some(interval), Some(overlap)) = (interval, overlap)
            && overlap >= interval
        {
            let message =
                "spec.rotation.overlap is not shorter than spec.rotation.interval: shorten it".to_owned();
            return Err(Invalid { reason: Reason::InvalidSpec, message });
        }
        let age = interval.map(|interval| shortened(early(interval, uid), settings.time_scale));
        Ok(Self { age, trigger: spec.trigger.clone().unwrap_or_default() })
    }

    /// When a key issued at `issued` is to be replaced.
    pub fn due_at(&self, issued: Timestamp) -> Option<Timestamp> {
        Some(after(issued, self.age?))
    }

    /// True if a key issued under the trigger `recorded` is to be replaced.
    pub fn is_triggered(&self, recorded: &str) -> bool {
        !self.trigger.is_empty() && self.trigger != recorded
    }
}

/// The protocol's durations with the spec's overlap, or the usual one where the spec has no valid one.
pub fn durations(spec: Option<&RotationSpec>, settings: &Settings) -> Durations {
    let usual = settings.durations;
    let given = |text: Option<&String>| text.and_then(|text| parse(text));
    let Some(spec) = spec else { return usual };
    let scaled = |duration| shortened(duration, settings.time_scale);
    let overlap = given(spec.overlap.as_ref()).map(scaled).filter(|overlap| *overlap >= usual.least_overlap);
    let half = given(spec.interval.as_ref()).map(|interval| scaled(interval / 2));
    let default = || half.map_or(usual.overlap, |half| half.min(usual.overlap).max(usual.least_overlap));
    usual.with_overlap(overlap.unwrap_or_else(default))
}

/// `interval`, less a part that depends on the UID: never later than the spec says.
fn early(interval: SignedDuration, uid: &str) -> SignedDuration {
    let hash = digest(uid.as_bytes());
    let share = hash.get(..4).and_then(|hex| i32::from_str_radix(hex, 16).ok()).unwrap_or_default();
    let spread = interval / 100 * SPREAD_PERCENT;
    interval - spread / 0xFFFF * share
}

fn duration(
    field: &str,
    text: Option<&str>,
    (least, at_least): (&str, SignedDuration),
) -> Result<Option<SignedDuration>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    match parse(text) {
        Some(duration) if duration >= at_least => Ok(Some(duration)),
        _ => {
            let shown: String = text.chars().take(32).collect();
            let message = format!(
                "spec.rotation.{field} {shown:?} is not a duration of at least {least}: use hours, minutes and seconds, such as 2160h"
            );
            Err(Invalid { reason: Reason::InvalidSpec, message })
        }
    }
}
