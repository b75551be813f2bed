//! Values by number: each is stored once, found again by a 128-bit hash of its canonical text.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

/// The number of a stored value. Equal values have equal numbers.
pub type Id = u32;

/// Two hashes at once. With a million states the chance that two share all 128 bits is 2^-88, so a
/// hash stands for its state (hash compaction).
#[derive(Default)]
struct Wide(DefaultHasher, DefaultHasher);

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
        self.1.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// The 128-bit hash of a value.
pub fn fingerprint(value: &impl Hash) -> u128 {
    let mut wide = Wide::default();
    // The second hash starts elsewhere, so the two are independent.
    wide.1.write_u64(0x9e37_79b9_7f4a_7c15);
    value.hash(&mut wide);
    u128::from(wide.0.finish()) << 64 | u128::from(wide.1.finish())
}

/// A fingerprint is a hash already.
#[derive(Default)]
pub struct Plain(u64);

impl Hasher for Plain {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.0 ^= chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// For maps whose keys are fingerprints.
pub type PlainBuild = BuildHasherDefault<Plain>;

/// Which numbered Secret versions and nonces a value speaks of, as bits.
#[derive(Clone, Copy, Default)]
pub struct Refs {
    pub versions: u64,
    pub nonces: u64,
}

impl Refs {
    fn of(text: &str) -> Self {
        Self { versions: bits(text, "version#"), nonces: bits(text, "nonce#") }
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { versions: self.versions | other.versions, nonces: self.nonces | other.nonces }
    }
}

fn bits(text: &str, mark: &str) -> u64 {
    let number =
        |at: usize| text[at + mark.len()..].split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    text.match_indices(mark).filter_map(|(at, _)| number(at)).fold(0, |bits, n: u32| bits | 1 << n)
}

/// The smallest number that is not among `bits`: names that nobody holds any more are used again,
/// so that equal situations are equal. Only their equality is ever looked at.
pub fn unused(bits: u64) -> u32 {
    let number = bits.trailing_ones();
    assert!(number < 64, "more than 64 names in one state");
    number
}

/// All values of one type that were met.
pub struct Interner<T> {
    ids: HashMap<u128, Id, PlainBuild>,
    items: Vec<(T, Refs)>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { ids: HashMap::default(), items: Vec::new() }
    }
}

impl<T: Debug> Interner<T> {
    pub fn put(&mut self, item: T) -> Id {
        let text = format!("{item:?}");
        let next = u32::try_from(self.items.len()).unwrap();
        let id = *self.ids.entry(fingerprint(&text)).or_insert(next);
        if id == next {
            self.items.push((item, Refs::of(&text)));
        }
        id
    }

    pub fn get(&self, id: Id) -> &T {
        &self.items[id as usize].0
    }

    pub fn refs(&self, id: Id) -> Refs {
        self.items[id as usize].1
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }
}
