use aws_double::{CALLER_KEY_ID, CALLER_SECRET, Config, Double};
use aws_sdk_iam::Client;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};

pub const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/ses-smtp-boundary";
pub const SEND_ONLY: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ses:SendRawEmail","Resource":"*"}}"#;
pub const FROM_EXAMPLE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ses:SendRawEmail",
    "Resource":"*","Condition":{"StringLike":{"ses:FromAddress":"*@example.com"}}}]}"#;

/// A clock that stands still.
pub fn fixed() -> Config {
    Config { fixed_now: Some("2026-11-01T00:00:00Z".parse().unwrap()), ..Config::default() }
}

pub async fn start(config: Config) -> Double {
    Double::start(config.policy(BOUNDARY, SEND_ONLY)).await.unwrap()
}

pub fn client(double: &Double) -> Client {
    client_as(double, CALLER_KEY_ID, CALLER_SECRET)
}

pub fn client_as(double: &Double, id: &str, secret: &str) -> Client {
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(double.iam_url())
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// Code and HTTP status of a failed call; `None` for a call without a reply.
pub fn code<T, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E, aws_sdk_iam::config::http::HttpResponse>>,
) -> Option<(String, u16)> {
    let error = result.err().expect("the call must fail");
    let status = error.raw_response()?.status().as_u16();
    Some((error.code().unwrap_or_default().to_owned(), status))
}

// Wrapped, so that it compares with `code`.
#[allow(clippy::unnecessary_wraps)]
pub fn is(code: &str, status: u16) -> Option<(String, u16)> {
    Some((code.to_owned(), status))
}

/// A user with a policy and a key, made out of band: (key id, SMTP password).
pub fn mailer(double: &Double, name: &str, region: &str, policy: &str) -> (String, String) {
    double.call("CreateUser", &[("UserName", name), ("PermissionsBoundary", BOUNDARY)]).unwrap();
    double
        .call("PutUserPolicy", &[("UserName", name), ("PolicyName", "send"), ("PolicyDocument", policy)])
        .unwrap();
    double.call("CreateAccessKey", &[("UserName", name)]).unwrap();
    let id = double.user(name).unwrap().keys[0].id.clone();
    let password = double.password_of(&id, region).unwrap();
    (id, password)
}
