//! Whom the operator's AWS credentials belong to.

use std::error::Error;

use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::error::SdkError;
use ses_smtp_core::iam::Caller;
use ses_smtp_core::identity::is_account;
use ses_smtp_core::region::Partition;

use super::Session;
use super::errors::lacks_credentials;
use crate::causes::causes;

/// Why the caller is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unidentified {
    /// The SDK's chain gave no credentials; its account of that, for the log and not for a condition.
    #[error("no AWS credentials could be had: {0}")]
    NoCredentials(String),
    /// AWS answered and doesn't take the credentials.
    #[error("AWS refused the credentials: {0}")]
    Refused(String),
    /// `GetCallerIdentity` failed; the SDK's account of it.
    #[error("GetCallerIdentity failed: {0}")]
    Call(String),
    /// The answer lacks a 12-digit account or a known partition.
    #[error("GetCallerIdentity named no account or no known partition")]
    Answer,
}

impl Unidentified {
    /// What is waited for, and what to do about it.
    pub fn waiting_for(&self) -> &'static str {
        match self {
            Self::NoCredentials(_) => {
                "AWS credentials: none could be had, and the log says what was tried. Give the operator an IAM role \
                 or an access key; if it has a role, look at its trust policy"
            }
            Self::Refused(_) => {
                "AWS credentials that work: AWS refused the present ones, and the log says why. Give the operator \
                 others"
            }
            Self::Call(_) => {
                "an answer from AWS STS: the log says what failed. Look at the network path and at AWS_REGION"
            }
            Self::Answer => {
                "AWS STS to name account and partition: look at AWS_REGION and AWS_ENDPOINT_URL_STS"
            }
        }
    }
}

/// Asks STS for account and partition (`GetCallerIdentity`, which needs no right).
pub async fn identify(session: &Session) -> Result<Caller, Unidentified> {
    let sts = aws_sdk_sts::Client::new(session.config());
    let answer = sts.get_caller_identity().send().await;
    let identity = answer.map_err(|error| unidentified(&error))?;
    let partition = identity.arn().and_then(Partition::of_arn);
    let account = identity.account().filter(|account| is_account(account));
    let (Some(partition), Some(account)) = (partition, account) else { return Err(Unidentified::Answer) };
    Ok(Caller { account: account.to_owned(), partition })
}

fn unidentified<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Unidentified {
    let told = causes(error);
    match error {
        SdkError::ServiceError(_) => Unidentified::Refused(told),
        SdkError::DispatchFailure(_) if lacks_credentials(error) => Unidentified::NoCredentials(told),
        _ => Unidentified::Call(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_accounts() {
        assert!(is_account("123456789012"));
        assert!(!is_account("12345678901") && !is_account("12345678901x"));
    }
}
