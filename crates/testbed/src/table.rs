//! What `kubectl get` shows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Bed, Error};

/// Asks the API server for rows as `kubectl get` does.
const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

impl Bed {
    /// The columns of an object in `kubectl get -o wide`, by their heads. An empty one is left out.
    pub async fn columns(&self, namespace: &str, name: &str) -> Result<BTreeMap<String, String>, Error> {
        let path = format!("/apis/ses-smtp.dev/v1alpha1/namespaces/{namespace}/sessmtpcredentials/{name}");
        let request = http::Request::get(path).header("Accept", AS_TABLE).body(Vec::new());
        let request = request.map_err(|error| Error::Wrong(error.to_string()))?;
        let table: Value = self.client.request(request).await?;
        let list = |path: &str| table.pointer(path).and_then(Value::as_array).into_iter().flatten();
        let heads = list("/columnDefinitions").map(|column| column.get("name"));
        let cells = heads.zip(list("/rows/0/cells"));
        let shown = cells.filter_map(|(head, cell)| Some((head?.as_str()?, cell.as_str()?)));
        let shown = shown.filter(|(_, cell)| !cell.is_empty());
        Ok(shown.map(|(head, cell)| (head.to_owned(), cell.to_owned())).collect())
    }
}
