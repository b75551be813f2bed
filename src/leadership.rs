//! Whether this process may act just now, for everything that sends calls.
//!
//! Owns the deadline that the election set, and nothing of how it comes about. A deadline passes also
//! while nobody looks: a process that was stopped finds it passed when it goes on.

use tokio::sync::watch;
use tokio::time::Instant;

/// Asked right before each call that could change anything (rule R7). Clones share their state.
#[derive(Clone, Debug)]
pub struct Leadership(Option<watch::Sender<Option<Instant>>>);

/// A call that was not sent.
#[derive(Debug, thiserror::Error)]
#[error("not sent: this process doesn't hold the lease")]
pub struct NotLeading;

impl Leadership {
    /// Of a process that shares its work with no other.
    pub fn uncontested() -> Self {
        Self(None)
    }

    /// Of a process that has to win it first.
    pub fn contested() -> Self {
        Self(Some(watch::Sender::new(None)))
    }

    /// True while this process may act.
    pub fn held(&self) -> bool {
        let until = |deadline: &watch::Sender<Option<Instant>>| *deadline.borrow();
        self.0.as_ref().is_none_or(|deadline| until(deadline).is_some_and(|until| Instant::now() < until))
    }

    /// The process may act until then; `None`: it may not.
    pub fn set(&self, until: Option<Instant>) {
        if let Some(deadline) = &self.0 {
            deadline.send_replace(until);
        }
    }

    /// `Ok` while this process may act.
    pub fn check(&self) -> Result<(), NotLeading> {
        if self.held() { Ok(()) } else { Err(NotLeading) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn passes_by_itself() {
        let leadership = Leadership::contested();
        assert!(!leadership.held());
        leadership.clone().set(Some(Instant::now() + Duration::from_secs(20)));
        assert!(leadership.held());
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(leadership.check().is_err());
        assert!(Leadership::uncontested().held());
    }
}
