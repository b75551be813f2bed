//! What is read off every IAM reply beside what its body says: the server's clock, the request's id,
//! and whether it is whole.
//!
//! Owns the end of each call: the report to the metrics, and that the call is told in the audit log.
//! Neither ever sees a body.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
};
use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_iam::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_iam::primitives::{DateTime, DateTimeFormat};
use k8s_openapi::jiff::Timestamp;
use ses_smtp_core::iam::Failure;
use ses_smtp_core::key::KeyId;
use tokio::time::Instant;

use super::audit::Line;
use super::{Action, MintedKey, errors};

/// Who counts calls.
pub trait CallRecorder: Send + Sync + 'static {
    /// One HTTP call of `action` ended with `outcome` (`ok` or the failure's name) after `took`.
    fn called(&self, action: &'static str, outcome: &'static str, took: Duration);

    /// One more call waits for its turn.
    fn queued(&self) {}

    /// One of them waits no longer, after `waited`: it has its turn, or its caller has gone.
    fn unqueued(&self, waited: Duration) {
        let _ = waited;
    }
}

/// The headers of one reply.
#[derive(Clone, Debug, Default)]
struct Headers {
    date: Option<Timestamp>,
    request_id: Option<String>,
}

/// An interceptor that keeps the headers of the last reply of one operation, and takes no half reply.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderTap(Arc<Mutex<Headers>>);

impl HeaderTap {
    fn headers(&self) -> Headers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server's clock, by the reply's `Date` header.
    pub(super) fn server_time(&self) -> Option<Timestamp> {
        self.headers().date
    }
}

impl Intercept for HeaderTap {
    fn name(&self) -> &'static str {
        "HeaderTap"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let seen = Headers {
            date: headers.get("date").and_then(http_date),
            request_id: headers.get("x-amzn-requestid").map(str::to_owned),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(())
    }

    // The SDK's parser takes the end of the text for the end of a list, so that half an answer would
    // show fewer keys or users than there are.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let whole = context.response().body().bytes().is_some_and(ends_whole);
        if whole || context.output_or_error().is_err() { Ok(()) } else { Err("half an answer".into()) }
    }
}

/// True for the end of every answer of IAM's, such as `</GetUserResponse>`.
fn ends_whole(body: &[u8]) -> bool {
    body.trim_ascii_end().ends_with(b"Response>")
}

fn http_date(text: &str) -> Option<Timestamp> {
    timestamp(&DateTime::from_str(text, DateTimeFormat::HttpDate).ok()?)
}

/// The SDK's time as ours.
pub(super) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// One call under way: what it is about, and since when. Each is told once, also one that is let go of
/// before it was answered.
pub(super) struct Call<'a> {
    action: Action,
    account: &'a str,
    user: &'a str,
    key: Option<&'a KeyId>,
    started: Instant,
    told: bool,
    pub(super) tap: HeaderTap,
}

impl<'a> Call<'a> {
    /// A call of `action` on `user` of `account`, about to be sent.
    pub(super) fn new(action: Action, account: &'a str, user: &'a str) -> Self {
        let tap = HeaderTap::default();
        Self { action, account, user, key: None, started: Instant::now(), told: false, tap }
    }

    /// The same call, about a key of the user.
    pub(super) fn about(mut self, key: &'a KeyId) -> Self {
        self.key = Some(key);
        self
    }

    /// Ends the call: reads the SDK's result with `read`, which gives `None` for an answer that
    /// lacks what it must hold, then counts and audits the call.
    pub(super) fn end<O, T, E>(
        self,
        recorder: &dyn CallRecorder,
        result: Result<O, SdkError<E, HttpResponse>>,
        read: impl FnOnce(O, &HeaderTap) -> Option<T>,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let key = self.key;
        self.conclude(recorder, result, read, |_| key.cloned())
    }

    /// Ends the call that makes a key; the audit line names the new key.
    pub(super) fn end_mint<O, E>(
        self,
        recorder: &dyn CallRecorder,
        result: Result<O, SdkError<E, HttpResponse>>,
        read: impl FnOnce(O, &HeaderTap) -> Option<MintedKey>,
    ) -> Result<MintedKey, Failure>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        self.conclude(recorder, result, read, |minted| Some(minted.id.clone()))
    }

    fn conclude<O, T, E>(
        mut self,
        recorder: &dyn CallRecorder,
        result: Result<O, SdkError<E, HttpResponse>>,
        read: impl FnOnce(O, &HeaderTap) -> Option<T>,
        key: impl FnOnce(&T) -> Option<KeyId>,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let code = result.as_ref().err().and_then(errors::code);
        let result = match result {
            Ok(output) => read(output, &self.tap).ok_or(Failure::Unclear),
            Err(error) => {
                self.hindered(&error);
                Err(errors::failure(self.action, self.user, &error))
            }
        };
        recorder.called(self.action.name(), outcome(&result), self.started.elapsed());
        let made = result.as_ref().ok().and_then(key);
        self.audit(outcome(&result), code.as_deref(), made.as_ref().or(self.key));
        self.told = true;
        result
    }

    /// Tells why no answer came, or none that can be read: the condition says only that none did.
    fn hindered<E: Error + 'static>(&self, error: &SdkError<E, HttpResponse>) {
        if let Some(cause) = errors::hindrance(error) {
            let (action, user) = (self.action.name(), self.user);
            tracing::warn!(action, user, cause, "IAM gave no answer that can be read");
        }
    }

    fn audit(&self, outcome: &'static str, error_code: Option<&str>, key: Option<&KeyId>) {
        if !self.action.mutates() {
            return;
        }
        let request_id = self.tap.headers().request_id;
        let (action, account, user) = (self.action.name(), self.account, self.user);
        Line { action, account, user, key, outcome, error_code, request_id: request_id.as_deref() }.write();
    }
}

impl Drop for Call<'_> {
    /// Whoever made the call has gone, as a look does when the process ends: it may be carried out.
    fn drop(&mut self) {
        if !self.told {
            self.audit(UNCLEAR, None, self.key);
        }
    }
}

/// The outcome of a call for which a right is missing.
pub const DENIED: &str = "denied";
/// The outcome of a call that AWS throttled.
pub const THROTTLED: &str = "throttled";
/// The outcome of a call that nobody knows the answer to.
const UNCLEAR: &str = "unclear";

/// The name of a result in metrics and the audit log.
pub(super) fn outcome<T>(result: &Result<T, Failure>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(Failure::Exists) => "exists",
        Err(Failure::Absent) => "absent",
        Err(Failure::Limit) => "limit",
        Err(Failure::Conflict(_)) => "conflict",
        Err(Failure::Denied { .. }) => DENIED,
        Err(Failure::Busy) => "busy",
        Err(Failure::Throttled) => THROTTLED,
        Err(Failure::Refused { .. }) => "refused",
        Err(Failure::Unclear) => UNCLEAR,
    }
}

/// Where the page after the one asked for with `asked` begins: `Some(None)` if that was the last,
/// `None` if the reply can't be believed. A page that is followed by itself would be read for ever.
pub(super) fn following(
    truncated: bool,
    marker: Option<String>,
    asked: Option<&str>,
) -> Option<Option<String>> {
    let next = if truncated { Some(marker?) } else { None };
    (next.is_none() || next.as_deref() != asked).then_some(next)
}
