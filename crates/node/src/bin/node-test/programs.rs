//! The images that the pods run.

use std::path::{Path, PathBuf};

use node::{Images, PAUSE};
use testbed::Error;

/// The operator's image, as `crates/node/run.sh` names it.
pub(crate) const OPERATOR: (&str, &str) = ("localhost/ses-smtp-operator", "node");
/// The application's image.
pub(crate) const MAILER: &str = "localhost/mailer:node";
/// The folder with the archive of the operator's image, and the static program `mailer`.
const FOLDER: &str = "NODE_PROGRAMS";

/// Archives of all images, and the folder that they are in.
pub(crate) struct Programs {
    _images: Images,
    /// The archives.
    pub archives: Vec<PathBuf>,
}

/// Finds the operator's image, and builds the others.
pub(crate) async fn images() -> Result<Programs, Error> {
    let folder = std::env::var_os(FOLDER).map(PathBuf::from);
    let Some(folder) = folder else {
        return Error::wrong(format!("{FOLDER} has to name a folder with programs: run `make node-test`"));
    };
    let images = Images::new()?;
    let mut archives = vec![folder.join("operator.tar")];
    for (name, entry) in [(MAILER, r#"["/mailer"]"#), (PAUSE, r#"["/mailer", "pause"]"#)] {
        let dockerfile = format!("FROM scratch\nCOPY mailer /mailer\nUSER 65532:65532\nENTRYPOINT {entry}\n");
        let context = images.context(&dockerfile, &[("mailer", folder.join("mailer"))])?;
        archives.push(images.build(name, &context).await?);
    }
    Ok(Programs { _images: images, archives })
}

/// The workspace.
pub(crate) fn workspace() -> Result<PathBuf, Error> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.canonicalize().map_err(Error::io("find the workspace"))
}
