//! Proves that generated pages of the documentation are current.

use std::path::Path;

/// Compares `docs/<name>` with `text`, or writes it when `UPDATE_DOCS` is set.
pub(super) fn prove(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, text, "docs/{name} is out of date: run UPDATE_DOCS=1 cargo test");
}
