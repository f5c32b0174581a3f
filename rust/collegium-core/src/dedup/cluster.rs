//! Stars of near-duplicates around the rows that are kept.
//!
//! The rows of a class come in the order of worth; each joins the most similar earlier centre that
//! it reaches the threshold with (the better centre among equals), or becomes a centre.

use super::index::{Index, Met};
use super::keys::{Keys, PlacedKey, Scratch};
use super::near::{Goal, Near, near};
use super::sets::{Set, Sets};
use super::{Options, Reason};
use crate::error::Result;
use crate::{interrupt, parallel};

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

/// The stars of one class, and buffers that serve class after class.
#[derive(Debug)]
pub(super) struct Stars<'a> {
    options: &'a Options,
    /// Rows kept of the star of each row that is a centre; 0 if it is none.
    members: Vec<u32>,
    /// The rows that go, in ascending order.
    pub(super) gone: Vec<(u32, Fate)>,
    /// The centres of earlier chunks, and those of the current one.
    earlier: Index,
    recent: Index,
    workers: Vec<Worker>,
    met: Met,
}

impl<'a> Stars<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self {
            options,
            members: Vec::new(),
            gone: Vec::new(),
            earlier: Index::new(0),
            recent: Index::new(0),
            workers: Vec::new(),
            met: Met::default(),
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
        let goal = Goal::of_few(self.options);
        for row in 0..sets.len() {
            let set = sets.get(row);
            let mut best = None;
            let mut demanded = self.options.threshold;
            for &centre in &*centres {
                let other = near(set, sets.get(centre as usize), centre, demanded);
                demanded = Near::improve(&mut best, &goal, other);
                if demanded == f64::INFINITY {
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
        let block = Block {
            sets,
            keys,
            base: self.members.len() as u32,
            goal: Goal::new(self.options),
        };
        self.earlier.clear(keys.of_all(sets));
        self.met.grow(sets.len());
        let mut workers = std::mem::take(&mut self.workers);
        workers.resize_with(parallel::width()?.max(1), Worker::default);
        for start in (0..sets.len()).step_by(CHUNK) {
            interrupt::check()?;
            let chunk = start..(start + CHUNK).min(sets.len());
            let part = chunk.len().div_ceil(workers.len());
            for (number, worker) in workers.iter_mut().enumerate() {
                let first = (start + number * part).min(chunk.end);
                worker.rows = first..(first + part).min(chunk.end);
            }
            let earlier = &self.earlier;
            parallel::for_each(&mut workers, |worker| {
                worker.meet(&block, earlier, &best);
            })?;
            self.recent.clear(0);
            let mut centres = Vec::new();
            for worker in &workers {
                for (number, row) in worker.rows.clone().enumerate() {
                    let keys = worker.keys_of(number);
                    let set = sets.get(row);
                    let nearest = &mut best[row];
                    *nearest = worker.best[number];
                    block.seek(&self.recent, set, keys, &mut self.met, nearest);
                    if self.settle(best[row]) {
                        self.recent.add(row as u32, set.hashes.len(), keys);
                        centres.push((row as u32, keys));
                    }
                }
            }
            for (row, keys) in centres {
                let set = sets.get(row as usize);
                self.earlier.add(row, set.hashes.len(), keys);
                self.earlier.add_twin(row, set);
            }
        }
        self.workers = workers;
        Ok(())
    }
}

/// The rows of a block, and how they meet.
#[derive(Debug)]
struct Block<'a> {
    sets: &'a Sets,
    keys: &'a Keys,
    /// Number of its first row.
    base: u32,
    goal: Goal,
}

impl Block<'_> {
    /// How near a set is to a row of the block.
    fn near(&self, set: Set<'_>, row: u32, demanded: f64) -> Option<Near> {
        near(set, self.sets.get(row as usize), self.base + row, demanded)
    }

    /// Look for a nearer centre among those of an index.
    fn seek(
        &self,
        index: &Index,
        set: Set<'_>,
        keys: &[PlacedKey],
        met: &mut Met,
        nearest: &mut Option<Near>,
    ) {
        let mut demanded = self.goal.demanded(nearest.as_ref());
        if demanded < f64::INFINITY {
            index.candidates(set.hashes.len(), keys, demanded, met, |row| {
                let other = self.near(set, row, demanded);
                demanded = Near::improve(nearest, &self.goal, other);
                demanded
            });
        }
    }
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

    fn meet(&mut self, block: &Block<'_>, earlier: &Index, best: &[Option<Near>]) {
        self.keys.clear();
        self.ends.clear();
        self.best.clear();
        self.met.grow(block.sets.len());
        for row in self.rows.clone() {
            let set = block.sets.get(row);
            let start = self.keys.len();
            let mut nearest = best[row];
            if block.goal.demanded(nearest.as_ref()) < f64::INFINITY {
                let twin = earlier
                    .twin(set)
                    .and_then(|twin| block.near(set, twin, 1.0));
                if Near::improve(&mut nearest, &block.goal, twin) < f64::INFINITY {
                    block.keys.of(set, &mut self.scratch, &mut self.keys);
                    let keys = &self.keys[start..];
                    block.seek(earlier, set, keys, &mut self.met, &mut nearest);
                }
            }
            self.ends.push(self.keys.len());
            self.best.push(nearest);
        }
    }
}
