//! Waiting for conditions, with an end.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Error;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A point in time at which waiting ends.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// True once it has passed.
    pub fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Looks until `look` gives `Ok(Some(value))`; its `Ok(None)` and its errors are tried again until
/// `time` is over. `state` tells what was seen last.
pub async fn eventually<T>(
    what: &str,
    time: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let deadline = Deadline::after(time);
    loop {
        let state = match look().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => "the condition did not hold".to_owned(),
            Err(error) => error.to_string(),
        };
        if deadline.is_over() {
            return Err(Error::Timeout { what: what.to_owned(), state });
        }
        sleep(LOOK).await;
    }
}
