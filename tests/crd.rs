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

/// Heads of the columns of `kubectl get`, and what `-o wide` adds.
const COLUMNS: [&[&str]; 2] = [
    &["Ready", "Reason", "Stalled", "Region", "Secret", "Username", "Key-Age", "Age"],
    &["Waiting", "Login", "Suspended", "Next-Rotation", "Previous-Key"],
];

#[test]
fn columns_read_what_the_status_has() {
    let crd = serde_json::to_value(api::crd()).unwrap();
    let version = &crd["spec"]["versions"][0];
    let columns = version["additionalPrinterColumns"].as_array().unwrap();
    for (priority, expected) in COLUMNS.into_iter().enumerate() {
        let shown = columns
            .iter()
            .filter(|column| column["priority"].as_u64().unwrap_or_default() == priority as u64);
        assert_eq!(shown.map(|column| column["name"].as_str().unwrap()).collect::<Vec<_>>(), expected);
    }
    // A path that leads nowhere would show an empty column for ever.
    let properties = &version["schema"]["openAPIV3Schema"]["properties"];
    for column in columns {
        let path = column["jsonPath"].as_str().unwrap();
        if path == ".metadata.creationTimestamp" {
            continue;
        }
        let mut fields = path.split('[').next().unwrap().trim_start_matches('.').split('.');
        let under =
            |at: &'_ serde_json::Value, field: &str| at.get(field).or(at["properties"].get(field)).cloned();
        let found = fields.try_fold(properties.clone(), |at, field| under(&at, field));
        assert!(found.is_some(), "{path}");
    }
}

#[test]
fn a_new_object_counts_as_in_progress() {
    let crd = serde_json::to_value(api::crd()).unwrap();
    let version = &crd["spec"]["versions"][0];
    let status = &version["schema"]["openAPIV3Schema"]["properties"]["status"];
    assert_eq!(status["default"]["observedGeneration"], -1);
    assert_eq!(version["subresources"]["status"], serde_json::json!({}));
}
