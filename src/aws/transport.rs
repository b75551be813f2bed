//! The HTTP side of the AWS SDK: how much of a reply is read, and which connection isn't used again.
//!
//! Owns both limits. The SDK reads a reply to its end before anybody can look at it, however long it
//! is, so the limit is put where the reply comes in. It must not read or change what a reply says.

use aws_sdk_iam::config::{ConfigBag, RuntimeComponents};
use aws_sdk_iam::error::BoxError;
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

use super::Action;

/// Most bytes of a reply that is about one user or about the caller: some hundred times IAM's longest.
pub(super) const MAX_REPLY: usize = 1024 * 1024;
/// Most bytes of a reply that is about the whole account. A credential report of 5,000 users, IAM's
/// limit, has some 4 MB; a page of the account's details holds at most 1,000 users.
pub(super) const MAX_ACCOUNT_REPLY: usize = 16 * 1024 * 1024;
/// Calls whose replies are about the whole account.
const ACCOUNT_WIDE: [Action; 3] =
    [Action::ListUsers, Action::GetAccountAuthorizationDetails, Action::GetCredentialReport];

/// HTTP over TLS by the system's authorities, with bounded replies.
pub(super) fn client() -> SharedHttpClient {
    let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    SharedHttpClient::new(Bounded(Builder::new().tls_provider(tls).build_https()))
}

/// A client or a connector whose replies are bounded.
#[derive(Debug)]
struct Bounded<T>(T);

impl HttpClient for Bounded<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Bounded(self.0.http_connector(settings, components)))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

impl HttpConnector for Bounded<SharedHttpConnector> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let limit = limit(&request);
        if asks(&request, Action::CreateAccessKey) {
            // A connection keeps what it read until it reads more. Closed, its buffers are given back,
            // and so overwritten. The request is signed by now, and this header isn't part of that.
            request.headers_mut().insert("connection", "close");
        }
        let reply = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let reply = reply.await?;
            Ok(reply.map(|body| SdkBody::from_body_1_x(Limited::new(body, limit))))
        })
    }
}

fn limit(request: &HttpRequest) -> usize {
    let wide = ACCOUNT_WIDE.iter().any(|action| asks(request, *action));
    if wide { MAX_ACCOUNT_REPLY } else { MAX_REPLY }
}

/// True for a request of `action`, which the query protocol names first in its body.
fn asks(request: &HttpRequest, action: Action) -> bool {
    let named = request.body().bytes().and_then(|body| body.strip_prefix(b"Action="));
    let named = named.and_then(|rest| rest.split(|byte| *byte == b'&').next());
    named == Some(action.name().as_bytes())
}
