//! The outside world in memory: one account, one object, one Secret, a clock, and faults.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::iam::Account;
use super::judge::Judge;
use super::process::{Operator, Outcome};
use crate::api::SesSmtpCredential;
use crate::desired::{Goal, Identity, Settings};
use crate::iam::KeyStatus;
use crate::key::KeyId;
use crate::login::Login;
use crate::names::{CONSENT, LABEL_CREDENTIAL, LABEL_SOURCE, tag};
use crate::region::RegionName;
use crate::secret::SecretFacts;
use crate::step::{Effect, Refusal, Step};
use crate::tenancy::Tenancy;
use crate::test;
use crate::world::ObjectFacts;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    CrashBefore,
    CrashAfter,
    ReplyLost,
    RequestLost,
    /// No reply, and the effect comes this much later.
    Late(i64),
    /// The call answers with this and does nothing.
    Says(Effect),
}

/// What the metadata cache shows of the Secret.
#[derive(Clone)]
pub enum Cache {
    Fresh,
    Nothing,
    Stale(Box<SecretFacts>),
}

/// A write that is on its way.
#[derive(Clone)]
pub enum Late {
    Secret { at: Timestamp, write: Box<Secret>, nonce: String },
    Mint { at: Timestamp },
}

pub type Edit = fn(&mut Sim);

/// Everything outside the operator.
#[derive(Clone)]
pub struct Sim {
    pub now: Timestamp,
    pub settings: Settings,
    /// What the Namespace says.
    pub tenancy: Tenancy,
    pub object: SesSmtpCredential,
    /// Name and owner of the user, which no change of the spec changes.
    identity: Identity,
    pub facts: ObjectFacts,
    pub account: Account,
    pub secret: Option<Secret>,
    /// The Secret that somebody else's access key is in.
    pub source: Option<Secret>,
    pub version: u64,
    pub cache: Cache,
    /// Calls made so far, pauses not counted.
    pub calls: usize,
    pub faults: BTreeMap<usize, Fault>,
    /// The answer to every call of this name.
    pub broken: Option<(String, Effect)>,
    /// What others do right before a call.
    pub edits: BTreeMap<usize, Edit>,
    pub late: Vec<Late>,
    pub judge: Judge,
    pub passes: u32,
    /// What SES answers to every login; `None`: the truth.
    pub ses: Option<Login>,
    /// How SES answers in single Regions, whatever the password.
    pub ses_in: BTreeMap<String, Login>,
    /// How long SES takes to learn of a key.
    pub ses_lag: SignedDuration,
}

pub const REGION: &str = "eu-central-1";

impl Sim {
    pub fn new() -> Self {
        Self::of(&test::owner().uid)
    }

    /// The same for an object of this UID, which decides when its keys are due.
    pub fn of(uid: &str) -> Self {
        let mut object = test::object(serde_json::json!({ "region": REGION }));
        object.metadata.uid = Some(uid.to_owned());
        let settings = test::settings();
        let tenancy = Tenancy::default();
        let identity = Goal::of(&object, &settings, &tenancy).identity().clone();
        Self {
            now: test::time(0),
            settings,
            tenancy,
            object,
            identity,
            facts: ObjectFacts { finalizer: false, account: None, logins: Vec::new() },
            account: Account::default(),
            secret: None,
            source: None,
            version: 0,
            cache: Cache::Fresh,
            calls: 0,
            faults: BTreeMap::new(),
            broken: None,
            edits: BTreeMap::new(),
            late: Vec::new(),
            judge: Judge::default(),
            passes: 0,
            ses: None,
            ses_in: BTreeMap::new(),
            ses_lag: SignedDuration::ZERO,
        }
    }

    /// After a first provision, a minute later.
    pub fn provisioned() -> (Self, Operator) {
        let (mut sim, mut operator) = (Self::new(), Operator::default());
        let outcome = sim.pass(&mut operator);
        assert!(matches!(outcome.end, Some(crate::step::End::Done { .. })), "{outcome}");
        sim.pass_time(3600);
        (sim, operator)
    }

    /// After a change of Region, with both keys in place, an hour into the overlap.
    pub fn rotated() -> (Self, Operator) {
        let (mut sim, mut operator) = Self::provisioned();
        sim.object.spec.region = "us-east-1".into();
        sim.pass(&mut operator);
        sim.pass_time(3600);
        (sim, operator)
    }

    pub fn goal(&self) -> Goal {
        Goal::of(&self.object, &self.settings, &self.tenancy)
    }

    pub fn identity(&self) -> Identity {
        self.goal().identity().clone()
    }

    pub fn user_name(&self) -> String {
        self.identity.user.name.clone()
    }

    pub fn pass_time(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.land();
    }

    pub fn wait_until(&mut self, until: Timestamp) {
        self.now = self.now.max(until);
        self.land();
    }

    /// What the operator's cache shows: only Secrets with our label.
    pub fn cached(&self) -> Option<SecretFacts> {
        let ours = |secret: &&Secret| {
            secret.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(LABEL_CREDENTIAL))
        };
        match &self.cache {
            Cache::Fresh => {
                self.secret.as_ref().filter(ours).map(|secret| SecretFacts::of_metadata(&secret.metadata))
            }
            Cache::Nothing => None,
            Cache::Stale(facts) => Some(facts.as_ref().clone()),
        }
    }

    /// The version that the watch of sources shows: only of those whose owner consents.
    pub fn watched_source(&self) -> Option<String> {
        let metadata = &self.source.as_ref()?.metadata;
        let consents = metadata.labels.as_ref()?.get(LABEL_SOURCE)? == CONSENT;
        metadata.resource_version.clone().filter(|_| consents)
    }

    // ---- the API server ----

    /// The key that the Secret's data name.
    pub fn named(&self) -> Option<KeyId> {
        crate::layout::named_key(self.secret.as_ref()?.data.as_ref()?)
    }

    pub fn seen(&self) -> Option<SecretFacts> {
        self.secret.as_ref().map(SecretFacts::of_secret)
    }

    pub fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    fn store(&mut self, mut secret: Secret) -> Effect {
        let before = self.secret.as_ref();
        let edited = before.is_some_and(|before| before.data == secret.data);
        secret.metadata.managed_fields =
            before.filter(|_| edited).and_then(|before| before.metadata.managed_fields.clone());
        secret.metadata.creation_timestamp = before
            .and_then(|before| before.metadata.creation_timestamp.clone())
            .or(Some(Time(crate::time::seconds(self.now))));
        secret.metadata.resource_version = Some(self.next_version());
        let facts = SecretFacts::of_secret(&secret);
        self.secret = Some(secret);
        Effect::Secret(Box::new(facts))
    }

    pub fn create_secret(&mut self, secret: Secret) -> Effect {
        if self.secret.is_some() { Effect::Cluster(Refusal::Exists) } else { self.store(secret) }
    }

    /// A conditional replace (rule R2).
    pub fn replace_secret(&mut self, secret: Secret) -> Effect {
        let version = secret.metadata.resource_version.clone();
        assert!(version.is_some(), "R2: a write without a version");
        match &self.secret {
            None => Effect::Cluster(Refusal::NotFound),
            Some(stored) if stored.metadata.resource_version != version => Effect::Cluster(Refusal::Conflict),
            Some(stored) if stored.immutable == Some(true) && stored.data != secret.data => {
                Effect::Cluster(Refusal::Refused { code: "Invalid".into() })
            }
            Some(_) => self.store(secret),
        }
    }

    /// A merge patch of the annotations, conditional on `version`.
    pub fn patch_secret(&mut self, patch: &serde_json::Value) -> Effect {
        let Some(mut secret) = self.secret.clone() else { return Effect::Cluster(Refusal::NotFound) };
        let patch = &patch["metadata"];
        secret.metadata.resource_version = patch["resourceVersion"].as_str().map(str::to_owned);
        let annotations = secret.metadata.annotations.get_or_insert_default();
        for (name, value) in patch["annotations"].as_object().unwrap() {
            match value.as_str() {
                Some(value) => annotations.insert(name.clone(), value.to_owned()),
                None => annotations.remove(name),
            };
        }
        match self.replace_secret(secret) {
            // The operator asks for metadata only.
            Effect::Secret(facts) => Effect::Secret(Box::new(SecretFacts { content: None, ..*facts })),
            other => other,
        }
    }

    // ---- what others do ----

    /// A person's edit of the Secret.
    pub fn edit(&mut self, change: impl FnOnce(&mut Secret)) {
        let version = self.next_version();
        let secret = self.secret.as_mut().unwrap();
        let data = secret.data.clone();
        change(secret);
        if secret.data != data {
            secret.metadata.managed_fields.get_or_insert_default().push(ManagedFieldsEntry {
                manager: Some("kubectl-edit".into()),
                fields_v1: Some(FieldsV1(serde_json::json!({ "f:data": {} }))),
                ..ManagedFieldsEntry::default()
            });
        }
        secret.metadata.resource_version = Some(version);
    }

    pub fn annotate(&mut self, name: &str, value: Option<&str>) {
        self.edit(|secret| {
            let annotations = secret.metadata.annotations.get_or_insert_default();
            match value {
                Some(value) => annotations.insert(name.to_owned(), value.to_owned()),
                None => annotations.remove(name),
            };
        });
    }

    pub fn put_data(&mut self, key: &str, value: &str) {
        self.edit(|secret| {
            secret.data.get_or_insert_default().insert(key.to_owned(), ByteString(value.into()));
        });
    }

    pub fn delete_secret(&mut self) {
        self.secret = None;
        self.judge.secret_lost();
    }

    pub fn delete_object(&mut self) {
        self.object.metadata.deletion_timestamp = Some(Time(self.now));
    }

    // ---- what is to be seen ----

    pub fn key_numbers(&mut self) -> Vec<u32> {
        let name = self.user_name();
        let Ok(user) = self.account.user(&name) else { return Vec::new() };
        user.keys.iter().map(|key| number(&key.listed.id)).collect()
    }

    pub fn value(&self, key: &str) -> String {
        let data = self.secret.as_ref().and_then(|secret| secret.data.as_ref());
        data.and_then(|data| data.get(key))
            .map(|value| String::from_utf8(value.0.clone()).unwrap())
            .unwrap_or_default()
    }

    /// True if a client that reads the Secret now can log in to every wanted Region.
    pub fn logs_in(&mut self) -> bool {
        let spec = self.object.spec.clone();
        let more =
            spec.additional_regions.iter().map(|region| (region.clone(), format!("{region}.password")));
        let mut all = std::iter::once((spec.region.clone(), "password".to_owned())).chain(more);
        all.all(|(region, key)| self.logs_in_at(&region, &key))
    }

    fn logs_in_at(&mut self, region: &str, data_key: &str) -> bool {
        let (username, password) = (self.value("username"), self.value(data_key));
        let (name, region) = (self.user_name(), RegionName::parse(region).unwrap());
        let Some(id) = KeyId::parse(&username) else { return false };
        let Ok(key) = self.account.key(&name, &id) else { return false };
        let secret = crate::password::SecretAccessKey::new(&key.secret).unwrap();
        key.listed.status == KeyStatus::Active
            && crate::password::derive(&secret, &region).expose() == password
    }

    /// How SES answers a login in a Region with `id` and this password.
    pub fn login(&mut self, id: &KeyId, region: &RegionName, password: &str) -> Login {
        if let Some(answer) = self.ses_in.get(region.as_str()).copied().or(self.ses) {
            return answer;
        }
        let name = self.user_name();
        let (now, lag) = (self.now, self.ses_lag);
        let Ok(key) = self.account.key(&name, id) else { return Login::Refused };
        let secret = crate::password::SecretAccessKey::new(&key.secret).unwrap();
        let right = crate::password::derive(&secret, region).expose() == password;
        let known = now >= crate::time::after(key.listed.created, lag);
        if right && known && key.listed.status == KeyStatus::Active {
            Login::Accepted
        } else {
            Login::Refused
        }
    }

    /// True if the account's user is this object's.
    pub fn owns_user(&mut self) -> bool {
        let wanted = &self.identity.user;
        self.account.users.get(&wanted.name).is_some_and(|user| {
            let same = |key: &str| user.facts.tags.get(key) == wanted.tags.get(key);
            user.facts.path == wanted.path && same(tag::UID) && same(tag::CLUSTER) && same(tag::INSTALL)
        })
    }

    /// Lets what is on its way arrive.
    pub fn land(&mut self) {
        for late in std::mem::take(&mut self.late) {
            match late {
                Late::Secret { at, write, nonce } if at <= self.now => {
                    if write.metadata.resource_version.is_some() {
                        self.judge_write(&Step::ReadSecret, &nonce);
                        self.replace_secret(*write);
                    } else {
                        self.create_secret(*write);
                    }
                }
                Late::Mint { at } if at <= self.now => {
                    let (name, now) = (self.user_name(), self.now);
                    let _ = self.account.mint(&name, now);
                }
                other => self.late.push(other),
            }
        }
        self.look();
    }

    // ---- passes ----

    /// One whole pass. Pauses let the time pass.
    pub fn pass(&mut self, operator: &mut Operator) -> Outcome {
        self.passes += 1;
        let mut running = operator.begin(self);
        loop {
            match running.advance(self) {
                super::process::Progress::Went => {}
                super::process::Progress::Paused(until) => self.wait_until(until),
                super::process::Progress::Ended(end) => {
                    let outcome = running.outcome(Some(end));
                    operator.memo = running.world.memo;
                    return outcome;
                }
                super::process::Progress::Crashed => {
                    *operator = Operator::default();
                    return running.outcome(None);
                }
            }
        }
    }

    /// Passes of one process, as the queue would start them, until nothing is left to do or
    /// `most` passes have run. The last outcome.
    pub fn settle(&mut self, operator: &mut Operator, most: usize) -> Outcome {
        use crate::step::End;
        let mut last = self.pass(operator);
        for _ in 1..most {
            let next = match &last.end {
                Some(End::Done { wake_at: None }) => return last,
                Some(End::Done { wake_at: Some(at) } | End::Wait { until: Some(at), .. }) => *at,
                Some(End::Wait { until: None, .. }) => self.now + SignedDuration::from_secs(30),
                Some(End::Blocked { .. }) => self.now + SignedDuration::from_secs(600),
                None => self.now + SignedDuration::from_secs(5),
            };
            self.wait_until(next.max(self.now + SignedDuration::from_secs(1)));
            last = self.pass(operator);
        }
        last
    }
}

/// The n of `key(n)`; 0 for a key of somebody else's.
pub fn number(id: &KeyId) -> u32 {
    id.as_str().strip_prefix("AKIAEXAMPLE").map_or(0, |digits| digits.parse().unwrap())
}
