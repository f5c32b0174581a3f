//! Removal of near-duplicates within an answer: of one question, or across questions.
//!
//! Similarity is the Jaccard index of sets of 3-grams ([`View`]). Rows are taken in the order of
//! their worth ([`Rows`]); a row that reaches the threshold with a kept one is dropped in favour
//! of the most similar of them. Clusters are therefore stars: every dropped row is a
//! near-duplicate of the very row that it names.
//!
//! | file | what |
//! |---|---|
//! | `rows` | columns of rows, their worth and the key of their class |
//! | `units`, `hash`, `sets` | texts to sets of hashed 3-grams |
//! | `classes` | rows of equal keys, a few or many |
//! | `cluster`, `near` | stars, the nearest centre |
//! | `keys`, `index`, `similarity` | candidates, exact verification |
//! | `blocks` | classes that do not fit the memory |
//! | `spill` | rows that do not fit the memory |
//! | `overlap` | the nearest of other texts, for overlap of splits |
//! | `diverse` | a farthest-first choice of what is left |

mod blocks;
mod classes;
mod cluster;
mod diverse;
mod hash;
mod index;
mod keys;
mod near;
mod numbers;
mod options;
mod overlap;
mod rows;
mod sets;
mod similarity;
mod spill;
mod units;

pub use options::{Mode, Options, Scope, View};
pub use overlap::{Nearest, nearest};
pub use rows::{Keys, Rows, TokenIds};
pub use spill::Stream;

use classes::Decision;

use crate::error::Result;

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

impl Dedup {
    fn all_kept(rows: usize) -> Self {
        Self {
            keep: vec![true; rows],
            kept_by: (0..rows as i64).collect(),
            similarity: vec![1.0; rows],
            reason: vec![Reason::Kept; rows],
        }
    }

    /// Take down decisions; `number` gives each row's number in the result.
    fn drop_rows(&mut self, gone: Vec<Decision>, number: impl Fn(u32) -> usize) {
        for decision in gone {
            let row = number(decision.row);
            self.keep[row] = false;
            self.kept_by[row] = number(decision.keeper) as i64;
            self.similarity[row] = decision.similarity as f32;
            self.reason[row] = decision.reason;
        }
    }
}

/// Drop the near-duplicates among `rows`.
///
/// Rows whose text is null or has only white space are kept and stand for nothing else.
///
/// # Errors
///
/// [`crate::Error::Length`], [`crate::Error::Range`], [`crate::Error::Combination`] for columns
/// and options that do not fit; [`crate::Error::Scratch`] when the disk fails.
pub fn deduplicate(rows: &Rows<'_>, options: &Options) -> Result<Dedup> {
    if options.memory.is_some() {
        let mut stream = Stream::new(options)?;
        stream.push(rows)?;
        return stream.finish();
    }
    options.check()?;
    rows.check(options.view)?;
    let mut result = Dedup::all_kept(rows.texts.len());
    let keyed = rows.keyed(options)?;
    let gone = decide(rows, keyed, options, None)?;
    result.drop_rows(gone, |row| row as usize);
    Ok(result)
}

/// Decide on the rows of a source.
fn decide(
    source: &impl classes::Source,
    keyed: Vec<(hash::Key, u32)>,
    options: &Options,
    memory: Option<u64>,
) -> Result<Vec<Decision>> {
    if options.diverse == 0 {
        return classes::solve(source, keyed, options, memory);
    }
    let gone = classes::solve(source, keyed.clone(), options, memory)?;
    diverse::choose(source, &keyed, options, gone)
}

#[cfg(test)]
mod tests;
