//! Values by number: each is stored once, found again by a 128-bit hash of its canonical text.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The number of a stored value. Equal values have equal numbers.
pub type Id = u32;

/// Two hashes at once, each by folded multiplication. With a million states the chance that two share
/// all 128 bits is some 2^-88, so a hash stands for its state (hash compaction).
struct Wide(u64, u64);

/// Odd numbers with as many ones as noughts.
const FACTORS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];

#[allow(clippy::cast_possible_truncation)]
fn folded(word: u64, factor: u64) -> u64 {
    let product = u128::from(word) * u128::from(factor);
    (product >> 64) as u64 ^ product as u64
}

impl Wide {
    fn word(&mut self, word: u64) {
        self.0 = folded(self.0 ^ word, FACTORS[0]).wrapping_add(word.rotate_left(23));
        self.1 = folded(self.1.rotate_left(29) ^ word, FACTORS[1]).wrapping_add(word);
    }
}

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.word(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.word(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.word(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.word(value as u64);
    }

    fn finish(&self) -> u64 {
        folded(self.0 ^ self.1, FACTORS[0])
    }
}

/// The 128-bit hash of a value.
pub fn fingerprint(value: &impl Hash) -> u128 {
    let mut wide = Wide(FACTORS[1], FACTORS[0]);
    value.hash(&mut wide);
    u128::from(folded(wide.0, FACTORS[0])) << 64 | u128::from(folded(wide.1, FACTORS[1]))
}

/// For maps that are asked often.
#[derive(Default)]
pub struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = folded(self.0 ^ value ^ FACTORS[1], FACTORS[0]);
    }

    fn write_u128(&mut self, value: u128) {
        #[allow(clippy::cast_possible_truncation)]
        self.write_u64((value >> 64) as u64 ^ value as u64);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The builder of quick hashers.
pub type QuickBuild = BuildHasherDefault<Quick>;

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
    ids: HashMap<u128, Id, QuickBuild>,
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
}
