//! Waiting for a condition, always with a deadline.

use std::{fmt::Display, time::Duration};

use tokio::time::{Instant, sleep};

use crate::Error;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A point in time by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    limit: Duration,
}

impl Deadline {
    /// So long from now.
    pub fn after(limit: Duration) -> Self {
        Self { started: Instant::now(), limit }
    }

    /// Asks until `ask` answers with a value, pausing longer each time; an `Err(text)` of the inner kind means "not
    /// yet, because", a fatal error ends the wait.
    pub async fn until<T, Why: Display>(
        self,
        what: &str,
        mut ask: impl AsyncFnMut() -> Result<Result<T, Why>, Error>,
    ) -> Result<T, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            match ask().await? {
                Ok(value) => return Ok(value),
                Err(last) if self.started.elapsed() >= self.limit => {
                    return Err(self.missed(what, &last));
                }
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn missed(self, what: &str, last: &impl Display) -> Error {
        let (what, last, waited) = (what.to_owned(), last.to_string(), self.limit);
        Error::Deadline { what, waited, last, log: String::new() }
    }
}
