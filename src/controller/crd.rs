//! Waiting for the custom resource definition, and for the right to list what it defines.

use kube::api::{Api, ListParams};
use kube::{Client, Error, Resource as _};
use ses_smtp_core::api::SesSmtpCredential;

use super::watch::RETRY;
use crate::causes::causes;
use crate::cluster::Extent;
use crate::process::Readiness;

/// A missing CRD, or a missing right to list it, is waited for, visibly.
pub async fn is_there(client: &Client, extent: &Extent, readiness: &Readiness) {
    let mut told = String::new();
    loop {
        let Err(error) = look(client, extent).await else { return };
        let what = match &error {
            // By code: an API group that isn't there answers in plain text, without a reason.
            Error::Api(status) if status.code == 404 => "the CRD sessmtpcredentials.ses-smtp.dev: apply it",
            Error::Api(status) if status.code == 403 => {
                "the right to list sessmtpcredentials: apply the RBAC rules"
            }
            _ => "the Kubernetes API",
        };
        readiness.set_waiting(what);
        if told != what {
            tracing::warn!(error = causes(&error), waiting_for = what, "not ready");
            what.clone_into(&mut told);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// An operator of some namespaces asks what the API server serves, which everybody may: a right that is
/// missing in one of them is told by its watch, and keeps no other waiting.
async fn look(client: &Client, extent: &Extent) -> Result<(), Error> {
    match extent {
        Extent::Cluster => {
            let api: Api<SesSmtpCredential> = Api::all(client.clone());
            api.list(&ListParams::default().limit(1)).await.map(drop)
        }
        Extent::Namespaces(_) => {
            client.list_api_group_resources(&SesSmtpCredential::api_version(&())).await.map(drop)
        }
    }
}
