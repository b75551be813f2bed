//! For suites: what reads replies, on any bytes, without a network.
//!
//! Owns nothing but the way in. What comes out is what the operator would make of such a reply.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_iam::operation::get_credential_report::GetCredentialReportOutput;
use aws_sdk_iam::primitives::{Blob, DateTime};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use ses_smtp_core::inventory::CredentialReport;

use super::smtp::Talk;
use super::{CallRecorder, Client, report};

/// The code of the SMTP reply that the bytes begin with; `None` if they begin with none.
pub async fn smtp_reply(bytes: &[u8]) -> Option<u16> {
    let stream = tokio::io::join(bytes, tokio::io::sink());
    Talk::new(stream).ask("NOOP").await.ok().map(|answer| answer.code)
}

/// The credential report in the bytes, if they are one.
pub fn credential_report(bytes: &[u8]) -> Option<CredentialReport> {
    let generated = DateTime::from_secs(0);
    let output = GetCredentialReportOutput::builder().content(Blob::new(bytes)).generated_time(generated);
    report::read(&output.build())
}

/// A client of an IAM that answers every call with this status and body.
pub fn answered(status: u16, body: &[u8]) -> Client {
    let connector = SharedHttpConnector::new(Fixed { status, body: body.to_vec() });
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "readers"))
        .retry_config(RetryConfig::disabled())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    Client::by_way_of(aws_sdk_iam::Client::from_conf(config), Arc::new(Nobody))
}

/// The answer to everything.
#[derive(Debug)]
struct Fixed {
    status: u16,
    body: Vec<u8>,
}

impl HttpConnector for Fixed {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let Ok(status) = StatusCode::try_from(self.status) else {
            return HttpConnectorFuture::ready(Err(ConnectorError::user("no status of HTTP".into())));
        };
        let mut reply = HttpResponse::new(status, SdkBody::from(self.body.clone()));
        reply.headers_mut().insert("date", "Wed, 25 Nov 2026 13:00:00 GMT");
        HttpConnectorFuture::ready(Ok(reply))
    }
}

/// Counts nothing.
struct Nobody;

impl CallRecorder for Nobody {
    fn called(&self, _: &'static str, _: &'static str, _: Duration) {}
}
