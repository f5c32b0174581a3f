//! 64-bit hashes of words, 3-grams and keys.
//!
//! Two different 3-grams of a pair of texts share a hash with a probability of about 2^-64 each.

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTORS: [u64; 4] = [
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
    0x5899_65cc_7537_4cc3,
];
/// What stands for the missing second and third unit of a text that has fewer.
const MISSING: [u64; 2] = [0x1d8e_4e27_c47d_124f, 0xeb44_acca_b455_d165];

/// Both halves of the 128-bit product, folded.
#[inline]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The eight bytes from `at`; `padded` holds them.
#[inline]
fn load(padded: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&padded[at..at + 8]);
    u64::from_le_bytes(eight)
}

/// Hash of the word `padded[start..end]`, which holds no zero byte; eight bytes follow its start.
#[inline]
pub(super) fn word(padded: &[u8], mut start: usize, end: usize) -> u64 {
    let mut state = SEED;
    while end - start > 8 {
        state = fold(state ^ load(padded, start), FACTORS[0]);
        start += 8;
    }
    let keep = u64::MAX >> (64 - 8 * (end - start));
    fold(state ^ (load(padded, start) & keep), FACTORS[1])
}

/// Hash of any bytes.
pub(super) fn bytes(bytes: &[u8]) -> u64 {
    Key::EMPTY.with_bytes(bytes).0
}

/// Hash of a unit that is a number, such as a character or a token id.
#[inline]
pub(super) fn number(value: u32) -> u64 {
    fold(SEED ^ u64::from(value), FACTORS[2])
}

/// Hash of three units in order.
#[inline]
fn three(a: u64, b: u64, c: u64) -> u64 {
    fold(fold(a ^ FACTORS[0], b ^ FACTORS[1]) ^ c, FACTORS[3])
}

/// Append the hashes of the 3-grams of `units` to `out`; fewer than three units are one 3-gram.
#[inline]
pub(super) fn shingles(units: &[u64], out: &mut Vec<u64>) {
    match *units {
        [] => {}
        [a] => out.push(three(a, MISSING[0], MISSING[1])),
        [a, b] => out.push(three(a, b, MISSING[1])),
        _ => out.extend(units.windows(3).map(|w| three(w[0], w[1], w[2]))),
    }
}

/// Hash of a whole sequence of units.
pub(super) fn sequence(units: &[u64]) -> u64 {
    let start = SEED ^ units.len() as u64;
    units
        .iter()
        .fold(start, |state, unit| fold(state ^ unit, FACTORS[2]))
}

/// 128 bits that stand for a key of several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u64, u64);

impl Key {
    pub(super) const EMPTY: Self = Self(SEED, FACTORS[3]);

    /// The key with one more part.
    #[inline]
    pub(super) fn with(self, part: u64) -> Self {
        let first = fold(self.0 ^ part, FACTORS[0]);
        Self(
            first,
            fold(self.1 ^ part ^ first.rotate_left(32), FACTORS[1]),
        )
    }

    /// The key with one more part.
    #[inline]
    pub(super) fn with_bytes(self, bytes: &[u8]) -> Self {
        let mut key = self.with(bytes.len() as u64);
        let mut eights = bytes.chunks_exact(8);
        for eight in &mut eights {
            key = key.with(load(eight, 0));
        }
        let rest = eights.remainder();
        if !rest.is_empty() {
            let mut eight = [0; 8];
            eight[..rest.len()].copy_from_slice(rest);
            key = key.with(u64::from_le_bytes(eight));
        }
        key
    }

    /// A small part of the key, to spread rows over shards.
    pub(super) fn shard(self, shards: usize) -> usize {
        (self.1 % shards as u64) as usize
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
        bytes[8..].copy_from_slice(&self.1.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(load(bytes, 0), load(bytes, 8))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Key, shingles, word};

    #[test]
    fn words_and_keys_differ() {
        let mut seen = HashSet::new();
        for length in 1..40 {
            for letter in b'a'..=b'z' {
                let mut padded = vec![letter; length];
                padded.extend([0; 8]);
                assert!(seen.insert(word(&padded, 0, length)));
            }
        }
        let mut keys = HashSet::new();
        for text in ["", "a", "aa", "aaaaaaaa", "aaaaaaaaa", "a\0", "\0"] {
            assert!(keys.insert(Key::EMPTY.with_bytes(text.as_bytes())));
        }
        let key = Key::EMPTY.with(7);
        assert_eq!(Key::from_bytes(&key.to_bytes()), key);
    }

    #[test]
    fn the_order_of_units_counts() {
        let grams = |units: &[u64]| {
            let mut out = Vec::new();
            shingles(units, &mut out);
            out
        };
        let all = [
            grams(&[1]),
            grams(&[1, 2]),
            grams(&[2, 1]),
            grams(&[1, 2, 3]),
        ];
        let distinct: HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), 4);
        assert_ne!(grams(&[1, 2, 3]), grams(&[3, 2, 1]));
        assert_eq!(grams(&[1, 2, 3, 4]).len(), 2);
        assert!(grams(&[]).is_empty());
    }
}
