//! Users whose custom resource is gone without its finalizer having run: what becomes of them, how
//! soon, and how many at a time (S9, L4).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::DeletionPolicy;
use crate::inventory::UserRow;
use crate::names::tag;
use crate::time::{after, shortened};

use super::Scope;

/// How far apart the two sightings are that it takes to act.
const APART: SignedDuration = SignedDuration::from_mins(10);
/// How long the breaker counts.
const BREAKER_WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// Users that may be acted on within that time whatever their number.
const LEAST_LIMIT: usize = 20;
/// Share of the users that may be acted on within that time, in percent.
const LIMIT_PERCENT: usize = 5;

/// A user without a custom resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The user.
    pub name: String,
    /// Account that it is in.
    pub account: String,
    /// Its stable id.
    pub user_id: String,
    /// UID of the custom resource that it was made for.
    pub uid: String,
    /// Namespace and name of that.
    pub object: String,
    /// Installation that made it.
    pub install: String,
    /// What its tag says is to become of it; `None` if that can't be read.
    pub policy: Option<DeletionPolicy>,
    /// When its keys were made Inactive for that.
    pub since: Option<Timestamp>,
}

impl Orphan {
    /// The orphan that `user` is, if it is one: not let go on purpose, and of no live object.
    pub fn of(user: &UserRow, account: &str, live: &BTreeSet<String>) -> Option<Self> {
        let get = |key: &str| user.facts.tags.get(key).cloned().unwrap_or_default();
        let uid = get(tag::UID);
        let let_go = user.facts.tags.contains_key(tag::RELEASED);
        (!let_go && !live.contains(&uid)).then(|| Self {
            name: user.name.clone(),
            account: account.to_owned(),
            user_id: user.facts.user_id.clone(),
            uid,
            object: format!("{}/{}", get(tag::NAMESPACE), get(tag::NAME)),
            install: get(tag::INSTALL),
            policy: policy(&get(tag::DELETION_POLICY)),
            since: get(tag::ORPHANED_SINCE).parse().ok(),
        })
    }
}

fn policy(text: &str) -> Option<DeletionPolicy> {
    let all = [DeletionPolicy::Delete, DeletionPolicy::Retain, DeletionPolicy::Deactivate];
    all.into_iter().find(|policy| policy.as_str() == text)
}

/// What is done to an orphan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its keys are made Inactive, and it is marked as orphaned: deleted after a soak.
    Suspend,
    /// It is deleted with its keys and its policy.
    Delete,
    /// Its keys are made Inactive, and it is marked as released.
    Deactivate,
    /// It is marked as released.
    Release,
}

/// Settings of the sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// How long an orphan's keys are Inactive before it is deleted.
    pub soak: SignedDuration,
    /// Users an hour; `None`: 20, or one in twenty.
    pub limit: Option<usize>,
    /// How many times shorter durations are; 1 but in suites.
    pub scale: f64,
}

/// The users of a scope and the orphans among them, counted page by page.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Users of the scope.
    users: usize,
    /// Those without an object.
    orphans: Vec<Orphan>,
}

impl Census {
    /// Counts a page of an account's users. `live` holds the UIDs of all custom resources there are.
    pub fn add(&mut self, scope: &Scope, account: &str, page: &[UserRow], live: &BTreeSet<String>) {
        let ours = page.iter().filter(|user| scope.holds(user));
        for user in ours {
            self.users += 1;
            self.orphans.extend(Orphan::of(user, account, live));
        }
    }

    /// Counts what was counted in another account.
    pub fn join(&mut self, other: Self) {
        self.users += other.users;
        self.orphans.extend(other.orphans);
    }
}

/// What the sweep remembers between looks.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Orphans by user id, and when each was first seen.
    seen: BTreeMap<String, Timestamp>,
    /// When users were acted on.
    acted: Vec<Timestamp>,
    /// Orphans by user id that could not be dealt with: they come last.
    failed: BTreeSet<String>,
}

/// What a look at the account came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is done now.
    pub acts: Vec<(Orphan, Fate)>,
    /// Orphans there are, acted on or not.
    pub orphans: usize,
    /// Orphans that are due and have to wait because of the breaker.
    pub held_back: usize,
}

impl Memory {
    /// What to do after a look at all users. Not to be asked after an incomplete look, or where
    /// [`may_act`] forbids it.
    pub fn plan(&mut self, census: Census, rules: Rules, now: Timestamp) -> Plan {
        let Census { users, orphans } = census;
        self.see(&orphans, now);
        let mut due: Vec<(Orphan, Fate)> = orphans
            .iter()
            .filter_map(|orphan| Some((orphan.clone(), self.fate(orphan, rules, now)?)))
            .collect();
        due.sort_by_key(|(orphan, _)| self.failed.contains(&orphan.user_id));
        let room = self.room(rules, users, now).min(due.len());
        let held_back = due.len() - room;
        let acts: Vec<(Orphan, Fate)> = due.into_iter().take(room).collect();
        self.acted.extend(acts.iter().map(|_| now));
        Plan { acts, orphans: orphans.len(), held_back }
    }

    /// This orphan could not be dealt with: others go first next time.
    pub fn failed(&mut self, orphan: &Orphan) {
        self.failed.insert(orphan.user_id.clone());
    }

    fn see(&mut self, orphans: &[Orphan], now: Timestamp) {
        let before = std::mem::take(&mut self.seen);
        let first = |orphan: &Orphan| before.get(&orphan.user_id).copied().unwrap_or(now);
        self.seen = orphans.iter().map(|orphan| (orphan.user_id.clone(), first(orphan))).collect();
        self.failed.retain(|user_id| self.seen.contains_key(user_id));
    }

    fn fate(&self, orphan: &Orphan, rules: Rules, now: Timestamp) -> Option<Fate> {
        let first = self.seen.get(&orphan.user_id)?;
        if now < after(*first, shortened(APART, rules.scale)) {
            return None;
        }
        match (orphan.policy?, orphan.since) {
            (DeletionPolicy::Retain, _) => Some(Fate::Release),
            (DeletionPolicy::Deactivate, _) => Some(Fate::Deactivate),
            (DeletionPolicy::Delete, None) => Some(Fate::Suspend),
            (DeletionPolicy::Delete, Some(since)) => {
                (now >= after(since, rules.soak)).then_some(Fate::Delete)
            }
        }
    }

    /// How many users may still be acted on (S9).
    fn room(&mut self, rules: Rules, users: usize, now: Timestamp) -> usize {
        let window = shortened(BREAKER_WINDOW, rules.scale);
        self.acted.retain(|at| after(*at, window) > now);
        let limit = rules.limit.unwrap_or_else(|| LEAST_LIMIT.max(users * LIMIT_PERCENT / 100));
        limit.saturating_sub(self.acted.len())
    }
}

/// True if the list of live objects may be acted on: an empty one looks like a broken one (S9).
pub fn may_act(live: &BTreeSet<String>) -> bool {
    !live.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::UserFacts;
    use crate::identity::{Installation, Owner};
    use crate::test::{installation, owner, time};

    const DAY: i64 = 24 * 3600;
    const RULES: Rules = Rules { soak: SignedDuration::from_hours(24), limit: None, scale: 1.0 };

    fn user(n: usize, policy: DeletionPolicy) -> UserRow {
        let owner = Owner { uid: format!("{n:08}-0000-0000-0000-000000000000"), ..owner() };
        let user = installation().user(&owner, policy);
        UserRow {
            name: user.name,
            facts: UserFacts {
                user_id: format!("AIDA{n}"),
                arn: String::new(),
                path: user.path,
                tags: user.tags,
                boundary: None,
            },
            created: time(0),
            inline: BTreeMap::new(),
            attached: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn users(count: usize) -> Vec<UserRow> {
        (0..count).map(|n| user(n, DeletionPolicy::Delete)).collect()
    }

    fn uid(user: &UserRow) -> String {
        user.facts.tags["ses-smtp.dev/uid"].clone()
    }

    /// One object that is nobody's user's.
    fn others() -> BTreeSet<String> {
        BTreeSet::from(["another".to_owned()])
    }

    fn plan(memory: &mut Memory, users: &[UserRow], live: &BTreeSet<String>, at: i64) -> Plan {
        let installation = installation();
        let scope = Scope { installation: &installation, namespaces: None };
        let mut census = Census::default();
        for page in users.chunks(7) {
            census.add(&scope, "123456789012", page, live);
        }
        memory.plan(census, RULES, time(at))
    }

    /// The fates at a second look.
    fn fates(users: &[UserRow], live: &BTreeSet<String>) -> Vec<Fate> {
        let mut memory = Memory::default();
        assert_eq!(plan(&mut memory, users, live, 0).acts, []);
        plan(&mut memory, users, live, 600).acts.into_iter().map(|(_, fate)| fate).collect()
    }

    #[test]
    fn a_user_of_a_live_object_is_no_orphan() {
        let users = users(3);
        let live: BTreeSet<String> = users.iter().map(uid).collect();
        assert_eq!(fates(&users, &live), []);
        let but_one: BTreeSet<String> = users.iter().skip(1).map(uid).collect();
        assert_eq!(fates(&users, &but_one), [Fate::Suspend]);
    }

    #[test]
    fn the_tag_says_what_becomes_of_it() {
        use DeletionPolicy::{Deactivate, Delete, Retain};
        for (policy, fate) in
            [(Delete, Fate::Suspend), (Retain, Fate::Release), (Deactivate, Fate::Deactivate)]
        {
            assert_eq!(fates(&[user(1, policy)], &others()), [fate]);
        }
        let mut unknown = user(1, Delete);
        unknown.facts.tags.insert(tag::DELETION_POLICY.into(), "whatever".into());
        assert_eq!(fates(&[unknown], &others()), []);
    }

    #[test]
    fn it_takes_two_looks_ten_minutes_apart() {
        let (mut memory, users) = (Memory::default(), users(1));
        assert_eq!(plan(&mut memory, &users, &others(), 0).acts, []);
        assert_eq!(plan(&mut memory, &users, &others(), 599).acts, []);
        assert_eq!(plan(&mut memory, &users, &others(), 600).acts.len(), 1);
        // Seen with its object in between, it starts over.
        let live: BTreeSet<String> = users.iter().map(uid).collect();
        plan(&mut memory, &users, &live, 700);
        assert_eq!(plan(&mut memory, &users, &others(), 800).acts, []);
    }

    #[test]
    fn deletion_follows_after_a_soak() {
        let mut users = users(1);
        users[0].facts.tags.insert(tag::ORPHANED_SINCE.into(), time(0).to_string());
        let mut memory = Memory::default();
        for (at, expected) in [(0, 0), (600, 0), (DAY - 1, 0), (DAY, 1)] {
            let plan = plan(&mut memory, &users, &others(), at);
            assert_eq!(plan.acts.len(), expected, "{at}");
            assert!(plan.acts.iter().all(|(_, fate)| *fate == Fate::Delete));
        }
    }

    #[test]
    fn what_was_let_go_or_is_not_ours_is_never_touched() {
        let edits: [fn(&mut UserRow); 7] = [
            |user| drop(user.facts.tags.insert(tag::RELEASED.into(), "x".into())),
            |user| drop(user.facts.tags.insert(tag::INSTALL.into(), "another".into())),
            |user| drop(user.facts.tags.insert(tag::CLUSTER.into(), "another".into())),
            |user| drop(user.facts.tags.remove(tag::UID)),
            |user| drop(user.facts.tags.remove(tag::NAMESPACE)),
            |user| drop(user.facts.tags.insert(tag::MANAGED_BY.into(), "me".into())),
            |user| user.facts.path = "/ses-smtp/c1/more/".into(),
        ];
        for edit in edits {
            let mut users = users(1);
            edit(&mut users[0]);
            assert_eq!(fates(&users, &others()), []);
        }
    }

    #[test]
    fn nothing_is_done_where_no_object_is_live() {
        assert!(!may_act(&BTreeSet::new()) && may_act(&others()));
    }

    #[test]
    fn two_operators_of_one_cluster_id_keep_to_their_namespaces_and_their_install() {
        // Users of namespace shop, tagged with install i1.
        let installation = installation();
        let theirs = Installation { install_id: "i2".into(), ..installation.clone() };
        let users = users(2);
        let one =
            |namespace: &str, install: &str| BTreeMap::from([(namespace.to_owned(), install.to_owned())]);
        for (installation, namespaces, holds) in [
            (&installation, None, true),
            (&theirs, None, false),
            (&theirs, Some(one("shop", "i1")), true),
            (&installation, Some(one("shop", "i2")), false),
            (&installation, Some(one("other", "i1")), false),
            (&installation, Some(BTreeMap::new()), false),
        ] {
            let scope = Scope { installation, namespaces: namespaces.as_ref() };
            assert_eq!(users.iter().all(|user| scope.holds(user)), holds);
            assert_eq!(users.iter().any(|user| scope.holds(user)), holds);
        }
    }

    #[test]
    fn those_that_fail_hold_up_nobody() {
        let (mut memory, users) = (Memory::default(), users(30));
        plan(&mut memory, &users, &others(), 0);
        let first = plan(&mut memory, &users, &others(), 600);
        for (orphan, _) in &first.acts {
            memory.failed(orphan);
        }
        let next = plan(&mut memory, &users, &others(), 600 + 3600);
        let again = next.acts.iter().filter(|act| first.acts.contains(act)).count();
        assert_eq!(
            (next.acts.len(), again),
            (20, 10),
            "the ten others and as many again as there is room for"
        );
    }

    #[test]
    fn the_breaker_lets_so_many_pass_in_an_hour() {
        for (count, limit) in [(50, 20), (1_000, 50)] {
            let (mut memory, users) = (Memory::default(), users(count));
            plan(&mut memory, &users, &others(), 0);
            let first = plan(&mut memory, &users, &others(), 600);
            assert_eq!((first.acts.len(), first.held_back, first.orphans), (limit, count - limit, count));
            assert_eq!(plan(&mut memory, &users, &others(), 1200).acts.len(), 0);
            assert_eq!(plan(&mut memory, &users, &others(), 600 + 3600).acts.len(), limit);
        }
        let rules = Rules { limit: Some(0), ..RULES };
        let installation = installation();
        let scope = Scope { installation: &installation, namespaces: None };
        let (mut memory, mut census) = (Memory::default(), Census::default());
        census.add(&scope, "123456789012", &users(5), &others());
        memory.plan(census.clone(), rules, time(0));
        assert_eq!(memory.plan(census, rules, time(900)).acts, []);
    }
}
