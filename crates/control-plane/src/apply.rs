//! Server-side apply of YAML manifests, strict about unknown fields, waiting for CRDs.

use std::{fmt::Display, time::Duration};

use http::Request;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, TypeMeta},
    discovery::{self, Scope},
};
use serde_json::Value;

use crate::{Error, wait::Deadline};

/// Field manager of what this module applies.
const MANAGER: &str = "control-plane";
/// How long a new CRD may take until its kind can be used.
const CRD_TIMEOUT: Duration = Duration::from_secs(30);

/// Applies every document in order, forced, with strict field validation; namespaced objects without a namespace go to
/// `default`. A CRD is waited for until its kind can be listed and watched, so the next document may use it. Returns
/// the objects as the server has them.
pub async fn apply_yaml(client: &Client, yaml: &str) -> Result<Vec<DynamicObject>, Error> {
    let mut applied = Vec::new();
    for object in parse(yaml)? {
        applied.push(apply(client, &object).await?);
    }
    Ok(applied)
}

fn manifest_error(error: impl Display) -> Error {
    Error::Manifest(error.to_string())
}

/// The documents of a YAML stream; empty ones are left out.
fn parse(yaml: &str) -> Result<Vec<DynamicObject>, Error> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).map_err(manifest_error)?;
    let whole = documents.into_iter().filter(|document| !document.is_null());
    whole.map(|document| serde_json::from_value(document).map_err(manifest_error)).collect()
}

async fn apply(client: &Client, object: &DynamicObject) -> Result<DynamicObject, Error> {
    let (types, name) = (types(object)?, object.name_any());
    let what = || format!("apply {} {name}", types.kind);
    let api = api_for(client, object, &types).await?;
    let params = PatchParams::apply(MANAGER).force().validation_strict();
    let applied = api.patch(&name, &params, &Patch::Apply(object)).await.map_err(Error::api(what))?;
    if types.kind == "CustomResourceDefinition" {
        wait_for_crd(client, &applied).await?;
    }
    Ok(applied)
}

fn types(object: &DynamicObject) -> Result<TypeMeta, Error> {
    object.types.clone().ok_or_else(|| manifest_error("apiVersion or kind is missing"))
}

async fn api_for(
    client: &Client,
    object: &DynamicObject,
    types: &TypeMeta,
) -> Result<Api<DynamicObject>, Error> {
    let kind = GroupVersionKind::try_from(types).map_err(manifest_error)?;
    let found = discovery::pinned_kind(client, &kind).await;
    let (resource, capabilities) = found.map_err(Error::api(|| format!("find the kind {}", types.kind)))?;
    Ok(match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    })
}

/// Text at a JSON pointer of a CRD.
fn text<'a>(crd: &'a DynamicObject, pointer: &str) -> &'a str {
    crd.data.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The served kinds of a CRD.
fn served(crd: &DynamicObject) -> Vec<ApiResource> {
    let versions = crd.data.pointer("/spec/versions").and_then(Value::as_array);
    let names = versions.into_iter().flatten().filter(|version| version["served"] == Value::Bool(true));
    let group = text(crd, "/spec/group");
    let kind = text(crd, "/spec/names/kind");
    names
        .filter_map(|version| version["name"].as_str())
        .map(|version| GroupVersionKind::gvk(group, version, kind))
        .map(|gvk| ApiResource::from_gvk_with_plural(&gvk, text(crd, "/spec/names/plural")))
        .collect()
}

/// The `Established` condition comes before discovery and the watch cache know the kind, so those are asked too.
async fn wait_for_crd(client: &Client, crd: &DynamicObject) -> Result<(), Error> {
    for resource in served(crd) {
        let what = format!("the kind {}", resource.kind);
        Deadline::after(CRD_TIMEOUT).until(&what, async || Ok(usable(client, &resource).await)).await?;
    }
    Ok(())
}

async fn usable(client: &Client, resource: &ApiResource) -> Result<(), kube::Error> {
    let kind = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
    discovery::pinned_kind(client, &kind).await?;
    // Version 0 is answered by the watch cache, or with 429 until that is filled.
    let path = format!("/apis/{}/{}?resourceVersion=0&limit=1", resource.api_version, resource.plural);
    let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request_text(request).await.map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_and_empty_ones_left_out() {
        let yaml = "---\n# only a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n\
                    apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData: {port: \"587\"}\n";
        let objects = parse(yaml).unwrap();
        assert_eq!(objects.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(objects[1].data["stringData"]["port"], Value::String("587".to_owned()));
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        assert!(parse("[1, 2]").is_err());
        assert!(parse("a: b: c").is_err());
        assert!(types(&parse("metadata: {name: a}").unwrap()[0]).is_err());
    }
}
