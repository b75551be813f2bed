//! The effects of calls: an IAM account and one Secret, and the hands of a pass that make the calls.

use std::collections::{BTreeMap, BTreeSet};

use super::intern::{Id, unused};
use super::state::{Key, Kind, Named, Pass, Seconds, User, Write, small};
use super::tables::{Reply, TEARDOWN};
use super::turn::Turn;
use crate::desired::Desired;
use crate::iam::KEYS_PER_USER;
use crate::plan::mutant::{Mutant, is};
use crate::record::Record;
use crate::secret::{Content, Controller, SecretFacts};
use crate::step::{SecretWrite, Step};
use crate::test;

impl Turn<'_> {
    pub fn act(&mut self, who: usize, step: &Step) -> Reply {
        match step {
            Step::ReadSecret => self.state.secret.map_or(Reply::NoSecret, Reply::Secret),
            // The API server takes no new finalizer for an object that is being deleted.
            Step::AddFinalizer { .. } if self.state.ghost.teardown => Reply::SecretGone,
            Step::AddFinalizer { .. } => {
                self.state.finalizer = true;
                Reply::Done
            }
            Step::RemoveFinalizer => {
                self.judge_release();
                self.state.finalizer = false;
                // The collector takes the Secret.
                self.remember_secret();
                self.state.secret = None;
                Reply::Done
            }
            Step::WriteSecret(write) => {
                let write = self.built(who, write);
                self.write(&write)
            }
            Step::CreateUser => self.create_user(),
            _ => self.iam(who, step),
        }
    }

    fn create_user(&mut self) -> Reply {
        if self.state.account.user.is_some() {
            return Reply::Exists;
        }
        self.state.account.user = Some(User::default());
        self.state.account.before = None;
        Reply::Done
    }

    fn iam(&mut self, who: usize, step: &Step) -> Reply {
        self.judge_user(who, step);
        let Some(user) = &mut self.state.account.user else { return Reply::Absent };
        match step {
            Step::ReadUser => Reply::User { foreign: user.foreign },
            Step::ListKeys => Reply::Keys(user.keys.clone()),
            Step::ReadLastUsed(id) => self.last_used(small(id)),
            Step::PutPolicy => {
                user.policy = true;
                Reply::Done
            }
            Step::DeletePolicy if !user.policy => Reply::Absent,
            Step::DeletePolicy => {
                user.policy = false;
                Reply::Done
            }
            Step::MintKey => self.mint(),
            Step::DeactivateKey(id) => self.deactivate(who, small(id)),
            Step::DeleteKey(id) => {
                self.judge_deletion(who, small(id));
                self.delete_key(small(id))
            }
            Step::DeleteUser => self.delete_user(),
            Step::PutBoundary | Step::TagUser | Step::TagReleased => Reply::Done,
            other => panic!("not a call: {other:?}"),
        }
    }

    /// Pods log in with every key that a Secret named, some minutes after it was made.
    fn last_used(&mut self, number: u8) -> Reply {
        let Some(created) = self.state.account.key(number).map(|key| key.created) else {
            return Reply::Absent;
        };
        let named = self.state.ghost.key(number).named != Named::Never;
        Reply::LastUsed((named && self.state.now > created + 300).then_some(created))
    }

    /// Remembers the keys as they are, for a list that lags.
    pub fn change_keys(&mut self, change: impl FnOnce(&mut Vec<Key>)) {
        let (now, remember) = (self.state.now, self.state.left(Kind::StaleList) > 0);
        let Some(user) = &mut self.state.account.user else { return };
        self.state.account.before = remember.then(|| (user.keys.clone(), now));
        change(&mut user.keys);
    }

    pub fn mint(&mut self) -> Reply {
        let Some(user) = &self.state.account.user else { return Reply::Absent };
        if self.model.quota && user.keys.len() >= KEYS_PER_USER {
            return Reply::Limit;
        }
        self.judge_mint();
        self.state.account.made += 1;
        let (number, created) = (self.state.account.made, self.state.now);
        self.change_keys(|keys| keys.push(Key { number, active: true, created }));
        self.state.ghost.key(number).created = created;
        Reply::Minted(number)
    }

    fn deactivate(&mut self, who: usize, number: u8) -> Reply {
        if self.state.account.key(number).is_none() {
            return Reply::Absent;
        }
        self.judge_deactivation(who, number);
        self.change_keys(|keys| {
            keys.iter_mut().filter(|key| key.number == number).for_each(|key| key.active = false);
        });
        Reply::Done
    }

    pub fn delete_key(&mut self, number: u8) -> Reply {
        if self.state.account.key(number).is_none() {
            return Reply::Absent;
        }
        self.state.ghost.key(number).ended = true;
        self.change_keys(|keys| keys.retain(|key| key.number != number));
        Reply::Done
    }

    fn delete_user(&mut self) -> Reply {
        let Some(user) = &self.state.account.user else { return Reply::Absent };
        if !user.keys.is_empty() {
            return Reply::BlockedByKeys;
        }
        if user.policy {
            return Reply::BlockedByPolicy;
        }
        self.state.account.user = None;
        self.state.account.before = None;
        Reply::Done
    }

    // ---- the Secret ----

    /// What a pass sends for a write that it is to make now.
    pub fn built(&mut self, who: usize, write: &SecretWrite) -> Write {
        let pass = self.pass(who);
        let key = (pass.world, pass.goal, self.state.now);
        if let Some(built) = self.model.tables.built.get(&key) {
            return built.clone();
        }
        let built = self.build(pass, write);
        self.model.tables.built.insert(key, built.clone());
        built
    }

    /// The object comes of the Secret as the pass saw it.
    fn build(&mut self, pass: Pass, write: &SecretWrite) -> Write {
        let world = self.model.tables.worlds.get(pass.world);
        let attempt = &world.attempt;
        let goal = if pass.goal == TEARDOWN { 0 } else { pass.goal };
        let minted = attempt.minted.as_ref().map(|minted| small(&minted.id));
        let object = object(self.model.tables.desired(goal), write, world.secret(), minted);
        let nonce = attempt.nonce.trim_start_matches("nonce#").parse().unwrap();
        let at_fence = attempt.fence.as_ref().and_then(|fence| fence.published.as_ref()).map(small);
        let publishes = matches!(write, SecretWrite::Publish(_) | SecretWrite::Create(_));
        Write {
            object: self.model.tables.secrets.put(object),
            create: matches!(write, SecretWrite::Placeholder(_) | SecretWrite::Create(_)),
            patch: matches!(write, SecretWrite::Fence(_) | SecretWrite::Annotate(_)),
            publish: publishes.then_some((nonce, at_fence)),
        }
    }

    /// A conditional write (R2).
    pub fn write(&mut self, write: &Write) -> Reply {
        let version = |id: Id| self.model.tables.secrets.get(id).resource_version.as_str();
        let current = self.state.secret.map(version);
        let matches = current == Some(version(write.object)) || is(Mutant::UnconditionalWrite);
        match (write.create, current) {
            (true, Some(_)) => return Reply::SecretExists,
            (false, None) => return Reply::SecretGone,
            (false, Some(_)) if !matches => return Reply::Conflict,
            _ => {}
        }
        self.judge_write(write);
        let id = self.store(write.object, write.create.then_some(self.state.now));
        if write.patch { Reply::Metadata(id) } else { Reply::Secret(id) }
    }

    /// Puts an object in the Secret's place, under a version that nobody knows.
    pub fn store(&mut self, object: Id, created: Option<Seconds>) -> Id {
        let used = self.state.refs(&self.model.tables).versions;
        self.remember_secret();
        let id = self.model.tables.store(object, unused(used), created);
        self.state.secret = Some(id);
        id
    }

    /// Remembers the Secret as it is, for a cache that lags.
    pub fn remember_secret(&mut self) {
        if self.state.left(Kind::StaleCache) > 0 {
            self.state.older = Some(self.state.secret);
        }
    }
}

/// The whole object that comes of a write.
fn object(
    desired: &Desired,
    write: &SecretWrite,
    seen: Option<&SecretFacts>,
    minted: Option<u8>,
) -> SecretFacts {
    let with = |record: &Record| match seen {
        Some(facts) => SecretFacts { record: record.clone(), ..owned(desired, facts.clone()) },
        None => fresh(desired, record),
    };
    match write {
        SecretWrite::Placeholder(record) => fresh(desired, record),
        SecretWrite::Create(record) => published(desired, fresh(desired, record), minted.unwrap()),
        SecretWrite::Publish(record) => published(desired, with(record), minted.unwrap()),
        SecretWrite::Fence(record) | SecretWrite::Annotate(record) => match seen {
            Some(facts) => SecretFacts { record: record.clone(), ..facts.clone() },
            None => panic!("a patch of nothing"),
        },
        SecretWrite::Repair { record, render: false } => with(record),
        SecretWrite::Repair { record, render: true } => rendered(desired, with(record)),
        SecretWrite::Release | SecretWrite::Derive(_) => panic!("not modelled"),
    }
}

fn fresh(desired: &Desired, record: &Record) -> SecretFacts {
    let facts = SecretFacts {
        resource_version: String::new(),
        created: None,
        deleting: false,
        controller: Controller::Nobody,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        record: record.clone(),
        touched: false,
        content: Some(Content {
            digests: BTreeMap::new(),
            held: BTreeSet::new(),
            names: None,
            immutable: false,
        }),
    };
    owned(desired, facts)
}

fn owned(desired: &Desired, mut facts: SecretFacts) -> SecretFacts {
    let owner = &desired.identity.owner;
    facts.controller = Controller::Credential { name: owner.name.clone(), uid: owner.uid.clone() };
    facts.labels.extend(desired.all_labels());
    facts
}

/// The digest of the password of a key for the wanted Region.
pub fn password(desired: &Desired, key: u8) -> String {
    format!("password-{key}-{}", desired.endpoints.primary.region)
}

/// Record and data of a freshly minted key, as the pass fills them in.
fn published(desired: &Desired, facts: SecretFacts, key: u8) -> SecretFacts {
    let region = desired.endpoints.primary.region.to_string();
    let digests = BTreeMap::from([(region, password(desired, key))]);
    let rendering = desired.rendering(&test::key(u32::from(key)));
    let record = Record {
        data_hash: rendering.hash(&digests),
        rendered_keys: Some(rendering.keys()),
        password_digests: digests.clone(),
        ..facts.record
    };
    let names = Some(test::key(u32::from(key)));
    let held = digests.values().cloned().collect();
    let digests = rendering.digests(&digests).unwrap();
    let content = Some(Content { digests, held, names, immutable: false });
    SecretFacts { record, content, touched: false, ..facts }
}

/// The data of the recorded key once more, with the password that its digest confirms.
fn rendered(desired: &Desired, facts: SecretFacts) -> SecretFacts {
    let key = facts.record.key.clone().unwrap();
    let digests = desired.rendering(&key).digests(&facts.record.password_digests).unwrap();
    let held = facts.record.password_digests.values().cloned().collect();
    let content = Some(Content { digests, held, names: Some(key), immutable: false });
    SecretFacts { content, touched: false, ..facts }
}
