//! A state of the whole world: account, Secret, operators, calls on their way, and what is left
//! to go wrong.

use super::intern::{Id, Refs, fingerprint};
use super::tables::Tables;
use crate::key::KeyId;
use crate::plan::tests::sim::number;

/// Seconds since the tests' beginning of time.
pub type Seconds = u32;

/// An access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub number: u8,
    pub active: bool,
    pub created: Seconds,
}

/// The IAM user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    pub foreign: bool,
    pub policy: bool,
    pub keys: Vec<Key>,
}

/// The account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Account {
    pub user: Option<User>,
    /// Keys made so far.
    pub made: u8,
    /// The keys as they were before the last change, and when that was: a list may still show it.
    pub before: Option<(Vec<Key>, Seconds)>,
}

/// A pass under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pass {
    pub world: Id,
    pub goal: u8,
    /// The end of a pause.
    pub until: Seconds,
    /// It was under way when somebody else's user took ours' place.
    pub proved: bool,
}

/// An operator that believes it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operator {
    pub memo: Id,
    pub pass: Option<Pass>,
}

/// A call without a reply, whose effect comes later but before `by`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Late {
    pub by: Seconds,
    pub call: Call,
}

/// What is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Write(Write),
    Mint,
    Delete(u8),
}

/// A write of the Secret as it is sent: the whole object that comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// Facts of the object sent, with the version that the write is conditional on.
    pub object: Id,
    /// True for a create.
    pub create: bool,
    /// True for a patch of metadata, which is answered without the content.
    pub patch: bool,
    /// For a credential: the pass's nonce, and the key that was published at its fence.
    pub publish: Option<(u32, Option<u8>)>,
}

/// What can happen only so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Pass,
    Crash,
    ReplyLost,
    RequestLost,
    Late,
    StaleList,
    StaleCache,
    Tick,
    Rotate,
    Label,
    DeleteSecret,
    EditPassword,
    Strip,
    PutBack,
    DeletePublished,
    Inactivate,
    DeleteUser,
    RecreateUser,
    PlantUser,
    DeleteObject,
}

/// How many kinds there are.
pub const KINDS: usize = 20;

/// Whether the Secret names a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Named {
    #[default]
    Never,
    Now,
    Until(Seconds),
}

/// What the invariants remember of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyGhost {
    pub named: Named,
    /// When the operator made it Inactive.
    pub deactivated: Option<Seconds>,
    /// The operator deleted it or made it Inactive.
    pub ended: bool,
    /// A person had a hand in it.
    pub exempt: bool,
    /// When IAM made it.
    pub created: Seconds,
}

/// What the invariants remember.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    pub keys: Vec<KeyGhost>,
    /// A person destroyed the published password.
    pub lost: bool,
    /// When a person deleted the Secret last.
    pub deleted: Option<Seconds>,
    /// The object is being deleted.
    pub teardown: bool,
    /// The user was gone at some time since.
    pub gone: bool,
    /// Somebody else's user may hold a key of ours.
    pub mixed: bool,
}

/// The state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub now: Seconds,
    /// Number of the spec in force.
    pub spec: u8,
    pub finalizer: bool,
    pub account: Account,
    pub secret: Option<Id>,
    /// The Secret before its last change, for a cache that lags.
    pub older: Option<Option<Id>>,
    pub operators: Vec<Operator>,
    pub late: Vec<Late>,
    pub left: [u8; KINDS],
    pub ghost: Ghost,
}

impl State {
    pub fn left(&self, kind: Kind) -> u8 {
        self.left[kind as usize]
    }

    /// The state's hash. Operators are alike, so their order doesn't count.
    pub fn fingerprint(&self) -> u128 {
        let mut canonical = self.clone();
        canonical.operators.sort_unstable();
        fingerprint(&canonical)
    }

    /// Names that somebody may still compare with.
    pub fn refs(&self, tables: &Tables) -> Refs {
        let secrets = self.secret.into_iter().chain(self.older.flatten());
        let sent = self.late.iter().filter_map(|late| match &late.call {
            Call::Write(write) => Some(write.object),
            _ => None,
        });
        let stored = secrets.chain(sent).map(|id| tables.secrets.refs(id));
        let known = self.operators.iter().map(|operator| match operator.pass {
            Some(pass) => tables.worlds.refs(pass.world),
            None => tables.memos.refs(operator.memo),
        });
        let publishes = self.late.iter().filter_map(|late| match &late.call {
            Call::Write(write) => write.publish,
            _ => None,
        });
        let nonces = publishes.map(|(nonce, _)| Refs { nonces: 1 << nonce, versions: 0 });
        stored.chain(known).chain(nonces).fold(Refs::default(), Refs::and)
    }
}

impl Account {
    pub fn keys(&self) -> &[Key] {
        self.user.as_ref().map(|user| user.keys.as_slice()).unwrap_or_default()
    }

    pub fn key(&self, number: u8) -> Option<&Key> {
        self.keys().iter().find(|key| key.number == number)
    }
}

impl Ghost {
    pub fn key(&mut self, number: u8) -> &mut KeyGhost {
        let index = usize::from(number);
        if self.keys.len() <= index {
            self.keys.resize(index + 1, KeyGhost::default());
        }
        &mut self.keys[index]
    }
}

/// The number in a key's id.
pub fn small(id: &KeyId) -> u8 {
    u8::try_from(number(id)).unwrap()
}
