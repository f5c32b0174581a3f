//! Which rows may be near-duplicates: an inverted index over a few keys of each row.
//!
//! In exact mode the keys are the rarest 3-grams of a set, so many that two sets which reach the
//! threshold share one (prefix filter; Chaudhuri et al. 2006, Bayardo et al. 2007), and the
//! places of the first shared one bound the overlap (positional filter; Xiao et al. 2008). In LSH
//! mode they are bands of a MinHash sketch (Broder 1997; Indyk & Motwani 1998).

use super::hash::fold;
use super::sets::{Set, Sets};
use super::similarity::{overlap, prefix, sizes_allow};
use super::{Mode, Options};

/// Probability that LSH mode finds a pair whose similarity is the threshold.
const RECALL: f64 = 0.998;
/// Place of a key that tells nothing about the overlap.
const ANYWHERE: u32 = u32::MAX;

/// A key, and how many members of the set come before it in the order of rarity.
pub(super) type PlacedKey = (u64, u32);

/// How the keys of a set are chosen; the same for all rows of a class.
#[derive(Debug)]
pub(super) enum Keys {
    /// The rarest 3-grams.
    Prefix {
        /// Rows by the leading bits of a 3-gram's hash.
        counts: Vec<u16>,
        /// The threshold.
        threshold: f64,
        /// Whether `counts` covers all rows, so that what was counted once cannot be shared.
        complete: bool,
    },
    /// Bands of a sketch.
    Bands {
        /// Values in a band.
        rows: usize,
        /// Bands.
        bands: usize,
        /// One odd factor a value of the sketch, and some to fill up the last eight.
        factors: Vec<[u32; 8]>,
    },
}

impl Keys {
    /// For a class of `rows` rows, of which `sample` are known (`complete`: it is all of them).
    pub(super) fn new(options: &Options, rows: usize, sample: &Sets, complete: bool) -> Self {
        match options.mode {
            Mode::Exact => Self::Prefix {
                counts: counts(sample),
                threshold: options.threshold,
                complete,
            },
            Mode::Lsh => Self::bands(options.threshold, rows),
        }
    }

    fn bands(threshold: f64, rows: usize) -> Self {
        // More values in a band mean fewer chance meetings, and more bands.
        let most = if rows < 1 << 20 { 64 } else { 128 };
        let bands = |width: i32| {
            let missed = (1.0 - threshold.powi(width)).max(f64::MIN_POSITIVE);
            ((1.0 - RECALL).ln() / missed.ln()).ceil().max(1.0) as usize
        };
        let width = (1..=16)
            .rev()
            .find(|&width| bands(width).saturating_mul(width as usize) <= most)
            .unwrap_or(1);
        let mut state = 0;
        let mut factor = || {
            state = fold(state ^ 0x2545_f491_4f6c_dd1d, 0x9e37_79b9_7f4a_7c15) ^ (state << 1);
            (state as u32) | 1
        };
        let (bands, rows) = (bands(width), width as usize);
        let eights = (bands * rows).div_ceil(8);
        Self::Bands {
            rows,
            bands,
            factors: (0..eights).map(|_| [0; 8].map(|_: u32| factor())).collect(),
        }
    }

    /// About how many keys the sets have together, at most.
    pub(super) fn of_all(&self, sets: &Sets) -> usize {
        let mean = sets.total() / sets.len().max(1);
        sets.len()
            * match self {
                Self::Prefix { threshold, .. } => prefix(mean, *threshold),
                Self::Bands { bands, .. } => *bands,
            }
    }

    /// Append the keys of a set to `out`.
    pub(super) fn of(&self, set: Set<'_>, scratch: &mut Scratch, out: &mut Vec<PlacedKey>) {
        match self {
            Self::Prefix {
                counts,
                threshold,
                complete,
            } => {
                let by_rarity = &mut scratch.by_rarity;
                by_rarity.clear();
                let shift = shift(counts.len());
                let rare = |hash: u64| counts[(hash >> shift) as usize];
                by_rarity.extend(set.hashes.iter().map(|&hash| (rare(hash), hash)));
                let length = prefix(by_rarity.len(), *threshold);
                if length == 0 {
                    return;
                }
                if length < by_rarity.len() {
                    by_rarity.select_nth_unstable(length - 1);
                }
                by_rarity[..length].sort_unstable();
                for (place, &(count, hash)) in by_rarity[..length].iter().enumerate() {
                    if count > 1 || !complete {
                        out.push((hash, place as u32));
                    }
                }
            }
            Self::Bands {
                rows,
                bands,
                factors,
            } => {
                sketch(set.hashes, factors, &mut scratch.sketch);
                let values = scratch.sketch.as_flattened();
                for (band, values) in values.chunks_exact(*rows).take(*bands).enumerate() {
                    let start = (band as u64 + 1) << 32;
                    let key = values.iter().fold(start, |key, &v| {
                        fold(key ^ u64::from(v), 0x8ebc_6af0_9c88_c6e3)
                    });
                    out.push((key, ANYWHERE));
                }
            }
        }
    }
}

/// Buffers of [`Keys::of`].
#[derive(Debug, Default)]
pub(super) struct Scratch {
    by_rarity: Vec<(u16, u64)>,
    sketch: Vec<[u32; 8]>,
}

/// For each factor the least hash of the set.
fn sketch(hashes: &[u64], factors: &[[u32; 8]], out: &mut Vec<[u32; 8]>) {
    out.clear();
    out.resize(factors.len(), [u32::MAX; 8]);
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what this function needs.
        #[allow(unsafe_code)]
        unsafe {
            least_avx2(hashes, factors, out);
        }
        return;
    }
    least(hashes, factors, out);
}

/// [`least`] in eight lanes: without AVX2 compilers have neither the product nor the minimum.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn least_avx2(hashes: &[u64], factors: &[[u32; 8]], out: &mut [[u32; 8]]) {
    least(hashes, factors, out);
}

// Plain loops: iterators would be functions of their own, compiled without AVX2.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn least(hashes: &[u64], factors: &[[u32; 8]], out: &mut [[u32; 8]]) {
    for at in 0..out.len().min(factors.len()) {
        let (mut least, factors) = (out[at], factors[at]);
        for &hash in hashes {
            let (low, high) = (hash as u32, (hash >> 32) as u32);
            for lane in 0..8 {
                let value = low.wrapping_mul(factors[lane]).wrapping_add(high);
                least[lane] = if value < least[lane] {
                    value
                } else {
                    least[lane]
                };
            }
        }
        out[at] = least;
    }
}

fn counts(sample: &Sets) -> Vec<u16> {
    let slots = sample.total().next_power_of_two().clamp(1 << 8, 1 << 24);
    let mut counts = vec![0_u16; slots];
    let shift = shift(slots);
    for &hash in sample.hashes() {
        let count = &mut counts[(hash >> shift) as usize];
        *count = count.saturating_add(1);
    }
    counts
}

/// What shifts a hash to its place among a power of two of slots.
fn shift(slots: usize) -> u32 {
    64 - slots.trailing_zeros()
}

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
