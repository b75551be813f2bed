//! Images from static programs, built by buildah without a registry, a daemon or a network.

use std::path::{Path, PathBuf};

use control_plane::Folder;
use testbed::Error;

use crate::command::run;

/// buildah asks what may be pulled, although nothing is.
const POLICY: &str = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;

/// A place where images are built.
pub struct Images {
    folder: Folder,
}

impl Images {
    /// An empty one.
    pub fn new() -> Result<Self, Error> {
        let folder = Folder::with_others("images-", &[])?;
        folder.write("policy.json", POLICY)?;
        Ok(Self { folder })
    }

    /// Builds an image from a folder with a `Dockerfile` and gives an archive of it.
    pub async fn build(&self, name: &str, context: &Path) -> Result<PathBuf, Error> {
        let archive = self.folder.path().join(name.replace(['/', ':'], "-")).with_extension("tar");
        let (target, context) = (format!("docker-archive:{}:{name}", archive.display()), context.display());
        let build = ["--isolation", "chroot", "--pull=never", "--timestamp", "0", "--quiet", "--tag", name];
        self.buildah("build", &[&build[..], &[&context.to_string()]].concat()).await?;
        self.buildah("push", &["--quiet", name, &target]).await?;
        Ok(archive)
    }

    /// A new folder with a Dockerfile and files, each with the name that it gets there, for [`Images::build`].
    pub fn context(&self, dockerfile: &str, files: &[(&str, PathBuf)]) -> Result<PathBuf, Error> {
        let folder =
            tempfile::TempDir::new_in(self.folder.path()).map_err(Error::io("make a folder"))?.keep();
        std::fs::write(folder.join("Dockerfile"), dockerfile).map_err(Error::io("write a Dockerfile"))?;
        for (name, file) in files {
            let copied = std::fs::copy(file, folder.join(name));
            copied.map_err(Error::io(format!("copy {}", file.display())))?;
        }
        Ok(folder)
    }

    async fn buildah(&self, command: &str, arguments: &[&str]) -> Result<String, Error> {
        let (storage, runs) = (self.folder.join("storage"), self.folder.join("runs"));
        let policy = self.folder.join("policy.json");
        let common = ["--root", &storage, "--runroot", &runs, "--storage-driver", "vfs"];
        let own = [command, "--signature-policy", &policy];
        run("buildah", &[&common[..], &own[..], arguments].concat()).await
    }
}
