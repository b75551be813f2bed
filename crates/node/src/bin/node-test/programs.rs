//! The images that the pods run, made from static programs.

use std::path::{Path, PathBuf};

use node::{Images, PAUSE};
use testbed::Error;

/// The operator's image.
pub(crate) const OPERATOR: (&str, &str) = ("localhost/ses-smtp-operator", "node");
/// The application's image.
pub(crate) const MAILER: &str = "localhost/mailer:node";
/// The folder with the static programs `ses-smtp-operator` and `mailer`.
const FOLDER: &str = "NODE_PROGRAMS";

/// The authorities of the machine, which the operator doesn't start without.
const AUTHORITIES: &str = "ca-certificates.crt";
/// Where they are, on the machine and in images.
const CERTIFICATES: &str = "/etc/ssl/certs";

/// Archives of all images, and the folder that they are in.
pub(crate) struct Programs {
    _images: Images,
    /// The archives.
    pub archives: Vec<PathBuf>,
}

/// Builds all images.
pub(crate) async fn images() -> Result<Programs, Error> {
    let folder = std::env::var_os(FOLDER).map(PathBuf::from);
    let Some(folder) = folder else {
        return Error::wrong(format!(
            "{FOLDER} has to name the folder with the static programs: run `make node-test`"
        ));
    };
    let images = Images::new()?;
    let mut archives = Vec::new();
    for (name, program, entry) in [
        (format!("{}:{}", OPERATOR.0, OPERATOR.1), "ses-smtp-operator", r#"["/ses-smtp-operator"]"#),
        (MAILER.to_owned(), "mailer", r#"["/mailer"]"#),
        (PAUSE.to_owned(), "mailer", r#"["/mailer", "pause"]"#),
    ] {
        let files =
            [(program, folder.join(program)), (AUTHORITIES, Path::new(CERTIFICATES).join(AUTHORITIES))];
        let context = images.context(&dockerfile(program, entry), &files)?;
        archives.push(images.build(&name, &context).await?);
    }
    Ok(Programs { _images: images, archives })
}

fn dockerfile(program: &str, entry: &str) -> String {
    let authorities = format!("COPY {AUTHORITIES} {CERTIFICATES}/{AUTHORITIES}");
    format!("FROM scratch\nCOPY {program} /{program}\n{authorities}\nUSER 65532:65532\nENTRYPOINT {entry}\n")
}

/// The workspace.
pub(crate) fn workspace() -> Result<PathBuf, Error> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.canonicalize().map_err(Error::io("find the workspace"))
}
