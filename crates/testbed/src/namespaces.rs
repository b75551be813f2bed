//! Namespaces of a bed: one for a suite to work in, and how they go.

use std::path::Path;
use std::time::Duration;

use aws_double::Config;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams};

use crate::bed::SOON;
use crate::{Bed, Error, Launch, Options, eventually};

impl Bed {
    /// A bed with namespace `shop`, and the program that is to work there, not yet started.
    pub async fn with_shop(aws: Config, binary: &Path) -> Result<(Self, Launch), Error> {
        let bed = Box::pin(Self::start(Options { aws, ..Options::default() })).await?;
        bed.namespace("shop").await?;
        let launch = bed.launch(binary).await?;
        Ok((bed, launch))
    }

    /// Makes a namespace.
    pub async fn namespace(&self, name: &str) -> Result<(), Error> {
        self.plane
            .apply_yaml(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}"))
            .await?;
        Ok(())
    }

    /// Deletes a namespace, and waits until it is gone with all that was in it.
    pub async fn delete_namespace(&self, name: &str) -> Result<(), Error> {
        self.namespaces().delete(name, &DeleteParams::default()).await?;
        self.namespace_gone(SOON, name).await
    }

    /// Waits until a namespace is gone that is being deleted.
    pub async fn namespace_gone(&self, time: Duration, name: &str) -> Result<(), Error> {
        let namespaces = self.namespaces();
        eventually(&format!("namespace {name} to be gone"), time, async || {
            match namespaces.get_opt(name).await? {
                None => Ok(Some(())),
                Some(namespace) => Error::wrong(format!("{:?}", namespace.status)),
            }
        })
        .await
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }
}
