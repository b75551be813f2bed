//! Calls that the operator never makes, signed by whom a test names and sent to the AWS double over its API.

use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_iam::error::ProvideErrorMetadata as _;
use url::form_urlencoded::Serializer;

/// An action and its parameters.
pub struct Call {
    pub service: &'static str,
    pub action: String,
    pub params: Vec<(String, String)>,
}

impl Call {
    pub fn iam(action: &str, params: &[(&str, &str)]) -> Self {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { service: "iam", action: action.to_owned(), params }
    }

    fn form(&self) -> String {
        let version = if self.service == "sts" { "2011-06-15" } else { "2010-05-08" };
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", &self.action).append_pair("Version", version);
        form.extend_pairs(&self.params).finish()
    }

    /// The error's code, or `ok`. A typed client sends it: its body is put in place before it is signed, so that
    /// actions can be sent that the program's SDK knows nothing of.
    pub async fn send(&self, url: &str, key: (&str, &str)) -> String {
        let form = self.form();
        let change = move |request: &mut aws_sdk_iam::config::http::HttpRequest| {
            request.headers_mut().insert("content-length", form.len().to_string());
            *request.body_mut() = form.as_str().into();
        };
        macro_rules! send {
            ($sdk:ident, $operation:ident) => {{
                let config = $sdk::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new("us-east-1"))
                    .endpoint_url(url)
                    .credentials_provider(Credentials::new(key.0, key.1, None, None, "test"))
                    .http_client(aws_smithy_http_client::Builder::new().build_http())
                    .retry_config(RetryConfig::disabled())
                    .build();
                let sent = $sdk::Client::from_conf(config).$operation();
                match sent.customize().mutate_request(change).send().await {
                    Ok(_) => "ok".to_owned(),
                    // The reply of another action than the client waits for.
                    Err(error) if error.raw_response().is_some_and(|reply| reply.status().is_success()) => {
                        "ok".to_owned()
                    }
                    Err(error) => {
                        error.code().unwrap_or_else(|| panic!("{}: {error:?}", self.action)).to_owned()
                    }
                }
            }};
        }
        if self.service == "sts" {
            send!(aws_sdk_sts, get_caller_identity)
        } else {
            send!(aws_sdk_iam, generate_credential_report)
        }
    }
}
