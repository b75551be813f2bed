//! The manifests as kustomize and Helm render them: the same objects in every variant, what each lets the operator
//! do, and that a real API server takes them. Needs the tools that `make chart` builds and names in `DEPLOY_TOOLS`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod install;
mod render;
mod rights;
mod same;
mod server;
mod values;
