//! The invariants of the protocol, over what both worlds show: S1 to S4, S6 and R4.
//!
//! Nothing here knows how the operator decides. It sees requests as they are sent, and after each
//! the double's account and the Secret as an admin reads it.

use std::collections::{BTreeMap, BTreeSet};

use aws_double::{KeySnapshot, UserSnapshot};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use serde_json::Value;
use ses_smtp_core::layout::named_key;
use ses_smtp_core::names::record;
use ses_smtp_core::time::{Durations, seconds};

/// Both worlds at one time.
#[derive(Clone, Default)]
pub struct Scene {
    pub now: Timestamp,
    pub user: Option<UserSnapshot>,
    pub secret: Option<Secret>,
    /// True if the user in IAM is the one of this object.
    pub owned: bool,
    /// True if the Secret's password is the one of the key that it names.
    pub works: bool,
}

impl Scene {
    fn keys(&self) -> &[KeySnapshot] {
        self.user.as_ref().map(|user| user.keys.as_slice()).unwrap_or_default()
    }

    pub fn key(&self, id: &str) -> Option<&KeySnapshot> {
        self.keys().iter().find(|key| key.id == id)
    }

    /// The key that the Secret's data name.
    pub fn named(&self) -> Option<String> {
        Some(named_key(self.secret.as_ref()?.data.as_ref()?)?.to_string())
    }

    pub fn note(&self, name: &str) -> Option<String> {
        self.secret.as_ref()?.annotations().get(name).cloned()
    }
}

/// What has happened, as far as the invariants need it.
#[derive(Default)]
pub struct Judge {
    /// Keys that the Secret named, and since when another one is named in their place.
    published: BTreeMap<String, Option<Timestamp>>,
    /// Keys that the operator wanted Inactive or gone.
    condemned: BTreeSet<String>,
    /// Since when they are Inactive.
    deactivated: BTreeMap<String, Timestamp>,
    /// Somebody destroyed the published password: S3 lets the other key go at once.
    pub lost: bool,
    /// A key that is known to be leaked: S3 gives it neither overlap nor soak, nor the key beside it
    /// whose slot its successor needs.
    pub revoked: Option<String>,
    /// The object is being deleted: S2 and S3 are silent.
    pub teardown: bool,
    /// The object is gone by force: its keys have a day of soak (L4).
    pub forced: bool,
    /// Two operators: what one saw may be outdated when its call arrives.
    pub raced: bool,
    /// A person deletes the Secret beside two operators: S3 makes no promise then.
    pub meddled: bool,
    pub violations: Vec<String>,
}

impl Judge {
    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(what());
        }
    }

    /// Keys that were made and never published are what a lost reply or a crash leaves behind.
    pub fn was_published(&self, key: &str) -> bool {
        self.published.contains_key(key)
    }

    /// Looks at both worlds after a call.
    pub fn look(&mut self, scene: &Scene) {
        let keys = scene.keys().len();
        self.check(keys <= 2, || format!("S1: {keys} keys"));
        for id in self.condemned.clone() {
            if scene.key(&id).is_some_and(|key| !key.is_active()) {
                self.deactivated.entry(id).or_insert(scene.now);
            }
        }
        let Some(named) = scene.named() else { return };
        let ended = self.condemned.contains(&named) && !scene.key(&named).is_some_and(KeySnapshot::is_active);
        self.check(!ended || self.teardown, || format!("S2: the Secret names {named}, which was ended"));
        for (key, superseded) in &mut self.published {
            *superseded = if *key == named { None } else { Some(superseded.unwrap_or(scene.now)) };
        }
        self.published.entry(named).or_default();
    }

    /// Before a changing call to IAM of the pass that has `seen` this much.
    pub fn before_iam(&mut self, call: &str, key: Option<&str>, scene: &Scene, seen: &Seen) {
        let theirs = scene.user.is_some() && !scene.owned && call != "CreateUser";
        self.check(!theirs, || format!("S4: {call} on a user that isn't ours"));
        match (call, key) {
            ("CreateAccessKey", _) if !self.raced => {
                self.check(scene.keys().len() < 2, || "S1: a mint beside two keys".into());
                self.check(seen.fresh || scene.secret.is_some(), || {
                    "R4: a mint without a placeholder".into()
                });
            }
            ("UpdateAccessKey", Some(key)) => self.before_end(key, scene, Self::deactivation),
            // After a clear refusal a pass takes back what it made (R3).
            ("DeleteAccessKey", Some(key)) if seen.minted.as_deref() == Some(key) => {
                self.condemned.insert(key.to_owned());
            }
            ("DeleteAccessKey", Some(key)) => self.before_end(key, scene, Self::deletion),
            _ => {}
        }
    }

    fn before_end(
        &mut self,
        key: &str,
        scene: &Scene,
        judge: impl Fn(&Self, &str, &Scene) -> Option<String>,
    ) {
        self.condemned.insert(key.to_owned());
        if self.teardown {
            return;
        }
        let wrong = judge(self, key, scene);
        self.violations.extend(wrong);
    }

    fn deactivation(&self, id: &str, scene: &Scene) -> Option<String> {
        let superseded = *self.published.get(id).filter(|_| !self.meddled && !self.forced)?;
        let Some(successor) = scene.named().filter(|named| named != id) else {
            return Some(format!("S3: {id} deactivated without a successor"));
        };
        let Some(key) = scene.key(&successor).filter(|key| key.is_active()) else {
            return Some(format!("S3: the successor {successor} doesn't work"));
        };
        let Some(since) = superseded else { return Some(format!("S3: {id} is still published")) };
        // A publish may land after the time that it records.
        let recorded = scene.note(record::SUPERSEDED_AT).and_then(|text| text.parse().ok());
        let since = since.min(recorded.unwrap_or(since)).max(key.created);
        let ends = seconds(since) + Durations::default().overlap;
        (scene.now < ends).then(|| format!("S3: {id} deactivated at {}, overlap ends {ends}", scene.now))
    }

    /// L4: what the sweep deletes has been Inactive for a day, give or take a late call.
    fn swept(&self, key: &KeySnapshot, now: Timestamp) -> Option<String> {
        let since = self.deactivated.get(&key.id).filter(|_| !key.is_active());
        let rested = since.is_some_and(|since| now.duration_since(*since) >= SignedDuration::from_hours(23));
        (!rested).then(|| format!("L4: {} deleted without a soak", key.id))
    }

    fn deletion(&self, id: &str, scene: &Scene) -> Option<String> {
        let key = scene.key(id)?;
        if self.forced {
            return self.swept(key, scene.now);
        }
        if scene.secret.is_none() && !self.raced {
            return Some(format!("R4: {id} deleted without a Secret"));
        }
        let needed = scene.keys().len() == 2;
        let lost = self.lost && needed && !scene.works;
        let named = scene.named();
        let revoked = self.revoked.as_ref().is_some_and(|revoked| {
            let gives_way = named.as_ref() == Some(revoked) && needed;
            (revoked == id && named.as_deref() != Some(id)) || gives_way && revoked != id
        });
        if !self.published.contains_key(id) || lost || revoked || self.meddled {
            return None;
        }
        if key.is_active() {
            return Some(format!("S3: {id} deleted while Active"));
        }
        let ends = seconds(*self.deactivated.get(id)?) + Durations::default().soak;
        (scene.now < ends && !needed).then(|| format!("S3: {id} deleted in its soak, which ends {ends}"))
    }

    /// Before a Secret is replaced or patched.
    pub fn before_write(&mut self, write: &Write, uid: &str, scene: &Scene, seen: &Seen) {
        self.check(write.version.is_some(), || "R2: a write without a version".into());
        let Some(secret) = &scene.secret else { return };
        let ours = secret.owner_references().iter().any(|owner| owner.uid == uid);
        self.check(ours || write.gives_back, || "S4: a write to a Secret that isn't ours".into());
        if write.names.is_none() || write.names == scene.named() {
            return;
        }
        self.check(seen.allows(write), || format!("S6: {:?} published past the fence", write.names));
        // One that is out of date will be refused.
        let lands = secret.resource_version() == write.version;
        let Some(before) = scene.named().filter(|key| lands && scene.key(key).is_some()) else { return };
        let kept = write.previous.as_ref() == Some(&before);
        self.check(kept, || format!("S3: {before} is forgotten"));
    }

    /// Before a Secret is created.
    pub fn before_create(&mut self, write: &Write, fresh: bool) {
        let holds = write.names.is_none() || fresh;
        self.check(holds, || "S6: a credential created for a user not made in this pass".into());
    }
}

/// A write of a Secret, as far as the invariants need it.
#[derive(Debug, Default)]
pub struct Write {
    pub version: Option<String>,
    /// The key that the data name.
    pub names: Option<String>,
    pub attempt: Option<String>,
    pub previous: Option<String>,
    /// True if it carries an owner reference.
    pub gives_back: bool,
}

impl Write {
    /// A whole Secret or a merge patch, in which a removed annotation is null.
    pub fn read(body: &Value) -> Self {
        let metadata = &body["metadata"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let data = serde_json::from_value(body["data"].clone()).ok();
        Self {
            version: text(&metadata["resourceVersion"]),
            names: data.as_ref().and_then(named_key).map(|key| key.to_string()),
            attempt: text(&metadata["annotations"][record::ATTEMPT]),
            previous: text(&metadata["annotations"][record::PREVIOUS]),
            gives_back: metadata["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty()),
        }
    }
}

/// What one pass did and was shown, for S6.
#[derive(Default)]
pub struct Seen {
    /// The pass made the user.
    pub fresh: bool,
    /// The key that the pass made.
    pub minted: Option<String>,
    /// The attempt that it fenced with.
    fence: Option<String>,
    /// The published key at the fence.
    published: Option<String>,
    /// Version to attempt and published key, as answers showed them.
    versions: BTreeMap<String, (Option<String>, Option<String>)>,
}

impl Seen {
    /// An answer to one of the pass's own calls; `fenced` with what its request carried, if it did.
    pub fn saw(&mut self, answer: &Value, fenced: Option<String>) {
        let text = |name: &str| answer["metadata"]["annotations"][name].as_str().map(str::to_owned);
        let Some(version) = answer["metadata"]["resourceVersion"].as_str() else { return };
        let (attempt, published) = (text(record::ATTEMPT), text(record::ACCESS_KEY_ID));
        if fenced.is_some() && self.fence.is_none() {
            self.fence = fenced;
            self.published.clone_from(&published);
        }
        self.versions.insert(version.to_owned(), (attempt, published));
    }

    fn allows(&self, write: &Write) -> bool {
        let Some((attempt, published)) = write.version.as_ref().and_then(|at| self.versions.get(at)) else {
            return false;
        };
        self.fence.is_some() && *attempt == self.fence && *published == self.published
    }
}
