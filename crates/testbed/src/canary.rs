//! The canary scan: no secret access key and no password of the double stands anywhere but in the
//! target Secrets' data.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::api::core::v1::Event as CoreEvent;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};

use crate::{Bed, Error, Object, Operator};

impl Bed {
    /// Fails if a secret of any key ever made, or the operator's own, is found in its log (the audit log is
    /// part of it) or metrics, in an event, in an object, in a Secret's metadata, or in the double's own
    /// journal: as it is, or in base64.
    pub async fn no_secret_leaked(&self, operator: Option<&Operator>, regions: &[&str]) -> Result<(), Error> {
        let mut canaries = self.canaries(regions);
        if canaries.is_empty() {
            return Error::wrong("no key was ever made, so there is nothing to look for");
        }
        canaries.push(aws_double::CALLER_SECRET.to_owned());
        let encoded: Vec<String> = canaries.iter().map(|canary| BASE64.encode(canary)).collect();
        canaries.extend(encoded);
        let mut places = vec![("the log", self.log()), ("the journal", json(&self.aws.journal()))];
        if let Some(operator) = operator {
            places.push(("the metrics", operator.metrics().await?));
        }
        places.extend(self.written().await?);
        for (place, text) in places {
            if canaries.iter().any(|canary| text.contains(canary.as_str())) {
                return Error::wrong(format!("a secret stands in {place}"));
            }
        }
        Ok(())
    }

    /// The secret access key of every key ever made, its SMTP password in each of `regions`, and what the
    /// sessions of roles are signed with.
    pub fn canaries(&self, regions: &[&str]) -> Vec<String> {
        let secrets = |id: &String| {
            let passwords = regions.iter().filter_map(|region| self.aws.password_of(id, region));
            passwords.chain(self.aws.secret_of(id)).collect::<Vec<_>>()
        };
        let keys = self.aws.key_ids();
        keys.iter().flat_map(secrets).chain(self.aws.session_secrets()).collect()
    }

    /// Everything that the operator writes to the cluster but the data of Secrets.
    async fn written(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let all = ListParams::default();
        let objects = Api::<Object>::all(self.client.clone()).list(&all).await?;
        let events = Api::<Event>::all(self.client.clone()).list(&all).await?;
        let core = Api::<CoreEvent>::all(self.client.clone()).list(&all).await?;
        let secrets = Api::<Secret>::all(self.client.clone()).list(&all).await?;
        let metadata: Vec<_> = secrets.items.into_iter().map(|secret| secret.metadata).collect();
        Ok(vec![
            ("an object", json(&objects.items)),
            ("an event", json(&events.items)),
            ("an event", json(&core.items)),
            ("a Secret's metadata", json(&metadata)),
        ])
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
