//! An inverted index: which rows share a key.

use super::keys::{ANYWHERE, PlacedKey};
use super::sets::Set;
use super::similarity::{overlap, sizes_allow};

/// A place of the hash table: what is free has no entry.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// The low half of the key.
    low: u32,
    /// The entry added last with this key, plus one; 0 = free.
    last: u32,
}

#[derive(Debug)]
struct Entry {
    /// The high half of the key.
    high: u32,
    /// The entry added before with the same key, plus one; 0 = none.
    next: u32,
    item: u32,
    /// Both at most [`LARGE`], which stands for anything from there on.
    size: u16,
    place: u16,
}

const LARGE: u16 = u16::MAX;
const LEAST_SLOTS: usize = 1 << 8;

/// Items by their keys; the one added last comes first.
#[derive(Debug)]
pub(super) struct Index {
    /// A power of two of them, at most 5/8 in use; a key is at its leading bits or close behind.
    slots: Vec<Slot>,
    used: usize,
    entries: Vec<Entry>,
}

impl Index {
    /// Bytes that an index holds for each key.
    pub(super) const BYTES: usize = size_of::<Entry>() + size_of::<Slot>() * 2;

    /// An index for about `keys` keys.
    pub(super) fn new(keys: usize) -> Self {
        let mut index = Self {
            slots: Vec::new(),
            used: 0,
            entries: Vec::new(),
        };
        index.clear(keys);
        index
    }

    /// Forget everything and make ready for about `keys` keys.
    pub(super) fn clear(&mut self, keys: usize) {
        self.entries.clear();
        self.slots.clear();
        let slots = keys.next_power_of_two().clamp(LEAST_SLOTS, 1 << 26);
        self.slots.resize(slots, Slot::default());
        self.used = 0;
    }

    /// Add an item; later items have higher numbers.
    pub(super) fn add(&mut self, item: u32, size: usize, keys: &[PlacedKey]) {
        if (self.used + keys.len()) * 8 > self.slots.len() * 5 {
            self.grow(keys.len());
        }
        for &(key, place) in keys {
            let at = self.find(key);
            let slot = &mut self.slots[at];
            self.used += usize::from(slot.last == 0);
            self.entries.push(Entry {
                high: (key >> 32) as u32,
                next: slot.last,
                item,
                size: size.min(LARGE.into()) as u16,
                place: place.min(LARGE.into()) as u16,
            });
            *slot = Slot {
                low: key as u32,
                last: self.entries.len() as u32,
            };
        }
    }

    /// Add an item by its units in their order, which no other item has.
    pub(super) fn add_twin(&mut self, item: u32, set: Set<'_>) {
        self.add(item, set.hashes.len(), &[(set.sequence, ANYWHERE)]);
    }

    /// The item with the same units in the same order.
    pub(super) fn twin(&self, set: Set<'_>) -> Option<u32> {
        let slot = self.slots.get(self.find(set.sequence))?;
        let entry = slot.last.checked_sub(1)?;
        Some(self.entries[entry as usize].item)
    }

    /// Where the key is or would be.
    fn find(&self, key: u64) -> usize {
        let mut at = self.home(key);
        loop {
            let slot = self.slots[at];
            if slot.last == 0 || (slot.low == key as u32 && self.holds(slot, key)) {
                return at;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn home(&self, key: u64) -> usize {
        (key >> shift(self.slots.len())) as usize
    }

    fn holds(&self, slot: Slot, key: u64) -> bool {
        self.entries[slot.last as usize - 1].high == (key >> 32) as u32
    }

    fn grow(&mut self, more: usize) {
        let slots = ((self.used + more) * 2).next_power_of_two();
        let slots = slots.max(LEAST_SLOTS).max(self.slots.len() * 2);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); slots]);
        for slot in old.into_iter().filter(|slot| slot.last != 0) {
            let high = self.entries[slot.last as usize - 1].high;
            let at = self.find(u64::from(high) << 32 | u64::from(slot.low));
            self.slots[at] = slot;
        }
    }

    /// Call `meet` once with each item that shares a key and may reach the similarity that `meet`
    /// returned last; an infinite one ends the search.
    pub(super) fn candidates(
        &self,
        size: usize,
        keys: &[PlacedKey],
        threshold: f64,
        met: &mut Met,
        mut meet: impl FnMut(u32) -> f64,
    ) {
        if self.entries.is_empty() {
            return;
        }
        met.turn();
        // Slots first, for all keys: the memory is waited for once.
        let mut heads = std::mem::take(&mut met.heads);
        heads.clear();
        heads.extend(
            keys.iter()
                .map(|&(key, _)| self.slots[self.find_low(key)].last),
        );
        let mut demanded = threshold;
        for (&(key, place), &head) in keys.iter().zip(&heads) {
            let mut next = head;
            while let Some(entry) = next.checked_sub(1).map(|at| &self.entries[at as usize]) {
                next = entry.next;
                if entry.high != (key >> 32) as u32 {
                    // Another key with the same low half: the search goes on behind it.
                    next = self.slots[self.find(key)].last;
                    continue;
                }
                let other = usize::from(entry.size);
                if entry.size < LARGE {
                    if !sizes_allow(size, other, demanded) {
                        continue;
                    }
                    if place != ANYWHERE {
                        // If this is the first shared member in the order of rarity, it bounds
                        // the overlap; if it is a later one, the pair was met at the first.
                        let left = (size - place as usize).min(other - usize::from(entry.place));
                        if left < overlap(size, other, demanded) {
                            continue;
                        }
                    }
                }
                if met.first_time(entry.item) {
                    demanded = meet(entry.item);
                    if demanded == f64::INFINITY {
                        met.heads = heads;
                        return;
                    }
                }
            }
        }
        met.heads = heads;
    }

    /// As `find`, by the low half of the key alone.
    fn find_low(&self, key: u64) -> usize {
        let mut at = self.home(key);
        loop {
            let slot = self.slots[at];
            if slot.last == 0 || slot.low == key as u32 {
                return at;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

/// Which items a row has met.
#[derive(Debug, Default)]
pub(super) struct Met {
    stamps: Vec<u32>,
    stamp: u32,
    /// A buffer of [`Index::candidates`].
    heads: Vec<u32>,
}

impl Met {
    /// Room for items below `count`.
    pub(super) fn grow(&mut self, count: usize) {
        if self.stamps.len() < count {
            self.stamps.resize(count, 0);
        }
    }

    fn turn(&mut self) {
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.stamps.fill(0);
            self.stamp = 1;
        }
    }

    fn first_time(&mut self, item: u32) -> bool {
        let stamp = &mut self.stamps[item as usize];
        let first = *stamp != self.stamp;
        *stamp = self.stamp;
        first
    }
}

/// What shifts a hash to its place among a power of two of slots.
pub(super) fn shift(slots: usize) -> u32 {
    64 - slots.trailing_zeros()
}
