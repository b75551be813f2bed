//! Proves that the custom resource definition in the repository is the one that the code makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use ses_smtp_core::api;

const FILE: &str = "crds/sessmtpcredentials.ses-smtp.dev.yaml";

#[test]
fn file_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let made = serde_saphyr::to_string(&api::crd()).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "{FILE} is out of date: run make generate");
}

#[test]
fn a_new_object_counts_as_in_progress() {
    let crd = serde_json::to_value(api::crd()).unwrap();
    let version = &crd["spec"]["versions"][0];
    let status = &version["schema"]["openAPIV3Schema"]["properties"]["status"];
    assert_eq!(status["default"]["observedGeneration"], -1);
    assert_eq!(version["subresources"]["status"], serde_json::json!({}));
}
