//! IAM of every account that is worked in: the operator's own, and others by way of roles.
//!
//! Owns the sessions of roles: each is begun when it is first needed, kept, and begun anew before it ends
//! or when AWS doesn't take it any more. Calls to one account keep one pace, whatever role they go by.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use ses_smtp_core::iam::{Caller, Failure, SESSION_LOST};
use ses_smtp_core::tenancy::{Place, Role};
use ses_smtp_core::time::{after, shortened};

use super::assume::{Assumed, assume};
use super::limiter::Queue;
use super::steady::MARGIN;
use super::{CallRecorder, Client, Iam, Limited, Limits, Session};
use crate::clock::Clock;
use crate::leadership::Leadership;

/// The code given when there is no way to the account.
const NO_WAY: &str = "NoRoleConfigured";

/// IAM of every account.
pub struct Accounts {
    own: Arc<dyn Iam>,
    others: Option<Others>,
}

/// What it takes to work in other accounts.
struct Others {
    session: Session,
    recorder: Arc<dyn CallRecorder>,
    limits: Limits,
    clock: Clock,
    leadership: Leadership,
    /// By account.
    queues: Mutex<HashMap<String, Arc<Queue>>>,
    held: Mutex<HashMap<Role, Slot>>,
}

/// The lock makes those wait that need the session while it is begun.
type Slot = Arc<tokio::sync::Mutex<Option<Held>>>;

/// A session of a role.
struct Held {
    iam: Arc<dyn Iam>,
    replace_at: Timestamp,
}

impl Accounts {
    /// One account, and no way to another.
    pub fn only(own: Arc<dyn Iam>) -> Self {
        Self { own, others: None }
    }

    /// The account of the session's credentials, and those to which it can assume roles. Calls are sent
    /// while `leadership` is held.
    pub fn new(
        session: Session,
        caller: &Caller,
        recorder: Arc<dyn CallRecorder>,
        limits: Limits,
        clock: Clock,
        leadership: Leadership,
    ) -> Self {
        let queue = Arc::new(Queue::new(limits, recorder.clone(), leadership.clone()));
        let own = Limited::in_queue(Client::new(&session, &caller.account, recorder.clone()), queue.clone());
        let queues = Mutex::new(HashMap::from([(caller.account.clone(), queue)]));
        let others = Others { session, recorder, limits, clock, leadership, queues, held: Mutex::default() };
        Self { own: Arc::new(own), others: Some(others) }
    }

    /// IAM of `account` by way of `role`, or with the operator's own credentials. A failure to begin the
    /// session is clear: nothing was asked of IAM.
    pub async fn iam(&self, account: &str, role: Option<&Role>) -> Result<Arc<dyn Iam>, Failure> {
        match (role, &self.others) {
            (None, _) => Ok(self.own.clone()),
            (Some(role), Some(others)) => others.iam(account, role).await,
            (Some(_), None) => Err(Failure::Refused { code: NO_WAY.to_owned() }),
        }
    }

    /// IAM of an account by the first of its roles that works.
    pub async fn reach(&self, place: &Place) -> Result<Arc<dyn Iam>, Failure> {
        let mut reached = self.iam(&place.account, place.roles.first()).await;
        for role in place.roles.iter().skip(1) {
            if reached.is_ok() {
                break;
            }
            reached = self.iam(&place.account, Some(role)).await;
        }
        reached
    }

    /// Lets go of a session by which a call failed, if the failure says that it has ended.
    pub async fn heed(&self, role: Option<&Role>, failure: &Failure) {
        let lost = matches!(failure, Failure::Refused { code } if SESSION_LOST.contains(&code.as_str()));
        if let (true, Some(role), Some(others)) = (lost, role, &self.others) {
            *others.slot(role).lock().await = None;
        }
    }
}

impl Others {
    async fn iam(&self, account: &str, role: &Role) -> Result<Arc<dyn Iam>, Failure> {
        let slot = self.slot(role);
        let mut held = slot.lock().await;
        if let Some(held) = held.as_ref().filter(|held| self.clock.now() < held.replace_at) {
            return Ok(held.iam.clone());
        }
        *held = None;
        let Assumed { session, ends } =
            Box::pin(assume(&self.session, account, role, &*self.recorder)).await?;
        let client = Client::new(&session, account, self.recorder.clone());
        let iam: Arc<dyn Iam> = Arc::new(Limited::in_queue(client, self.queue(account)));
        let margin = SignedDuration::try_from(MARGIN).unwrap_or_default();
        let margin = shortened(margin, self.clock.scale());
        let replace_at = after(ends, SignedDuration::ZERO.saturating_sub(margin));
        *held = Some(Held { iam: iam.clone(), replace_at });
        Ok(iam)
    }

    fn slot(&self, role: &Role) -> Slot {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.entry(role.clone()).or_default().clone()
    }

    fn queue(&self, account: &str) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = || Arc::new(Queue::new(self.limits, self.recorder.clone(), self.leadership.clone()));
        queues.entry(account.to_owned()).or_insert_with(queue).clone()
    }
}
