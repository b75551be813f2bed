//! Whom the operator's AWS credentials belong to.

use aws_sdk_sts::error::DisplayErrorContext;
use ses_smtp_core::iam::Caller;
use ses_smtp_core::region::Partition;

use super::Session;

/// Why the caller is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unidentified {
    /// `GetCallerIdentity` failed; the SDK's account of it, fit for a log and not for a condition.
    #[error("GetCallerIdentity failed: {0}")]
    Call(String),
    /// The answer lacks a 12-digit account or a known partition.
    #[error("GetCallerIdentity named no account or no known partition")]
    Answer,
}

/// Asks STS for account and partition (`GetCallerIdentity`, which needs no right).
pub async fn identify(session: &Session) -> Result<Caller, Unidentified> {
    let sts = aws_sdk_sts::Client::new(session.config());
    let answer = sts.get_caller_identity().send().await;
    let identity = answer.map_err(|error| Unidentified::Call(DisplayErrorContext(&error).to_string()))?;
    let partition = identity.arn().and_then(Partition::of_arn);
    let account = identity.account().filter(|account| is_account(account));
    let (Some(partition), Some(account)) = (partition, account) else { return Err(Unidentified::Answer) };
    Ok(Caller { account: account.to_owned(), partition })
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
