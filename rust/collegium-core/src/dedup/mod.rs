//! Exact removal of near-duplicates within a group (a question) and an answer.
//!
//! Similarity is the Jaccard index of sets of 3-grams ([`View`]). Rows are taken in the order of
//! their worth ([`Rows`]); a row that reaches the threshold with a kept one is dropped in favour
//! of the most similar of them. Clusters are therefore stars: every dropped row is a
//! near-duplicate of the very row that it names. A prefix filter on rare 3-grams keeps large
//! groups from being compared pair by pair; what it leaves out cannot reach the threshold.

mod cluster;
mod diverse;
mod numbers;
mod options;
mod rows;
mod shingles;
mod similarity;
mod units;

pub use options::{Mode, Options, Scope, View};
pub use rows::{Keys, Rows, TokenIds};

use cluster::Fate;
use rustc_hash::FxHashMap;

use crate::error::Result;
use crate::parallel;
use shingles::Shingles;
use units::Units;

/// Why a row was kept or dropped; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Kept.
    Kept = 0,
    /// Dropped: the same units (words, characters, tokens) in the same order as the kept row.
    Exact = 1,
    /// Dropped: the similarity with the kept row reaches the threshold.
    Near = 2,
    /// Dropped by the choice of diverse rows, in favour of more different ones.
    Diverse = 3,
}

/// One entry a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Dedup {
    /// Whether the row stays.
    pub keep: Vec<bool>,
    /// The kept row that stands for this one; itself if kept.
    pub kept_by: Vec<i64>,
    /// Similarity with that row; 1 if kept.
    pub similarity: Vec<f32>,
    /// Why.
    pub reason: Vec<Reason>,
}

/// Drop the near-duplicates among `rows`.
///
/// Rows whose text is null or has only white space are kept and stand for nothing else.
///
/// # Errors
///
/// [`crate::Error::Length`], [`crate::Error::Range`], [`crate::Error::Combination`] for columns
/// and options that do not fit.
pub fn deduplicate(rows: &Rows<'_>, options: &Options) -> Result<Dedup> {
    options.check()?;
    rows.check(options.view)?;
    let count = rows.texts.len();
    let mut result = Dedup {
        keep: vec![true; count],
        kept_by: (0..count as i64).collect(),
        similarity: vec![1.0; count],
        reason: vec![Reason::Kept; count],
    };
    let classes = classes(rows, options.view);
    let fates = parallel::map(&classes, |members| decide(rows, members, options))?;
    for (row, fate, keeper) in fates.into_iter().flatten() {
        if fate.reason != Reason::Kept {
            result.keep[row] = false;
            result.kept_by[row] = keeper as i64;
            result.similarity[row] = fate.similarity as f32;
            result.reason[row] = fate.reason;
        }
    }
    Ok(result)
}

/// The rows of each (group, answer) that has at least two texts.
fn classes(rows: &Rows<'_>, view: View) -> Vec<Vec<usize>> {
    let mut answers: FxHashMap<&str, u32> = FxHashMap::default();
    let groups = rows.groups.numbered();
    let mut classes: FxHashMap<(u32, Option<u32>), Vec<usize>> = FxHashMap::default();
    for (row, group) in groups.into_iter().enumerate() {
        if rows.comparable(row, view) {
            let next = answers.len() as u32;
            let answer = rows.answers[row].map(|text| *answers.entry(text).or_insert(next));
            classes.entry((group, answer)).or_default().push(row);
        }
    }
    let mut classes: Vec<Vec<usize>> = classes
        .into_values()
        .filter(|members| members.len() > 1)
        .collect();
    classes.sort_unstable_by_key(|members| members[0]);
    classes
}

/// Decide on the rows of one class: (row, fate, row of the keeper).
fn decide(rows: &Rows<'_>, members: &[usize], options: &Options) -> Vec<(usize, Fate, usize)> {
    let mut members = members.to_vec();
    members.sort_by(|&a, &b| rows.by_worth(a, b));
    let guards = numbers::guards(rows, &members);
    let units = Units::of(rows, &members, options.view);
    let shingles = Shingles::of(&units);
    let mut fates = cluster::stars(&units, &shingles, &guards, options);
    if options.diverse > 0 {
        diverse::choose(&units, &shingles, &guards, options, &mut fates);
    }
    members
        .iter()
        .zip(fates)
        .map(|(&row, fate)| (row, fate, members[fate.keeper]))
        .collect()
}

#[cfg(test)]
mod tests;
