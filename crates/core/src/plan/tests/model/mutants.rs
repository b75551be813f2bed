//! Every rule that carries the proof, switched off: the checker has to notice.

use super::actions::Deed;
use super::alone::DAY;
use super::configs::{CONFIG, Config, OLD, Start};
use super::state::Kind::{self, Crash, DeleteSecret, Late, Pass, ReplyLost, Tick};
use super::verdict::Rule;
use crate::plan::mutant::{Mutant, switch_off};

/// A rule that is switched off, the world in which that shows, and what it breaks.
struct Case {
    off: &'static [Mutant],
    breaks: Rule,
    config: Config,
}

const ALONE: Config = Config { operators: 1, alone: 0, ..CONFIG };
const TWO: Config = Config { alone: 0, cap: 1_000_000, ..CONFIG };
/// A key that waits for its login while another operator takes over.
const TAKEN_OVER: Config =
    Config { deeds: &[Deed::Rotate], budgets: &[(Pass, 3), (Tick, 1)], ticks: &[OLD], ..TWO };

/// The rules of the protocol's list of evidence, in its order. Two live in the hands of a pass and not
/// in its plan, so it is the model's hands that break them: the conditional write, and the mint that
/// the client doesn't retry. Each shows alone; no second rule had to go with any.
const CASES: &[Case] = &[
    Case { off: &[Mutant::ListsAfterFence], breaks: Rule::S2, config: TAKEN_OVER },
    Case { off: &[Mutant::ListsAgain], breaks: Rule::S2, config: TAKEN_OVER },
    Case { off: &[Mutant::NoFence], breaks: Rule::S2, config: TAKEN_OVER },
    Case { off: &[Mutant::UnconditionalWrite], breaks: Rule::S2, config: TAKEN_OVER },
    Case { off: &[Mutant::RetriesBlindly], breaks: Rule::S2, config: TAKEN_OVER },
    Case {
        off: &[Mutant::NoPlaceholder],
        breaks: Rule::S2,
        config: Config {
            deeds: &[Deed::DeleteSecret],
            budgets: &[(Pass, 2), (Tick, 2)],
            ticks: &[60],
            ..TWO
        },
    },
    Case {
        off: &[Mutant::KeepsOldPlan],
        breaks: Rule::S3,
        config: Config { deeds: &[Deed::DeletePublished, Deed::Rotate], budgets: &[(Pass, 2)], ..TWO },
    },
    Case {
        off: &[Mutant::YoungKeysBesideSecret],
        breaks: Rule::S2,
        config: Config { start: Start::Nothing, budgets: &[(Pass, 3), (Late, 1), (DeleteSecret, 1)], ..TWO },
    },
    Case {
        off: &[Mutant::YoungKeys],
        breaks: Rule::S2,
        config: Config { start: Start::Nothing, budgets: &[(Pass, 3), (Late, 1), (DeleteSecret, 1)], ..TWO },
    },
    Case {
        off: &[Mutant::FoundOnly],
        breaks: Rule::S3,
        config: Config {
            start: Start::Nothing,
            budgets: &[(Pass, 3), (Late, 1), (DeleteSecret, 1), (Tick, 1)],
            ticks: &[45],
            ..TWO
        },
    },
    Case {
        off: &[Mutant::DeletesAfterUnclear],
        breaks: Rule::S2,
        config: Config { deeds: &[Deed::Rotate], budgets: &[(Pass, 1), (ReplyLost, 1)], ..ALONE },
    },
    Case {
        off: &[Mutant::DeletesPublished],
        breaks: Rule::S2,
        config: Config { deeds: &[Deed::Rotate], budgets: &[(Pass, 2), (ReplyLost, 1)], ..ALONE },
    },
    Case {
        off: &[Mutant::ClientRetriesMint],
        breaks: Rule::S1,
        config: Config {
            deeds: &[Deed::Rotate],
            budgets: &[(Pass, 1), (ReplyLost, 1)],
            quota: false,
            ..ALONE
        },
    },
    Case {
        off: &[Mutant::UnsettledList],
        breaks: Rule::S1,
        config: Config {
            deeds: &[Deed::Rotate],
            budgets: &[(Pass, 2), (ReplyLost, 1), (Kind::StaleList, 1)],
            quota: false,
            ..ALONE
        },
    },
    Case {
        off: &[Mutant::RetiresUnlisted],
        breaks: Rule::S3,
        config: Config {
            start: Start::Rotated,
            deeds: &[Deed::Inactivate],
            budgets: &[(Pass, 1), (Tick, 1)],
            ticks: &[DAY],
            ..ALONE
        },
    },
    Case {
        off: &[Mutant::DeletesUndated],
        breaks: Rule::S3,
        config: Config {
            start: Start::Rotated,
            budgets: &[(Pass, 2), (Crash, 1), (Tick, 1)],
            ticks: &[DAY],
            ..ALONE
        },
    },
    Case {
        off: &[Mutant::TearsDownUnproven],
        breaks: Rule::S4,
        config: Config {
            deeds: &[Deed::DeleteUser, Deed::PlantUser, Deed::DeleteObject],
            budgets: &[(Pass, 1)],
            ..ALONE
        },
    },
];

/// The same worlds with every rule in force: what shows is the rule's absence and nothing else.
#[test]
fn with_every_rule_they_are_clean() {
    let worlds: Vec<Config> = CASES
        .iter()
        .map(|case| Config { name: "every rule in force", alone: 24, cap: 1_000_000, ..case.config })
        .collect();
    super::search_all(&worlds, true, Config::run);
}

#[test]
#[allow(clippy::print_stderr)]
fn every_rule_is_missed() {
    let mut unnoticed = Vec::new();
    for case in CASES {
        let mut search = case.config.search(&[case.breaks]);
        switch_off(case.off);
        let report = search.run();
        switch_off(&[]);
        eprintln!("{:?} {report}", case.off);
        if report.broken.is_none_or(|(broken, _)| broken.rule != case.breaks) {
            unnoticed.push(case.off);
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}
