//! Which cases there are, which of them run, and what is told of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};

use crate::case::{self, Clean, Outcome};
use crate::fault::{Case, Fault, Strike};
use crate::world::Bed;
use crate::{hidden, two, workload};

/// Cases at a time: enough to keep two cores busy while calls are under way.
const AT_A_TIME: usize = 6;
/// A case that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(2);
/// Cases with one fault in a sample; a full run has them all.
const SINGLES: usize = 230;
/// Cases with two faults, in a sample and in a full run: all would be some thirty thousand.
const PAIRS: (usize, usize) = (60, 700);

/// Cases that once failed; a sample has them too.
const REGRESSIONS: [&str; 4] = [
    // The status was not written, and nothing else was due: the object went on telling of before.
    "password-edited/patch-status#3/throttled",
    "user-exists/patch-status#1/error",
    // A proxy's 404 read as "no such object", and the pass ended as done without a Secret.
    "secret-deleted-in-overlap/get-secret#2/malformed",
    // One answer was believed against a list that had just shown the key: it stayed Active for good.
    "region/UpdateAccessKey#1/NoSuchEntity",
];
/// Schedules of two operators for each workload, in a sample and in a full run.
const SCHEDULES: (u64, u64) = (6, 30);

/// Runs without faults, by workload.
pub type Cleans = BTreeMap<String, Clean>;

/// What is told at the end.
#[derive(Default)]
pub struct Report {
    /// Cases, void ones among them, and violations, by workload.
    counts: BTreeMap<String, (usize, usize, usize)>,
    pub failed: Vec<String>,
}

impl Report {
    fn add(&mut self, case: &str, outcome: &Outcome) {
        let mut words = case.split('/');
        let first = words.next().unwrap_or_default();
        let workload = words.next().filter(|_| ["two", "hidden"].contains(&first)).unwrap_or(first);
        let (cases, void, failed) = self.counts.entry(workload.to_owned()).or_default();
        *cases += 1;
        *void += usize::from(outcome.void);
        if !outcome.wrong.is_empty() {
            *failed += 1;
            let what = outcome.wrong.join("; ");
            let command = "cargo test -p ses-smtp-operator --features scaled-time --test enumerator";
            self.failed.push(format!("ENUMERATOR_CASE='{case}' {command} # {what}"));
        }
    }

    pub fn tell(&self, what: &str) {
        let mut all = 0;
        for (workload, (cases, void, failed)) in &self.counts {
            println!("{what}: {workload}: {cases} cases, {void} void, {failed} violations");
            all += cases;
        }
        println!("{what}: {all} cases, {} violations", self.failed.len());
        for line in &self.failed {
            println!("{line}");
        }
    }
}

/// True if everything is to run.
pub fn full() -> bool {
    std::env::var("ENUMERATOR").is_ok_and(|value| value == "full")
}

/// The case that alone is to run, or with a star those whose names begin and end so.
pub fn asked() -> Option<String> {
    std::env::var("ENUMERATOR_CASE").ok()
}

/// Every workload without faults: the recording that cases are made of.
pub async fn cleans(bed: &Arc<Bed>) -> Cleans {
    let runs = stream::iter(&workload::ALL).map(async |workload| {
        let (bed, name) = (bed.clone(), workload.name);
        let clean = tokio::spawn(async move { case::clean(&bed, name).await }).await.unwrap();
        (name.to_owned(), clean)
    });
    let cleans: Cleans = runs.buffer_unordered(AT_A_TIME).collect().await;
    for (workload, clean) in &cleans {
        let calls: Vec<String> = clean.calls.iter().map(|(call, nth)| format!("{call}#{nth}")).collect();
        println!("{workload}: {}", calls.join(" "));
    }
    cleans
}

/// All cases of one fault each.
pub fn singles(cleans: &Cleans) -> Vec<String> {
    let cases = cleans.iter().flat_map(|(workload, clean)| {
        let strikes = clean.calls.iter().flat_map(strikes);
        strikes.map(|strike| Case { workload: workload.clone(), strikes: vec![strike] }.to_string())
    });
    cases.collect()
}

fn strikes((call, nth): &(String, usize)) -> Vec<Strike> {
    let strike = |fault: &Fault| Strike { call: call.clone(), nth: *nth, fault: *fault };
    Fault::fitting(call).iter().map(strike).collect()
}

/// The cases of a second fault in the recovery from a crash: in the calls that the crash alone leads to.
pub fn pairs(singles: &[(String, Outcome)]) -> Vec<String> {
    let crashes = singles.iter().filter_map(|(name, outcome)| {
        let case = Case::parse(name).filter(|case| case.strikes[0].fault.is_crash())?;
        outcome.wrong.is_empty().then_some((case, outcome))
    });
    let cases = crashes.flat_map(|(case, outcome)| {
        let strikes = outcome.calls.iter().flat_map(strikes);
        strikes.map(|second| case.and(second).to_string()).collect::<Vec<_>>()
    });
    cases.collect()
}

/// At most so many, evenly spread and always the same. An odd stride doesn't keep step with the ten
/// faults of a call.
fn spread(most: usize, cases: Vec<String>) -> Vec<String> {
    let stride = cases.len().div_ceil(most) | 1;
    cases.into_iter().step_by(stride).collect()
}

pub fn sample_of_singles(cases: Vec<String>) -> Vec<String> {
    if full() {
        return cases;
    }
    let mut sample = spread(SINGLES, cases);
    let missing = REGRESSIONS.iter().filter(|name| !sample.iter().any(|case| case == *name));
    let missing: Vec<String> = missing.map(ToString::to_string).collect();
    sample.extend(missing);
    sample
}

pub fn sample_of_pairs(cases: Vec<String>) -> Vec<String> {
    spread(if full() { PAIRS.1 } else { PAIRS.0 }, cases)
}

pub fn two_operators() -> Vec<String> {
    two::names(if full() { SCHEDULES.1 } else { SCHEDULES.0 })
}

/// The case of that name, or with a star all whose names begin and end so.
pub fn named(cleans: &Cleans, name: &str) -> Vec<String> {
    let Some((beginning, end)) = name.split_once('*') else { return vec![name.to_owned()] };
    let all = singles(cleans).into_iter().chain(two::names(SCHEDULES.1)).chain(hidden::names());
    all.filter(|name| name.starts_with(beginning) && name.ends_with(end)).collect()
}

/// Runs cases beside each other; each has a namespace and an AWS of its own.
pub async fn run(bed: &Arc<Bed>, cleans: &Arc<Cleans>, names: Vec<String>) -> Vec<(String, Outcome)> {
    let runs = stream::iter(names).map(async |name| {
        let (bed, cleans, played) = (bed.clone(), cleans.clone(), name.clone());
        let task = tokio::spawn(async move { play(&bed, &cleans, &played).await });
        let outcome = match tokio::time::timeout(PATIENCE, task).await {
            Ok(ended) => ended.unwrap_or_else(|panic| Outcome::broken(&panic.to_string())),
            Err(_) => Outcome::broken("it hangs"),
        };
        if !outcome.wrong.is_empty() {
            println!("{name}: {}", outcome.wrong.join("; "));
        }
        (name, outcome)
    });
    runs.buffer_unordered(AT_A_TIME).collect().await
}

/// Runs the case of that name, of whichever kind.
async fn play(bed: &Bed, cleans: &Cleans, name: &str) -> Outcome {
    if let Some((workload, seed)) = name.strip_prefix("two/").and_then(|name| name.split_once('/')) {
        return two::run(bed, workload, seed.parse().expect("a number"), cleans).await;
    }
    if let Some((change, number)) = name.strip_prefix("hidden/").and_then(|name| name.split_once('/')) {
        return hidden::run(bed, change, number.parse().expect("a number")).await;
    }
    let case = Case::parse(name).expect("workload/call#1/fault");
    case::run(bed, &case, &cleans[&case.workload]).await
}

/// What is told of cases.
pub fn report(outcomes: &[(String, Outcome)]) -> Report {
    let mut report = Report::default();
    for (name, outcome) in outcomes {
        report.add(name, outcome);
    }
    report
}
