//! The API server as the operator's process calls it, with a fault here and there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use control_plane::proxy::Target;
use futures::FutureExt as _;
use http::{Request, Response, StatusCode, Uri, request::Parts};
use kube::Client;
use kube::api::DeleteParams;
use kube::client::Body;
use serde_json::{Value, json};
use tower::{BoxError, service_fn};

use crate::fault::Fault;
use crate::judge::Write;
use crate::run::Process;
use crate::world::{NAME, World};

/// When the client gives up on a call, in seconds.
const PATIENCE: i64 = 20;
/// When the effect of such a call comes, in seconds: before the API server ends the request.
const LATE: i64 = 40;
/// When it comes at the latest.
const LATEST: i64 = 55;

/// A request, whole, so that it can be sent later.
#[derive(Clone)]
struct Call {
    head: Parts,
    body: Vec<u8>,
    target: Target,
}

type Answer = Result<Response<Body>, BoxError>;

/// A client whose calls go by way of the script and the judge.
pub fn client(process: Arc<Process>) -> Client {
    Client::new(service_fn(move |request| answer(process.clone(), request).boxed()), "default")
}

async fn answer(process: Arc<Process>, request: Request<Body>) -> Answer {
    let world = &process.world;
    let call = Call::read(request, &world.namespace).await?;
    world.turn(process.number).await;
    let fault = world.meet(&call.name());
    match fault {
        Some(Fault::CrashBefore) => return process.die().await,
        Some(Fault::Throttled) => return Ok(status(429, "TooManyRequests", "too many requests")),
        Some(Fault::Error) => return Ok(failed()),
        Some(Fault::RequestLost) => return lost(),
        Some(Fault::Denied) => return Ok(call.denied()),
        _ => {}
    }
    call.judge(&process);
    if fault == Some(Fault::Timeout) {
        call.later(world.clone());
        world.time.pass(PATIENCE * 1000).await;
        return lost();
    }
    let (head, body) = call.carry_out(world).await?;
    match fault {
        Some(Fault::CrashAfter) => process.die().await,
        Some(Fault::ReplyLost) => lost(),
        Some(Fault::ErrorAfter) => Ok(failed()),
        Some(Fault::Malformed) => Ok(Response::from_parts(head, Body::from(body[..body.len() / 2].to_vec()))),
        _ => {
            call.told(&process, &body);
            Ok(Response::from_parts(head, Body::from(body)))
        }
    }
}

impl Call {
    async fn read(request: Request<Body>, namespace: &str) -> Result<Self, BoxError> {
        let (mut head, body) = request.into_parts();
        head.uri = within(&head.uri, namespace)?;
        let target = Target::read(&head.method, &head.uri);
        Ok(Self { target, body: body.collect_bytes().await?.to_vec(), head })
    }

    /// `update-secret`, `patch-status`.
    fn name(&self) -> String {
        let kind = match self.target.resource.as_str() {
            "sessmtpcredentials" => "object",
            "sessmtpcredentials/status" => "status",
            other => other.trim_end_matches('s'),
        };
        format!("{}-{kind}", self.target.verb)
    }

    fn is_secret(&self) -> bool {
        self.target.resource == "secrets"
    }

    fn reads(&self) -> bool {
        matches!(self.target.verb.as_str(), "get" | "list" | "watch")
    }

    fn written(&self) -> Option<Write> {
        if self.reads() || !self.is_secret() {
            return None;
        }
        Some(Write::read(&serde_json::from_slice(&self.body).unwrap()))
    }

    fn judge(&self, process: &Process) {
        let Some(write) = self.written() else { return };
        let (world, seen) = (&process.world, process.seen.lock().unwrap());
        let mut judge = world.judge.lock().unwrap();
        match self.target.verb.as_str() {
            "create" => judge.before_create(&write, seen.fresh),
            _ => judge.before_write(&write, &world.uid, &world.scene(), &seen),
        }
    }

    /// What the process learns from the answer.
    fn told(&self, process: &Process, body: &[u8]) {
        if let Some(answer) = serde_json::from_slice(body).ok().filter(|_| self.is_secret()) {
            let fenced = self.written().and_then(|write| write.attempt);
            process.seen.lock().unwrap().saw(&answer, fenced);
        }
    }

    async fn send(&self, world: &World) -> Result<(http::response::Parts, Vec<u8>), BoxError> {
        let request = Request::from_parts(self.head.clone(), Body::from(self.body.clone()));
        let (head, body) = world.admin.send(request).await?.into_parts();
        let body = body.collect_bytes().await?.to_vec();
        let created = self.target.verb == "create" && head.status.is_success();
        Ok((head, if self.is_secret() { dated(world, &body, created) } else { body }))
    }

    async fn carry_out(&self, world: &World) -> Result<(http::response::Parts, Vec<u8>), BoxError> {
        let answer = self.send(world).await?;
        if !self.reads() {
            world.look().await;
        }
        Ok(answer)
    }

    /// The client gives up; the call is on its way and arrives.
    fn later(self, world: Arc<World>) {
        if !self.reads() {
            let time = world.time.clone();
            let vanishing = world.vanishing.load(Ordering::SeqCst);
            let effect = async move {
                if vanishing {
                    vanish(&world).await;
                }
                drop(self.carry_out(&world).await);
            };
            time.later(if vanishing { LATEST } else { LATE }, Box::pin(effect));
        }
    }

    /// In the authorizer's words, by which the operator knows it.
    fn denied(&self) -> Response<Body> {
        let Target { verb, resource, .. } = &self.target;
        status(403, "Forbidden", &format!("User \"operator\" cannot {verb} resource \"{resource}\""))
    }
}

/// Somebody deletes the Secret.
async fn vanish(world: &World) {
    let _ = world.secrets().delete(NAME, &DeleteParams::default()).await;
    world.look().await;
}

/// A list of all objects there are, kept to the case's own: beside it there are those of others.
fn within(uri: &Uri, namespace: &str) -> Result<Uri, BoxError> {
    let all = "/v1alpha1/sessmtpcredentials?";
    Ok(uri
        .to_string()
        .replace(all, &format!("/v1alpha1/namespaces/{namespace}/sessmtpcredentials?"))
        .parse()?)
}

/// A Secret's answer with its date in made time.
fn dated(world: &World, body: &[u8], created: bool) -> Vec<u8> {
    let Ok(mut secret) = serde_json::from_slice::<Value>(body) else { return body.to_vec() };
    let uid = secret["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    if created {
        world.born(&uid);
    }
    if let Some(born) = world.born_at(&uid) {
        secret["metadata"]["creationTimestamp"] = json!(born.to_string());
    }
    secret.to_string().into_bytes()
}

fn lost() -> Answer {
    Err("the connection was lost".into())
}

fn failed() -> Response<Body> {
    status(500, "InternalError", "internal error")
}

fn status(code: u16, reason: &str, message: &str) -> Response<Body> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    let mut response = Response::new(Body::from(body.to_string().into_bytes()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}
