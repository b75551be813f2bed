//! Token buckets per action and account, as IAM has them.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::jiff::Timestamp;

use crate::config::Bucket;

/// The buckets' fill levels.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    limits: BTreeMap<String, Bucket>,
    scale: f64,
    levels: HashMap<(String, String), (Timestamp, f64)>,
}

impl Buckets {
    pub(crate) fn new(limits: BTreeMap<String, Bucket>, scale: f64) -> Self {
        Self { limits, scale, levels: HashMap::new() }
    }

    pub(crate) fn set(&mut self, action: &str, bucket: Option<Bucket>) {
        self.levels.retain(|(_, of), _| action != "*" && of != action);
        match bucket {
            Some(bucket) => self.limits.insert(action.to_owned(), bucket),
            None => self.limits.remove(action),
        };
    }

    /// Takes a token; false when there is none.
    pub(crate) fn take(&mut self, account: &str, action: &str, now: Timestamp) -> bool {
        let Some(limit) = self.limits.get(action).or_else(|| self.limits.get("*")).copied() else {
            return true;
        };
        let key = (account.to_owned(), action.to_owned());
        let (at, level) = self.levels.entry(key).or_insert((now, limit.burst));
        let seconds = now.duration_since(*at).as_secs_f64().max(0.0);
        *level = (*level + seconds * limit.rate * self.scale).min(limit.burst);
        *at = now;
        let granted = *level >= 1.0;
        if granted {
            *level -= 1.0;
        }
        granted
    }
}
