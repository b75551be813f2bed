//! The workloads: what happens to a credential, and which life it leads then.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::SignedDuration;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::Goal;
use ses_smtp_core::names::record;
use ses_smtp_core::tenancy::Tenancy;
use ses_smtp_operator::clock::Time as _;

use crate::run::{Operator, Sweep};
use crate::world::{NAME, OTHER_REGION, World};

type Change = for<'a> fn(&'a World) -> BoxFuture<'a, ()>;

/// Something that happens to a credential.
pub struct Workload {
    pub name: &'static str,
    /// How far the credential's life has come before.
    pub stage: Stage,
    pub change: Change,
}

/// How far a credential's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The object was applied just now.
    New,
    /// Provisioned an hour ago.
    Provisioned,
    /// Its Region was changed an hour ago: two keys, in overlap.
    Overlapping,
}

/// All workloads.
pub const ALL: [Workload; 19] = [
    Workload { name: "provision", stage: Stage::New, change: |_| Box::pin(async {}) },
    Workload { name: "user-exists", stage: Stage::New, change: |world| Box::pin(user_exists(world)) },
    Workload { name: "region", stage: Stage::Provisioned, change: |world| Box::pin(region(world)) },
    Workload {
        name: "region-added",
        stage: Stage::Provisioned,
        change: |world| Box::pin(region_added(world)),
    },
    Workload { name: "adopted", stage: Stage::New, change: |world| Box::pin(adopted(world)) },
    Workload { name: "trigger", stage: Stage::Provisioned, change: |world| Box::pin(trigger(world)) },
    Workload { name: "age", stage: Stage::Provisioned, change: |world| Box::pin(age(world)) },
    Workload { name: "revoked", stage: Stage::Provisioned, change: |world| Box::pin(revoked(world)) },
    Workload {
        name: "revoked-in-overlap",
        stage: Stage::Overlapping,
        change: |world| Box::pin(revoked(world)),
    },
    Workload {
        name: "secret-deleted",
        stage: Stage::Provisioned,
        change: |world| Box::pin(secret_deleted(world)),
    },
    Workload {
        name: "secret-deleted-in-overlap",
        stage: Stage::Overlapping,
        change: |world| Box::pin(secret_deleted(world)),
    },
    Workload {
        name: "password-edited",
        stage: Stage::Provisioned,
        change: |world| Box::pin(password_edited(world)),
    },
    Workload { name: "key-deleted", stage: Stage::Provisioned, change: |world| Box::pin(key_deleted(world)) },
    Workload { name: "orphan", stage: Stage::Provisioned, change: |world| Box::pin(async { orphan(world) }) },
    Workload {
        name: "object-deleted",
        stage: Stage::Provisioned,
        change: |world| Box::pin(object_deleted(world)),
    },
    Workload {
        name: "object-deleted-in-overlap",
        stage: Stage::Overlapping,
        change: |world| Box::pin(object_deleted(world)),
    },
    Workload { name: "forced", stage: Stage::Provisioned, change: |world| Box::pin(forced(world)) },
    Workload {
        name: "forced-in-overlap",
        stage: Stage::Overlapping,
        change: |world| Box::pin(forced(world)),
    },
    Workload {
        name: "key-swept",
        stage: Stage::Provisioned,
        change: |world| Box::pin(async { key_swept(world) }),
    },
];

impl Workload {
    /// Nothing happens to a credential that is in place.
    pub const NOTHING: Self =
        Self { name: "none", stage: Stage::Provisioned, change: |_| Box::pin(async {}) };

    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|workload| workload.name == name)
    }

    /// True if nothing is left of the credential at the end.
    pub fn ends_life(&self) -> bool {
        self.name.starts_with("object-deleted") || self.name.starts_with("forced")
    }

    /// Brings the credential to where the workload begins, and lets it happen.
    pub async fn prepare(&self, world: &Arc<World>, operator: &mut Operator) {
        let hour = SignedDuration::from_hours(1);
        if self.stage != Stage::New {
            assert!(operator.live().await, "provisioned");
            world.time.go_to(world.time.now() + hour).await;
        }
        if self.stage == Stage::Overlapping {
            region(world).await;
            // Not to the end: the overlap is to last.
            operator.once().await;
            world.time.go_to(world.time.now() + hour).await;
            world.look().await;
            assert_eq!(world.scene().user.unwrap().keys.len(), 2, "in overlap");
        }
        (self.change)(world).await;
        world.look().await;
    }
}

async fn region(world: &World) {
    let patch = Patch::Merge(json!({ "spec": { "region": OTHER_REGION } }));
    world.objects().patch(NAME, &PatchParams::default(), &patch).await.unwrap();
    *world.region.lock().unwrap() = OTHER_REGION;
}

async fn region_added(world: &World) {
    patched(world, json!({ "additionalRegions": [OTHER_REGION] })).await;
}

/// The Secret of an object that is gone, restored from a backup and given to this one.
async fn adopted(world: &World) {
    let annotations =
        [(record::UID, "of-another"), (record::ADOPT, "true"), (record::RENDERED_KEYS, "username,old")];
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            annotations: Some(annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            ..ObjectMeta::default()
        },
        string_data: Some(
            [("username", "AKIAIOSFODNN7EXAMPLE"), ("old", "goes"), ("others", "stays")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        ),
        ..Secret::default()
    };
    world.secrets().create(&PostParams::default(), &secret).await.unwrap();
}

async fn patched(world: &World, spec: serde_json::Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    world.objects().patch(NAME, &PatchParams::default(), &patch).await.unwrap();
}

async fn trigger(world: &World) {
    patched(world, json!({ "rotation": { "trigger": "1" } })).await;
}

/// The key has reached its age, once: the next one may become a year old.
async fn age(world: &World) {
    patched(world, json!({ "rotation": { "interval": "8760h" } })).await;
    world.time.go_to(world.time.now() + SignedDuration::from_hours(8760)).await;
}

/// The published key is known to be leaked.
async fn revoked(world: &World) {
    let key = world.scene().named().unwrap();
    patched(world, json!({ "revokedKeys": [key] })).await;
    world.judge.lock().unwrap().revoked = Some(key);
}

/// A `CreateUser` whose reply was lost with its process.
async fn user_exists(world: &World) {
    let goal = Goal::of(&world.object().await.unwrap(), &world.settings, &Tenancy::default());
    let user = &goal.identity().user;
    let mut parameters = vec![("UserName".to_owned(), user.name.clone()), ("Path".into(), user.path.clone())];
    for (n, (key, value)) in (1..).zip(&user.tags) {
        parameters.push((format!("Tags.member.{n}.Key"), key.clone()));
        parameters.push((format!("Tags.member.{n}.Value"), value.clone()));
    }
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    world.aws.call("CreateUser", &parameters).unwrap();
    world.time.pass(60_000).await;
}

async fn secret_deleted(world: &World) {
    world.secrets().delete(NAME, &DeleteParams::default()).await.unwrap();
    world.judge.lock().unwrap().lost = true;
}

async fn password_edited(world: &World) {
    let patch = Patch::Merge(json!({ "data": { "password": ByteString(b"oops".to_vec()) } }));
    let person = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    world.secrets().patch(NAME, &person, &patch).await.unwrap();
    world.judge.lock().unwrap().lost = true;
}

async fn key_deleted(world: &World) {
    key_swept(world);
    *world.sweep.lock().unwrap() = None;
    left_over(world).await;
}

/// The published key is gone, and nothing but the drift sweep can tell.
fn key_swept(world: &World) {
    let key = world.scene().named().unwrap();
    world.aws.call("DeleteAccessKey", &[("UserName", &world.user), ("AccessKeyId", &key)]).unwrap();
    *world.sweep.lock().unwrap() = Some(Sweep::Drift);
}

/// A key that nobody published, beside the one that is: the drift sweep finds it.
fn orphan(world: &World) {
    world.aws.call("CreateAccessKey", &[("UserName", &world.user)]).unwrap();
    *world.sweep.lock().unwrap() = Some(Sweep::Drift);
}

/// What makes a pass look at IAM at once: an attempt that is left over.
async fn left_over(world: &World) {
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { record::ATTEMPT: "left over" } } }));
    world.secrets().patch(NAME, &PatchParams::default(), &patch).await.unwrap();
}

/// The finalizer was taken off by force, and the object is gone with its Secret.
async fn forced(world: &World) {
    // The sweep does nothing where no object is left at all.
    let spec = serde_json::from_value(json!({ "region": OTHER_REGION })).unwrap();
    let other = SesSmtpCredential::new("bystander", spec);
    world.objects().create(&PostParams::default(), &other).await.unwrap();
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    world.objects().patch(NAME, &PatchParams::default(), &patch).await.unwrap();
    world.objects().delete(NAME, &DeleteParams::default()).await.unwrap();
    world.secrets().delete(NAME, &DeleteParams::default()).await.unwrap();
    world.judge.lock().unwrap().forced = true;
    *world.sweep.lock().unwrap() = Some(Sweep::Orphans);
}

async fn object_deleted(world: &World) {
    world.objects().delete(NAME, &DeleteParams::default()).await.unwrap();
    world.judge.lock().unwrap().teardown = true;
}
