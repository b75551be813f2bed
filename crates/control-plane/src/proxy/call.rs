//! What a request means to Kubernetes, read from its method and path the way the API server does.

use http::{HeaderMap, Method, Uri, request::Parts};
use hyper::body::Bytes;

/// One request as it arrived at the proxy.
#[derive(Debug, Clone)]
pub struct Call {
    /// HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// All headers, the token among them.
    pub headers: HeaderMap,
    /// The whole body; empty for reads.
    pub body: Bytes,
    /// What it asks for.
    pub target: Target,
}

/// What a call asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the HTTP method in lower case
    /// where the path is not a resource's.
    pub verb: String,
    /// API group, empty for the core group.
    pub group: String,
    /// Plural with subresource, as RBAC writes it (`secrets`, `pods/status`); the path where it is not a resource's.
    pub resource: String,
    /// Namespace; empty for cluster scope.
    pub namespace: String,
    /// Object name; empty for lists and creations.
    pub name: String,
}

impl Call {
    pub(super) fn new(parts: Parts, body: Bytes) -> Self {
        let target = Target::read(&parts.method, &parts.uri);
        Self { method: parts.method, uri: parts.uri, headers: parts.headers, body, target }
    }
}

impl Target {
    /// Reads a request line. <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb>
    pub fn read(method: &Method, uri: &Uri) -> Self {
        let segments: Vec<&str> = uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => ("", [].as_slice()),
        };
        let mut target = Self::of_resource(rest).unwrap_or_else(|| Self::of_path(uri.path()));
        group.clone_into(&mut target.group);
        target.verb = verb(method, uri, rest.is_empty(), target.name.is_empty());
        target
    }

    fn of_path(path: &str) -> Self {
        Self { resource: path.to_owned(), ..Self::default() }
    }

    /// The part of a path after the version; `None` if there is nothing, as for discovery.
    fn of_resource(path: &[&str]) -> Option<Self> {
        let (namespace, path) = match path {
            // A namespace's own subresources, not kinds in it.
            ["namespaces", _, "status" | "finalize", ..] => ("", path),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", path),
        };
        let mut parts = path.iter();
        let mut resource = (*parts.next()?).to_owned();
        let name = parts.next().copied().unwrap_or_default().to_owned();
        if let Some(subresource) = parts.next() {
            resource = format!("{resource}/{subresource}");
        }
        Some(Self { resource, name, namespace: namespace.to_owned(), ..Self::default() })
    }
}

fn verb(method: &Method, uri: &Uri, bare: bool, many: bool) -> String {
    let name = match *method {
        _ if bare => return method.as_str().to_lowercase(),
        Method::GET if is_watch(uri) => "watch",
        Method::GET if many => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::DELETE if many => "deletecollection",
        _ => return method.as_str().to_lowercase(),
    };
    name.to_owned()
}

fn is_watch(uri: &Uri) -> bool {
    uri.query().unwrap_or_default().split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_api_server_does() {
        let cases = [
            ("GET", "/api/v1/namespaces/a/secrets/b", "get||secrets|a|b"),
            ("GET", "/api/v1/secrets?limit=1", "list||secrets||"),
            ("GET", "/api/v1/secrets?&watch=true&x=y", "watch||secrets||"),
            ("POST", "/api/v1/namespaces/a/secrets?", "create||secrets|a|"),
            ("PUT", "/apis/apps/v1/namespaces/a/deployments/b", "update|apps|deployments|a|b"),
            ("PATCH", "/apis/x.io/v1/namespaces/a/things/b/status", "patch|x.io|things/status|a|b"),
            ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection||pods|a|"),
            ("DELETE", "/api/v1/namespaces/a", "delete||namespaces||a"),
            ("PUT", "/api/v1/namespaces/a/finalize", "update||namespaces/finalize||a"),
            ("POST", "/api/v1/namespaces", "create||namespaces||"),
            ("GET", "/apis/apps/v1", "get|apps|/apis/apps/v1||"),
            ("GET", "/readyz", "get||/readyz||"),
        ];
        for (method, uri, expected) in cases {
            let seen = Target::read(&method.parse().unwrap(), &uri.parse().unwrap());
            let text = [seen.verb, seen.group, seen.resource, seen.namespace, seen.name].join("|");
            assert_eq!(text, expected, "{method} {uri}");
        }
    }
}
