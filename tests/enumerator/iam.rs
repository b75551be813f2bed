//! IAM as the operator's process calls it, over HTTP, with a fault here and there.
//!
//! Errors and lost messages are made by the double, on the wire, so that the reading of replies is
//! part of the case. A crash, a throttle that outlasts the limiter's patience and a timeout are made
//! here, for they would cost real time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_double::{ACCOUNT, CALLER_KEY_ID, CALLER_SECRET, Fault as Wired, FaultKind};
use futures::future::BoxFuture;
use k8s_openapi::jiff::Timestamp;
use ses_smtp_core::iam::{Failure, KeyList, SETTLE_SECONDS, UserFacts, UserSpec};
use ses_smtp_core::inventory::{CredentialReport, NamePage, ReportState, UserPage};
use ses_smtp_core::key::KeyId;
use ses_smtp_operator::aws::{Activity, CallRecorder, Client, Iam, MintedKey, Reply, Session};
use ses_smtp_operator::clock::Time as _;

use crate::codes;
use crate::fault::Fault;
use crate::run::Process;

/// When the SDK gives up on a call, in seconds.
const PATIENCE: i64 = 10;
/// When the effect of a call comes whose client has given up by then, in seconds.
const LATE: i64 = 20;

/// One process's IAM.
pub struct Wire {
    client: Arc<Client>,
    process: Arc<Process>,
}

/// Calls are counted by the double.
struct Uncounted;

impl CallRecorder for Uncounted {
    fn called(&self, _: &'static str, _: &'static str, _: Duration) {}
}

/// What a call is about.
struct About<'a> {
    action: &'static str,
    user: &'a str,
    key: Option<&'a KeyId>,
}

impl<'a> About<'a> {
    fn user(action: &'static str, user: &'a str) -> Self {
        Self { action, user, key: None }
    }

    fn key(action: &'static str, user: &'a str, key: &'a KeyId) -> Self {
        Self { action, user, key: Some(key) }
    }

    fn reads(&self) -> bool {
        reads(self.action)
    }
}

/// True if the action changes nothing.
fn reads(action: &str) -> bool {
    action.starts_with("Ge") || action.starts_with("List")
}

type Sent<T> = BoxFuture<'static, Result<T, Failure>>;

impl Wire {
    pub async fn new(process: Arc<Process>) -> Self {
        let session = Session::with_key(&process.world.aws.iam_url(), CALLER_KEY_ID, CALLER_SECRET).await;
        Self { client: Arc::new(Client::new(&session, ACCOUNT, Arc::new(Uncounted))), process }
    }

    /// A call about all users, the case's among them.
    fn about_all(&self, action: &'static str) -> About<'_> {
        About::user(action, &self.process.world.user)
    }

    async fn call<T: Send + 'static>(
        &self,
        about: About<'_>,
        stale: Option<T>,
        send: impl FnOnce(Arc<Client>) -> Sent<T> + Send,
    ) -> Result<T, Failure> {
        let world = &self.process.world;
        world.turn(self.process.number).await;
        let fault = world.meet(about.action);
        match fault {
            Some(Fault::CrashBefore) => return self.process.die().await,
            Some(Fault::Throttled) => return Err(Failure::Throttled),
            Some(Fault::Stale) if about.action != "ListAccessKeys" => return self.stale(&about, stale),
            _ => {}
        }
        self.judge(&about);
        if fault == Some(Fault::Timeout) {
            self.later(&about, send(self.client.clone()));
            world.time.pass(PATIENCE * 1000).await;
            return Err(Failure::Unclear);
        }
        self.arm(&about, fault);
        let result = send(self.client.clone()).await;
        self.done(&about, result.is_ok()).await;
        if fault == Some(Fault::CrashAfter) { self.process.die().await } else { result }
    }

    fn judge(&self, about: &About<'_>) {
        let world = &self.process.world;
        let mut judge = world.judge.lock().unwrap();
        if about.user != world.user {
            judge.violations.push(format!("S4: {} names another user", about.action));
        }
        if !about.reads() {
            let seen = self.process.seen.lock().unwrap();
            judge.before_iam(about.action, about.key.map(KeyId::as_str), &world.scene(), &seen);
        }
    }

    async fn done(&self, about: &About<'_>, good: bool) {
        if about.reads() {
            return;
        }
        self.process.world.look().await;
        let newest = self.process.world.scene().user.and_then(|user| Some(user.keys.last()?.id.clone()));
        let mut seen = self.process.seen.lock().unwrap();
        match about.action {
            "CreateUser" if good => seen.fresh = true,
            "CreateAccessKey" if good => seen.minted = newest,
            _ => {}
        }
    }

    /// The client gives up; the call is on its way and arrives.
    fn later<T: Send + 'static>(&self, about: &About<'_>, sent: Sent<T>) {
        if about.reads() {
            return;
        }
        let world = self.process.world.clone();
        let effect = async move {
            drop(sent.await);
            world.look().await;
        };
        self.process.world.time.later(LATE, Box::pin(effect));
    }

    /// Lets the double do its part of a fault to the very next call.
    fn arm(&self, about: &About<'_>, fault: Option<Fault>) {
        let error = |status, code: &str| FaultKind::ErrorBefore { status, code: code.into() };
        let kind = match fault {
            Some(Fault::RequestLost) => FaultKind::LostRequest,
            Some(Fault::ReplyLost) => FaultKind::LostReply,
            Some(Fault::Error) => error(500, "ServiceFailure"),
            Some(Fault::ErrorAfter) => FaultKind::ErrorAfter { status: 500, code: "ServiceFailure".into() },
            Some(Fault::Denied) => FaultKind::Deny,
            Some(Fault::Code(code)) => error(codes::status(code), code),
            Some(Fault::Malformed) => FaultKind::Malformed { executed: true },
            Some(Fault::Stale) if self.is_recent(about) => FaultKind::StaleList,
            _ => return,
        };
        self.process.world.aws.inject(Wired::on(about.action, kind));
    }

    fn stale<T>(&self, about: &About<'_>, stale: Option<T>) -> Result<T, Failure> {
        match stale {
            Some(stale) => Ok(stale),
            None if self.is_recent(about) => Err(Failure::Absent),
            None => Err(Failure::Throttled),
        }
    }

    /// True if IAM may still lag behind the last change to the user. Later than that it is settled,
    /// which the protocol takes as given, and a stale answer would prove nothing.
    fn is_recent(&self, about: &About<'_>) -> bool {
        let world = &self.process.world;
        let records = world.aws.journal();
        let kin = |action: &str| about.action != "GetUser" || action == "CreateUser";
        let changed = |record: &&aws_double::Record| {
            record.executed && record.outcome == "ok" && !reads(&record.action) && kin(&record.action)
        };
        let last = records.iter().rev().find(changed).map(|record| record.time);
        let recent = last.is_some_and(|at| world.time.now().duration_since(at).as_secs() < SETTLE_SECONDS);
        if !recent {
            world.script.void();
        }
        recent
    }
}

/// Sends a call with arguments of its own, for it may outlive its pass.
macro_rules! send {
    ($method:ident($($argument:ident),*)) => {{
        $(let $argument = $argument.to_owned();)*
        move |client: Arc<Client>| -> Sent<_> {
            Box::pin(async move { client.$method($(&$argument),*).await })
        }
    }};
}

impl Iam for Wire {
    fn create_user<'a>(&'a self, user: &'a UserSpec) -> Reply<'a, ()> {
        Box::pin(self.call(About::user("CreateUser", &user.name), None, send!(create_user(user))))
    }

    fn get_user<'a>(&'a self, user: &'a str) -> Reply<'a, UserFacts> {
        Box::pin(self.call(About::user("GetUser", user), None, send!(get_user(user))))
    }

    fn put_user_policy<'a>(&'a self, user: &'a str, policy: &'a str, document: &'a str) -> Reply<'a, ()> {
        let send = send!(put_user_policy(user, policy, document));
        Box::pin(self.call(About::user("PutUserPolicy", user), None, send))
    }

    fn tag_user<'a>(&'a self, user: &'a str, tags: &'a BTreeMap<String, String>) -> Reply<'a, ()> {
        Box::pin(self.call(About::user("TagUser", user), None, send!(tag_user(user, tags))))
    }

    fn put_user_permissions_boundary<'a>(&'a self, user: &'a str, boundary: &'a str) -> Reply<'a, ()> {
        let send = send!(put_user_permissions_boundary(user, boundary));
        Box::pin(self.call(About::user("PutUserPermissionsBoundary", user), None, send))
    }

    fn list_access_keys<'a>(&'a self, user: &'a str) -> Reply<'a, KeyList> {
        Box::pin(self.call(About::user("ListAccessKeys", user), None, send!(list_access_keys(user))))
    }

    fn create_access_key<'a>(&'a self, user: &'a str) -> Reply<'a, MintedKey> {
        Box::pin(self.call(About::user("CreateAccessKey", user), None, send!(create_access_key(user))))
    }

    fn get_access_key_last_used<'a>(&'a self, user: &'a str, key: &'a KeyId) -> Reply<'a, Option<Timestamp>> {
        let about = About::key("GetAccessKeyLastUsed", user, key);
        Box::pin(self.call(about, Some(None), send!(get_access_key_last_used(user, key))))
    }

    fn update_access_key<'a>(&'a self, user: &'a str, key: &'a KeyId, to: Activity) -> Reply<'a, ()> {
        let (name, id) = (user.to_owned(), key.to_owned());
        let send = move |client: Arc<Client>| -> Sent<_> {
            Box::pin(async move { client.update_access_key(&name, &id, to).await })
        };
        Box::pin(self.call(About::key("UpdateAccessKey", user, key), None, send))
    }

    fn delete_access_key<'a>(&'a self, user: &'a str, key: &'a KeyId) -> Reply<'a, ()> {
        let about = About::key("DeleteAccessKey", user, key);
        Box::pin(self.call(about, None, send!(delete_access_key(user, key))))
    }

    fn delete_user_policy<'a>(&'a self, user: &'a str, policy: &'a str) -> Reply<'a, ()> {
        let send = send!(delete_user_policy(user, policy));
        Box::pin(self.call(About::user("DeleteUserPolicy", user), None, send))
    }

    fn delete_user<'a>(&'a self, user: &'a str) -> Reply<'a, ()> {
        Box::pin(self.call(About::user("DeleteUser", user), None, send!(delete_user(user))))
    }

    fn detach_user_policy<'a>(&'a self, user: &'a str, policy: &'a str) -> Reply<'a, ()> {
        let send = send!(detach_user_policy(user, policy));
        Box::pin(self.call(About::user("DetachUserPolicy", user), None, send))
    }

    fn list_users<'a>(&'a self, path: &'a str, marker: Option<&'a str>) -> Reply<'a, NamePage> {
        let (path, marker) = (path.to_owned(), marker.map(str::to_owned));
        let send = move |client: Arc<Client>| -> Sent<_> {
            Box::pin(async move { client.list_users(&path, marker.as_deref()).await })
        };
        Box::pin(self.call(self.about_all("ListUsers"), None, send))
    }

    // The sweeps' reads; no pass makes them.

    fn get_account_authorization_details<'a>(&'a self, marker: Option<&'a str>) -> Reply<'a, UserPage> {
        let marker = marker.map(str::to_owned);
        let send = move |client: Arc<Client>| -> Sent<_> {
            Box::pin(async move { client.get_account_authorization_details(marker.as_deref()).await })
        };
        Box::pin(self.call(self.about_all("GetAccountAuthorizationDetails"), None, send))
    }

    fn generate_credential_report(&self) -> Reply<'_, ReportState> {
        let send = send!(generate_credential_report());
        Box::pin(self.call(self.about_all("GenerateCredentialReport"), None, send))
    }

    fn get_credential_report(&self) -> Reply<'_, CredentialReport> {
        let send = send!(get_credential_report());
        Box::pin(self.call(self.about_all("GetCredentialReport"), None, send))
    }
}
