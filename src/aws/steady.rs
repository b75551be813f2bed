//! Credentials that last: a refresh that fails takes nothing away that still works.
//!
//! Owns what becomes of the operator's own session near its end. Where credentials come from is the SDK's chain's
//! matter; nothing here looks at what they are used for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use tokio::time::Instant;

use crate::causes::causes;

/// How long before its end a session is replaced. The SDK takes up to half of it off, by chance.
pub(super) const MARGIN: Duration = Duration::from_mins(5);
/// How long a refresh that failed is left alone while what is held still works.
const REST: Duration = Duration::from_secs(10);

/// A source of credentials, with the last ones that it gave.
#[derive(Debug)]
pub(super) struct Steady {
    source: SharedCredentialsProvider,
    rest: Duration,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    credentials: Option<Credentials>,
    /// No refresh before.
    rests_until: Option<Instant>,
}

impl Steady {
    /// `scale` makes the pause between failed refreshes shorter.
    pub(super) fn new(source: SharedCredentialsProvider, scale: f64) -> Self {
        Self { source, rest: REST.div_f64(scale), held: Mutex::default() }
    }

    async fn provide(&self) -> provider::Result {
        if let Some(held) = self.resting() {
            return Ok(held);
        }
        match self.source.provide_credentials().await {
            Ok(fresh) => {
                *self.held() = Held { credentials: Some(fresh.clone()), rests_until: None };
                Ok(fresh)
            }
            Err(error) => self.kept().ok_or(error).inspect(|_| self.held().rest(self.rest)),
        }
    }

    /// What is held, while a refresh isn't to be tried again.
    fn resting(&self) -> Option<Credentials> {
        let rests = self.held().rests_until.is_some_and(|until| Instant::now() < until);
        if rests { self.kept() } else { None }
    }

    /// What is held, if it still works.
    fn kept(&self) -> Option<Credentials> {
        let works = |held: &Credentials| held.expiry().is_none_or(|end| SystemTime::now() < end);
        self.held().credentials.clone().filter(works)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn rest(&mut self, time: Duration) {
        self.rests_until = Some(Instant::now() + time);
    }
}

impl ProvideCredentials for Steady {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.provide().await.inspect_err(|error| {
                tracing::warn!(error = causes(error), "no AWS credentials could be had");
            })
        })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.kept()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_credential_types::provider::error::CredentialsError;

    use super::*;

    /// Answers as listed, then fails.
    #[derive(Debug)]
    struct Source {
        answers: Vec<Option<Credentials>>,
        asked: Arc<AtomicUsize>,
    }

    impl ProvideCredentials for Source {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            let answer = self.answers.get(asked).cloned().flatten();
            future::ProvideCredentials::ready(answer.ok_or_else(|| CredentialsError::not_loaded("closed")))
        }
    }

    fn until(id: &str, end: Option<SystemTime>) -> Credentials {
        Credentials::new(id, "secret", None, end, "test")
    }

    fn steady(answers: Vec<Option<Credentials>>) -> (Steady, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let source = Source { answers, asked: asked.clone() };
        (Steady::new(SharedCredentialsProvider::new(source), 1.0), asked)
    }

    async fn given(steady: &Steady) -> Option<String> {
        steady.provide_credentials().await.ok().map(|it| it.access_key_id().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_still_works_outlives_a_failed_refresh() {
        let later = SystemTime::now() + Duration::from_hours(1);
        let (steady, asked) = steady(vec![Some(until("a", Some(later))), None, Some(until("b", None))]);
        assert_eq!(given(&steady).await.as_deref(), Some("a"));
        for _ in 0..3 {
            assert_eq!(given(&steady).await.as_deref(), Some("a"));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2, "a refresh that failed is not repeated at once");
        tokio::time::advance(REST).await;
        assert_eq!(given(&steady).await.as_deref(), Some("b"));
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_is_not_given() {
        let over = SystemTime::now().checked_sub(Duration::from_secs(1));
        let (steady, _) = steady(vec![Some(until("a", over))]);
        assert_eq!(given(&steady).await.as_deref(), Some("a"));
        assert_eq!(given(&steady).await, None);
        assert!(steady.fallback_on_interrupt().is_none());
    }
}
