//! Stars of near-duplicates around the rows that are kept.

use super::shingles::Shingles;
use super::similarity::{jaccard_at_least, prefix, sizes_allow};
use super::{Options, Reason, Units};

/// What becomes of a row. Rows are places in the order of worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fate {
    /// The kept row that stands for it.
    pub(super) keeper: usize,
    /// Similarity with it.
    pub(super) similarity: f64,
    /// Why.
    pub(super) reason: Reason,
}

impl Fate {
    /// The fate of a row that stays.
    pub(super) fn kept(row: usize) -> Self {
        Self {
            keeper: row,
            similarity: 1.0,
            reason: Reason::Kept,
        }
    }
}

/// Take the rows from the best to the worst; each joins the most similar earlier centre that it
/// reaches the threshold with (the better centre among equals), or becomes a centre.
///
/// The centre and the best `keep - 1` of its star stay. Only rows with the same guard meet.
pub(super) fn stars(
    units: &Units,
    shingles: &Shingles,
    guards: &[u32],
    options: &Options,
) -> Vec<Fate> {
    let mut index = Index::new(units.len(), shingles.distinct());
    let mut fates: Vec<Fate> = Vec::with_capacity(units.len());
    // Rows kept so far of each centre's star.
    let mut members = vec![0; units.len()];
    for row in 0..units.len() {
        let fate = match index.most_similar(row, shingles, guards, options.threshold) {
            None => {
                index.add(row, shingles.row(row), options.threshold);
                members[row] = 1;
                Fate::kept(row)
            }
            Some((centre, _)) if members[centre] < options.keep => {
                members[centre] += 1;
                Fate::kept(row)
            }
            Some((centre, similarity)) => Fate {
                keeper: centre,
                similarity,
                reason: if shingles.same_units(row, centre) {
                    Reason::Exact
                } else {
                    Reason::Near
                },
            },
        };
        fates.push(fate);
    }
    fates
}

/// The centres by the rarest members of their sets: chains through `entries`, one a 3-gram.
struct Index {
    /// First entry of each 3-gram's chain, plus one; 0 = none.
    heads: Vec<u32>,
    /// (centre, next entry plus one).
    entries: Vec<(u32, u32)>,
    /// The row that last met each centre, plus one.
    met: Vec<u32>,
}

impl Index {
    fn new(rows: usize, distinct: usize) -> Self {
        Self {
            heads: vec![0; distinct],
            entries: Vec::new(),
            met: vec![0; rows],
        }
    }

    fn add(&mut self, centre: usize, set: &[u32], threshold: f64) {
        for &number in &set[..prefix(set.len(), threshold)] {
            let head = &mut self.heads[number as usize];
            self.entries.push((centre as u32, *head));
            *head = self.entries.len() as u32;
        }
    }

    fn most_similar(
        &mut self,
        row: usize,
        shingles: &Shingles,
        guards: &[u32],
        threshold: f64,
    ) -> Option<(usize, f64)> {
        let set = shingles.row(row);
        let stamp = row as u32 + 1;
        let mut best: Option<(usize, f64)> = None;
        for &number in &set[..prefix(set.len(), threshold)] {
            let mut next = self.heads[number as usize];
            while let Some(at) = next.checked_sub(1) {
                let (centre, after) = self.entries[at as usize];
                next = after;
                let centre = centre as usize;
                if self.met[centre] == stamp || guards[centre] != guards[row] {
                    continue;
                }
                self.met[centre] = stamp;
                let other = shingles.row(centre);
                if !sizes_allow(set.len(), other.len(), threshold) {
                    continue;
                }
                let demanded = best.map_or(threshold, |(_, similarity)| similarity);
                if let Some(similarity) = jaccard_at_least(set, other, demanded) {
                    let better = best.is_none_or(|(known, highest)| {
                        similarity > highest || (similarity == highest && centre < known)
                    });
                    if better {
                        best = Some((centre, similarity));
                    }
                }
            }
        }
        best
    }
}
