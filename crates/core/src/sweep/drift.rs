//! Users and key slots compared with what the specs ask for.
//!
//! Never with the Secrets' records alone, which tenants can edit: a record may only explain why
//! there is a second key.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::desired::Desired;
use crate::identity::{Ownership, ownership, tags_hold};
use crate::inventory::{KeySlot, UserRow};
use crate::names::{POLICY_NAME, QUARANTINE_POLICIES};
use crate::record::Record;
use crate::time::{CLOCKS, after};
use crate::world::{Quarantine, Suspicion};

/// What was changed less than this before a credential report was made may not be in it yet.
pub const REPORT_LAG: SignedDuration = SignedDuration::from_mins(5);

/// What is amiss with a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What a pass has to look into.
    pub suspicion: Suspicion,
    /// What somebody hung on the user: reported and left alone.
    pub foreign: Vec<String>,
}

/// Compares the user with what the spec asks for, at `now`.
pub fn compare(desired: &Desired, user: &UserRow, now: Timestamp) -> Findings {
    let wanted = &desired.identity.user;
    let bounded = wanted.boundary.is_none() || wanted.boundary == user.facts.boundary;
    let ours = ownership(wanted, &user.facts) == Ownership::Ours;
    let quarantine = user.attached.iter().find(|arn| is_quarantine(arn));
    Findings {
        suspicion: Suspicion {
            user: !ours || !bounded || !tags_hold(wanted, &user.facts),
            policy: !same_policy(user.inline.get(POLICY_NAME), &desired.policy.document),
            keys: false,
            lifted: false,
            quarantine: quarantine.map(|arn| Quarantine { policy: arn.clone(), since: now }),
        },
        foreign: foreign(user),
    }
}

/// True if AWS attaches this policy to users whose key it found in public.
pub fn is_quarantine(arn: &str) -> bool {
    let (account, name) = arn.split_once(":policy/").unwrap_or_default();
    account.ends_with(":iam::aws") && QUARANTINE_POLICIES.contains(&name)
}

fn same_policy(found: Option<&String>, wanted: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    found.is_some_and(|found| found == wanted || json(found).is_some_and(|found| Some(found) == json(wanted)))
}

fn foreign(user: &UserRow) -> Vec<String> {
    let inline = user.inline.keys().filter(|name| *name != POLICY_NAME);
    let attached = user.attached.iter().filter(|arn| !is_quarantine(arn));
    let inline = inline.map(|name| format!("inline policy {name}"));
    let attached = attached.map(|arn| format!("policy {arn}"));
    inline.chain(attached).chain(user.groups.iter().map(|name| format!("group {name}"))).collect()
}

/// True if the user's keys, as a report made at `generated` shows them, are not those that the record
/// speaks of. What was changed less than `lag` before the report, or since, is not judged.
pub fn keys_differ(record: &Record, slots: &[KeySlot], generated: Timestamp, lag: SignedDuration) -> bool {
    let previous = record.previous_key();
    let changes = [
        record.issued_at,
        previous.map(|previous| previous.superseded_at),
        previous.and_then(|previous| previous.deactivated_at),
    ];
    let settled = |at: Timestamp| after(at, lag) <= generated;
    if record.key.is_none() || record.attempt.is_some() || !changes.into_iter().flatten().all(settled) {
        return false;
    }
    let in_overlap = previous.is_some_and(|previous| previous.deactivated_at.is_none());
    let active = slots.iter().filter(|slot| slot.active).count();
    let most = 1 + usize::from(previous.is_some());
    active != 1 + usize::from(in_overlap)
        || slots.len() > most
        || !slots.iter().any(|slot| is_published(record, slot))
}

/// True if the slot can hold the published key: Active, and as old as the record says, as far as
/// clocks agree.
fn is_published(record: &Record, slot: &KeySlot) -> bool {
    let apart = |issued: Timestamp| slot.created.duration_since(issued).abs();
    slot.active && record.issued_at.is_none_or(|issued| apart(issued) <= CLOCKS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    use crate::desired::Goal;
    use crate::iam::UserFacts;
    use crate::record::Previous;

    use crate::tenancy::Tenancy;
    use crate::test::{key, object, record, settings, time};

    fn desired() -> Box<Desired> {
        let object = object(serde_json::json!({ "region": "eu-central-1" }));
        let mut settings = settings();
        settings.installation.boundary_name = Some("limits".into());
        match Goal::of(&object, &settings, &Tenancy::default()) {
            Goal::Serve(desired) => desired,
            other => panic!("{other:?}"),
        }
    }

    fn row() -> UserRow {
        let desired = desired();
        let user = &desired.identity.user;
        UserRow {
            name: user.name.clone(),
            facts: UserFacts {
                user_id: "AIDA1".into(),
                arn: desired.identity.user_arn.clone(),
                path: user.path.clone(),
                tags: user.tags.clone(),
                boundary: user.boundary.clone(),
            },
            created: time(0),
            inline: BTreeMap::from([(POLICY_NAME.into(), desired.policy.document.clone())]),
            attached: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn found(change: impl FnOnce(&mut UserRow)) -> Findings {
        let mut row = row();
        change(&mut row);
        compare(&desired(), &row, time(5))
    }

    #[test]
    fn a_user_as_it_was_left_gives_no_findings() {
        assert_eq!(found(|_| ()), Findings::default());
        let spaced = |row: &mut UserRow| {
            let policy = row.inline.get_mut(POLICY_NAME).unwrap();
            *policy = policy.replace("\":", "\" : ");
        };
        assert_eq!(found(spaced), Findings::default());
        let tagged = |row: &mut UserRow| drop(row.facts.tags.insert("team".into(), "a".into()));
        assert_eq!(found(tagged), Findings::default());
    }

    #[test]
    fn every_edit_of_the_user_raises_suspicion() {
        let edits: [fn(&mut UserRow); 4] = [
            |row| row.facts.path = "/".into(),
            |row| row.facts.boundary = None,
            |row| drop(row.facts.tags.remove("ses-smtp.dev/uid")),
            |row| drop(row.facts.tags.insert("ses-smtp.dev/deletion-policy".into(), "Retain".into())),
        ];
        for edit in edits {
            let suspicion = found(edit).suspicion;
            assert_eq!(suspicion, Suspicion { user: true, ..Suspicion::default() });
        }
    }

    #[test]
    fn every_edit_of_the_policy_raises_suspicion() {
        let edits: [fn(&mut UserRow); 3] = [
            |row| row.inline.clear(),
            |row| drop(row.inline.insert(POLICY_NAME.into(), "{}".into())),
            |row| drop(row.inline.insert(POLICY_NAME.into(), "broken".into())),
        ];
        for edit in edits {
            let suspicion = found(edit).suspicion;
            assert_eq!(suspicion, Suspicion { policy: true, ..Suspicion::default() });
        }
    }

    #[test]
    fn what_others_hang_on_the_user_is_named() {
        let found = found(|row| {
            row.inline.insert("extra".into(), "{}".into());
            row.attached.push("arn:aws:iam::aws:policy/AdministratorAccess".into());
            row.groups.push("mailers".into());
        });
        assert_eq!(found.suspicion, Suspicion::default());
        assert_eq!(
            found.foreign,
            ["inline policy extra", "policy arn:aws:iam::aws:policy/AdministratorAccess", "group mailers"]
        );
    }

    #[test]
    fn only_aws_s_own_quarantine_counts() {
        for (arn, expected) in [
            ("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3", true),
            ("arn:aws-us-gov:iam::aws:policy/AWSCompromisedKeyQuarantineV2", true),
            ("arn:aws:iam::123456789012:policy/AWSCompromisedKeyQuarantineV3", false),
            ("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3x", false),
            ("AWSCompromisedKeyQuarantineV3", false),
        ] {
            assert_eq!(is_quarantine(arn), expected, "{arn}");
            let quarantine = found(|row| row.attached.push(arn.into())).suspicion.quarantine;
            assert_eq!(quarantine.is_some(), expected);
        }
    }

    #[test]
    fn key_slots_are_judged_by_what_the_record_explains() {
        let slot = |active| KeySlot { active, created: time(0) };
        let overlap = |deactivated_at| Record {
            previous: Some(Some(Previous { key: key(2), superseded_at: time(0), deactivated_at })),
            ..record(&key(1))
        };
        let late = time(3600);
        let (alone, both, soaking) = (record(&key(1)), overlap(None), overlap(Some(time(10))));
        for (record, slots, expected) in [
            (&alone, vec![true], false),
            (&alone, vec![], true),
            (&alone, vec![false], true),
            (&alone, vec![true, true], true),
            (&alone, vec![true, false], true),
            (&both, vec![true, true], false),
            (&both, vec![true], true),
            (&soaking, vec![true, false], false),
            (&soaking, vec![true], false),
            (&soaking, vec![true, true], true),
        ] {
            let slots: Vec<KeySlot> = slots.into_iter().map(slot).collect();
            assert_eq!(keys_differ(record, &slots, late, REPORT_LAG), expected, "{slots:?}");
            assert!(!keys_differ(record, &slots, time(60), REPORT_LAG), "too young to be judged");
        }
        let exchanged = [KeySlot { active: true, created: time(1800) }];
        assert!(
            keys_differ(&alone, &exchanged, late, REPORT_LAG),
            "another key than the one that was issued"
        );
        let busy = Record { attempt: Some("n".into()), ..record(&key(1)) };
        assert!(!keys_differ(&busy, &[], late, REPORT_LAG));
    }
}
