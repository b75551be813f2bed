//! The worlds that are searched. Every one is to be clean.

use super::actions::Deed;
use super::alone::DAY;
use super::configs::{CONFIG, Config, LATE, OLD, Start};
use super::state::Kind::{
    self, Crash, DeleteObject, DeletePublished, DeleteSecret, DeleteUser, EditPassword, Inactivate, Label,
    Pass, PlantUser, PutBack, RecreateUser, ReplyLost, RequestLost, Rotate, StaleCache, StaleList, Strip,
    Tick,
};
use super::state::Seconds;
use Kind::Late;

/// What is due at the start: nothing, or a rotation.
const IDLE: &[Deed] = &[];
const DUE: &[Deed] = &[Deed::Rotate];

/// Two operators.
const fn two(
    name: &'static str,
    start: Start,
    deeds: &'static [Deed],
    budgets: &'static [(Kind, u8)],
    ticks: &'static [Seconds],
) -> Config {
    Config { name, start, deeds, budgets, ticks, ..CONFIG }
}

use Start::{Nothing, Provisioned, Rotated};

/// The worlds of the ordinary test run.
pub const SMALL: &[Config] = &[
    two("provision, crash, lost reply", Nothing, IDLE, &[(Pass, 3), (Crash, 1), (ReplyLost, 1)], &[]),
    two("provision, late", Nothing, IDLE, &[(Pass, 3), (Late, 1), (Tick, 1)], &[LATE]),
    two("rotation, crash", Provisioned, DUE, &[(Pass, 4), (Crash, 1)], &[]),
    two("rotation, lost reply", Provisioned, DUE, &[(Pass, 3), (ReplyLost, 1), (Tick, 1)], &[OLD]),
    two("rotation, late", Provisioned, DUE, &[(Pass, 3), (Late, 1), (Tick, 1)], &[OLD]),
    two("rotation, label", Provisioned, DUE, &[(Pass, 3), (RequestLost, 1), (Label, 1)], &[]),
    two(
        "rotation, stale list and cache",
        Provisioned,
        DUE,
        &[(Pass, 3), (StaleList, 1), (StaleCache, 1), (Crash, 1)],
        &[],
    ),
    two("two rotations", Provisioned, DUE, &[(Pass, 3), (Rotate, 1), (ReplyLost, 1), (Tick, 1)], &[OLD]),
    two("two rotations a day apart", Rotated, DUE, &[(Pass, 3), (Tick, 2)], &[DAY]),
    two("retirement", Rotated, IDLE, &[(Pass, 4), (Crash, 1), (ReplyLost, 1), (Tick, 2)], &[DAY]),
    two("Secret deleted", Provisioned, IDLE, &[(Pass, 3), (DeleteSecret, 1), (Crash, 1), (Tick, 1)], &[LATE]),
    two(
        "Secret deleted in a rotation",
        Provisioned,
        DUE,
        &[(Pass, 2), (DeleteSecret, 1), (ReplyLost, 1)],
        &[],
    ),
    two("Secret deleted in an overlap", Rotated, IDLE, &[(Pass, 3), (DeleteSecret, 1), (ReplyLost, 1)], &[]),
    two(
        "password edited, stale cache",
        Provisioned,
        IDLE,
        &[(Pass, 3), (EditPassword, 1), (StaleCache, 1), (Crash, 1)],
        &[],
    ),
    two(
        "password edited in an overlap",
        Rotated,
        IDLE,
        &[(Pass, 3), (EditPassword, 1), (ReplyLost, 1), (Tick, 1)],
        &[DAY],
    ),
    two("record stripped", Rotated, IDLE, &[(Pass, 3), (Strip, 1), (Crash, 1), (Tick, 1)], &[DAY]),
    two("record stripped in a rotation", Provisioned, DUE, &[(Pass, 3), (Strip, 1), (ReplyLost, 1)], &[]),
    two(
        "published key deleted",
        Provisioned,
        DUE,
        &[(Pass, 3), (DeletePublished, 1), (Crash, 1), (ReplyLost, 1)],
        &[],
    ),
    two(
        "published key Inactive",
        Rotated,
        IDLE,
        &[(Pass, 3), (Inactivate, 1), (Crash, 1), (Tick, 1)],
        &[DAY],
    ),
    two("published key Inactive, due", Provisioned, DUE, &[(Pass, 3), (Inactivate, 1), (ReplyLost, 1)], &[]),
    two("old Secret put back", Provisioned, DUE, &[(Pass, 3), (PutBack, 1), (Crash, 1), (Tick, 1)], &[OLD]),
    two(
        "object deleted, stale view",
        Provisioned,
        DUE,
        &[(Pass, 3), (DeleteObject, 1), (StaleCache, 1), (Crash, 1)],
        &[],
    ),
    two(
        "object and user deleted",
        Provisioned,
        DUE,
        &[(Pass, 2), (DeleteObject, 1), (DeleteUser, 1), (ReplyLost, 1)],
        &[],
    ),
    two(
        "user deleted and made by hand",
        Provisioned,
        DUE,
        &[(Pass, 2), (DeleteUser, 1), (RecreateUser, 1), (Crash, 1)],
        &[],
    ),
    two(
        "foreign user planted",
        Provisioned,
        DUE,
        &[(Pass, 3), (DeleteUser, 1), (PlantUser, 1), (DeleteObject, 1)],
        &[],
    ),
    Config { operators: 3, ..two("three operators", Provisioned, DUE, &[(Pass, 3), (Tick, 1)], &[OLD]) },
    Config {
        operators: 1,
        quota: false,
        ..two(
            "one operator without IAM's quota",
            Provisioned,
            DUE,
            &[(Pass, 5), (Rotate, 1), (ReplyLost, 2), (Crash, 1), (StaleList, 1), (Tick, 1)],
            &[OLD],
        )
    },
];

/// Worlds in which a late effect meets a person's hand. For the long run only.
pub const LARGE: &[Config] = &[
    two("rotation, late, label", Provisioned, DUE, &[(Pass, 3), (Late, 1), (Label, 1), (Tick, 1)], &[OLD]),
    two("two rotations, two late", Provisioned, DUE, &[(Pass, 3), (Late, 2), (Rotate, 1), (Tick, 1)], &[OLD]),
    two(
        "provision, late, deleted",
        Nothing,
        IDLE,
        &[(Pass, 3), (Late, 1), (DeleteSecret, 1), (Tick, 1)],
        &[OLD],
    ),
    two(
        "Secret deleted, late",
        Provisioned,
        IDLE,
        &[(Pass, 3), (Late, 1), (DeleteSecret, 1), (Tick, 2)],
        &[OLD],
    ),
    two("Secret deleted in an overlap, late", Rotated, IDLE, &[(Pass, 3), (Late, 1), (DeleteSecret, 2)], &[]),
    two(
        "password edited, late",
        Rotated,
        IDLE,
        &[(Pass, 3), (Late, 1), (EditPassword, 2), (Tick, 1)],
        &[OLD],
    ),
    two("record stripped, late", Provisioned, DUE, &[(Pass, 3), (Late, 1), (Strip, 1), (Tick, 1)], &[OLD]),
    two("published key deleted, late", Provisioned, DUE, &[(Pass, 3), (Late, 1), (DeletePublished, 1)], &[]),
    two(
        "old Secret put back, late",
        Provisioned,
        DUE,
        &[(Pass, 3), (Late, 1), (PutBack, 1), (Tick, 1)],
        &[OLD],
    ),
    two("object deleted, late", Provisioned, DUE, &[(Pass, 3), (Late, 1), (DeleteObject, 1)], &[]),
    two(
        "user deleted, late",
        Provisioned,
        DUE,
        &[(Pass, 3), (Late, 1), (DeleteUser, 1), (RecreateUser, 1)],
        &[],
    ),
    two(
        "retirement, stale, person",
        Rotated,
        IDLE,
        &[(Pass, 3), (StaleList, 1), (Strip, 1), (Tick, 2)],
        &[DAY],
    ),
    Config {
        operators: 3,
        ..two(
            "three operators, crash, late",
            Provisioned,
            DUE,
            &[(Pass, 3), (Crash, 1), (Late, 1), (Tick, 1)],
            &[OLD],
        )
    },
];
