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
        /// One odd factor a value of the sketch.
        factors: Vec<u32>,
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
        let most = if rows < 1 << 17 { 64 } else { 128 };
        let bands = |width: i32| {
            let missed = (1.0 - threshold.powi(width)).max(f64::MIN_POSITIVE);
            ((1.0 - RECALL).ln() / missed.ln()).ceil().max(1.0) as usize
        };
        let width = (1..=16)
            .rev()
            .find(|&width| bands(width).saturating_mul(width as usize) <= most)
            .unwrap_or(1);
        let mut state = 0;
        let factors = (0..bands(width) * width as usize).map(|_| {
            state = fold(state ^ 0x2545_f491_4f6c_dd1d, 0x9e37_79b9_7f4a_7c15) ^ (state << 1);
            (state as u32) | 1
        });
        Self::Bands {
            rows: width as usize,
            factors: factors.collect(),
        }
    }

    /// Keys of a row to be expected, at most.
    pub(super) fn of_a_row(&self, size: usize) -> usize {
        match self {
            Self::Prefix { threshold, .. } => prefix(size, *threshold),
            Self::Bands { rows, factors } => factors.len() / rows,
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
            Self::Bands { rows, factors } => {
                let sketch = &mut scratch.sketch;
                sketch.clear();
                sketch.resize(factors.len(), u32::MAX);
                for &hash in set.hashes {
                    let (low, high) = (hash as u32, (hash >> 32) as u32);
                    for (least, &factor) in sketch.iter_mut().zip(factors) {
                        *least = (*least).min(low.wrapping_mul(factor).wrapping_add(high));
                    }
                }
                for (band, values) in sketch.chunks_exact(*rows).enumerate() {
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
    sketch: Vec<u32>,
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

#[derive(Debug)]
struct Entry {
    key: u64,
    /// The entry added before to the same chain, plus one; 0 = none.
    next: u32,
    item: u32,
    size: u32,
    place: u32,
}

/// Items by their keys; the one added last comes first.
#[derive(Debug)]
pub(super) struct Index {
    heads: Vec<u32>,
    entries: Vec<Entry>,
    shift: u32,
}

impl Index {
    /// An index for about `keys` keys.
    pub(super) fn new(keys: usize) -> Self {
        let slots = (keys / 2).next_power_of_two().clamp(1 << 6, 1 << 26);
        Self {
            heads: vec![0; slots],
            entries: Vec::new(),
            shift: shift(slots),
        }
    }

    /// Bytes that an index holds for each key.
    pub(super) const BYTES: usize = size_of::<Entry>() + size_of::<u32>() * 2;

    /// Add an item; later items have higher numbers.
    pub(super) fn add(&mut self, item: u32, size: usize, keys: &[PlacedKey]) {
        for &(key, place) in keys {
            let head = &mut self.heads[(key >> self.shift) as usize];
            self.entries.push(Entry {
                key,
                next: *head,
                item,
                size: size as u32,
                place,
            });
            *head = self.entries.len() as u32;
        }
    }

    /// Call `meet` once with each item from `first` on that shares a key and may reach the
    /// similarity that `meet` returned last.
    pub(super) fn candidates(
        &self,
        size: usize,
        keys: &[PlacedKey],
        first: u32,
        threshold: f64,
        met: &mut Met,
        mut meet: impl FnMut(u32) -> f64,
    ) {
        met.turn();
        let mut demanded = threshold;
        for &(key, place) in keys {
            let mut next = self.heads[(key >> self.shift) as usize];
            while let Some(entry) = next.checked_sub(1).map(|at| &self.entries[at as usize]) {
                if entry.item < first {
                    break;
                }
                next = entry.next;
                if entry.key != key || !met.first_time(entry.item) {
                    continue;
                }
                let other = entry.size as usize;
                if !sizes_allow(size, other, demanded) {
                    continue;
                }
                if place != ANYWHERE {
                    // This is the first shared member, in the order of rarity.
                    let left = (size - place as usize).min(other - entry.place as usize);
                    if left < overlap(size, other, demanded) {
                        continue;
                    }
                }
                demanded = meet(entry.item);
            }
        }
    }
}

/// Which items a row has met.
#[derive(Debug, Default)]
pub(super) struct Met {
    stamps: Vec<u32>,
    stamp: u32,
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
