//! Two operators that both believe they lead, on random schedules, with crashes, lost and late
//! effects, and others who write the Secret meanwhile. The model checker goes through all schedules
//! of a smaller world; this runs the same loop as everything else here.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::process::{Operator, Progress, Running};
use super::sim::{Fault, Sim};

/// One of the two.
#[derive(Default)]
struct Actor {
    operator: Operator,
    running: Option<Running>,
    until: Option<Timestamp>,
}

impl Actor {
    fn act(&mut self, sim: &mut Sim) {
        if self.until.is_some_and(|until| sim.now < until) {
            return;
        }
        self.until = None;
        let running = self.running.get_or_insert_with(|| self.operator.begin(sim));
        match running.advance(sim) {
            Progress::Went => {}
            Progress::Paused(until) => self.until = Some(until),
            Progress::Ended(_) => {
                let world = self.running.take().map(|running| running.world);
                self.operator.memo = world.map(|world| world.memo).unwrap_or_default();
            }
            Progress::Crashed => *self = Self::default(),
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Acts(bool, u8),
    Fault(Fault),
    Time(u8),
    Label,
    DeleteSecret,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        24 => (any::<bool>(), 1..6_u8).prop_map(|(first, steps)| Event::Acts(first, steps)),
        4 => (1..70_u8).prop_map(Event::Time),
        1 => Just(Event::Label),
        1 => Just(Event::Fault(Fault::CrashBefore)),
        1 => Just(Event::Fault(Fault::CrashAfter)),
        1 => Just(Event::Fault(Fault::ReplyLost)),
        1 => (1..60_i64).prop_map(|seconds| Event::Fault(Fault::Late(seconds))),
    ]
}

fn with_deletion() -> impl Strategy<Value = Event> {
    prop_oneof![24 => event(), 1 => Just(Event::DeleteSecret)]
}

fn play(sim: &mut Sim, events: Vec<Event>) {
    let mut actors = [Actor::default(), Actor::default()];
    sim.judge.raced = true;
    for event in events {
        match event {
            Event::Acts(first, steps) => {
                for _ in 0..steps {
                    actors[usize::from(first)].act(sim);
                }
            }
            Event::Fault(fault) => drop(sim.faults.insert(sim.calls, fault)),
            Event::Time(seconds) => sim.pass_time(i64::from(seconds)),
            Event::Label if sim.secret.is_some() => sim.edit(|_| ()),
            Event::DeleteSecret => {
                sim.judge.meddled_secret = true;
                sim.delete_secret();
            }
            Event::Label => {}
        }
        sim.passes += 1;
    }
    // The lease holds again: one process is left, and what was on its way has landed.
    sim.now += SignedDuration::from_mins(2);
    sim.land();
    sim.faults.clear();
    sim.settle(&mut Operator::default(), 40);
}

fn starts() -> Vec<(&'static str, Sim)> {
    let of = |change: fn(&mut Sim)| {
        let mut sim = Sim::provisioned().0;
        change(&mut sim);
        sim
    };
    let in_overlap = |change: fn(&mut Sim)| {
        let mut sim = Sim::rotated().0;
        change(&mut sim);
        sim
    };
    let lost: fn(&mut Sim) = |sim| {
        sim.put_data("password", "oops");
        sim.judge.secret_lost();
    };
    vec![
        ("provision", Sim::new()),
        ("region", of(|sim| sim.object.spec.region = "us-east-1".into())),
        (
            "due",
            in_overlap(|sim| {
                sim.object.spec.region = "eu-west-1".into();
                sim.pass_time(24 * 3600 - 60);
            }),
        ),
        ("lost", of(lost)),
        ("lost in an overlap", in_overlap(lost)),
        (
            "deleted",
            of(|sim| {
                sim.judge.meddled_secret = true;
                sim.delete_secret();
            }),
        ),
        ("stripped", in_overlap(|sim| sim.edit(|secret| secret.metadata.annotations = None))),
    ]
}

/// The Secret's credential works, and the user holds no more keys than IAM allows. A key that one
/// operator made and lost in a crash after the other removed every trace of the attempt may stay:
/// nothing but a look at all users can find it.
#[track_caller]
fn safe(sim: &mut Sim) {
    assert!(sim.logs_in(), "the Secret holds no working credential");
    assert!(sim.key_numbers().len() <= 2, "keys");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_ends_a_published_key(events in proptest::collection::vec(event(), 20..90)) {
        for (_, mut sim) in starts() {
            play(&mut sim, events.clone());
            safe(&mut sim);
        }
    }

    #[test]
    fn nor_does_one_with_a_person_deleting_the_secret(
        events in proptest::collection::vec(with_deletion(), 20..90),
    ) {
        for (_, mut sim) in starts().into_iter().take(4) {
            play(&mut sim, events.clone());
            safe(&mut sim);
        }
    }
}
