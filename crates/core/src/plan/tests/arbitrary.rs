//! From whatever others have made of account, object and Secret: passes end, the end is a fixpoint,
//! and what isn't ours is never written.

use proptest::prelude::*;

use super::QUARANTINE;
use super::process::{Operator, word};
use super::sim::Sim;
use crate::api::{DeletionPolicy, EndpointSpec};
use crate::desired::VerifyLogin;
use crate::iam::KeyStatus;
use crate::login::{Login, Trouble};
use crate::names::{record as name, tag};
use crate::reason::Reason;
use crate::step::{End, Step};
use crate::test::key;
use crate::world::{Quarantine, Suspicion};

const FIELDS: [&str; 16] = [
    name::UID,
    name::USER_NAME,
    name::ACCESS_KEY_ID,
    name::ISSUED_AT,
    name::PREVIOUS,
    name::SUPERSEDED_AT,
    name::DEACTIVATED_AT,
    name::ATTEMPT,
    name::FOUND_KEYS,
    name::ROTATION_TRIGGER,
    name::POLICY_HASH,
    name::TAGS_HASH,
    name::BOUNDARY,
    name::PASSWORD_DIGESTS,
    name::DATA_HASH,
    name::RENDERED_KEYS,
];

const VALUES: [&str; 9] = [
    "",
    "junk",
    "2000-01-01T00:00:00Z",
    "2100-01-01T00:00:00Z",
    "AKIAEXAMPLE000000001",
    "AKIAEXAMPLE000000002",
    "AKIAEXAMPLE000000009",
    "eu-central-1=0",
    "host,password,port,username",
];

#[derive(Clone, Debug)]
enum Change {
    Strip(usize),
    StripAll,
    Forge(usize, usize),
    Data(usize),
    EmptyData,
    NoOwner,
    OtherOwner,
    NoLabels,
    Immutable,
    NoSecret,
    NoUser,
    ForeignUser,
    OtherInstall,
    NoKey(u32),
    Inactive(u32),
    Orphan,
    NoFinalizer,
    NoAccount,
    OtherAccount,
    Region(usize),
    Regions(usize),
    Port,
    Policy,
    Deletion(usize),
    Delete,
    Suspend,
    Time(i64),
    Trigger(u8),
    Age,
    Revoke(u32),
    Used(u32),
    Ses(Option<Login>),
    Verify(VerifyLogin),
    Attached,
    Suspect(u8),
}

fn change() -> impl Strategy<Value = Change> {
    use Change::*;
    prop_oneof![
        4 => (0..FIELDS.len()).prop_map(Strip),
        6 => (0..FIELDS.len(), 0..VALUES.len()).prop_map(|(field, value)| Forge(field, value)),
        2 => (0..4_usize).prop_map(Data),
        2 => (1..4_u32).prop_map(NoKey),
        2 => (1..4_u32).prop_map(Inactive),
        3 => (0..4_usize).prop_map(Region),
        3 => (0..4_usize).prop_map(Regions),
        1 => (0..3_usize).prop_map(Deletion),
        3 => (1..200_000_i64).prop_map(Time),
        3 => rotation(),
        3 => (0..32_u8).prop_map(Suspect),
        6 => prop_oneof![
            Just(StripAll), Just(EmptyData), Just(NoOwner), Just(OtherOwner), Just(NoLabels), Just(Immutable),
            Just(NoSecret), Just(NoUser), Just(ForeignUser), Just(OtherInstall), Just(Orphan),
        ],
        3 => prop_oneof![
            Just(NoFinalizer), Just(NoAccount), Just(OtherAccount), Just(Port), Just(Policy), Just(Delete),
            Just(Suspend),
        ],
    ]
}

fn rotation() -> impl Strategy<Value = Change> {
    use Change::*;
    let answers =
        [None, Some(Login::Refused), Some(Login::NotSubscribed), Some(Login::Unreachable(Trouble::Timeout))];
    let modes = [VerifyLogin::Auto, VerifyLogin::Required, VerifyLogin::Off];
    prop_oneof![
        2 => (0..3_u8).prop_map(Trigger),
        1 => Just(Age),
        2 => (1..4_u32).prop_map(Revoke),
        1 => (1..4_u32).prop_map(Used),
        1 => proptest::sample::select(answers.to_vec()).prop_map(Ses),
        1 => proptest::sample::select(modes.to_vec()).prop_map(Verify),
        1 => Just(Attached),
    ]
}

fn on_secret(sim: &mut Sim, change: &Change) {
    if sim.secret.is_none() {
        return;
    }
    match change {
        Change::Strip(field) => sim.annotate(FIELDS[*field], None),
        Change::StripAll => sim.edit(|secret| secret.metadata.annotations = None),
        Change::Forge(field, value) => sim.annotate(FIELDS[*field], Some(VALUES[*value])),
        Change::Data(key) => sim.put_data(["host", "port", "username", "password"][*key], "x"),
        Change::EmptyData => sim.edit(|secret| secret.data = None),
        Change::NoOwner => sim.edit(|secret| secret.metadata.owner_references = None),
        Change::OtherOwner => sim.edit(|secret| {
            for owner in secret.metadata.owner_references.iter_mut().flatten() {
                owner.uid = "another".into();
                owner.name = "another".into();
            }
        }),
        Change::NoLabels => sim.edit(|secret| secret.metadata.labels = None),
        Change::Immutable => sim.edit(|secret| secret.immutable = Some(true)),
        Change::NoSecret => sim.delete_secret(),
        _ => {}
    }
}

fn on_account(sim: &mut Sim, change: &Change) {
    let (user, now) = (sim.user_name(), sim.now);
    let account = &mut sim.account;
    match change {
        Change::NoUser => drop(account.users.remove(&user)),
        Change::NoKey(n) => drop(account.delete_key(&user, &key(*n))),
        Change::Orphan => drop(account.mint(&user, now)),
        Change::Inactive(n) => {
            if let Ok(key) = account.key(&user, &key(*n)) {
                key.listed.status = KeyStatus::Inactive;
            }
        }
        Change::Used(n) => {
            if let Ok(key) = account.key(&user, &key(*n)) {
                key.used = Some(now);
            }
        }
        Change::Attached => {
            if let Ok(user) = account.user(&user) {
                user.attached.push(QUARANTINE.into());
            }
        }
        Change::ForeignUser => {
            if let Ok(user) = account.user(&user) {
                user.facts.tags.clear();
            }
        }
        Change::OtherInstall => {
            if let Ok(user) = account.user(&user) {
                user.facts.tags.insert(tag::INSTALL.into(), "another".into());
            }
        }
        _ => {}
    }
}

fn on_object(sim: &mut Sim, change: &Change) {
    let spec = &mut sim.object.spec;
    match change {
        Change::NoFinalizer => sim.facts.finalizer = false,
        Change::NoAccount => sim.facts.account = None,
        Change::OtherAccount => sim.facts.account = Some("210987654321".into()),
        Change::Region(n) => {
            spec.region = ["eu-central-1", "us-east-1", "eu-west-1", "me-south-1"][*n].into();
        }
        Change::Regions(n) => {
            let all: [&[&str]; 4] = [&[], &["us-east-1"], &["eu-west-1", "us-east-1"], &["me-south-1"]];
            let others = all[*n].iter().filter(|region| **region != spec.region);
            spec.additional_regions = others.map(|region| (*region).to_owned()).collect();
        }
        Change::Port => spec.endpoint = Some(EndpointSpec { host: None, port: Some(465) }),
        Change::Policy => spec.policy = Some(crate::test::policy("a@example.com")),
        Change::Deletion(n) => {
            let policies = [DeletionPolicy::Delete, DeletionPolicy::Retain, DeletionPolicy::Deactivate];
            spec.deletion_policy = policies[*n];
        }
        Change::Suspend => spec.suspend = true,
        Change::Trigger(n) => {
            spec.rotation.get_or_insert_default().trigger = Some(n.to_string());
        }
        Change::Age => spec.rotation.get_or_insert_default().interval = Some("720h".into()),
        Change::Revoke(n) => spec.revoked_keys.push(key(*n).to_string()),
        Change::Ses(answer) => sim.ses = *answer,
        Change::Verify(mode) => sim.settings.verify_login = *mode,
        Change::Delete => sim.delete_object(),
        Change::Time(seconds) => sim.pass_time(*seconds),
        _ => {}
    }
}

fn start(n: usize) -> (Sim, Operator) {
    let (mut sim, operator) = match n {
        0 => (Sim::new(), Operator::default()),
        1 => Sim::provisioned(),
        _ => Sim::rotated(),
    };
    // What others do to keys is not held against the operator here.
    sim.judge.meddled_secret = true;
    sim.judge.raced = true;
    sim.judge.tampered = true;
    (sim, operator)
}

fn apply(sim: &mut Sim, changes: &[Change]) {
    for change in changes {
        on_secret(sim, change);
        on_account(sim, change);
        on_object(sim, change);
    }
}

/// What the sweep made of it, whether that is so or not.
fn suspect(sim: &Sim, operator: &mut Operator, changes: &[Change]) {
    for change in changes {
        let Change::Suspect(bits) = change else { continue };
        let quarantine = Quarantine { policy: QUARANTINE.into(), since: sim.now };
        operator.memo.suspicion.add(Suspicion {
            user: bits & 1 > 0,
            policy: bits & 2 > 0,
            keys: bits & 4 > 0,
            quarantine: (bits & 8 > 0).then_some(quarantine),
            lifted: bits & 16 > 0,
        });
    }
}

fn writes(steps: &[Step]) -> Vec<String> {
    let reads = |step: &&Step| {
        !matches!(
            step,
            Step::ReadSecret
                | Step::ReadUser
                | Step::ListKeys
                | Step::ReadLastUsed(_)
                | Step::Pause { .. }
                | Step::FindUser
                | Step::ProbeLogin(_)
                | Step::Forget
        )
    };
    steps.iter().filter(reads).map(word).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_pass_ends_and_the_end_is_a_fixpoint(
        from in 0..3_usize,
        changes in proptest::collection::vec(change(), 0..7),
        remembers in any::<bool>(),
    ) {
        let (mut sim, mut operator) = start(from);
        apply(&mut sim, &changes);
        if !remembers {
            operator = Operator::default();
        }
        suspect(&sim, &mut operator, &changes);
        // What falls due by itself has its time; nothing is due any more then but the next age.
        sim.settle(&mut operator, 40);
        if let Some(rotation) = &mut sim.object.spec.rotation {
            rotation.interval = None;
        }
        let last = sim.settle(&mut operator, 40);
        let asks_again = sim.settings.verify_login != VerifyLogin::Off && sim.ses.is_some();
        let waits_for_others = matches!(&last.end, Some(End::Done { wake_at: None } | End::Blocked { .. }));
        prop_assert!(waits_for_others || asks_again, "{last}");
        let again = sim.pass(&mut Operator::default());
        let mut wrote = writes(&again.steps);
        // A name that is taken is only found out by asking for it.
        wrote.retain(|word| word != "CreateUser");
        // A new process suspects nothing, so it stops at fewer obstacles: a believed Secret, or a list that
        // shows its key, vouches for a user that the one before read and found to be somebody else's (S4),
        // and it needs no live read that shows a Secret to be immutable.
        let obstacles = [Reason::UserNotOwned, Reason::OwnershipContested, Reason::SecretImmutable];
        let stopped = matches!(&last.end, Some(End::Blocked { reason, .. }) if obstacles.contains(reason));
        if stopped && changes.iter().any(|change| matches!(change, Change::Suspect(_))) {
            return Ok(());
        }
        // The record of an immutable Secret can be written, and is if nothing else has to be.
        if sim.secret.as_ref().is_some_and(|secret| secret.immutable == Some(true)) {
            wrote.retain(|word| word != "Annotate");
        }
        // Nor does it know of keys that were refused, and tries another one.
        let rejected = wrote.iter().any(|word| word.starts_with("Reject"));
        if rejected {
            return Ok(());
        }
        prop_assert!(wrote.is_empty(), "{last} and then {again}");
    }

    #[test]
    fn nothing_is_written_for_a_spec_that_cannot_be_served(
        from in 0..3_usize,
        changes in proptest::collection::vec(change(), 0..7),
    ) {
        let (mut sim, mut operator) = start(from);
        apply(&mut sim, &changes);
        suspect(&sim, &mut operator, &changes);
        sim.object.spec.region = "me-south-1".into();
        sim.object.metadata.deletion_timestamp = None;
        let outcome = sim.pass(&mut operator);
        prop_assert!(outcome.steps.is_empty(), "{outcome}");
    }

    #[test]
    fn what_is_not_ours_is_never_written(
        from in 1..3_usize,
        changes in proptest::collection::vec(change(), 0..5),
        secret in any::<bool>(),
    ) {
        let (mut sim, mut operator) = start(from);
        apply(&mut sim, &changes);
        suspect(&sim, &mut operator, &changes);
        apply(&mut sim, &[if secret { Change::OtherOwner } else { Change::ForeignUser }]);
        let owned = |sim: &Sim| {
            let owner = sim.seen().map(|facts| facts.controller);
            owner == Some(crate::secret::Controller::Credential { name: "another".into(), uid: "another".into() })
        };
        // Keys may be named in our Secret and then are deleted under our name, never others.
        if secret && owned(&sim) {
            let before = sim.secret.clone();
            sim.settle(&mut operator, 10);
            prop_assert_eq!(before, sim.secret);
        } else if !secret && sim.account.users.contains_key(&sim.user_name()) && sim.secret.is_none() {
            let user = sim.account.users[&sim.user_name()].clone();
            sim.settle(&mut operator, 10);
            let after = &sim.account.users[&sim.user_name()];
            prop_assert_eq!((user.facts, user.policy, user.keys.len()), (after.facts.clone(), after.policy.clone(), after.keys.len()));
        }
    }
}

/// R1: a list taken after the fence may show the key of a newer attempt.
#[test]
fn a_key_listed_only_after_the_fence_is_spared() {
    let (mut sim, _) = Sim::provisioned();
    sim.annotate(name::ATTEMPT, Some("ours"));
    let facts = sim.seen().unwrap();
    let mut world = crate::world::World::new(
        sim.facts.clone(),
        None,
        crate::world::Memo::default(),
        "ours".into(),
        sim.now,
    );
    world.secret = crate::world::SecretView::Live(Box::new(facts));
    let user = sim.user_name();
    let listed = |sim: &mut Sim| {
        let (now, list) = (sim.now, sim.account.list(&user, sim.now).unwrap());
        crate::world::Listing { list, at: now }
    };
    world.listings.push(listed(&mut sim));
    world.attempt.fence = Some(crate::world::Fence { published: Some(key(1)), listings: 1 });
    let now = sim.now;
    sim.account.mint(&user, now).unwrap();
    world.listings.push(listed(&mut sim));
    sim.pass_time(300);
    let step = crate::plan::next(&sim.goal(), &world, sim.now);
    assert_eq!(word(&step), "Annotate", "the attempt ends without touching the other's key");
    world.attempt.fence = None;
    assert_eq!(word(&crate::plan::next(&sim.goal(), &world, sim.now)), "Fence");
}
