//! Ready layouts for known consumers: the data keys that each one reads, what it expects under them, and
//! what to set on its side.
//!
//! Consumers that can't take a Secret of its own have none: Nextcloud and Argo CD share one Secret
//! with other things.

mod a_to_g;
mod k_to_z;

/// For consumers that take the user name as text.
const PLAIN_USERNAME: &str = "The consumer takes the user name as plain text, so each new key has to be copied there: \
    leave rotation off, or let a GitOps tool read `username` from the Secret.";
/// For consumers that read the environment.
const RESTART: &str = "The pods get it as environment variables, which are read once: they have to restart within \
    `rotation.overlap` after a new key, by hand or by a reload controller.";

/// A ready layout.
#[derive(Debug)]
pub struct Preset {
    /// As in `spec.secret.preset`: lower-case letters, digits and hyphens.
    pub name: &'static str,
    /// Who reads it.
    pub consumer: &'static str,
    /// Where the consumer documents the keys.
    pub source: &'static str,
    /// Data keys and their templates, in order of the keys.
    pub layout: &'static [(&'static str, &'static str)],
    /// What to set on the consumer's side for a Secret `mailer`, as YAML.
    pub values: &'static str,
    /// What to know before using it; may be empty.
    pub limits: &'static str,
}

/// All presets, by name.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    a_to_g::PRESETS.iter().chain(k_to_z::PRESETS)
}

/// Their names, in order.
pub fn names() -> Vec<&'static str> {
    all().map(|preset| preset.name).collect()
}

impl Preset {
    /// The preset of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        all().find(|preset| preset.name == name)
    }

    /// Its data keys in one text.
    pub fn key_list(&self) -> String {
        self.layout.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(" ")
    }

    /// The three names that are most like `text`.
    pub fn nearest(text: &str) -> Vec<&'static str> {
        let mut names = names();
        names.sort_by_key(|name| crate::region::distance(text, name));
        names.truncate(3);
        names
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::layout::{Layout, is_data_key};
    use crate::test::{endpoints, key};

    /// The data keys that each consumer documents. Those of consumers that take a plain user name get
    /// `username` on top, for people and tools to read.
    const DOCUMENTED: &[(&str, &str)] = &[
        ("alertmanager", "password smarthost username"),
        (
            "authentik",
            "AUTHENTIK_EMAIL__HOST AUTHENTIK_EMAIL__PASSWORD AUTHENTIK_EMAIL__PORT AUTHENTIK_EMAIL__USERNAME AUTHENTIK_EMAIL__USE_SSL AUTHENTIK_EMAIL__USE_TLS",
        ),
        ("bitnami", "smtp-password username"),
        ("bitnami-mastodon", "login password server"),
        (
            "chatwoot",
            "SMTP_ADDRESS SMTP_AUTHENTICATION SMTP_ENABLE_STARTTLS_AUTO SMTP_PASSWORD SMTP_PORT SMTP_TLS SMTP_USERNAME",
        ),
        ("docker-postfix", "RELAYHOST RELAYHOST_PASSWORD RELAYHOST_USERNAME"),
        ("env", "SMTP_HOST SMTP_PASS SMTP_PASSWORD SMTP_PORT SMTP_SECURE SMTP_USER SMTP_USERNAME"),
        ("epam-keycloak", "password username"),
        ("gitlab", "password username"),
        ("grafana", "password user"),
        ("kratos", "smtpConnectionURI"),
        ("langfuse", "SMTP_CONNECTION_URL"),
        ("mastodon", "login password"),
        (
            "n8n",
            "N8N_EMAIL_MODE N8N_SMTP_HOST N8N_SMTP_PASS N8N_SMTP_PORT N8N_SMTP_SSL N8N_SMTP_STARTTLS N8N_SMTP_USER",
        ),
        ("outline", "password username"),
        ("rocketchat", "mail-url"),
        ("sentry", "mail-password username"),
        ("supabase", "password username"),
        ("vaultwarden", "SMTP_PASSWORD SMTP_USERNAME"),
    ];

    #[test]
    fn renders_the_documented_keys_and_nothing_else() {
        assert_eq!(names(), DOCUMENTED.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for (name, keys) in DOCUMENTED {
            let layout =
                Layout::choose(Some(name), &BTreeMap::new(), &endpoints(&["eu-central-1"]), None).unwrap();
            assert_eq!(layout.render(&key(1)).keys().join(" "), *keys, "{name}");
        }
    }

    #[test]
    fn is_well_formed() {
        for preset in all() {
            assert!(preset.layout.is_sorted_by(|a, b| a.0 < b.0), "{}", preset.name);
            assert!(preset.layout.iter().all(|(key, _)| is_data_key(key)));
            assert!(preset.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            assert!(preset.values.contains("mailer") && preset.values.ends_with('\n'), "{}", preset.name);
        }
        assert!(names().is_sorted());
        assert_eq!(Preset::nearest("grafanna")[0], "grafana");
    }
}
