//! Paces every IAM call of the process, repeats the throttled ones, and lets none pass once the process
//! doesn't lead any more.
//!
//! Owns the queue of callers, first in, first out. Its wait is long at times, so leadership is asked for after
//! it, right before each call (rule R7). A throttle answer is certainly not executed, so
//! even `CreateAccessKey` may be repeated after one (rule R5); no other answer is looked at.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use ses_smtp_core::iam::{Failure, KeyList, UserFacts, UserSpec};
use ses_smtp_core::inventory::{CredentialReport, NamePage, ReportState, UserPage};
use ses_smtp_core::key::KeyId;
use tokio::time::{Instant, sleep};

use super::pace::{Limits, Pace};
use super::{Activity, CallRecorder, Iam, MintedKey, Reply, errors};
use crate::leadership::Leadership;

/// First pause of a throttled call; doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause of a throttled call.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// How long after its first throttle answer a call is given up, so that the pass can end (L3).
const BUDGET: Duration = Duration::from_mins(1);

/// Whose turn it is, and the pace. Share one for each account: two don't know of each other.
pub struct Queue {
    /// Held by whoever is next; tokio's mutex is fair, which makes it the queue.
    turn: tokio::sync::Mutex<()>,
    pace: std::sync::Mutex<Pace>,
    recorder: Arc<dyn CallRecorder>,
    leadership: Leadership,
}

/// A call that waits for its turn, told of when it begins and ends.
struct Waiting<'a> {
    recorder: &'a dyn CallRecorder,
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn begin(recorder: &'a dyn CallRecorder) -> Self {
        recorder.queued();
        Self { recorder, since: Instant::now() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.recorder.unqueued(self.since.elapsed());
    }
}

impl Queue {
    /// With nobody in it. `recorder` is told who waits, and how long; calls pass while `leadership` is held.
    pub fn new(limits: Limits, recorder: Arc<dyn CallRecorder>, leadership: Leadership) -> Self {
        let pace = std::sync::Mutex::new(Pace::new(limits, Instant::now()));
        Self { turn: tokio::sync::Mutex::new(()), pace, recorder, leadership }
    }

    /// Waits for the caller's turn and a token.
    async fn pass(&self) {
        let _waiting = Waiting::begin(&*self.recorder);
        let _turn = self.turn.lock().await;
        self.token().await;
    }

    /// Waits for a token, beside whoever is next.
    async fn token(&self) {
        while let Some(pause) = self.with_pace(Pace::take) {
            sleep(pause).await;
        }
    }

    fn with_pace<T>(&self, act: impl FnOnce(&mut Pace, Instant) -> T) -> T {
        act(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }
}

/// An [`Iam`] whose calls keep their account's pace.
pub struct Limited<I> {
    inner: I,
    queue: Arc<Queue>,
}

impl<I> Limited<I> {
    /// Paces `inner` together with all others of the queue.
    pub fn in_queue(inner: I, queue: Arc<Queue>) -> Self {
        Self { inner, queue }
    }

    /// Makes a call in its turn, again and again while it is throttled and the budget lasts.
    async fn call<'a, T>(&'a self, send: impl Fn(&'a I) -> Reply<'a, T>) -> Result<T, Failure> {
        let mut first_throttled = None;
        let mut pause = FIRST_PAUSE;
        self.queue.pass().await;
        loop {
            self.queue.leadership.check().map_err(|_| errors::not_leading())?;
            let result = send(&self.inner).await;
            if !matches!(result, Err(Failure::Throttled)) {
                return result;
            }
            let wait = jittered(pause);
            self.queue.with_pace(|pace, now| pace.throttled(now, wait));
            let since = *first_throttled.get_or_insert_with(Instant::now);
            if since.elapsed() + wait >= BUDGET {
                return result;
            }
            sleep(wait).await;
            // A call that had its turn doesn't queue again: its pass holds a place among the few
            // that may run, and its budget is running.
            self.queue.token().await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Between half of `pause` and the whole of it.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

impl<I: Iam> Iam for Limited<I> {
    fn create_user<'a>(&'a self, user: &'a UserSpec) -> Reply<'a, ()> {
        Box::pin(self.call(move |iam| iam.create_user(user)))
    }

    fn get_user<'a>(&'a self, user: &'a str) -> Reply<'a, UserFacts> {
        Box::pin(self.call(move |iam| iam.get_user(user)))
    }

    fn put_user_policy<'a>(&'a self, user: &'a str, policy: &'a str, document: &'a str) -> Reply<'a, ()> {
        Box::pin(self.call(move |iam| iam.put_user_policy(user, policy, document)))
    }

    fn tag_user<'a>(&'a self, user: &'a str, tags: &'a BTreeMap<String, String>) -> Reply<'a, ()> {
        Box::pin(self.call(move |iam| iam.tag_user(user, tags)))
    }

    fn put_user_permissions_boundary<'a>(&'a self, user: &'a str, boundary: &'a str) -> Reply<'a, ()> {
        Box::pin(self.call(move |iam| iam.put_user_permissions_boundary(user, boundary)))
    }

    fn list_access_keys<'a>(&'a self, user: &'a str) -> Reply<'a, KeyList> {
        Box::pin(self.call(move |iam| iam.list_access_keys(user)))
    }

    fn create_access_key<'a>(&'a self, user: &'a str) -> Reply<'a, MintedKey> {
        Box::pin(self.call(move |iam| iam.create_access_key(user)))
    }

    fn get_access_key_last_used<'a>(&'a self, user: &'a str, key: &'a KeyId) -> Reply<'a, Option<Timestamp>> {
        Box::pin(self.call(move |iam| iam.get_access_key_last_used(user, key)))
    }

    fn update_access_key<'a>(&'a self, user: &'a str, key: &'a KeyId, to: Activity) -> Reply<'a, ()> {
        Box::pin(self.call(move |iam| iam.update_access_key(user, key, to)))
    }

    fn delete_access_key<'a>(&'a self, user: &'a str, key: &'a KeyId) -> Reply<'a, ()> {
        Box::pin(self.call(move |iam| iam.delete_access_key(user, key)))
    }

    fn delete_user_policy<'a>(&'a self, user: &'a str, policy: &'a str) -> Reply<'a, ()> {
        Box::pin(self.call(move |iam| iam.delete_user_policy(user, policy)))
    }

    fn delete_user<'a>(&'a self, user: &'a str) -> Reply<'a, ()> {
        Box::pin(self.call(move |iam| iam.delete_user(user)))
    }

    fn detach_user_policy<'a>(&'a self, user: &'a str, policy_arn: &'a str) -> Reply<'a, ()> {
        Box::pin(self.call(move |iam| iam.detach_user_policy(user, policy_arn)))
    }

    fn list_users<'a>(&'a self, path: &'a str, marker: Option<&'a str>) -> Reply<'a, NamePage> {
        Box::pin(self.call(move |iam| iam.list_users(path, marker)))
    }

    fn get_account_authorization_details<'a>(&'a self, marker: Option<&'a str>) -> Reply<'a, UserPage> {
        Box::pin(self.call(move |iam| iam.get_account_authorization_details(marker)))
    }

    fn generate_credential_report(&self) -> Reply<'_, ReportState> {
        Box::pin(self.call(|iam| iam.generate_credential_report()))
    }

    fn get_credential_report(&self) -> Reply<'_, CredentialReport> {
        Box::pin(self.call(|iam| iam.get_credential_report()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::FutureExt as _;
    use futures::future::join_all;

    use super::*;

    /// A server with a bucket of its own. `delete_user` is all that the tests call.
    struct Server {
        rate: f64,
        burst: f64,
        bucket: Mutex<(f64, Instant)>,
        throttled: AtomicU32,
        served: Mutex<Vec<String>>,
    }

    impl Server {
        fn new(rate: f64, burst: f64) -> Self {
            let bucket = Mutex::new((burst, Instant::now()));
            Self { rate, burst, bucket, throttled: AtomicU32::new(0), served: Mutex::default() }
        }

        fn serve(&self, user: &str) -> Result<(), Failure> {
            let mut bucket = self.bucket.lock().unwrap();
            let tokens = (bucket.0 + bucket.1.elapsed().as_secs_f64() * self.rate).min(self.burst);
            let enough = tokens >= 1.0;
            *bucket = (if enough { tokens - 1.0 } else { tokens }, Instant::now());
            if enough {
                self.served.lock().unwrap().push(user.to_owned());
                return Ok(());
            }
            self.throttled.fetch_add(1, Ordering::Relaxed);
            Err(Failure::Throttled)
        }
    }

    impl Iam for Server {
        fn create_user<'a>(&'a self, _: &'a UserSpec) -> Reply<'a, ()> {
            unimplemented!()
        }
        fn get_user<'a>(&'a self, _: &'a str) -> Reply<'a, UserFacts> {
            async { Err(Failure::Unclear) }.boxed()
        }
        fn put_user_policy<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> Reply<'a, ()> {
            unimplemented!()
        }
        fn tag_user<'a>(&'a self, _: &'a str, _: &'a BTreeMap<String, String>) -> Reply<'a, ()> {
            unimplemented!()
        }
        fn put_user_permissions_boundary<'a>(&'a self, _: &'a str, _: &'a str) -> Reply<'a, ()> {
            unimplemented!()
        }
        fn list_access_keys<'a>(&'a self, _: &'a str) -> Reply<'a, KeyList> {
            unimplemented!()
        }
        fn create_access_key<'a>(&'a self, _: &'a str) -> Reply<'a, MintedKey> {
            unimplemented!()
        }
        fn get_access_key_last_used<'a>(&'a self, _: &'a str, _: &'a KeyId) -> Reply<'a, Option<Timestamp>> {
            unimplemented!()
        }
        fn update_access_key<'a>(&'a self, _: &'a str, _: &'a KeyId, _: Activity) -> Reply<'a, ()> {
            unimplemented!()
        }
        fn delete_access_key<'a>(&'a self, _: &'a str, _: &'a KeyId) -> Reply<'a, ()> {
            unimplemented!()
        }
        fn delete_user_policy<'a>(&'a self, _: &'a str, _: &'a str) -> Reply<'a, ()> {
            unimplemented!()
        }
        fn detach_user_policy<'a>(&'a self, _: &'a str, _: &'a str) -> Reply<'a, ()> {
            unimplemented!()
        }
        fn list_users<'a>(&'a self, _: &'a str, _: Option<&'a str>) -> Reply<'a, NamePage> {
            unimplemented!()
        }

        fn get_account_authorization_details<'a>(&'a self, _: Option<&'a str>) -> Reply<'a, UserPage> {
            unimplemented!()
        }
        fn generate_credential_report(&self) -> Reply<'_, ReportState> {
            unimplemented!()
        }
        fn get_credential_report(&self) -> Reply<'_, CredentialReport> {
            unimplemented!()
        }
        fn delete_user<'a>(&'a self, user: &'a str) -> Reply<'a, ()> {
            // A call takes a while, so that several are under way at once.
            Box::pin(async move {
                sleep(Duration::from_millis(50)).await;
                self.serve(user)
            })
        }
    }

    /// Who waits, and the waits that are over.
    #[derive(Default)]
    struct Counted(Mutex<(i32, Vec<Duration>)>);

    impl CallRecorder for Counted {
        fn called(&self, _: &'static str, _: &'static str, _: Duration) {}

        fn queued(&self) {
            self.0.lock().unwrap().0 += 1;
        }

        fn unqueued(&self, waited: Duration) {
            let mut counted = self.0.lock().unwrap();
            counted.0 -= 1;
            counted.1.push(waited);
        }
    }

    fn queue(limits: Limits, leadership: Leadership) -> Queue {
        Queue::new(limits, Arc::new(Counted::default()), leadership)
    }

    fn counted(server: Server, rate: f64, burst: u32, counted: Arc<Counted>) -> Arc<Limited<Server>> {
        let queue = Queue::new(Limits { rate, burst }, counted, Leadership::uncontested());
        Arc::new(Limited::in_queue(server, Arc::new(queue)))
    }

    fn limited(server: Server, rate: f64, burst: u32) -> Arc<Limited<Server>> {
        counted(server, rate, burst, Arc::default())
    }

    async fn call_from(iam: &Arc<Limited<Server>>, callers: usize) -> Vec<Result<(), Failure>> {
        let call = |caller: usize| {
            let iam = Arc::clone(iam);
            async move { iam.delete_user(&caller.to_string()).await }
        };
        join_all((0..callers).map(|caller| tokio::spawn(call(caller)).map(Result::unwrap))).await
    }

    #[tokio::test(start_paused = true)]
    async fn serves_callers_in_their_order_at_the_rate() {
        let iam = limited(Server::new(1000.0, 1000.0), 10.0, 5);
        let started = Instant::now();
        assert!(call_from(&iam, 105).await.iter().all(Result::is_ok));
        assert!((9.9..10.5).contains(&started.elapsed().as_secs_f64()));
        let order: Vec<String> = (0..105).map(|caller| caller.to_string()).collect();
        assert_eq!(*iam.inner.served.lock().unwrap(), order);
    }

    #[tokio::test(start_paused = true)]
    async fn adapts_to_a_slower_server() {
        let iam = limited(Server::new(10.0, 10.0), 20.0, 10);
        let started = Instant::now();
        let results = call_from(&iam, 1000).await;
        let throttled = iam.inner.throttled.load(Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
        assert!(throttled < 100, "{throttled} throttle answers for 1000 calls");
        assert!(started.elapsed() < Duration::from_mins(3), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_within_the_budget() {
        let iam = limited(Server::new(0.0, 0.0), 20.0, 10);
        let started = Instant::now();
        assert_eq!(iam.delete_user("u").await, Err(Failure::Throttled));
        assert!((40.0..65.0).contains(&started.elapsed().as_secs_f64()));
        assert!(iam.inner.throttled.load(Ordering::Relaxed) < 25);
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_nothing_but_throttled_calls() {
        let iam = limited(Server::new(1.0, 1.0), 20.0, 10);
        let started = Instant::now();
        assert_eq!(iam.get_user("u").await, Err(Failure::Unclear));
        assert!(started.elapsed() < Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn lets_no_call_pass_once_the_lease_has_run_out() {
        let leadership = Leadership::contested();
        leadership.set(Some(Instant::now() + Duration::from_secs(2)));
        let queue = queue(Limits { rate: 1.0, burst: 1 }, leadership);
        let iam = Arc::new(Limited::in_queue(Server::new(1000.0, 1000.0), Arc::new(queue)));
        let results = call_from(&iam, 5).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2, "{results:?}");
        assert_eq!(results[4], Err(errors::not_leading()), "clear: it was not sent");
        assert_eq!(iam.inner.served.lock().unwrap().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn asks_again_before_a_throttled_call_is_repeated() {
        let leadership = Leadership::contested();
        leadership.set(Some(Instant::now() + Duration::from_secs(10)));
        let queue = queue(Limits { rate: 20.0, burst: 10 }, leadership);
        let iam = Limited::in_queue(Server::new(0.0, 0.0), Arc::new(queue));
        let started = Instant::now();
        assert_eq!(iam.delete_user("u").await, Err(errors::not_leading()));
        assert!(started.elapsed() >= Duration::from_secs(10));
        let asked = iam.inner.throttled.load(Ordering::Relaxed);
        assert!((2..25).contains(&asked), "{asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn tells_who_waits_and_how_long() {
        let told = Arc::new(Counted::default());
        let iam = counted(Server::new(1000.0, 1000.0), 1.0, 1, told.clone());
        let waiting: Vec<_> = (0..3)
            .map(|caller| {
                let iam = Arc::clone(&iam);
                tokio::spawn(async move { iam.delete_user(&caller.to_string()).await })
            })
            .collect();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(told.0.lock().unwrap().0, 2, "one has its turn, two wait");
        waiting[2].abort();
        sleep(Duration::from_secs(5)).await;
        let (left, waits) = told.0.lock().unwrap().clone();
        assert_eq!((left, waits.len()), (0, 3), "also one that has gone waits no longer");
        let waits: Vec<u64> = waits.iter().map(Duration::as_secs).collect();
        assert_eq!(waits, [0, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_leaves_frees_its_place() {
        let iam = limited(Server::new(1000.0, 1000.0), 1.0, 1);
        iam.delete_user("first").await.unwrap();
        let waiting = {
            let iam = Arc::clone(&iam);
            tokio::spawn(async move { iam.delete_user("gone").await })
        };
        sleep(Duration::from_millis(10)).await;
        waiting.abort();
        iam.delete_user("next").await.unwrap();
        assert_eq!(*iam.inner.served.lock().unwrap(), ["first", "next"]);
    }
}
