//! The sets of 3-grams of some rows, end to end.

use super::hash;
use super::similarity::{jaccard_at_least, overlap, sizes_allow};

/// The set of one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set<'a> {
    /// Ascending hashes of the 3-grams, at least one.
    pub(super) hashes: &'a [u64],
    /// One bit for each 3-gram, by its hash.
    marks: u128,
    /// Hash of the units in their order.
    pub(super) sequence: u64,
}

impl Set<'_> {
    /// The similarity if it is at least `threshold`.
    #[inline]
    pub(super) fn similarity(&self, other: &Set<'_>, threshold: f64) -> Option<f64> {
        let (mine, theirs) = (self.hashes.len(), other.hashes.len());
        if !sizes_allow(mine, theirs, threshold) {
            return None;
        }
        // A mark that the other set lacks belongs to a 3-gram that it lacks.
        let needed = overlap(mine, theirs, threshold);
        let lacked = (self.marks & !other.marks).count_ones() as usize;
        let lacks = (other.marks & !self.marks).count_ones() as usize;
        if mine < needed + lacked || theirs < needed + lacks {
            return None;
        }
        jaccard_at_least(self.hashes, other.hashes, threshold)
    }
}

/// Sets end to end.
#[derive(Debug, Default)]
pub(super) struct Sets {
    hashes: Vec<u64>,
    rows: Vec<Row>,
}

/// What is held of a row beside its hashes.
#[derive(Debug, Clone, Copy)]
struct Row {
    marks: u128,
    sequence: u64,
    /// Where its hashes end.
    end: usize,
}

impl Sets {
    /// Append the set of a row with these units, at least one.
    pub(super) fn push(&mut self, units: &[u64]) {
        let start = self.hashes.len();
        hash::shingles(units, &mut self.hashes);
        let set = &mut self.hashes[start..];
        set.sort_unstable();
        let mut last = 0;
        for at in 1..set.len() {
            if set[at] != set[last] {
                last += 1;
                set[last] = set[at];
            }
        }
        let length = if set.is_empty() { 0 } else { last + 1 };
        self.hashes.truncate(start + length);
        self.close(start, hash::sequence(units));
    }

    /// Append a set as it was stored.
    pub(super) fn push_stored(&mut self, hashes: impl Iterator<Item = u64>, sequence: u64) {
        let start = self.hashes.len();
        self.hashes.extend(hashes);
        self.close(start, sequence);
    }

    fn close(&mut self, start: usize, sequence: u64) {
        let marks = self.hashes[start..]
            .iter()
            .fold(0, |marks, hash| marks | 1_u128 << (hash & 127));
        self.rows.push(Row {
            marks,
            sequence,
            end: self.hashes.len(),
        });
    }

    /// Append all sets of `other`.
    pub(super) fn append(&mut self, other: &Self) {
        let before = self.hashes.len();
        self.hashes.extend_from_slice(&other.hashes);
        self.rows.extend(other.rows.iter().map(|row| Row {
            end: row.end + before,
            ..*row
        }));
    }

    pub(super) fn clear(&mut self) {
        self.hashes.clear();
        self.rows.clear();
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Number of 3-grams of all rows.
    pub(super) fn total(&self) -> usize {
        self.hashes.len()
    }

    /// All 3-grams of all rows.
    pub(super) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// The set of one row.
    #[inline]
    pub(super) fn get(&self, row: usize) -> Set<'_> {
        let start = row.checked_sub(1).map_or(0, |before| self.rows[before].end);
        let row = &self.rows[row];
        Set {
            hashes: &self.hashes[start..row.end],
            marks: row.marks,
            sequence: row.sequence,
        }
    }
}
