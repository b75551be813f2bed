//! One IAM or STS call: parse, authenticate, throttle, meet a fault, execute, answer.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::{Answer, Message, Reply};
use crate::account::{ApiError, View};
use crate::authorize::Request;
use crate::clock::Clock;
use crate::fault::{FaultKind, When};
use crate::iam::{self, Done, Params};
use crate::journal::{OUT_OF_BAND, Record};
use crate::sigv4::{Claim, Signed};
use crate::sts;
use crate::world::{Identity, Shared, World};

/// A call on its way.
struct Call {
    action: String,
    params: Params,
    /// The caller, once the signature is checked.
    who: Option<Identity>,
    /// The access key id the request claims.
    claimed: Option<String>,
    /// The user that the call is about; the role, where it is about one.
    user: Option<String>,
    fault: Option<FaultKind>,
    request_id: String,
}

impl Call {
    fn new(params: Params) -> Self {
        Self {
            action: params.get("Action").unwrap_or_default().to_owned(),
            user: params.get("UserName").or_else(|| params.get("RoleArn")).map(str::to_owned),
            params,
            who: None,
            claimed: None,
            fault: None,
            request_id: String::new(),
        }
    }

    fn is_sts(&self) -> bool {
        self.params.get("Version") == Some(sts::VERSION)
    }

    fn service(&self) -> &'static str {
        if self.is_sts() { "sts" } else { "iam" }
    }

    fn namespace(&self) -> &'static str {
        if self.is_sts() { sts::NAMESPACE } else { iam::NAMESPACE }
    }

    fn stale(&self) -> bool {
        matches!(self.fault, Some(FaultKind::StaleList))
    }

    fn error(&self, error: &ApiError) -> Answer {
        let body = iam::error_body(self.namespace(), error, &self.request_id);
        self.reply(error.status, "text/xml", body)
    }

    fn reply(&self, status: u16, content_type: &'static str, body: String) -> Answer {
        Answer::Reply(Reply { status, content_type, body, request_id: self.request_id.clone() })
    }

    /// The page that a broken front end sends instead of XML.
    fn malformed(&self) -> Answer {
        let page = "<!doctype html>\n<html><head><title>500 Internal Server Error</title></head><body></body></html>";
        self.reply(500, "text/html", page.to_owned())
    }
}

/// Answers one request.
pub(super) async fn answer(shared: Arc<Shared>, message: Message) -> Answer {
    let body = String::from_utf8_lossy(&message.body);
    let mut call = Call::new(Params::parse(if body.is_empty() { &message.query } else { &body }));
    let admitted = admit(&shared, &mut call, &message);
    if let Err(error) = admitted {
        note(&shared, &call, &error.code);
        return call.error(&error);
    }
    shared.latency(&call.action).await;
    let call = Arc::new(call);
    if let Some(answer) = before(&shared, &call).await {
        return answer;
    }
    let result = execute(&shared, &call);
    after(&call, result).await
}

/// Carries out a call of the configured caller of an account, without wire, throttling and faults.
pub(crate) fn run_unsigned(shared: &Shared, account: &str, params: Params) -> Result<String, ApiError> {
    let mut call = Call::new(params);
    call.who = Some(Identity {
        key_id: OUT_OF_BAND.to_owned(),
        account: account.to_owned(),
        arn: format!("arn:aws:iam::{account}:root"),
        user_id: account.to_owned(),
        minted: false,
    });
    execute(shared, &call).map(|done| done.result.unwrap_or_default())
}

/// Authenticates and throttles a call, and finds the fault that it meets.
fn admit(shared: &Shared, call: &mut Call, message: &Message) -> Result<(), ApiError> {
    let world = &mut *shared.lock();
    call.request_id = world.ids.request_id();
    let who = authenticate(world, call, message, shared.now())?;
    if call.user.is_none() {
        call.user = call.params.get("AccessKeyId").and_then(|id| world.owner(id));
    }
    let token = world.buckets.take(&who.account, &call.action, shared.now());
    call.who = Some(who);
    if !token {
        return Err(ApiError::throttled());
    }
    call.fault = world.strike(&call.action, call.user.as_deref());
    Ok(())
}

fn authenticate(
    world: &World,
    call: &mut Call,
    message: &Message,
    now: Timestamp,
) -> Result<Identity, ApiError> {
    if call.is_sts() && call.action == sts::WEB_IDENTITY {
        return Ok(Identity::nobody(call.params.get("RoleArn").unwrap_or_default()));
    }
    let claim = Claim::read(&message.headers)?;
    call.claimed = Some(claim.key_id.clone());
    let token = message.headers.get("x-amz-security-token").and_then(|token| token.to_str().ok());
    let (identity, secret) = world.signer(&claim.key_id, token, now)?;
    if claim.service != call.service() {
        let text = format!("Credential should be scoped to correct service: '{}'.", call.service());
        return Err(ApiError::new(403, "SignatureDoesNotMatch", text));
    }
    let signed = Signed {
        method: &message.method,
        path: &message.path,
        query: &message.query,
        headers: &message.headers,
        body: &message.body,
    };
    claim.verify(&signed, &secret)?;
    Ok(identity)
}

/// The answer of a fault that keeps the call from being carried out.
async fn before(shared: &Arc<Shared>, call: &Arc<Call>) -> Option<Answer> {
    let (outcome, answer) = match call.fault.as_ref()? {
        FaultKind::ErrorBefore { status, code } => {
            let error = injected(*status, code);
            (error.code.to_string(), call.error(&error))
        }
        FaultKind::Deny => {
            let error = denial(&shared.lock(), call);
            (error.code.to_string(), call.error(&error))
        }
        FaultKind::Malformed { executed: false } => ("malformed".to_owned(), call.malformed()),
        FaultKind::LostRequest | FaultKind::Hook { when: When::Before, .. } => {
            ("lost".to_owned(), Answer::Drop)
        }
        FaultKind::Timeout => ("timeout".to_owned(), Answer::Hang),
        FaultKind::DelayedEffect { after_ms } => {
            let wait = shared.clock.scaled(Duration::from_millis(*after_ms));
            tokio::spawn(later(Arc::clone(shared), Arc::clone(call), wait));
            return Some(Answer::Hang);
        }
        _ => return None,
    };
    note(shared, call, &outcome);
    run_hook(call, When::Before).await;
    Some(answer)
}

async fn later(shared: Arc<Shared>, call: Arc<Call>, wait: Duration) {
    tokio::time::sleep(wait).await;
    // Nobody waits for the result any more.
    let _ = execute(&shared, &call);
}

/// Carries the call out and writes its record.
fn execute(shared: &Shared, call: &Call) -> Result<Done, ApiError> {
    let view = View { now: shared.now(), stale: call.stale() };
    let world = &mut *shared.lock();
    let result = carry_out(world, &shared.clock, call, view);
    let (outcome, key) = match &result {
        Ok(done) => ("ok", done.key.as_deref()),
        Err(error) => (error.code.as_ref(), None),
    };
    shared.note_in(world, record(shared, call, outcome, key, true));
    result
}

fn carry_out(world: &mut World, clock: &Clock, call: &Call, view: View) -> Result<Done, ApiError> {
    let internal = || {
        ApiError::new(500, "ServiceFailure", "The request processing has failed because of an unknown error.")
    };
    let who = call.who.as_ref().ok_or_else(internal)?;
    if call.is_sts() {
        return sts::call(world, clock, &call.action, &call.params, (who, view));
    }
    if let Some(request) = request(world, call) {
        request.authorize(&who.arn, |question| world.may(who, question))?;
    }
    let account = world.accounts.get_mut(&who.account).ok_or_else(internal)?;
    iam::call(account, &call.action, &call.params, view)
}

/// The call as a policy sees it.
fn request<'a>(world: &'a World, call: &'a Call) -> Option<Request<'a>> {
    let account = world.accounts.get(&call.who.as_ref()?.account)?;
    Some(Request { account, action: &call.action, params: &call.params, user: call.user.as_deref() })
}

/// The answer to a call that was carried out.
async fn after(call: &Call, result: Result<Done, ApiError>) -> Answer {
    run_hook(call, When::After).await;
    match &call.fault {
        Some(FaultKind::ErrorAfter { status, code }) => call.error(&injected(*status, code)),
        Some(FaultKind::LostReply | FaultKind::Hook { .. }) => Answer::Drop,
        Some(FaultKind::Malformed { .. }) => call.malformed(),
        _ => match result {
            Ok(done) => {
                let body =
                    iam::reply_body(call.namespace(), &call.action, done.result.as_deref(), &call.request_id);
                call.reply(200, "text/xml", body)
            }
            Err(error) => call.error(&error),
        },
    }
}

async fn run_hook(call: &Call, at: When) {
    let (when, callback) = match &call.fault {
        Some(FaultKind::Hook { when, callback }) => (*when, callback),
        Some(FaultKind::Observe { callback }) => (When::After, callback),
        _ => return,
    };
    if when == at {
        let callback = Arc::clone(callback);
        // The callback may wait for a process to die; a panic in it is the test's own affair.
        let _ = tokio::task::spawn_blocking(move || callback()).await;
    }
}

fn injected(status: u16, code: &str) -> ApiError {
    let text = match code {
        "Throttling" => "Rate exceeded".to_owned(),
        "AccessDenied" => "User is not authorized to perform this action.".to_owned(),
        other => format!("Injected {other}."),
    };
    ApiError::new(status, code.to_owned(), text)
}

/// `AccessDenied` as IAM words it.
fn denial(world: &World, call: &Call) -> ApiError {
    let Some(who) = &call.who else { return injected(403, "AccessDenied") };
    let resource = request(world, call).map_or_else(|| "*".to_owned(), |request| request.resource());
    ApiError::access_denied(&who.arn, &format!("{}:{}", call.service(), call.action), &resource)
}

fn note(shared: &Shared, call: &Call, outcome: &str) {
    shared.note(record(shared, call, outcome, None, false));
}

fn record(shared: &Shared, call: &Call, outcome: &str, made: Option<&str>, executed: bool) -> Record {
    let key = made.or_else(|| call.params.get("AccessKeyId"));
    Record {
        sequence: 0,
        time: shared.now(),
        action: call.action.clone(),
        account: call.who.as_ref().map(|who| who.account.clone()),
        caller: call.who.as_ref().map(|who| who.key_id.clone()).or_else(|| call.claimed.clone()),
        user: call.user.clone(),
        key: key.map(str::to_owned),
        outcome: outcome.to_owned(),
        executed,
        fault: call.fault.as_ref().map(|fault| format!("{fault:?}")),
        request_id: Some(call.request_id.clone()).filter(|id| !id.is_empty()),
    }
}
