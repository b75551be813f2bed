//! A session of a role: `AssumeRole`, and a look at whose credentials came of it.

use k8s_openapi::jiff::Timestamp;
use ses_smtp_core::iam::Failure;
use ses_smtp_core::tenancy::Role;
use tokio::time::Instant;

use super::audit::TARGET;
use super::reply::{outcome, timestamp};
use super::{CallRecorder, Session, errors, identify};

/// The call's name in metrics and logs.
pub const ASSUME_ROLE: &str = "AssumeRole";
/// How long a session lasts: the longest that is granted to whoever holds a session already.
const SECONDS: i32 = 3600;
/// The code given when the credentials are of another account than the role's.
const ANOTHER_ACCOUNT: &str = "SessionOfAnotherAccount";

/// A session of a role.
pub(super) struct Assumed {
    /// Its credentials.
    pub(super) session: Session,
    /// When they end.
    pub(super) ends: Timestamp,
}

/// Begins a session of `role` in `account`.
pub(super) async fn assume(
    own: &Session,
    account: &str,
    role: &Role,
    recorder: &dyn CallRecorder,
) -> Result<Assumed, Failure> {
    let started = Instant::now();
    let result = begun(own, role).await;
    recorder.called(ASSUME_ROLE, outcome(&result), started.elapsed());
    let (role, external_id) = (role.arn.as_str(), role.external_id.as_str());
    tracing::info!(
        target: TARGET,
        action = ASSUME_ROLE,
        account,
        role,
        external_id,
        outcome = outcome(&result),
        "STS call"
    );
    let assumed = result?;
    let caller = identify(&assumed.session).await.map_err(|error| {
        tracing::warn!(%error, role, "a role's session doesn't work");
        errors::no_session()
    })?;
    if caller.account == account {
        Ok(assumed)
    } else {
        Err(Failure::Refused { code: ANOTHER_ACCOUNT.to_owned() })
    }
}

async fn begun(own: &Session, role: &Role) -> Result<Assumed, Failure> {
    let sts = aws_sdk_sts::Client::new(own.config());
    let request = sts.assume_role().role_arn(&role.arn).external_id(&role.external_id);
    let request = request.role_session_name(&role.session_name).duration_seconds(SECONDS);
    let answer = request.send().await.map_err(|error| errors::not_assumed(&role.arn, &error))?;
    let credentials = answer.credentials.ok_or_else(errors::no_session)?;
    let ends = timestamp(&credentials.expiration).ok_or_else(errors::no_session)?;
    Ok(Assumed { session: own.with_credentials(&credentials), ends })
}
