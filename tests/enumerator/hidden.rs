//! Changes that the watch hides: something is changed and changed back while the cache is told of
//! neither, and the operator works on with what it knew before.

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use ses_smtp_core::names::{LABEL_CREDENTIAL, record};

use crate::case::{Outcome, settled};
use crate::fault::{Fault, Strike};
use crate::run::{Next, Operator};
use crate::workload::Workload;
use crate::world::{Bed, NAME, QUOTA_LAG, World};

type Change = for<'a> fn(&'a World, &'a Secret) -> BoxFuture<'a, ()>;

/// What is changed and changed back.
const CHANGES: [(&str, Change); 6] = [
    ("label", |world, secret| {
        Box::pin(there_and_back(
            world,
            secret,
            json!({ "metadata": { "labels": { LABEL_CREDENTIAL: null } } }),
        ))
    }),
    ("password", |world, secret| {
        Box::pin(there_and_back(world, secret, json!({ "data": { "password": "b29wcw==" } })))
    }),
    ("record", |world, secret| {
        let none =
            json!({ record::ACCESS_KEY_ID: null, record::PREVIOUS: null, record::PASSWORD_DIGESTS: null });
        Box::pin(there_and_back(world, secret, json!({ "metadata": { "annotations": none } })))
    }),
    ("owner", |world, secret| {
        Box::pin(there_and_back(world, secret, json!({ "metadata": { "ownerReferences": null } })))
    }),
    ("attempt", |world, secret| {
        let attempt = json!({ record::ATTEMPT: "somebody" });
        Box::pin(there_and_back(world, secret, json!({ "metadata": { "annotations": attempt } })))
    }),
    ("whole", |world, secret| Box::pin(deleted_and_restored(world, secret))),
];

/// What the operator has to do meanwhile: a workload, and what happens to one of its calls.
const MEANWHILE: [(&str, Option<(&str, Fault)>); 5] = [
    ("region", None),
    ("region", Some(("CreateAccessKey", Fault::ReplyLost))),
    ("region", Some(("update-secret", Fault::CrashAfter))),
    ("object-deleted-in-overlap", None),
    ("none", None),
];

/// Names of all cases, such as `hidden/label/2`.
pub fn names() -> Vec<String> {
    let cases = |(change, _): (&'static str, Change)| {
        (0..MEANWHILE.len()).map(move |number| format!("hidden/{change}/{number}"))
    };
    CHANGES.into_iter().flat_map(cases).collect()
}

/// Runs a case: hidden change, a pass on what the cache knew, and the rest of a life.
pub async fn run(bed: &Bed, change: &str, number: usize) -> Outcome {
    let (_, change) = CHANGES.iter().find(|(name, _)| *name == change).expect("a change of that name");
    let (workload, fault) = MEANWHILE[number];
    let workload = Workload::named(workload).unwrap_or(&Workload::NOTHING);
    let world = bed.world(QUOTA_LAG).await;
    let mut operator = Operator::start(&world, 0).await;
    workload.prepare(&world, &mut operator).await;
    let strike = |(call, fault): (&str, Fault)| Strike { call: call.into(), nth: 1, fault };
    world.begin(fault.map(strike).into_iter().collect());
    let secret = world.secret().await.expect("a Secret");
    change(&world, &secret).await;
    world.look().await;
    operator.watching = false;
    if operator.once().await == Next::Crashed {
        operator.restart().await;
    }
    operator.watching = true;
    let mut wrong = settled(&world, workload, &mut operator).await;
    wrong.extend((world.script.pending() > 0).then(|| "the fault never struck".to_owned()));
    Outcome::of(&world, wrong)
}

/// A person's patch, and then what was there before.
async fn there_and_back(world: &World, secret: &Secret, patch: Value) {
    let person = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    let back = json!({
        "metadata": {
            "labels": secret.metadata.labels,
            "annotations": before(secret),
            "ownerReferences": secret.metadata.owner_references,
        },
        "data": secret.data,
    });
    for patch in [patch, back] {
        world.secrets().patch(NAME, &person, &Patch::Merge(patch)).await.unwrap();
    }
}

/// The annotations, with those named that must go again.
fn before(secret: &Secret) -> Value {
    let mut notes = json!(secret.metadata.annotations);
    if notes[record::ATTEMPT].is_null() {
        notes[record::ATTEMPT] = Value::Null;
    }
    notes
}

/// Deleted, and put back as a backup would: another UID, everything else as it was.
async fn deleted_and_restored(world: &World, secret: &Secret) {
    world.secrets().delete(NAME, &DeleteParams::default()).await.unwrap();
    let mut copy = secret.clone();
    copy.metadata.resource_version = None;
    copy.metadata.uid = None;
    copy.metadata.managed_fields = None;
    let made = world.secrets().create(&PostParams::default(), &copy).await.unwrap();
    world.born(&made.metadata.uid.unwrap_or_default());
}
