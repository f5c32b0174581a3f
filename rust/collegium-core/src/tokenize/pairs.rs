//! Pairs of tokens to what they merge into: for most pairs one look at memory.

/// Rank and result of a pair that does not merge.
pub(super) const NO_MERGE: (u32, u32) = (u32::MAX, 0);

/// No pair: both would have to be the largest number.
const NO_KEY: u64 = u64::MAX;

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u64,
    rank: u32,
    merged: u32,
}

/// A hash table with linear probing, never more than two thirds full.
#[derive(Debug)]
pub(super) struct Pairs {
    entries: Box<[Entry]>,
    shift: u32,
}

impl Pairs {
    /// A table of (key, (rank, merged)); of equal keys the last counts.
    pub fn new(pairs: &[(u64, (u32, u32))]) -> Self {
        let size = (pairs.len() * 3 / 2).max(2).next_power_of_two();
        let empty = Entry {
            key: NO_KEY,
            rank: NO_MERGE.0,
            merged: NO_MERGE.1,
        };
        let mut table = Self {
            entries: vec![empty; size].into_boxed_slice(),
            shift: 64 - size.trailing_zeros(),
        };
        for &(key, (rank, merged)) in pairs {
            let place = table.place(key);
            table.entries[place] = Entry { key, rank, merged };
        }
        table
    }

    /// Rank and result of a pair, or [`NO_MERGE`].
    #[inline]
    pub fn get(&self, key: u64) -> (u32, u32) {
        let Entry { rank, merged, .. } = self.entries[self.place(key)];
        (rank, merged)
    }

    /// Where the key is, or would be.
    #[inline]
    fn place(&self, key: u64) -> usize {
        let mask = self.entries.len() - 1;
        let mut place = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize & mask;
        while self.entries[place].key != key && self.entries[place].key != NO_KEY {
            place = (place + 1) & mask;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::{NO_MERGE, Pairs};
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn same_as_a_map(
            pairs in prop::collection::vec((0_u64..90, (0_u32..9, 0_u32..9)), 0..120),
            shift in 0..50,
        ) {
            let pairs: Vec<_> = pairs.into_iter().map(|(k, v)| (k << shift, v)).collect();
            let map: HashMap<u64, (u32, u32)> = pairs.iter().copied().collect();
            let table = Pairs::new(&pairs);
            for key in (0..100_u64).map(|key| key << shift).chain([u64::MAX]) {
                prop_assert_eq!(table.get(key), map.get(&key).copied().unwrap_or(NO_MERGE));
            }
        }
    }
}
