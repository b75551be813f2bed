//! A year of rotations with faults now and then, and with pods that log in all the while.
//!
//! `YEAR=full` runs as many objects as a large installation has; without it a few of them run.
#![allow(clippy::print_stdout, reason = "figures for people")]

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::pods::Pods;
use super::process::{Operator, Progress, Running};
use super::sim::{Fault, Sim};
use super::whole;
use crate::api::RotationSpec;
use crate::desired::VerifyLogin;
use crate::iam::Failure;
use crate::login::{Login, Trouble};
use crate::plan::next;
use crate::step::{Effect, End, Refusal, Step};
use crate::test::dice::Dice;

const HOUR: i64 = 3600;
const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);
/// The credential report's period.
const SWEEP: i64 = 4 * HOUR;

/// One object, its operator and its pods.
struct Life {
    sim: Sim,
    operator: Operator,
    pods: Pods,
    dice: Dice,
    failures: u32,
    /// One call in so many fails.
    odds: Option<u64>,
    figures: Figures,
    swept: Timestamp,
}

#[derive(Default)]
struct Figures {
    calls: usize,
    faults: usize,
    crashes: usize,
    rotations: u32,
    in_vain: u32,
    swept: usize,
    logins: usize,
    outlived: usize,
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.faults += other.faults;
        self.crashes += other.crashes;
        self.rotations += other.rotations;
        self.in_vain += other.in_vain;
        self.swept += other.swept;
        self.logins += other.logins;
        self.outlived += other.outlived;
    }

    fn print(&self, objects: u64) {
        let Self { calls, faults, crashes, rotations, in_vain, swept, logins, outlived } = self;
        println!(
            "a year of {objects} objects: {rotations} rotations in {calls} calls, {faults} faults, \
             {crashes} of them crashes; {in_vain} keys made in vain, {swept} found by the sweep; \
             {logins} logins, none failed but {outlived} by pods that outlived their key's overlap"
        );
    }
}

impl Life {
    /// The n-th object, an hour after its Secret came to be.
    fn begin(n: u64, odds: u64) -> Self {
        let mut dice = Dice::new(n);
        let (mut sim, mut operator) =
            (Sim::of(&format!("{:08x}-22bb-4c3d-8e4f-5a6b7c8d9e0f", dice.roll())), Operator::default());
        let interval = Some("720h".into());
        sim.object.spec.rotation = Some(RotationSpec { interval, overlap: None, trigger: None });
        sim.settings.verify_login = if n.is_multiple_of(2) { VerifyLogin::Auto } else { VerifyLogin::Off };
        sim.ses_lag = SignedDuration::from_secs(dice.between(0, 50));
        sim.pass(&mut operator);
        sim.pass_time(HOUR);
        let (pods, swept) = (Pods::start(&sim), sim.now);
        let figures = Figures::default();
        Self { sim, operator, pods, dice, failures: 0, odds: Some(odds), figures, swept }
    }

    fn until(&mut self, end: Timestamp) {
        while self.sim.now < end {
            let due = self.pass();
            self.idle(due.min(end), true);
        }
    }

    /// One pass with the pods going on beside it; when the next one is due.
    fn pass(&mut self) -> Timestamp {
        self.sim.passes += 1;
        let mut running = self.operator.begin(&mut self.sim);
        loop {
            self.maybe_break(&running);
            match running.advance(&mut self.sim) {
                Progress::Went => self.pods.look(&mut self.sim, &mut self.dice),
                Progress::Paused(until) => self.idle(until, false),
                Progress::Ended(end) => {
                    self.operator.memo = running.world.memo.clone();
                    return self.due(&end);
                }
                Progress::Crashed => return self.restart(),
            }
        }
    }

    fn restart(&mut self) -> Timestamp {
        self.figures.crashes += 1;
        (self.operator, self.failures) = (Operator::default(), 0);
        self.in_seconds(5)
    }

    fn in_seconds(&self, seconds: i64) -> Timestamp {
        self.sim.now + SignedDuration::from_secs(seconds)
    }

    fn due(&mut self, end: &End) -> Timestamp {
        let done = matches!(end, End::Done { .. });
        self.failures = if done { 0 } else { self.failures + 1 };
        let backoff = (5 << self.failures.min(7)).min(600);
        let due = match end {
            End::Done { wake_at: Some(at) } | End::Wait { until: Some(at), .. } => *at,
            End::Done { wake_at: None } => self.in_seconds(24 * HOUR),
            End::Wait { until: None, .. } | End::Blocked { .. } => self.in_seconds(backoff),
        };
        due.max(self.in_seconds(1))
    }

    /// Lets the time pass in small steps around changes and in large ones elsewhere. `watching`:
    /// a change of the Secret by a late write, or the sweep, ends it.
    fn idle(&mut self, until: Timestamp, watching: bool) {
        let version = self.sim.version;
        while self.sim.now < until {
            let step = self.pods.next_look(&self.sim, &mut self.dice);
            self.sim.wait_until(until.min(step));
            self.pods.look(&mut self.sim, &mut self.dice);
            if watching && (self.sim.version != version || self.sweep()) {
                return;
            }
        }
    }

    /// True if the credential report shows a key that nothing explains.
    fn sweep(&mut self) -> bool {
        if self.sim.now.duration_since(self.swept).as_secs() < SWEEP {
            return false;
        }
        self.swept = self.sim.now;
        let record = self.sim.seen().unwrap().record;
        let known = 1 + usize::from(record.previous_key().is_some());
        let leaked = self.sim.key_numbers().len() > known;
        self.operator.memo.suspicion.keys |= leaked;
        self.figures.swept += usize::from(leaked);
        leaked
    }

    /// Arms a fault for the next call, now and then.
    fn maybe_break(&mut self, running: &Running) {
        let step = next(&self.sim.goal(), &running.world, self.sim.now);
        let silent = matches!(step, Step::Pause { .. } | Step::End(_) | Step::Forget | Step::Reject { .. });
        if silent || self.odds.is_none_or(|odds| !self.dice.roll().is_multiple_of(odds)) {
            return;
        }
        self.figures.faults += 1;
        let fault = fault(&step, &mut self.dice);
        self.sim.faults.insert(self.sim.calls, fault);
    }

    /// Calm until every overlap is over, and a look at what is left.
    fn end(mut self) -> Figures {
        self.odds = None;
        self.sim.object.spec.rotation = None;
        let calm = self.in_seconds(10 * 24 * HOUR);
        self.until(calm);
        whole(&mut self.sim);
        let (rotations, made) = (self.pods.rotations, self.sim.account.made);
        let in_vain = made - 1 - rotations;
        let (logins, outlived) = (self.pods.logins, self.pods.outlived);
        Figures { calls: self.sim.calls, rotations, in_vain, logins, outlived, ..self.figures }
    }
}

/// A fault that fits the step.
fn fault(step: &Step, dice: &mut Dice) -> Fault {
    let kind = dice.roll() % 9;
    if let (Step::ProbeLogin(_), 2..) = (step, kind) {
        return Fault::Says(Effect::Login(Login::Unreachable(Trouble::Timeout)));
    }
    match kind {
        0 => Fault::CrashBefore,
        1 => Fault::CrashAfter,
        2 => Fault::ReplyLost,
        3 => Fault::RequestLost,
        4 => Fault::Late(20),
        5 => Fault::Late(70),
        n => Fault::Says(refusal(step, n)),
    }
}

fn refusal(step: &Step, kind: u64) -> Effect {
    match (step, kind) {
        (Step::ReadSecret, 6..) | (Step::WriteSecret(_), 6) => Effect::Cluster(Refusal::Throttled),
        (Step::WriteSecret(_), 7) => Effect::Cluster(Refusal::Unclear),
        (Step::WriteSecret(_), _) => Effect::Cluster(Refusal::Conflict),
        (_, 6) => Effect::Iam(Failure::Throttled),
        (_, 7) => Effect::Iam(Failure::Unclear),
        _ => Effect::Iam(Failure::Busy),
    }
}

/// Names the object when its life fails.
struct Case(u64);

impl Drop for Case {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failing object: {}", self.0);
        }
    }
}

fn live(n: u64, odds: u64) -> Figures {
    let _case = Case(n);
    let mut life = Life::begin(n, odds);
    let end = life.sim.now + YEAR;
    life.until(end);
    let figures = life.end();
    // 684 to 720 hours a key, out of 8,760, and the hours that faults took.
    assert!((11..=13).contains(&figures.rotations), "{} rotations", figures.rotations);
    figures
}

/// A year of many objects; one call in `odds` fails.
fn year(odds: u64) {
    let objects = if std::env::var("YEAR").is_ok_and(|year| year == "full") { 500 } else { 25 };
    let half = |first: u64| (first..objects).step_by(2).map(|n| live(n, odds)).collect::<Vec<_>>();
    let halves = std::thread::scope(|scope| {
        let threads = [0, 1].map(|first| scope.spawn(move || half(first)));
        threads.map(|thread| thread.join().unwrap())
    });
    let mut all = Figures::default();
    halves.iter().flatten().for_each(|figures| all.add(figures));
    all.print(objects);
    assert!(all.faults as u64 > objects && all.outlived > 0);
}

#[test]
fn a_year_of_rotations_with_faults_fails_no_login() {
    year(100);
}

#[test]
fn a_year_in_which_every_tenth_call_fails_fails_no_login() {
    year(10);
}
