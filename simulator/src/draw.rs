//! Chance without a generator: every draw is a hash of what it is for.
//!
//! Requests that begin with different messages do not depend on each other's order, so two runs
//! with one seed agree however their requests interleave.

use std::f64::consts::TAU;

use sha2::{Digest as _, Sha256};

/// A SHA-256 sum.
pub(crate) type Digest = [u8; 32];

/// The SHA-256 sum of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// A sum in lowercase hexadecimal.
pub(crate) fn hex(digest: &Digest) -> String {
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// The draws of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws(u64);

impl Draws {
    /// Draws for the `nth` request that begins a conversation with `first` and asks for `model`.
    pub(crate) fn new(seed: u64, first: &Digest, model: &str, nth: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(first);
        hash.update(nth.to_le_bytes());
        hash.update(model.as_bytes());
        Self::from_digest(&hash.finalize().into())
    }

    /// Draws from a seed and a name alone.
    pub(crate) fn named(seed: u64, name: &str) -> Self {
        Self::new(seed, &[0; 32], name, 0)
    }

    fn from_digest(digest: &Digest) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *digest;
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Other draws for the `nth` thing of the same kind.
    pub(crate) fn again(self, nth: u64) -> Self {
        Self(self.bits("again", nth))
    }

    /// Sixty-four bits for the `index`th draw for a purpose.
    pub(crate) fn bits(self, purpose: &str, index: u64) -> u64 {
        let purpose = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let index = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        splitmix(splitmix(self.0 ^ purpose).wrapping_add(index))
    }

    /// A whole number below `bound`.
    pub(crate) fn below(self, purpose: &str, index: u64, bound: u64) -> u64 {
        self.bits(purpose, index) % bound.max(1)
    }

    /// A number in [0, 1).
    pub(crate) fn uniform(self, purpose: &str) -> f64 {
        unit(self.bits(purpose, 0))
    }

    /// A number around a median, its logarithm normal with the given spread; at most three
    /// spreads away, so that one unlucky draw cannot stall a test.
    pub(crate) fn lognormal(self, purpose: &str, median: f64, spread: f64) -> f64 {
        let radius = (-2.0 * (1.0 - unit(self.bits(purpose, 0))).ln()).sqrt();
        let normal = radius * (TAU * unit(self.bits(purpose, 1))).cos();
        median * (spread * normal.clamp(-3.0, 3.0)).exp()
    }

    /// Letters and digits as the API's ids have them.
    pub(crate) fn id(self, purpose: &str, length: u64) -> String {
        const LETTERS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        (0..length)
            .map(|index| {
                let at = self.below(purpose, index, LETTERS.len() as u64);
                usize::try_from(at).ok().and_then(|at| LETTERS.get(at)).map_or('1', |&b| b.into())
            })
            .collect()
    }

    /// A UUID of version 4.
    pub(crate) fn uuid(self, purpose: &str) -> String {
        let (high, low) = (self.bits(purpose, 0), self.bits(purpose, 1));
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

const fn splitmix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(nth: u64) -> Draws {
        Draws::new(7, &sha256(b"What is 6 x 7?"), "claude-opus-4-6", nth)
    }

    #[test]
    fn a_draw_depends_on_each_of_its_reasons() {
        let one = draws(0).bits("fault", 0);
        assert_eq!(one, draws(0).bits("fault", 0));
        assert_ne!(one, draws(1).bits("fault", 0));
        assert_ne!(one, draws(0).bits("fault", 1));
        assert_ne!(one, draws(0).bits("latency", 0));
        assert_ne!(
            one,
            Draws::new(8, &sha256(b"What is 6 x 7?"), "claude-opus-4-6", 0).bits("fault", 0)
        );
        assert_ne!(
            one,
            Draws::new(7, &sha256(b"What is 6 x 8?"), "claude-opus-4-6", 0).bits("fault", 0)
        );
        assert_ne!(
            one,
            Draws::new(7, &sha256(b"What is 6 x 7?"), "claude-opus-4-5", 0).bits("fault", 0)
        );
    }

    #[test]
    fn uniform_draws_fill_the_unit_interval_evenly() {
        let below_a_tenth = (0..10_000).filter(|&n| draws(n).uniform("fault") < 0.1).count();
        assert!((900..1100).contains(&below_a_tenth), "{below_a_tenth}");
    }

    #[test]
    fn lognormal_draws_have_their_median_in_the_middle() {
        let drawn = (0..10_000).map(|n| draws(n).lognormal("latency", 1.5, 0.35));
        let below = drawn.filter(|&seconds| seconds < 1.5).count();
        assert!((4800..5200).contains(&below), "{below}");
    }

    #[test]
    fn ids_have_their_shape() {
        let uuid = draws(0).uuid("org");
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(matches!(uuid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert_eq!(draws(0).id("message", 22).len(), 22);
    }
}
