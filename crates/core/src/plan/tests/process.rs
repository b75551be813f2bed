//! One operator process: passes over the object, step by step, with the hands that a real pass has.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::sim::{Fault, Late, Sim, number};
use crate::desired::{Desired, Goal};
use crate::iam::{Failure, KeyStatus};
use crate::key::KeyId;
use crate::layout;
use crate::login::Login;
use crate::names::tag;
use crate::password::{Passwords, SecretAccessKey};
use crate::plan::{MAX_STEPS, next};
use crate::record::Record;
use crate::region::RegionName;
use crate::secret::{create, filled, record_patch, release, rendered, replace};
use crate::source::examine;
use crate::step::{Effect, End, Probe, Refusal, SecretWrite, Step};
use crate::world::{Memo, UserView, World};

/// What a process keeps between passes.
#[derive(Clone, Default)]
pub struct Operator {
    pub memo: Memo,
}

/// A pass under way.
pub struct Running {
    pub world: World,
    goal: Goal,
    live: Option<Secret>,
    minted: Option<(KeyId, Passwords)>,
    steps: Vec<Step>,
    ended: usize,
}

/// What became of asking for one step.
pub enum Progress {
    Went,
    Paused(Timestamp),
    Ended(End),
    Crashed,
}

/// A pass that is over.
#[derive(Clone)]
pub struct Outcome {
    pub steps: Vec<Step>,
    /// `None` if the process crashed.
    pub end: Option<End>,
}

impl Operator {
    pub fn begin(&mut self, sim: &mut Sim) -> Running {
        let nonce = format!("nonce-{}-{}", sim.passes, sim.calls);
        Running {
            world: World::new(sim.facts.clone(), sim.cached(), self.memo.clone(), nonce, sim.now)
                .watching(sim.watched_source()),
            goal: sim.goal(),
            live: None,
            minted: None,
            steps: Vec::new(),
            ended: 0,
        }
    }
}

impl Running {
    pub fn outcome(&self, end: Option<End>) -> Outcome {
        Outcome { steps: self.steps.clone(), end }
    }

    /// Asks for the next step and carries it out.
    pub fn advance(&mut self, sim: &mut Sim) -> Progress {
        let step = next(&self.goal, &self.world, sim.now);
        if let Step::End(end) = step {
            self.check_end(sim);
            return Progress::Ended(end);
        }
        self.ended += usize::from(!matches!(step, Step::Pause { .. } | Step::ProbeLogin(_)));
        assert!(self.ended <= MAX_STEPS, "L3: {}", self.outcome(None));
        self.steps.push(step.clone());
        match step {
            Step::Pause { until, .. } => {
                assert!(until > sim.now, "a pause that is over: {}", self.outcome(None));
                Progress::Paused(until)
            }
            Step::Forget | Step::Reject { .. } => self.fold(sim, &step, Effect::Done),
            _ => self.call(sim, &step),
        }
    }

    /// R3: a pass ends with its key published, deleted, or of unclear fate.
    fn check_end(&self, sim: &mut Sim) {
        let Some(minted) = &self.world.attempt.minted else { return };
        let tried = self.steps.contains(&Step::DeleteKey(minted.id.clone()));
        let unclear = self.world.attempt.publish != crate::world::Publish::NotSent;
        let told = minted.discarded || tried || unclear;
        assert!(told, "R3: {} left behind: {}", minted.id, self.outcome(None));
        sim.look();
    }

    fn fold(&mut self, sim: &Sim, step: &Step, effect: Effect) -> Progress {
        self.world = self.world.clone().after(step, effect, sim.now);
        Progress::Went
    }

    fn call(&mut self, sim: &mut Sim, step: &Step) -> Progress {
        sim.pass_time(1);
        let index = sim.calls;
        sim.calls += 1;
        if let Some(edit) = sim.edits.remove(&index) {
            edit(sim);
        }
        let broken = sim.broken.clone().filter(|(name, _)| *name == word(step));
        let fault = sim.faults.remove(&index).or(broken.map(|(_, effect)| Fault::Says(effect)));
        let effect = match fault {
            None => self.act(sim, step),
            Some(Fault::CrashBefore) => return Progress::Crashed,
            Some(Fault::CrashAfter) => {
                self.act(sim, step);
                sim.look();
                return Progress::Crashed;
            }
            Some(Fault::RequestLost) => unclear(step),
            Some(Fault::ReplyLost) => {
                self.act(sim, step);
                self.minted = None;
                unclear(step)
            }
            Some(Fault::Late(seconds)) => self.late(sim, step, seconds),
            Some(Fault::Says(effect)) => effect,
        };
        sim.look();
        self.fold(sim, step, effect)
    }

    /// No reply within a minute; what was asked for is done some time after that.
    fn late(&mut self, sim: &mut Sim, step: &Step, seconds: i64) -> Effect {
        let at = sim.now + SignedDuration::from_secs(seconds);
        match step {
            Step::MintKey => sim.late.push(Late::Mint { at }),
            Step::WriteSecret(write) => {
                if let Some(secret) = self.built(write) {
                    let nonce = self.world.attempt.nonce.clone();
                    sim.late.push(Late::Secret { at, write: Box::new(secret), nonce });
                }
            }
            _ => {
                self.act(sim, step);
            }
        }
        unclear(step)
    }

    fn act(&mut self, sim: &mut Sim, step: &Step) -> Effect {
        match step {
            Step::ReadSecret => self.read(sim),
            Step::ReadSource => self.read_source(sim),
            Step::AddFinalizer { account } => {
                sim.facts.finalizer = true;
                sim.facts.account = Some(account.clone());
                Effect::Done
            }
            Step::RemoveFinalizer => {
                sim.facts.finalizer = false;
                Effect::Done
            }
            Step::WriteSecret(write) => self.write(sim, write),
            Step::MintKey => self.mint(sim),
            Step::ProbeLogin(probe) => Effect::Login(self.login(sim, probe)),
            _ => self.iam(sim, step).unwrap_or_else(Effect::Iam),
        }
    }

    fn read(&mut self, sim: &mut Sim) -> Effect {
        self.live = sim.secret.clone();
        sim.seen().map_or(Effect::NoSecret, |facts| Effect::Secret(Box::new(facts)))
    }

    fn read_source(&mut self, sim: &Sim) -> Effect {
        let Goal::Derive(derived) = &self.goal else { panic!("no source: {:?}", self.goal) };
        let read = examine(sim.source.clone(), derived);
        Effect::Source(read.map(|(facts, passwords)| {
            self.minted = Some((facts.id.clone(), passwords));
            Box::new(facts)
        }))
    }

    fn mint(&mut self, sim: &mut Sim) -> Effect {
        let (name, now) = (sim.user_name(), sim.now);
        sim.judge_mint(matches!(self.world.user, UserView::Fresh { .. }));
        match sim.account.mint(&name, now) {
            Err(failure) => Effect::Iam(failure),
            Ok(id) => {
                let secret = SecretAccessKey::new(&sim.account.key(&name, &id).unwrap().secret).unwrap();
                self.minted =
                    Some((id.clone(), Passwords::derive(&secret, self.desired().endpoints.regions())));
                Effect::Minted(id)
            }
        }
    }

    fn login(&self, sim: &mut Sim, probe: &Probe) -> Login {
        let region = &probe.endpoint.region;
        let own = self.minted.as_ref().filter(|(id, _)| *id == probe.key);
        let own = own.map(|(_, passwords)| passwords.get(region.as_str()).unwrap().expose().to_owned());
        let password = own.unwrap_or_else(|| self.recovered(region).unwrap());
        sim.login(&probe.key, region, &password)
    }

    fn recovered(&self, region: &RegionName) -> Option<String> {
        let record = &self.world.secret()?.record;
        let digest = record.password_digests.get(region.as_str())?;
        Some(layout::recover(self.live.as_ref()?.data.as_ref()?, digest)?.expose().to_string())
    }

    fn desired(&self) -> &Desired {
        self.goal.desired().unwrap_or_else(|| panic!("not to be served: {:?}", self.goal))
    }

    fn iam(&mut self, sim: &mut Sim, step: &Step) -> Result<Effect, Failure> {
        let (spec, name, now) = (self.goal.identity().user.clone(), sim.user_name(), sim.now);
        let teardown = matches!(self.goal, Goal::Teardown(_));
        let own = self.world.attempt.minted.as_ref().map(|minted| minted.id.clone());
        sim.judge_iam(step, teardown, own.as_ref());
        let account = &mut sim.account;
        match step {
            Step::ReadUser => return account.user(&name).map(|user| Effect::User(user.facts.clone())),
            Step::FindUser => {
                let there = account.users.get(&name).is_some_and(|user| user.facts.path == spec.path);
                return Ok(Effect::Listed(there));
            }
            Step::ListKeys => return account.list(&name, now).map(Effect::Keys),
            Step::ReadLastUsed(id) => return account.key(&name, id).map(|key| Effect::LastUsed(key.used)),
            Step::CreateUser => account.create_user(&spec)?,
            Step::PutBoundary => account.user(&name)?.facts.boundary = spec.boundary,
            Step::TagUser => account.user(&name)?.facts.tags.extend(spec.tags),
            Step::TagReleased => {
                account.user(&name)?.facts.tags.insert(tag::RELEASED.into(), now.to_string());
            }
            Step::PutPolicy => account.user(&name)?.policy = Some(self.desired().policy.document.clone()),
            Step::DeactivateKey(id) => account.key(&name, id)?.listed.status = KeyStatus::Inactive,
            Step::DeleteKey(id) => account.delete_key(&name, id)?,
            Step::DetachPolicy(policy) => account.detach(&name, policy)?,
            Step::DeletePolicy => account.delete_policy(&name)?,
            Step::DeleteUser => account.delete_user(&name)?,
            other => panic!("not a call to IAM: {other:?}"),
        }
        Ok(Effect::Done)
    }

    /// The object that a write sends. A patch is shown as the whole object that comes of it.
    fn built(&self, write: &SecretWrite) -> Option<Secret> {
        let live = self.live.as_ref();
        match write {
            SecretWrite::Placeholder(record) => Some(create(self.desired(), record, BTreeMap::new())),
            SecretWrite::Create(record) => {
                let (record, data) = self.filled(record)?;
                Some(create(self.desired(), &record, data))
            }
            SecretWrite::Derive(record) => {
                let (record, data) = self.filled(record)?;
                Some(match live {
                    Some(live) => replace(live, self.desired(), &record, Some(data)),
                    None => create(self.desired(), &record, data),
                })
            }
            SecretWrite::Publish(record) => {
                let (record, data) = self.filled(record)?;
                Some(replace(live?, self.desired(), &record, Some(data)))
            }
            SecretWrite::Repair { record, render } => {
                if !render {
                    return Some(replace(live?, self.desired(), record, None));
                }
                let (record, data) = self.rendered(record)?;
                Some(replace(live?, self.desired(), &record, Some(data)))
            }
            SecretWrite::Release => live.map(release),
            SecretWrite::Fence(_) | SecretWrite::Annotate(_) => None,
        }
    }

    fn filled(&self, record: &Record) -> Option<(Record, BTreeMap<String, ByteString>)> {
        let (id, passwords) = self.minted.as_ref()?;
        filled(&self.desired().rendering(id), record, passwords)
    }

    fn rendered(&self, record: &Record) -> Option<(Record, BTreeMap<String, ByteString>)> {
        rendered(self.desired(), record, self.live.as_ref()?)
    }

    fn write(&mut self, sim: &mut Sim, write: &SecretWrite) -> Effect {
        let (step, nonce) = (Step::WriteSecret(write.clone()), self.world.attempt.nonce.clone());
        if let SecretWrite::Fence(record) | SecretWrite::Annotate(record) = write {
            // The version of the facts that the step was planned on, never a newer one (R2).
            let version = self.world.secret().unwrap().resource_version.clone();
            sim.judge_write(&step, &nonce);
            let effect = sim.patch_secret(&record_patch(record, &version));
            if let (Effect::Secret(_), Some(live)) = (&effect, &mut self.live) {
                live.metadata = sim.secret.as_ref().unwrap().metadata.clone();
            }
            return effect;
        }
        let Some(secret) = self.built(write) else { return Effect::Cluster(Refusal::Conflict) };
        let current = sim.secret.as_ref().map(|stored| stored.metadata.resource_version.clone());
        let lands = current.is_none_or(|current| current == secret.metadata.resource_version);
        if lands {
            sim.judge_write(&step, &nonce);
        }
        let created = secret.metadata.resource_version.is_none();
        if matches!(write, SecretWrite::Create(_)) {
            assert!(
                matches!(self.world.user, UserView::Fresh { .. }),
                "S6: a whole Secret for a user that was found"
            );
        }
        let effect = if created { sim.create_secret(secret) } else { sim.replace_secret(secret) };
        if let Effect::Secret(_) = &effect {
            self.live = sim.secret.clone();
        }
        effect
    }
}

fn unclear(step: &Step) -> Effect {
    match step {
        Step::ReadSecret
        | Step::ReadSource
        | Step::WriteSecret(_)
        | Step::AddFinalizer { .. }
        | Step::RemoveFinalizer => Effect::Cluster(Refusal::Unclear),
        _ => Effect::Iam(Failure::Unclear),
    }
}

impl Outcome {
    /// The steps and the end as words.
    pub fn words(&self) -> String {
        let end = self.end.as_ref().map_or("Crash".to_owned(), |end| word(&Step::End(end.clone())));
        let mut words: Vec<String> = self.steps.iter().map(word).collect();
        words.push(end);
        words.join(" ")
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.words(), self.end)
    }
}

/// A step as one word.
pub fn word(step: &Step) -> String {
    match step {
        Step::DeleteKey(id) => format!("DeleteKey:{}", number(id)),
        Step::DeactivateKey(id) => format!("DeactivateKey:{}", number(id)),
        Step::ReadLastUsed(id) => format!("ReadLastUsed:{}", number(id)),
        Step::AddFinalizer { .. } => "AddFinalizer".into(),
        Step::Pause { .. } => "Pause".into(),
        Step::ProbeLogin(probe) => format!("Login:{}", number(&probe.key)),
        Step::Reject { key, .. } => format!("Reject:{}", number(key)),
        Step::DetachPolicy(_) => "DetachPolicy".into(),
        Step::WriteSecret(SecretWrite::Repair { render: true, .. }) => "Render".into(),
        Step::WriteSecret(write) => format!("{write:?}").split(['(', ' ']).next().unwrap().to_owned(),
        Step::End(End::Done { .. }) => "Done".into(),
        Step::End(End::Wait { reason, .. }) => format!("Wait:{}", reason.as_str()),
        Step::End(End::Blocked { reason, .. }) => format!("Blocked:{}", reason.as_str()),
        other => format!("{other:?}"),
    }
}
