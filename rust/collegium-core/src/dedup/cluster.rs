//! Stars of near-duplicates around the rows that are kept.
//!
//! The rows of a class come in the order of worth; each joins the most similar earlier centre that
//! it reaches the threshold with (the better centre among equals), or becomes a centre.

use super::index::{Index, Keys, Met, PlacedKey, Scratch};
use super::sets::{Set, Sets};
use super::{Options, Reason};
use crate::error::Result;
use crate::parallel;

/// Rows of a class up to which every pair is compared.
const FEW: usize = 32;
/// Rows that meet the older centres side by side before they meet each other.
const CHUNK: usize = 2048;

/// What becomes of a row. Rows are places in the order of worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fate {
    /// The kept row that stands for it.
    pub(super) keeper: u32,
    /// Similarity with it.
    pub(super) similarity: f64,
    /// Why.
    pub(super) reason: Reason,
}

/// A centre near a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Near {
    pub(super) centre: u32,
    pub(super) similarity: f64,
    /// Whether both have the same units in the same order.
    pub(super) same: bool,
}

impl Near {
    /// Put `other` in the place of `best` where it is better, and return what is now demanded.
    #[inline]
    pub(super) fn improve(best: &mut Option<Self>, threshold: f64, other: Option<Self>) -> f64 {
        if let Some(other) = other {
            let better = best.is_none_or(|known| {
                other.similarity > known.similarity
                    || (other.similarity == known.similarity && other.centre < known.centre)
            });
            if better {
                *best = Some(other);
            }
        }
        best.map_or(threshold, |known| known.similarity)
    }
}

/// The stars of one class.
#[derive(Debug)]
pub(super) struct Stars<'a> {
    options: &'a Options,
    /// Rows kept of the star of each row that is a centre; 0 if it is none.
    members: Vec<u32>,
    /// The rows that go, in ascending order.
    pub(super) gone: Vec<(u32, Fate)>,
}

impl<'a> Stars<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self {
            options,
            members: Vec::new(),
            gone: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.members.clear();
        self.gone.clear();
    }

    pub(super) fn is_centre(&self, row: u32) -> bool {
        self.members[row as usize] > 0
    }

    /// Decide on the next row; whether it becomes a centre.
    fn settle(&mut self, near: Option<Near>) -> bool {
        let row = self.members.len() as u32;
        self.members.push(u32::from(near.is_none()));
        let Some(near) = near else { return true };
        let members = &mut self.members[near.centre as usize];
        if i64::from(*members) < self.options.keep {
            *members += 1;
        } else {
            let reason = if near.same {
                Reason::Exact
            } else {
                Reason::Near
            };
            let fate = Fate {
                keeper: near.centre,
                similarity: near.similarity,
                reason,
            };
            self.gone.push((row, fate));
        }
        false
    }

    /// Take a class whose pairs are all compared.
    pub(super) fn take_few(&mut self, sets: &Sets, centres: &mut Vec<u32>) {
        centres.clear();
        for row in 0..sets.len() {
            let set = sets.get(row);
            let mut best = None;
            let mut demanded = self.options.threshold;
            for &centre in &*centres {
                let other = near(set, sets.get(centre as usize), centre, demanded);
                demanded = Near::improve(&mut best, self.options.threshold, other);
                if demanded >= 1.0 && best.is_some() {
                    break;
                }
            }
            if self.settle(best) {
                centres.push(row as u32);
            }
        }
    }

    /// Whether a class of `rows` rows is compared pair by pair.
    pub(super) fn are_few(rows: usize) -> bool {
        rows <= FEW
    }

    /// Take the next rows of a class through an index. `best` holds the nearest centre of earlier
    /// blocks of each row.
    ///
    /// Chunk by chunk, the rows first meet the centres of the chunks before, side by side, then
    /// one after the other those of their own chunk.
    pub(super) fn take_block(
        &mut self,
        sets: &Sets,
        keys: &Keys,
        mut best: Vec<Option<Near>>,
    ) -> Result<()> {
        let base = self.members.len() as u32;
        let threshold = self.options.threshold;
        let mean = sets.total() / sets.len().max(1);
        let mut index = Index::new(sets.len() * keys.of_a_row(mean));
        let mut workers: Vec<Worker> = Vec::new();
        workers.resize_with(parallel::width()?.max(1), Worker::default);
        let mut met = Met::default();
        met.grow(sets.len());
        for start in (0..sets.len()).step_by(CHUNK) {
            let chunk = start..(start + CHUNK).min(sets.len());
            let part = chunk.len().div_ceil(workers.len());
            for (number, worker) in workers.iter_mut().enumerate() {
                let first = (start + number * part).min(chunk.end);
                worker.rows = first..(first + part).min(chunk.end);
            }
            parallel::for_each(&mut workers, |worker| {
                worker.meet(sets, keys, &index, &best, base, threshold);
            })?;
            for worker in &workers {
                for (number, row) in worker.rows.clone().enumerate() {
                    let keys = worker.keys_of(number);
                    let set = sets.get(row);
                    let nearest = &mut best[row];
                    *nearest = worker.best[number];
                    let demanded = nearest.map_or(threshold, |near| near.similarity);
                    if nearest.is_none() || demanded < 1.0 {
                        let meet = |other: u32| {
                            let demanded = nearest.map_or(threshold, |near| near.similarity);
                            let found = near(set, sets.get(other as usize), base + other, demanded);
                            Near::improve(nearest, threshold, found)
                        };
                        let size = set.hashes.len();
                        index.candidates(size, keys, start as u32, demanded, &mut met, meet);
                    }
                    if self.settle(best[row]) {
                        index.add(row as u32, set.hashes.len(), keys);
                    }
                }
            }
        }
        Ok(())
    }
}

/// How near a row is to a centre, if it is near enough.
#[inline]
pub(super) fn near(set: Set<'_>, other: Set<'_>, centre: u32, demanded: f64) -> Option<Near> {
    let similarity = set.similarity(&other, demanded)?;
    Some(Near {
        centre,
        similarity,
        same: set.sequence == other.sequence,
    })
}

/// Some rows of a chunk with their keys and nearest centres.
#[derive(Debug, Default)]
struct Worker {
    rows: std::ops::Range<usize>,
    keys: Vec<PlacedKey>,
    ends: Vec<usize>,
    best: Vec<Option<Near>>,
    scratch: Scratch,
    met: Met,
}

impl Worker {
    fn keys_of(&self, number: usize) -> &[PlacedKey] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.keys[start..self.ends[number]]
    }

    fn meet(
        &mut self,
        sets: &Sets,
        keys: &Keys,
        index: &Index,
        best: &[Option<Near>],
        base: u32,
        threshold: f64,
    ) {
        self.keys.clear();
        self.ends.clear();
        self.best.clear();
        self.met.grow(sets.len());
        for row in self.rows.clone() {
            let set = sets.get(row);
            let start = self.keys.len();
            keys.of(set, &mut self.scratch, &mut self.keys);
            self.ends.push(self.keys.len());
            let mut nearest = best[row];
            let demanded = nearest.map_or(threshold, |near| near.similarity);
            let meet = |other: u32| {
                let demanded = nearest.map_or(threshold, |near| near.similarity);
                let found = near(set, sets.get(other as usize), base + other, demanded);
                Near::improve(&mut nearest, threshold, found)
            };
            let keys = &self.keys[start..];
            index.candidates(set.hashes.len(), keys, 0, demanded, &mut self.met, meet);
            self.best.push(nearest);
        }
    }
}
