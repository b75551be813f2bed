//! Several candidates and one API server, event by event: delays, lost requests and replies, requests
//! that arrive long after they were given up, processes that stand still, and clean ends. Each candidate
//! has a clock of its own.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::test::dice::Dice;

/// A rule that is broken, to show that the simulation would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// Writes don't look at the version.
    Unconditional,
    /// The deadline counts from the answer.
    CountsFromAnswer,
    /// Silence counts as a renewal.
    SilenceIsConsent,
    /// A change counts from before the record was asked for.
    SeenBeforeAsked,
    /// A record counts from when it was first seen, whether it changed or not.
    SeesNoChange,
    /// Others wait no longer than the leader works.
    NoMargin,
    /// Others don't wait at all.
    NoWait,
    /// The end is told before the work has ended.
    ReleasesTooSoon,
}

const FLAWS: [Flaw; 8] = [
    Flaw::Unconditional,
    Flaw::CountsFromAnswer,
    Flaw::SilenceIsConsent,
    Flaw::SeenBeforeAsked,
    Flaw::SeesNoChange,
    Flaw::NoMargin,
    Flaw::NoWait,
    Flaw::ReleasesTooSoon,
];

/// Milliseconds.
type Time = u64;

/// What happens at a time. Numbers are those of a candidate and of its try.
#[derive(Clone, Debug)]
enum Event {
    Wake(usize),
    Asked(usize, u64),
    Told(usize, u64, Option<Lease>),
    Written(usize, u64, Next),
    Answered(usize, u64, Answer),
    GivenUp(usize, u64),
    Released(Lease),
}

impl Event {
    /// The candidate that has to run for it.
    fn runs(&self) -> Option<usize> {
        match self {
            Self::Wake(n) | Self::Told(n, ..) | Self::Answered(n, ..) | Self::GivenUp(n, _) => Some(*n),
            Self::Asked(..) | Self::Written(..) | Self::Released(_) => None,
        }
    }
}

struct Process {
    candidate: Candidate,
    /// What its clock showed at time 0, in a manner of speaking: clocks have nothing in common.
    offset: Time,
    lives: u64,
    round: u64,
    began: Duration,
    stopped_until: Time,
    cut_off_until: Time,
}

struct Sim {
    dice: Dice,
    flaw: Flaw,
    now: Time,
    events: BTreeMap<(Time, u64, u64), Event>,
    count: u64,
    stored: Option<Lease>,
    version: u64,
    processes: Vec<Process>,
    takeovers: usize,
}

impl Sim {
    fn new(seed: u64, flaw: Flaw) -> Self {
        let mut dice = Dice::new(seed);
        let processes = (0..dice.between(2, 4)).map(|n| Process::start(n, &mut dice, flaw)).collect();
        let mut sim = Self {
            dice,
            flaw,
            now: 0,
            events: BTreeMap::new(),
            count: 0,
            stored: None,
            version: 0,
            processes,
            takeovers: 0,
        };
        for n in 0..sim.processes.len() {
            sim.after(0, 3_000, Event::Wake(n));
        }
        sim
    }

    /// Runs for so long; an error names two that hold the lease.
    fn run(&mut self, end: Time) -> Result<(), String> {
        while let Some(((time, ..), event)) = self.events.pop_first() {
            if time > end {
                break;
            }
            self.now = time;
            match event.runs().map(|n| self.processes[n].stopped_until) {
                Some(until) if until > time => self.at(until, event),
                _ => self.happens(event)?,
            }
        }
        Ok(())
    }

    fn roll(&mut self, least: i64, most: i64) -> Time {
        u64::try_from(self.dice.between(least, most)).unwrap()
    }

    fn at(&mut self, time: Time, event: Event) {
        self.count += 1;
        let shuffled = self.dice.roll();
        self.events.insert((time, shuffled, self.count), event);
    }

    fn after(&mut self, least: i64, most: i64, event: Event) {
        let time = self.now + self.roll(least, most);
        self.at(time, event);
    }

    /// Sends something over the network: quick as a rule, slow at times, and lost at times.
    fn send(&mut self, by: usize, event: Event) {
        if self.processes[by].cut_off_until > self.now || self.roll(1, 40) == 1 {
            return;
        }
        let slow = self.roll(1, 12) == 1;
        self.after(0, if slow { 25_000 } else { 60 }, event);
    }

    fn happens(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Wake(n) => self.begin(n),
            Event::Asked(n, round) => self.send(n, Event::Told(n, round, self.stored.clone())),
            Event::Told(n, round, found) if self.processes[n].round == round => self.told(n, found),
            Event::Written(n, round, next) => {
                let answer = self.write(next);
                self.send(n, Event::Answered(n, round, answer));
            }
            Event::Answered(n, round, answer) if self.processes[n].round == round => {
                self.answered(n, answer)?;
            }
            Event::GivenUp(n, round) if self.processes[n].round == round => {
                if self.flaw == Flaw::SilenceIsConsent && self.processes[n].candidate.held_until().is_some() {
                    return self.answered(n, Answer::Written);
                }
                self.rest(n);
            }
            Event::Released(lease) => drop(self.write(Next::Update(lease))),
            // What comes after a try was given up is not looked at.
            Event::Told(..) | Event::Answered(..) | Event::GivenUp(..) => {}
        }
        Ok(())
    }

    fn begin(&mut self, n: usize) {
        self.trouble(n);
        let now = self.processes[n].clock(self.now);
        let process = &mut self.processes[n];
        if process.candidate.is_over(now) {
            return self.end(n);
        }
        process.began = now;
        process.round += 1;
        let (round, patience) = (process.round, process.candidate.patience(now));
        self.at(self.now + millis(patience), Event::GivenUp(n, round));
        self.send(n, Event::Asked(n, round));
        if self.processes[n].candidate.held(now) && self.roll(1, 30) == 1 {
            self.release(n);
        }
    }

    /// Now and then a process is stopped, or cut off from the API server.
    fn trouble(&mut self, n: usize) {
        match self.roll(1, 60) {
            1 => self.processes[n].stopped_until = self.now + self.roll(0, 60_000),
            2 => self.processes[n].cut_off_until = self.now + self.roll(0, 60_000),
            _ => {}
        }
    }

    /// The process ends and starts again as another candidate.
    fn end(&mut self, n: usize) {
        let lives = self.processes[n].lives + 1;
        let rounds = self.processes[n].round + 1;
        let fresh = Process::start(i64::try_from(n).unwrap(), &mut self.dice, self.flaw);
        self.processes[n] = Process { lives, round: rounds, ..fresh };
        let identity = format!("{n}-{lives}");
        self.processes[n].candidate = Candidate::new("operator", &identity, times(self.flaw));
        self.after(0, 5_000, Event::Wake(n));
    }

    fn release(&mut self, n: usize) {
        let Some(found) = self.stored.clone() else { return };
        let before = self.processes[n].candidate.clone();
        let released = self.processes[n].candidate.release(found, date());
        if self.flaw == Flaw::ReleasesTooSoon {
            self.processes[n].candidate = before;
        }
        if let Some(lease) = released {
            self.send(n, Event::Released(lease));
        }
    }

    fn told(&mut self, n: usize, found: Option<Lease>) {
        let process = &mut self.processes[n];
        let now = process.clock(self.now);
        let version = found.as_ref().and_then(|found| found.metadata.resource_version.clone());
        let mut found = found;
        if let (Flaw::SeesNoChange, Some(found)) = (self.flaw, &mut found) {
            found.metadata.resource_version = Some("always".to_owned());
        }
        let seen = if self.flaw == Flaw::SeenBeforeAsked { process.began } else { now };
        let mut next = process.candidate.next(found, seen, date());
        if let Next::Update(lease) = &mut next {
            lease.metadata.resource_version = version;
        }
        let round = process.round;
        match next {
            Next::Follow { .. } => self.rest(n),
            write => self.send(n, Event::Written(n, round, write)),
        }
        self.trouble(n);
    }

    /// The API server.
    fn write(&mut self, next: Next) -> Answer {
        let stored = self.stored.as_ref().map(|lease| &lease.metadata.resource_version);
        let (mut lease, fits) = match next {
            Next::Create(lease) => (lease, stored.is_none()),
            Next::Update(lease) => {
                let fits = stored == Some(&lease.metadata.resource_version);
                (lease, fits)
            }
            Next::Follow { .. } => return Answer::Unclear,
        };
        if !fits && self.flaw != Flaw::Unconditional {
            return Answer::Conflict;
        }
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.stored = Some(lease);
        Answer::Written
    }

    fn answered(&mut self, n: usize, answer: Answer) -> Result<(), String> {
        let process = &mut self.processes[n];
        let now = process.clock(self.now);
        let began = if self.flaw == Flaw::CountsFromAnswer { now } else { process.began };
        let led = process.candidate.held(now);
        process.candidate.wrote(answer, began, now);
        self.takeovers += usize::from(!led && process.candidate.held(now));
        self.rest(n);
        self.one_holds()
    }

    /// The try is over, the next one follows.
    fn rest(&mut self, n: usize) {
        self.processes[n].round += 1;
        let (now, retry) = (self.processes[n].clock(self.now), RETRY);
        let left = self.processes[n].candidate.held_until().map(|until| until.saturating_sub(now));
        let pause = left.map_or(retry, |left| left.min(retry));
        self.at(self.now + millis(pause).max(1), Event::Wake(n));
    }

    fn one_holds(&self) -> Result<(), String> {
        let holds = |process: &&Process| process.candidate.held(process.clock(self.now));
        let holders: Vec<_> =
            self.processes.iter().filter(holds).map(|process| &process.candidate.identity).collect();
        if holders.len() > 1 { Err(format!("at {} ms: {holders:?}", self.now)) } else { Ok(()) }
    }
}

impl Process {
    fn start(n: i64, dice: &mut Dice, flaw: Flaw) -> Self {
        Self {
            candidate: Candidate::new("operator", &format!("{n}-0"), times(flaw)),
            offset: u64::try_from(dice.between(0, 100_000_000)).unwrap(),
            lives: 0,
            round: 0,
            began: ZERO,
            stopped_until: 0,
            cut_off_until: 0,
        }
    }

    /// What its own clock shows.
    fn clock(&self, now: Time) -> Duration {
        Duration::from_millis(now + self.offset)
    }
}

fn times(flaw: Flaw) -> Times {
    match flaw {
        // Less than the deadline and a try: what is under way at the end still lands.
        Flaw::NoMargin => Times { lease: seconds(15), ..Times::default() },
        Flaw::NoWait => Times { lease: ZERO, ..Times::default() },
        _ => Times::default(),
    }
}

fn millis(time: Duration) -> Time {
    u64::try_from(time.as_millis()).unwrap()
}

/// Half an hour; gives the number of takeovers.
fn half_an_hour(seed: u64, flaw: Flaw) -> Result<usize, String> {
    let mut sim = Sim::new(seed, flaw);
    sim.run(1_800_000)?;
    Ok(sim.takeovers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn never_do_two_hold_at_a_time(seed in any::<u64>()) {
        let takeovers = half_an_hour(seed, Flaw::None);
        prop_assert!(takeovers.as_ref().is_ok_and(|count| *count > 3), "{takeovers:?}");
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    for flaw in FLAWS {
        let noticed = (0..2_000).find(|seed| half_an_hour(*seed, flaw).is_err());
        assert!(noticed.is_some(), "{flaw:?} was not noticed");
    }
}
