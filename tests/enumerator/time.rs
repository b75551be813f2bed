//! Time that a case makes itself: it jumps to whatever is waited for, and AWS goes along.
//!
//! Kubernetes' own creation timestamps are real time, and the plan compares one of them with IAM's
//! dates of keys (is a key younger than the placeholder?). In made time a real one would look much
//! too old, and every key would seem younger than its placeholder. So the calls' wrapper notes when a
//! Secret was born in made time and puts that date into every answer, see `cluster`.

use std::fmt;
use std::sync::{Arc, Mutex};

use aws_double::Double;
use futures::future::BoxFuture;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use ses_smtp_operator::clock::Time;

/// What happens at some later time: the effect of a call whose client has given up.
type Effect = BoxFuture<'static, ()>;

/// The time of one case.
pub struct MadeTime {
    aws: Arc<Double>,
    now: Mutex<Timestamp>,
    late: Mutex<Vec<(Timestamp, Effect)>>,
}

impl fmt::Debug for MadeTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MadeTime({})", self.now())
    }
}

impl MadeTime {
    /// Starts with the double's time, which stands still but for this.
    pub fn of(aws: Arc<Double>) -> Self {
        let now = Mutex::new(aws.now());
        Self { aws, now, late: Mutex::default() }
    }

    /// Goes on to `time`, and lets what is due until then happen on the way.
    pub async fn go_to(&self, time: Timestamp) {
        while let Some((at, effect)) = self.due(time) {
            self.set(at);
            effect.await;
        }
        self.set(time);
    }

    /// Goes on by so many milliseconds.
    pub async fn pass(&self, milliseconds: i64) {
        self.go_to(self.now() + SignedDuration::from_millis(milliseconds)).await;
    }

    /// Lets `effect` happen so many seconds from now.
    pub fn later(&self, seconds: i64, effect: Effect) {
        let at = self.now() + SignedDuration::from_secs(seconds);
        self.late.lock().unwrap().push((at, effect));
    }

    fn due(&self, time: Timestamp) -> Option<(Timestamp, Effect)> {
        let mut late = self.late.lock().unwrap();
        let (index, _) = late.iter().enumerate().min_by_key(|(_, (at, _))| *at)?;
        (late[index].0 <= time).then(|| late.remove(index))
    }

    fn set(&self, time: Timestamp) {
        let mut now = self.now.lock().unwrap();
        let Ok(step) = std::time::Duration::try_from(now.duration_until(time)) else { return };
        self.aws.advance(step);
        *now = time;
    }
}

impl Time for MadeTime {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(self.go_to(time))
    }
}
