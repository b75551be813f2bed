//! What tests look at: the objects, their conditions, and what a Secret holds.

use k8s_openapi::api::core::v1::Secret;
use ses_smtp_core::api::SesSmtpCredential;

/// The custom resource.
pub type Object = SesSmtpCredential;

/// What a mail client needs, as a Secret of the default layout holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// SMTP user name: the access key id.
    pub username: String,
    /// SMTP password.
    pub password: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}:{}", self.username, self.host, self.port)
    }
}

impl Credential {
    /// Reads a Secret of the default layout.
    pub fn of(secret: &Secret) -> Option<Self> {
        let text = |key: &str| {
            let value = secret.data.as_ref()?.get(key)?;
            String::from_utf8(value.0.clone()).ok()
        };
        Some(Self {
            host: text("host")?,
            port: text("port")?.parse().ok()?,
            username: text("username")?,
            password: text("password")?,
        })
    }
}

/// Status and reason of a condition: `True Provisioned`; empty if the condition isn't there.
pub fn condition(object: &Object, type_: &str) -> String {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let found = conditions.into_iter().find(|condition| condition.type_ == type_);
    found.map(|condition| format!("{} {}", condition.status, condition.reason)).unwrap_or_default()
}
