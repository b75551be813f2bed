//! The custom resources: finalizer, status and events.

use kube::api::{Api, Patch};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Error, Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use ses_smtp_core::api::{SesSmtpCredential, SesSmtpCredentialStatus};
use ses_smtp_core::names::{AWS_ACCOUNT, FINALIZER, MANAGER};
use ses_smtp_core::status::Note;

use super::{host_name, patch_params};

/// The custom resources of the cluster.
#[derive(Clone)]
pub struct Credentials {
    client: Client,
    reporter: Reporter,
}

impl Credentials {
    /// By way of `client`; events are signed by this process.
    pub fn new(client: Client) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(host_name()) };
        Self { client, reporter }
    }

    fn api(&self, object: &SesSmtpCredential) -> Api<SesSmtpCredential> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    /// Puts the finalizer on the object and records the account, in one conditional write.
    pub async fn add_finalizer(
        &self,
        object: &SesSmtpCredential,
        account: &str,
    ) -> Result<SesSmtpCredential, Error> {
        let mut finalizers = object.finalizers().to_vec();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.to_owned());
        }
        let annotations = json!({ AWS_ACCOUNT: account });
        self.patch(object, json!({ "finalizers": finalizers, "annotations": annotations })).await
    }

    /// Takes the finalizer off, in a conditional write.
    pub async fn remove_finalizer(&self, object: &SesSmtpCredential) -> Result<SesSmtpCredential, Error> {
        let left: Vec<&String> =
            object.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).collect();
        self.patch(object, json!({ "finalizers": left })).await
    }

    async fn patch(
        &self,
        object: &SesSmtpCredential,
        mut metadata: Value,
    ) -> Result<SesSmtpCredential, Error> {
        let conditions = [("resourceVersion", object.resource_version()), ("uid", object.uid())];
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.extend(conditions.into_iter().map(|(key, value)| (key.to_owned(), json!(value))));
        }
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        self.api(object).patch(&object.name_any(), &patch_params(), &patch).await
    }

    /// Writes the status, whole, and gives the version of the object that carries it.
    pub async fn write_status(
        &self,
        object: &SesSmtpCredential,
        status: &SesSmtpCredentialStatus,
    ) -> Result<String, Error> {
        let patch = json!({
            "apiVersion": SesSmtpCredential::api_version(&()),
            "kind": SesSmtpCredential::kind(&()),
            "metadata": { "uid": object.uid() },
            "status": status,
        });
        let params = patch_params().force();
        let patched =
            self.api(object).patch_status(&object.name_any(), &params, &Patch::Apply(patch)).await?;
        Ok(patched.resource_version().unwrap_or_default())
    }

    /// Tells an event. It is lost if the API server doesn't take it: the condition says the same.
    pub async fn tell(&self, object: &SesSmtpCredential, note: Note) {
        let event = Event {
            type_: if note.warning { EventType::Warning } else { EventType::Normal },
            reason: note.reason.to_owned(),
            note: Some(note.text),
            action: note.action.to_owned(),
            secondary: None,
        };
        // A recorder merges what looks alike and keeps the first text, which names keys and times of
        // long ago; events are rare here, so each stands for itself.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        if let Err(error) = recorder.publish(&event, &object.object_ref(&())).await {
            tracing::debug!(%error, reason = note.reason, "event not published");
        }
    }
}
