//! What is left when everything that was to be done is done.

use std::time::Duration;

use kube::ResourceExt as _;

use crate::{Bed, Error, condition, eventually};

impl Bed {
    /// Waits until everything about the object is as a run without a fault leaves it: it is ready,
    /// its user has one Active key, the Secret names it and nothing else, and it logs in.
    pub async fn at_rest(&self, namespace: &str, name: &str, time: Duration) -> Result<(), Error> {
        let what = format!("{namespace}/{name} to be at rest");
        eventually(&what, time, async || self.look_at_rest(namespace, name).await).await?;
        self.login(namespace, name).await.map(|_| ())
    }

    async fn look_at_rest(&self, namespace: &str, name: &str) -> Result<Option<()>, Error> {
        let object = self.objects(namespace).get(name).await?;
        let user = self.user_of(&object).ok_or_else(|| Error::Wrong("no user".into()))?;
        let keys: Vec<&str> = user.keys.iter().map(|key| key.id.as_str()).collect();
        let active = user.keys.iter().all(aws_double::KeySnapshot::is_active);
        let secret = self.secrets(namespace).get(name).await?;
        let record = |name: &str| secret.annotations().get(&format!("ses-smtp.dev/{name}")).cloned();
        let published = record("access-key-id").unwrap_or_default();
        let clean = record("previous-access-key-id") == Some(String::new()) && record("attempt").is_none();
        let ready =
            condition(&object, "Ready") == "True Provisioned" && condition(&object, "Reconciling").is_empty();
        if keys == [published.as_str()] && active && clean && ready {
            return Ok(Some(()));
        }
        Error::wrong(format!("keys {:?}, {:?}, {:?}", user.keys, secret.annotations(), object.status))
    }
}
