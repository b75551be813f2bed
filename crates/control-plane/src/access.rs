//! Ways in: clients and kubeconfigs for the admin and for service accounts.

use std::{path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{ControlPlane, Error, pki::Pair, wait::Deadline};

/// Longer than any test run, so that no test has to renew it.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;
/// The API server reads RBAC from a watch, so a new right takes effect a moment after it was applied.
const RIGHTS_TIMEOUT: Duration = Duration::from_secs(30);

/// A kubeconfig with one context. `cluster` and `user` are the two entries, as YAML in flow style.
fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: control-plane
contexts: [{{name: control-plane, context: {{cluster: control-plane, user: control-plane}}}}]
clusters: [{{name: control-plane, cluster: {cluster}}}]
users: [{{name: control-plane, user: {user}}}]
"
    )
}

fn tls_cluster(url: &str, authority: &str) -> String {
    let authority = BASE64_STANDARD.encode(authority);
    format!(r#"{{server: "{url}", certificate-authority-data: "{authority}"}}"#)
}

/// Kubeconfig of a user with a client certificate.
pub(crate) fn certificate_kubeconfig(url: &str, authority: &str, pair: &Pair) -> String {
    let certificate = BASE64_STANDARD.encode(&pair.certificate);
    let key = BASE64_STANDARD.encode(&pair.key);
    let user = format!(r#"{{client-certificate-data: "{certificate}", client-key-data: "{key}"}}"#);
    kubeconfig(&tls_cluster(url, authority), &user)
}

fn token_kubeconfig(cluster: &str, token: &str) -> String {
    kubeconfig(cluster, &format!(r#"{{token: "{token}"}}"#))
}

/// Kubeconfig of a service account for a server without TLS.
pub(crate) fn plain_kubeconfig(url: &str, token: &str) -> String {
    token_kubeconfig(&format!(r#"{{server: "{url}"}}"#), token)
}

/// The client's settings from a kubeconfig. kube repeats failed calls by default, POSTs too; tests have to see each
/// failure, so this is off.
pub(crate) async fn config(text: &str) -> Result<Config, Error> {
    let kubeconfig = Kubeconfig::from_yaml(text)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    // A proxy from the environment cannot reach this machine's loopback.
    config.proxy_url = None;
    Ok(config)
}

pub(crate) fn client(config: Config) -> Result<Client, Error> {
    Client::try_from(config).map_err(Error::api(|| "make a client".to_owned()))
}

/// A client for a kubeconfig text. It never repeats a call by itself.
pub async fn client_from_kubeconfig(text: &str) -> Result<Client, Error> {
    client(config(text).await?)
}

impl ControlPlane {
    /// A new client with all rights, which never repeats a call by itself. It belongs to the async runtime it is made
    /// in, so tests that share a control plane each make their own.
    pub fn admin_client(&self) -> Result<Client, Error> {
        client(self.config().clone())
    }

    /// Address of the API server, such as `https://127.0.0.1:40001`.
    pub fn url(&self) -> String {
        self.config().cluster_url.to_string().trim_end_matches('/').to_owned()
    }

    /// Certificate of the authority that signed the API server's.
    pub fn ca_pem(&self) -> &str {
        &self.pki().authority
    }

    /// Kubeconfig text of the admin, a member of `system:masters`: RBAC and request fairness do not hold for it.
    pub fn admin_kubeconfig_yaml(&self) -> String {
        certificate_kubeconfig(&self.url(), self.ca_pem(), &self.pki().admin)
    }

    /// Kubeconfig text of a user with a client certificate, such as a component of Kubernetes or a node.
    pub fn user_kubeconfig_yaml(&self, user: &str, group: Option<&str>) -> Result<String, Error> {
        let pair = self.pki().client(user, group)?;
        Ok(certificate_kubeconfig(&self.url(), self.ca_pem(), &pair))
    }

    /// A certificate for a server at these names or addresses, of the authority that signed the API server's.
    pub fn serving_certificate(&self, name: &str, names: &[&str]) -> Result<Pair, Error> {
        self.pki().serving(name, names)
    }

    /// A token of an existing service account, valid for a day.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> Result<String, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin_client()?, namespace);
        let spec =
            TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let answer = answer.map_err(Error::api(|| format!("get a token for {namespace}/{name}")))?;
        Ok(answer.status.map(|status| status.token).unwrap_or_default())
    }

    /// Kubeconfig text of an existing service account, bound by RBAC and request fairness as a Pod would be.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<String, Error> {
        let token = self.service_account_token(namespace, name).await?;
        Ok(token_kubeconfig(&tls_cluster(&self.url(), self.ca_pem()), &token))
    }

    /// Writes a kubeconfig text to a file in the control plane's folder, readable by this user only, for processes
    /// that take a path. A later file of that name replaces it.
    pub fn kubeconfig_file(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        self.files().write(&format!("{name}.kubeconfig"), text)
    }

    /// Waits until a new right of a service account has taken effect, which is a moment after it was applied.
    pub async fn until_allowed(
        &self,
        namespace: &str,
        name: &str,
        attributes: ResourceAttributes,
    ) -> Result<(), Error> {
        let reviews: Api<SubjectAccessReview> = Api::all(self.admin_client()?);
        let review = review(namespace, name, attributes);
        let allowed = Deadline::after(RIGHTS_TIMEOUT).until("the right", async || {
            let answer = reviews.create(&PostParams::default(), &review).await;
            let status = answer.map_err(Error::api(|| "ask for a right".to_owned()))?.status;
            let allowed = status.as_ref().is_some_and(|status| status.allowed);
            Ok(allowed.then_some(()).ok_or_else(|| format!("{status:?}")))
        });
        allowed.await
    }
}

/// Service accounts are in the groups of all of them and of those of their namespace.
fn review(namespace: &str, name: &str, attributes: ResourceAttributes) -> SubjectAccessReview {
    let groups = ["system:authenticated", "system:serviceaccounts"].map(str::to_owned);
    let own_group = format!("system:serviceaccounts:{namespace}");
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{namespace}:{name}")),
        groups: Some(groups.into_iter().chain([own_group]).collect()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    SubjectAccessReview { spec, ..SubjectAccessReview::default() }
}
