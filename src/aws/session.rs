//! The SDK's configuration: credentials, Region, transport, time limits.
//!
//! Owns every setting of the SDK. Credentials and endpoints come by the SDK's own chain and
//! environment variables; nothing of that is decided here.

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use super::steady::{MARGIN, Steady};
use super::transport;
use crate::clock::Clock;

/// The environment variable that makes the SDK log bodies that hold secret access keys.
pub const SENSITIVE_BODIES: &str = "LOG_SENSITIVE_BODIES";

/// Region for choosing partition and signature when none is configured: IAM of partition `aws` sits
/// there.
const FALLBACK_REGION: &str = "us-east-1";
const CONNECT: Duration = Duration::from_secs(3);
/// Well within the two minutes after which an unseen key counts as never published.
const ATTEMPT: Duration = Duration::from_secs(8);
const OPERATION: Duration = Duration::from_secs(10);

/// True if the environment asks the SDK to log bodies, as the SDK reads it.
pub fn reveals_bodies(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// What every AWS client of the process shares.
#[derive(Clone, Debug)]
pub struct Session(SdkConfig);

impl Session {
    /// Loads configuration from the SDK's chain.
    pub async fn load() -> Self {
        // The loader's own Region chain is used, because only it asks the instance metadata through
        // the HTTP client that is set here; the SDK's default client isn't compiled in.
        let found = loader().load().await;
        if found.region().is_some() {
            return Self(steadied(&found));
        }
        Self(steadied(&loader().region(Region::new(FALLBACK_REGION)).load().await))
    }

    /// The same but for the credentials: those of a role's session.
    pub(super) fn with_credentials(&self, of: &aws_sdk_sts::types::Credentials) -> Self {
        let (id, secret, token) = (of.access_key_id(), of.secret_access_key(), of.session_token());
        // Without an end, which is watched elsewhere.
        let keys = Credentials::new(id, secret, Some(token.to_owned()), None, "AssumeRole");
        let provider = SharedCredentialsProvider::new(keys);
        Self(self.0.to_builder().credentials_provider(provider).build())
    }

    pub(super) fn config(&self) -> &SdkConfig {
        &self.0
    }
}

/// The same with credentials that are replaced well before their end, and kept to their end if that fails.
fn steadied(config: &SdkConfig) -> SdkConfig {
    let Some(source) = config.credentials_provider() else { return config.clone() };
    let scale = Clock::system().scale();
    let cache = IdentityCache::lazy().buffer_time(MARGIN.div_f64(scale)).build();
    let steady = SharedCredentialsProvider::new(Steady::new(source, scale));
    config.to_builder().credentials_provider(steady).identity_cache(cache).build()
}

/// Behaviour is pinned, so that an SDK update doesn't change it. Retries are off: the limiter repeats
/// throttled calls, and no other call may be repeated behind our back.
fn loader() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(transport::client())
        .retry_config(RetryConfig::disabled())
        .timeout_config(time_limits())
}

/// The SDK has no limit of its own but for connecting.
fn time_limits() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build()
}

#[cfg(any(test, feature = "scaled-time"))]
impl Session {
    /// A session with a key of a double's caller against a server at `endpoint`. For suites.
    pub async fn with_key(endpoint: &str, id: &str, secret: &str) -> Self {
        let key = aws_sdk_iam::config::Credentials::new(id, secret, None, None, "test");
        let loader = loader().region(Region::new(FALLBACK_REGION)).endpoint_url(endpoint);
        Self(loader.credentials_provider(key).load().await)
    }
}

#[cfg(test)]
impl Session {
    /// A session with the documentation's example credentials against a server at `endpoint`.
    pub(super) async fn at(endpoint: &str) -> Self {
        Self::with_key(endpoint, "AKIAIOSFODNN7EXAMPLE", "secret").await
    }

    /// A session whose chain finds no credentials.
    pub(super) async fn without_credentials() -> Self {
        use aws_credential_types::provider::error::CredentialsError;
        #[derive(Debug)]
        struct Nothing;
        impl aws_sdk_iam::config::ProvideCredentials for Nothing {
            fn provide_credentials<'a>(
                &'a self,
            ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                let nothing = Err(CredentialsError::not_loaded("nothing configured"));
                aws_credential_types::provider::future::ProvideCredentials::ready(nothing)
            }
        }
        let loader = loader().region(Region::new(FALLBACK_REGION));
        Self(loader.credentials_provider(Nothing).endpoint_url("http://127.0.0.1:1").load().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_when_the_sdk_would_log_bodies() {
        assert!(reveals_bodies(Some("true")) && reveals_bodies(Some("TRUE")));
        assert!(!reveals_bodies(None) && !reveals_bodies(Some("false")) && !reveals_bodies(Some("1")));
    }
}
