//! The end of a case: liveness, equality with a run without faults, and no secret anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::names::record;
use testbed::{Credential, condition};

use crate::judge::Scene;
use crate::workload::Workload;
use crate::world::{OTHER_REGION, REGION, World};

/// What is left, without what differs from one world to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub picture: Value,
    /// Keys made, and keys deleted.
    pub tally: (usize, usize),
    /// Keys that were made and never published.
    pub lost: usize,
}

impl Ending {
    pub async fn of(world: &World) -> Self {
        let scene = world.scene();
        let picture = json!({
            "user": user(&scene),
            "secret": scene.secret.as_ref().map(secret),
            "object": world.object().await.as_ref().map(object),
        });
        let all = world.aws.key_ids();
        let judge = world.judge.lock().unwrap();
        let lost = all.iter().filter(|key| !judge.was_published(key)).count();
        let left = scene.user.iter().flat_map(|user| &user.keys).count();
        let picture = anonymous(world, &picture);
        Self { picture, tally: (all.len(), all.len() - left), lost }
    }

    /// What differs from a run without faults. A mint whose reply was lost leaves a key behind that
    /// has to be deleted, and another one has to be made: a create and a delete more for each.
    pub fn differs(&self, other: &Self, faults: usize) -> Option<String> {
        if self.picture != other.picture {
            return Some(format!("the end is\n{}\nand not\n{}", self.picture, other.picture));
        }
        let more = self.lost.saturating_sub(other.lost);
        let expected = (other.tally.0 + more, other.tally.1 + more);
        if more > faults || self.tally != expected {
            return Some(format!(
                "{:?} keys made and deleted, {more} lost, not {:?}",
                self.tally, other.tally
            ));
        }
        None
    }
}

fn user(scene: &Scene) -> Value {
    let Some(user) = &scene.user else { return Value::Null };
    let keys: Vec<&String> = user.keys.iter().map(|key| &key.status).collect();
    json!({ "path": user.path, "tags": user.tags, "policies": user.policies, "keys": keys })
}

/// Dates and digests are there or empty or not there.
fn secret(secret: &Secret) -> Value {
    let shape = |(name, value): (&String, &String)| (name.clone(), !value.is_empty());
    let notes: BTreeMap<String, bool> = secret.annotations().iter().map(shape).collect();
    let keys: Vec<&String> = secret.data.iter().flat_map(BTreeMap::keys).collect();
    let owners: Vec<&String> = secret.owner_references().iter().map(|owner| &owner.uid).collect();
    json!({ "notes": notes, "labels": secret.labels(), "keys": keys, "owners": owners })
}

fn object(object: &SesSmtpCredential) -> Value {
    let status = object.status.clone().unwrap_or_default();
    let types = ["Ready", "Reconciling", "Stalled"];
    let conditions = types.map(|name| format!("{name} {}", condition(object, name)));
    let observed = status.observed_generation == object.metadata.generation;
    json!({ "conditions": conditions, "observed": observed, "finalizers": object.finalizers() })
}

fn anonymous(world: &World, picture: &Value) -> Value {
    let text = picture.to_string().replace(&world.user, "USER");
    let text = text.replace(&world.uid, "UID").replace(&world.namespace, "NAMESPACE");
    serde_json::from_str(&text).unwrap()
}

/// Everything that is wrong with how a case ended, by itself.
pub async fn wrong(world: &Arc<World>, workload: &Workload) -> Vec<String> {
    let scene = world.scene();
    let mut wrong = if workload.ends_life() {
        let left = scene.user.is_some() || world.object().await.is_some();
        Vec::from_iter(left.then(|| "L1: the user or the object is still there".to_owned()))
    } else {
        Vec::from_iter(alive(world, &scene).await.err())
    };
    wrong.extend(leak(world).await);
    wrong
}

/// L1: one Active published key that logs in, and nothing left of any attempt.
pub async fn alive(world: &World, scene: &Scene) -> Result<(), String> {
    let object = world.object().await.ok_or("L1: the object is gone")?;
    let keys: Vec<(String, bool)> =
        scene.user.iter().flat_map(|user| &user.keys).map(|key| (key.id.clone(), key.is_active())).collect();
    let named = scene.named().ok_or("L1: nothing is published")?;
    if keys != [(named.clone(), true)] {
        return Err(format!("L1: keys {keys:?} beside the published {named}"));
    }
    if scene.note(record::PREVIOUS).is_some_and(|key| !key.is_empty()) {
        return Err("L1: a previous key is still recorded".into());
    }
    if scene.note(record::ATTEMPT).is_some() || scene.note(record::FOUND_KEYS).is_some() {
        return Err("L1: an attempt is still recorded".into());
    }
    if condition(&object, "Ready") != "True Provisioned" || !condition(&object, "Reconciling").is_empty() {
        return Err(format!("L1: {:?}", object.status.map(|status| status.conditions)));
    }
    logs_in(world, scene).await
}

async fn logs_in(world: &World, scene: &Scene) -> Result<(), String> {
    let credential = scene.secret.as_ref().and_then(Credential::of).ok_or("L1: the Secret isn't complete")?;
    let ca = world.aws.ca_pem().to_owned();
    let login = move || testbed::mail::login(&credential, &ca).map(drop);
    let login = tokio::task::spawn_blocking(login).await.map_err(|error| error.to_string())?;
    login.map_err(|error| format!("L1: {error}"))
}

/// S5: a secret access key or password that stands where it may not.
async fn leak(world: &World) -> Option<String> {
    let passwords = |id: &String| {
        let regions = [REGION, OTHER_REGION].map(|region| world.aws.password_of(id, region));
        regions.into_iter().flatten().chain(world.aws.secret_of(id)).collect::<Vec<_>>()
    };
    let canaries: Vec<String> = world.aws.key_ids().iter().flat_map(passwords).collect();
    let events = Api::<Event>::namespaced(world.admin.clone(), &world.namespace);
    let events = events.list(&ListParams::default()).await.unwrap();
    let places = [
        ("the log", world.log.text()),
        ("the journal", json!(world.aws.journal()).to_string()),
        ("an event", json!(events.items).to_string()),
        ("the object", json!(world.object().await).to_string()),
        ("the Secret's metadata", json!(world.secret().await.map(|secret| secret.metadata)).to_string()),
    ];
    let found = places.iter().find(|(_, text)| canaries.iter().any(|canary| text.contains(canary.as_str())));
    found.map(|(place, _)| format!("S5: a secret stands in {place}"))
}
