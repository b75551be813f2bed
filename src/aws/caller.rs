//! Whom the operator's AWS credentials belong to.

use std::error::Error;

use ses_smtp_core::iam::Caller;
use ses_smtp_core::identity::is_account;
use ses_smtp_core::region::Partition;

use super::Session;

/// Why the caller is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unidentified {
    /// `GetCallerIdentity` failed; the SDK's account of it, for the log and not for a condition.
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
    let identity = answer.map_err(|error| Unidentified::Call(causes(&error)))?;
    let partition = identity.arn().and_then(Partition::of_arn);
    let account = identity.account().filter(|account| is_account(account));
    let (Some(partition), Some(account)) = (partition, account) else { return Err(Unidentified::Answer) };
    Ok(Caller { account: account.to_owned(), partition })
}

/// An error with everything behind it on one line. The SDK's own rendering adds whole replies.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn tells_all_causes_on_one_line() {
        let error = Unidentified::Call("a\n  b".to_owned());
        let outer = io::Error::other(error);
        assert_eq!(causes(&outer), "GetCallerIdentity failed: a b");
    }

    #[test]
    fn knows_accounts() {
        assert!(is_account("123456789012"));
        assert!(!is_account("12345678901") && !is_account("12345678901x"));
    }
}
