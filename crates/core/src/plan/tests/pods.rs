//! Pods that use the Secret: one mounts it as a volume, others took it as environment variables.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::sim::Sim;
use crate::iam::KeyStatus;
use crate::key::KeyId;
use crate::login::Login;
use crate::region::RegionName;
use crate::test::dice::Dice;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
/// A publish may land so much after the time that it records.
const LATE: SignedDuration = SignedDuration::from_mins(2);
/// Logins are frequent for so long after a change.
const LIVELY: SignedDuration = SignedDuration::from_mins(15);

#[derive(Clone, PartialEq, Eq)]
struct Credential {
    id: KeyId,
    password: String,
}

/// A pod that read the Secret once.
struct Env {
    credential: Credential,
    superseded: Option<Timestamp>,
    /// When it is started again, if anybody cares for it.
    restart: Option<Timestamp>,
}

pub struct Pods {
    /// What the Secret held at the last look.
    newest: Credential,
    /// What the volume shows.
    shown: Credential,
    /// When the volume is refreshed.
    refresh: Option<Timestamp>,
    env: Vec<Env>,
    /// The last change of the Secret or of the keys' states, and these.
    changed: Timestamp,
    states: Vec<KeyStatus>,
    pub rotations: u32,
    pub logins: usize,
    /// Environments that stopped to work, after their overlap.
    pub outlived: usize,
}

fn held(sim: &Sim) -> Credential {
    Credential { id: sim.named().unwrap(), password: sim.value("password") }
}

impl Env {
    fn start(credential: Credential) -> Self {
        Self { credential, superseded: None, restart: None }
    }
}

impl Pods {
    pub fn start(sim: &Sim) -> Self {
        let newest = held(sim);
        Self {
            shown: newest.clone(),
            env: vec![Env::start(newest.clone())],
            newest,
            refresh: None,
            changed: sim.now,
            states: Vec::new(),
            rotations: 0,
            logins: 0,
            outlived: 0,
        }
    }

    /// When pods log in again: soon after a change, every few hours otherwise.
    pub fn next_look(&self, sim: &Sim, dice: &mut Dice) -> Timestamp {
        let lively = sim.now < self.changed + LIVELY;
        let pause = if lively { dice.between(1, 3 * MINUTE) } else { dice.between(2 * HOUR, 4 * HOUR) };
        let next = sim.now + SignedDuration::from_secs(pause);
        self.refresh.map_or(next, |refresh| next.min(refresh)).max(sim.now + SignedDuration::from_secs(1))
    }

    /// Lets the kubelet do its work, and every pod log in.
    pub fn look(&mut self, sim: &mut Sim, dice: &mut Dice) {
        self.notice(sim, dice);
        if self.refresh.is_some_and(|at| at <= sim.now) {
            self.refresh = None;
            self.shown = held(sim);
        }
        let shown = self.shown.clone();
        assert!(self.login(sim, &shown), "a volume reader failed with {} at {}", shown.id, sim.now);
        self.login_env(sim);
    }

    fn notice(&mut self, sim: &mut Sim, dice: &mut Dice) {
        let name = sim.user_name();
        let keys = &sim.account.user(&name).unwrap().keys;
        let states: Vec<KeyStatus> = keys.iter().map(|key| key.listed.status).collect();
        if states != self.states {
            (self.states, self.changed) = (states, sim.now);
        }
        let held = held(sim);
        if held != self.newest {
            self.newest = held;
            self.rotated(sim.now, dice);
        }
    }

    fn rotated(&mut self, now: Timestamp, dice: &mut Dice) {
        self.rotations += 1;
        self.changed = now;
        self.refresh = Some(now + SignedDuration::from_secs(dice.between(60, 90)));
        for pod in self.env.iter_mut().filter(|pod| pod.superseded.is_none()) {
            pod.superseded = Some(now);
            let cared_for = !dice.roll().is_multiple_of(4);
            pod.restart = cared_for.then(|| now + SignedDuration::from_secs(dice.between(HOUR, 23 * HOUR)));
        }
        self.env.push(Env::start(self.newest.clone()));
    }

    fn login_env(&mut self, sim: &mut Sim) {
        self.env.retain(|pod| pod.restart.is_none_or(|at| sim.now < at));
        let overlap = sim.settings.durations.overlap;
        for pod in std::mem::take(&mut self.env) {
            if self.login(sim, &pod.credential) {
                self.env.push(pod);
                continue;
            }
            let ended = pod.superseded.is_some_and(|since| sim.now + LATE >= since + overlap);
            assert!(ended, "an environment failed with {} at {}", pod.credential.id, sim.now);
            self.outlived += 1;
        }
    }

    fn login(&mut self, sim: &mut Sim, credential: &Credential) -> bool {
        self.logins += 1;
        let region = RegionName::parse(&sim.object.spec.region).unwrap();
        let accepted = sim.login(&credential.id, &region, &credential.password) == Login::Accepted;
        let (name, now) = (sim.user_name(), sim.now);
        if let (true, Ok(key)) = (accepted, sim.account.key(&name, &credential.id)) {
            key.used = Some(now);
        }
        accepted
    }
}
