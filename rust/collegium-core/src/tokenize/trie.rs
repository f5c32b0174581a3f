//! A double-array trie: pieces of a vocabulary that begin at a place in a text.

/// Values must be smaller than this.
pub(super) const VALUE_LIMIT: u32 = NO_VALUE;

/// Value of a unit that ends no key.
const NO_VALUE: u32 = (1 << 23) - 1;
const VALUE_SHIFT: u32 = 9;
const BASE_SHIFT: u32 = 32;
/// Set in units that are in use; the eight bits below are the last byte of their keys.
const USED: u64 = 0x100;

/// Blocks of 256 units that are searched for room before a new one is opened.
const OPEN_BLOCKS: usize = 32;

/// Base (the child by byte `b` is at `base ^ b`), value, use and byte. No two nodes have the same
/// base, so the byte tells whose child a unit is; base 0 is that of nodes without children.
type Unit = u64;

/// Maps byte strings to values below `u32::MAX`; finds all keys that a text begins with.
#[derive(Debug, Clone)]
pub(super) struct Trie {
    units: Vec<Unit>,
}

impl Trie {
    /// Build from keys that are not empty, sorted and without repetition, with values below
    /// [`VALUE_LIMIT`].
    pub(super) fn build<K: AsRef<[u8]>>(keys: &[(K, u32)]) -> Self {
        let mut units = vec![unused(); 256];
        let mut room = Room::new();
        // (node, its keys, their common length)
        let mut pending = vec![(0_u32, 0..keys.len(), 0_usize)];
        let mut children: Vec<(u8, std::ops::Range<usize>)> = Vec::new();
        while let Some((node, mut range, depth)) = pending.pop() {
            if range.start < range.end && keys[range.start].0.as_ref().len() == depth {
                let unit = &mut units[node as usize];
                *unit &= !(u64::from(NO_VALUE) << VALUE_SHIFT);
                *unit |= u64::from(keys[range.start].1) << VALUE_SHIFT;
                range.start += 1;
            }
            children.clear();
            let mut start = range.start;
            while start < range.end {
                let byte = keys[start].0.as_ref()[depth];
                let end = start
                    + keys[start..range.end]
                        .partition_point(|(key, _)| key.as_ref()[depth] <= byte);
                children.push((byte, start..end));
                start = end;
            }
            if children.is_empty() {
                continue;
            }
            let base = room.place(&mut units, &children);
            units[node as usize] |= u64::from(base) << BASE_SHIFT;
            for (byte, range) in children.drain(..) {
                let child = base ^ u32::from(byte);
                units[child as usize] |= USED | u64::from(byte);
                pending.push((child, range, depth + 1));
            }
        }
        Self { units }
    }

    /// Call `found(length, value)` for every key that `text` begins with, the shortest first.
    #[inline]
    pub(super) fn prefixes(&self, text: &[u8], mut found: impl FnMut(usize, u32)) {
        let mut base = (self.units[0] >> BASE_SHIFT) as u32;
        for (index, &byte) in text.iter().enumerate() {
            let unit = self.units[(base ^ u32::from(byte)) as usize];
            if unit & 0x1FF != USED | u64::from(byte) {
                return;
            }
            let value = (unit >> VALUE_SHIFT) as u32 & NO_VALUE;
            if value != NO_VALUE {
                found(index + 1, value);
            }
            base = (unit >> BASE_SHIFT) as u32;
        }
    }

    /// Value of the key that is `text`.
    pub(super) fn get(&self, text: &[u8]) -> Option<u32> {
        let mut value = None;
        self.prefixes(text, |length, found| {
            if length == text.len() {
                value = Some(found);
            }
        });
        value
    }
}

fn unused() -> Unit {
    u64::from(NO_VALUE) << VALUE_SHIFT
}

/// Which units are free, and which of their places are nobody's base.
struct Room {
    blocks: Vec<Block>,
}

/// One bit per unit.
struct Block {
    free: [u64; 4],
    unused_bases: [u64; 4],
}

impl Room {
    fn new() -> Self {
        // The root, and the base of nodes without children.
        let mut block = Block::new();
        clear(&mut block.free, 0);
        clear(&mut block.unused_bases, 0);
        Self {
            blocks: vec![block],
        }
    }

    /// Find and take a base with room for all `children`.
    fn place<T>(&mut self, units: &mut Vec<Unit>, children: &[(u8, T)]) -> u32 {
        let first = self.blocks.len().saturating_sub(OPEN_BLOCKS);
        let open = (first..self.blocks.len()).find_map(|index| {
            let low = self.blocks[index].fit(children)?;
            Some((index, low))
        });
        let (index, low) = open.unwrap_or_else(|| {
            self.blocks.push(Block::new());
            units.resize(units.len() + 256, unused());
            (self.blocks.len() - 1, 0)
        });
        let block = &mut self.blocks[index];
        clear(&mut block.unused_bases, low);
        for (byte, _) in children {
            clear(&mut block.free, low ^ byte);
        }
        ((index as u32) << 8) | u32::from(low)
    }
}

impl Block {
    fn new() -> Self {
        Self {
            free: [u64::MAX; 4],
            unused_bases: [u64::MAX; 4],
        }
    }

    /// The low byte of a base with room for all `children`, if there is one.
    fn fit<T>(&self, children: &[(u8, T)]) -> Option<u8> {
        let (first, others) = children.split_first()?;
        for (index, &word) in self.free.iter().enumerate() {
            let mut word = word;
            while word != 0 {
                let slot = ((index as u8) << 6) | word.trailing_zeros() as u8;
                let low = slot ^ first.0;
                if is_set(&self.unused_bases, low)
                    && others
                        .iter()
                        .all(|(byte, _)| is_set(&self.free, low ^ byte))
                {
                    return Some(low);
                }
                word &= word - 1;
            }
        }
        None
    }
}

fn is_set(bits: &[u64; 4], at: u8) -> bool {
    bits[usize::from(at >> 6)] >> (at & 63) & 1 == 1
}

fn clear(bits: &mut [u64; 4], at: u8) {
    bits[usize::from(at >> 6)] &= !(1 << (at & 63));
}

#[cfg(test)]
mod tests {
    use super::Trie;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn prefixes(trie: &Trie, text: &[u8]) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        trie.prefixes(text, |length, value| found.push((length, value)));
        found
    }

    proptest! {
        #[test]
        fn same_as_a_map(
            keys in prop::collection::btree_map(
                prop::collection::vec(0_u8..5, 1..6), 0_u32..1000, 0..200),
            texts in prop::collection::vec(prop::collection::vec(0_u8..6, 0..9), 20),
        ) {
            let map: BTreeMap<Vec<u8>, u32> = keys;
            let sorted: Vec<_> = map.iter().map(|(k, &v)| (k.as_slice(), v)).collect();
            let trie = Trie::build(&sorted);
            for text in texts {
                let expected: Vec<_> = (1..=text.len())
                    .filter_map(|n| map.get(&text[..n]).map(|&v| (n, v)))
                    .collect();
                prop_assert_eq!(prefixes(&trie, &text), expected);
                prop_assert_eq!(trie.get(&text), map.get(&text).copied());
            }
        }
    }

    #[test]
    fn every_byte_at_every_level() {
        let keys: Vec<[u8; 2]> = (0..=u16::MAX).map(u16::to_be_bytes).collect();
        let pairs: Vec<_> = keys.iter().zip(0..).map(|(k, v)| (&k[..], v)).collect();
        let trie = Trie::build(&pairs);
        assert_eq!(prefixes(&trie, &[255, 254, 3]), [(2, 0xFFFE)]);
        assert_eq!(prefixes(&trie, &[0, 0]), [(2, 0)]);
        assert!(prefixes(&Trie::build::<&[u8]>(&[]), &[0, 0]).is_empty());
    }
}
