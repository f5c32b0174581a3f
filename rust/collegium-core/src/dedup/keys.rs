//! A few keys of each row: rows that share none are no near-duplicates.
//!
//! In exact mode the keys are the rarest 3-grams of a set, so many that two sets which reach the
//! threshold share one (prefix filter; Chaudhuri et al. 2006, Bayardo et al. 2007), and the
//! places of the first shared one bound the overlap (positional filter; Xiao et al. 2008). In LSH
//! mode they are bands of a MinHash sketch (Broder 1997; Indyk & Motwani 1998).

use super::hash::fold;
use super::index::shift;
use super::sets::{Set, Sets};
use super::similarity::prefix;
use super::{Mode, Options};

/// Probability that LSH mode finds a pair whose similarity is the threshold.
const RECALL: f64 = 0.998;
/// Bands up to which a sketch is worth its time: thresholds from about 0.006 on.
const MOST_BANDS: usize = 1024;
/// Place of a key that tells nothing about the overlap.
pub(super) const ANYWHERE: u32 = u32::MAX;

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
        let bands = match options.mode {
            Mode::Exact => None,
            Mode::Lsh => Self::bands(options.threshold, rows),
        };
        bands.unwrap_or_else(|| Self::Prefix {
            counts: counts(sample),
            threshold: options.threshold,
            complete,
        })
    }

    /// Nothing where too many bands would be needed.
    fn bands(threshold: f64, rows: usize) -> Option<Self> {
        // More values in a band mean fewer chance meetings, and more bands.
        let most = if rows < 1 << 20 { 64 } else { 128 };
        let bands = |width: i32| {
            // A band is missed with a probability of 1 - t^width, however near to 1 that is.
            let missed = (-threshold.powi(width)).ln_1p();
            ((1.0 - RECALL).ln() / missed).ceil().max(1.0) as usize
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
        if bands > MOST_BANDS {
            return None;
        }
        let eights = (bands * rows).div_ceil(8);
        Some(Self::Bands {
            rows,
            bands,
            factors: (0..eights).map(|_| [0; 8].map(|_: u32| factor())).collect(),
        })
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
