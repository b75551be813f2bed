//! The credentials endpoint of EKS Pod Identity, as the agent on a node has it.
//!
//! Facts are of the EKS User Guide ("Understand how EKS Pod Identity works") and of the container credential
//! provider that SDKs have in common. A pod shows its service account's token; its association names the role.

use std::sync::Arc;

use serde_json::json;

use super::{Answer, Message, Reply};
use crate::account::{ApiError, View};
use crate::clock::iso;
use crate::fault::FaultKind;
use crate::journal::Record;
use crate::policy::Context;
use crate::sessions::{Asker, Session, Wish, account_of};
use crate::sts::ends;
use crate::web_identity::verify;
use crate::world::{Shared, World};

/// Where the agent answers.
pub(crate) const PATH: &str = "/v1/credentials";
/// What the agent asks AWS for; the call's name in the journal and for faults.
const ACTION: &str = "AssumeRoleForPodIdentity";
/// Whom tokens of pods are for.
const AUDIENCE: &str = "pods.eks.amazonaws.com";

/// Answers a pod.
pub(super) async fn answer(shared: &Arc<Shared>, message: &Message) -> Answer {
    shared.latency(ACTION).await;
    let world = &mut *shared.lock();
    let request_id = world.ids.request_id();
    let fault = world.strike(ACTION, None);
    let outcome = match &fault {
        Some(FaultKind::LostRequest) => {
            note(shared, world, &request_id, "lost", fault.as_ref());
            return Answer::Drop;
        }
        Some(FaultKind::ErrorBefore { status, code }) => {
            Err(ApiError::new(*status, code.clone(), "Injected."))
        }
        _ => session(shared, world, message),
    };
    let (status, body) = match &outcome {
        Ok(body) => (200, body.clone()),
        Err(error) => (error.status, error.message.clone()),
    };
    let told = outcome.as_ref().map_or_else(|error| error.code.as_ref(), |_| "ok");
    note(shared, world, &request_id, told, fault.as_ref());
    Answer::Reply(Reply { status, content_type: "application/json", body, request_id })
}

fn session(shared: &Shared, world: &mut World, message: &Message) -> Result<String, ApiError> {
    let denied = |text: &str| ApiError::new(403, "AccessDeniedException", text);
    let token = message.headers.get("authorization").and_then(|token| token.to_str().ok());
    let token = token.ok_or_else(|| denied("Service account token cannot be empty"))?;
    let view = View::at(shared.now());
    let subject = verify(&world.providers, token, view.now)?;
    let account = subject.name.strip_prefix("system:serviceaccount:").unwrap_or_default().to_owned();
    let role = world.associations.get(&account).filter(|_| subject.audience == AUDIENCE);
    let role = role.ok_or_else(|| denied("No association for the service account"))?.clone();
    let name = format!("eks-{}", account.replace(':', "-"));
    let seconds = world.sessions.usual.as_secs();
    let wish = Wish { role: &role, name: &name, ends: ends(&shared.clock, view, seconds) };
    let session = world.sessions.begin(&wish, &asker(&account), &mut world.ids);
    Ok(body(session.ok_or_else(|| denied("The role doesn't trust pods.eks.amazonaws.com"))?))
}

/// The service, with the session tags that it gives.
fn asker(account: &str) -> Asker {
    let (namespace, name) = account.split_once(':').unwrap_or_default();
    let tag = |key: &str| format!("aws:RequestTag/{key}");
    Asker {
        kind: "Service",
        names: vec![AUDIENCE.to_owned()],
        actions: &["sts:AssumeRole", "sts:TagSession"],
        context: Context::default()
            .with(&tag("kubernetes-namespace"), vec![namespace.to_owned()])
            .with(&tag("kubernetes-service-account"), vec![name.to_owned()]),
    }
}

fn body(session: &Session) -> String {
    json!({
        "AccessKeyId": session.identity.key_id,
        "SecretAccessKey": session.secret,
        "Token": session.token,
        "Expiration": iso(session.ends),
        "AccountId": account_of(&session.identity.arn),
    })
    .to_string()
}

fn note(shared: &Shared, world: &mut World, request_id: &str, outcome: &str, fault: Option<&FaultKind>) {
    let record = Record {
        sequence: 0,
        time: shared.now(),
        action: ACTION.to_owned(),
        account: None,
        caller: None,
        user: None,
        key: None,
        outcome: outcome.to_owned(),
        executed: fault.is_none(),
        fault: fault.map(|fault| format!("{fault:?}")),
        request_id: Some(request_id.to_owned()),
    };
    shared.note_in(world, record);
}
