//! Seeded pseudo-random text. Owns the one source of randomness of the double, so that a run repeats.
//!
//! `SplitMix64` (Steele, Lea, Flood 2014): good enough for unique names, useless for real secrets.

/// The alphabet of access key ids and unique ids: base32, as IAM's.
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// The alphabet of secret access keys.
const SECRET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+";

/// A seeded generator of ids and secrets.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        let size = u64::try_from(alphabet.len()).unwrap_or(1);
        let pick = |n: u64| alphabet.get(usize::try_from(n % size).unwrap_or(0)).copied().unwrap_or(b'A');
        (0..length).map(|_| char::from(pick(self.next()))).collect()
    }

    /// An id of IAM's form: a four-letter prefix (`AIDA`, `AKIA`, `ASIA`, `AGPA`) and base32 text.
    pub(crate) fn id(&mut self, prefix: &str, length: usize) -> String {
        format!("{prefix}{}", self.text(BASE32, length))
    }

    /// A secret access key: 40 characters.
    pub(crate) fn secret(&mut self) -> String {
        self.text(SECRET, 40)
    }

    /// The token of a session: 200 characters, of no length that AWS promises.
    pub(crate) fn token(&mut self) -> String {
        self.text(SECRET, 200)
    }

    /// A request id in the form of a UUID.
    pub(crate) fn request_id(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        let tail = b & 0xffff_ffff_ffff;
        format!("{:08x}-{:04x}-{:04x}-{:04x}-{tail:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xffff, b >> 48)
    }

    /// A message id as SES gives them out.
    pub(crate) fn message_id(&mut self) -> String {
        format!("0100{:016x}-{}-000000", self.next(), self.request_id())
    }
}
