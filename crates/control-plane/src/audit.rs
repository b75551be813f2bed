//! Reading the API server's audit log: who did what, how often. It is how tests count calls at their true cost.

use std::{collections::BTreeMap, collections::BTreeSet, fs, io, time::Duration};

use serde::Deserialize;

use crate::{ControlPlane, Error, servers::AUDIT_LOG, wait::Deadline};

/// One request to the API server, at level Metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// User name, such as `system:serviceaccount:mail:operator`.
    pub user: String,
    /// Kubernetes verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for what is
    /// not a resource the HTTP method in lower case.
    pub verb: String,
    /// Plural of the kind; empty for paths that are not resources, such as `/readyz`.
    pub resource: String,
    /// Subresource such as `status`; empty if none.
    pub subresource: String,
    /// Namespace; empty for cluster scope.
    pub namespace: String,
    /// Object name; empty for lists.
    pub name: String,
    /// HTTP status of the answer.
    pub code: u16,
    /// Path and query as requested.
    pub uri: String,
}

/// What calls are counted by. Orders by user, then resource, then verb.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKey {
    /// User name.
    pub user: String,
    /// Plural with subresource, as RBAC writes it: `secrets`, `pods/status`.
    pub resource: String,
    /// Kubernetes verb.
    pub verb: String,
}

impl Entry {
    /// Plural with subresource, as RBAC writes it.
    pub fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// What this call is counted by.
    pub fn key(&self) -> CallKey {
        CallKey { user: self.user.clone(), resource: self.full_resource(), verb: self.verb.clone() }
    }
}

/// Number of calls by user, resource and verb.
pub fn counts(entries: &[Entry]) -> BTreeMap<CallKey, usize> {
    let mut counts = BTreeMap::new();
    for entry in entries {
        *counts.entry(entry.key()).or_default() += 1;
    }
    counts
}

/// Reads log text: one JSON event a line. A watch has one event when it begins and one when it ends; only the first
/// counts. A last line that is still being written is left for the next reading.
pub fn parse(text: &str) -> Vec<Entry> {
    let mut seen = BTreeSet::new();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
    events.filter(|event| seen.insert(event.id.clone())).map(Entry::from).collect()
}

/// The parts of `audit.k8s.io/v1` Event that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    id: String,
    #[serde(rename = "requestURI")]
    uri: String,
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        let Object { resource, subresource, namespace, name } = event.object_ref;
        let (user, verb, uri) = (event.user.username, event.verb, event.uri);
        Self { user, verb, resource, subresource, namespace, name, code: event.response_status.code, uri }
    }
}

impl ControlPlane {
    /// All requests so far, oldest first. An entry may be written shortly after its answer was sent: wait with
    /// [`ControlPlane::audit_until`] where it matters. Empty when the audit log is off.
    pub fn audit(&self) -> Result<Vec<Entry>, Error> {
        let path = self.folder().join(AUDIT_LOG);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io(|| format!("read {}", path.display()))(error)),
        }
    }

    /// Reads until the entries fulfil the condition; an error that counts them after `timeout`.
    pub async fn audit_until(
        &self,
        timeout: Duration,
        condition: impl Fn(&[Entry]) -> bool,
    ) -> Result<Vec<Entry>, Error> {
        let wait = Deadline::after(timeout).until("the audit entries", async || {
            let entries = self.audit()?;
            Ok(if condition(&entries) { Ok(entries) } else { Err(format!("{:#?}", counts(&entries))) })
        });
        wait.await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const WATCH: &str = r#"{"auditID":"1","stage":"ResponseStarted","requestURI":"/api/v1/secrets?watch=1","verb":"watch","user":{"username":"u"},"objectRef":{"resource":"secrets"},"responseStatus":{"code":200}}"#;
    const STATUS: &str = r#"{"auditID":"2","stage":"ResponseComplete","requestURI":"/x","verb":"patch","user":{"username":"u"},"objectRef":{"resource":"pods","subresource":"status","namespace":"n","name":"p"},"responseStatus":{"code":409}}"#;

    #[test]
    fn a_watch_counts_once_and_a_partial_line_not_at_all() {
        let ended = WATCH.replace("ResponseStarted", "ResponseComplete");
        let entries = parse(&format!("{WATCH}\n{STATUS}\n{ended}\n{}", &STATUS[..50]));
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[1].name.as_str(), entries[1].code), ("p", 409));
        let key = CallKey { user: "u".into(), resource: "pods/status".into(), verb: "patch".into() };
        assert_eq!(counts(&entries)[&key], 1);
    }
}
