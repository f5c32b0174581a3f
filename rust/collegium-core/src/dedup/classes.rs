//! Classes: rows among which near-duplicates are sought, and nowhere else.

use std::cmp::Ordering;
use std::ops::Range;

use super::blocks;
use super::cluster::{Fate, Stars};
use super::hash::Key;
use super::sets::Sets;
use super::units::{Content, Reader};
use super::{Options, Reason};
use crate::error::Result;
use crate::parallel;

/// Rows that a task takes, if its classes are small.
const TASK: usize = 4096;

/// Where rows come from; they are numbered from 0.
pub(super) trait Source: Sync {
    /// What is compared.
    fn content(&self, row: u32) -> Content<'_>;
    /// The better row first; never equal.
    fn by_worth(&self, a: u32, b: u32) -> Ordering;
    /// Group and answer of a row.
    fn home(&self, row: u32) -> Key;
}

/// A row that goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    /// The row.
    pub(super) row: u32,
    /// The kept row that stands for it.
    pub(super) keeper: u32,
    /// Similarity with it.
    pub(super) similarity: f64,
    /// Why.
    pub(super) reason: Reason,
}

/// Decide on rows with the keys of their classes; `memory`: bytes for sets and indices.
pub(super) fn solve(
    source: &impl Source,
    mut keyed: Vec<(Key, u32)>,
    options: &Options,
    memory: Option<u64>,
) -> Result<Vec<Decision>> {
    keyed.sort_unstable();
    let (tasks, large) = tasks(&keyed);
    let share = memory.map(|bytes| bytes / parallel::width().unwrap_or(1).max(1) as u64);
    let found = parallel::map(&tasks, |task| {
        small_classes(source, &keyed[task.clone()], options, share)
    })?;
    let mut gone = Vec::new();
    for part in found {
        gone.extend(part?);
    }
    for class in large {
        let mut rows: Vec<u32> = keyed[class].iter().map(|&(_, row)| row).collect();
        rows.sort_unstable_by(|&a, &b| source.by_worth(a, b));
        let mut stars = Stars::new(options);
        blocks::take(&mut stars, source, &rows, options, memory)?;
        gone.extend(stars.gone.iter().map(|&gone| decision(&rows, gone)));
    }
    Ok(gone)
}

/// Ranges of whole classes of at least two rows, about [`TASK`] rows each, and the large classes.
fn tasks(keyed: &[(Key, u32)]) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut tasks, mut large) = (Vec::new(), Vec::new());
    let (mut start, mut begun) = (0, 0);
    for class in keyed.chunk_by(|a, b| a.0 == b.0) {
        let end = start + class.len();
        if class.len() > TASK {
            tasks.push(begun..start);
            large.push(start..end);
            begun = end;
        } else if end - begun >= TASK {
            tasks.push(begun..end);
            begun = end;
        }
        start = end;
    }
    tasks.push(begun..start);
    tasks.retain(|task| !task.is_empty());
    (tasks, large)
}

fn small_classes(
    source: &impl Source,
    keyed: &[(Key, u32)],
    options: &Options,
    memory: Option<u64>,
) -> Result<Vec<Decision>> {
    let mut gone = Vec::new();
    let mut rows: Vec<u32> = Vec::new();
    let mut reader = Reader::default();
    let (mut sets, mut centres) = (Sets::default(), Vec::new());
    let mut stars = Stars::new(options);
    for class in keyed.chunk_by(|a, b| a.0 == b.0) {
        if class.len() < 2 {
            continue;
        }
        rows.clear();
        rows.extend(class.iter().map(|&(_, row)| row));
        rows.sort_unstable_by(|&a, &b| source.by_worth(a, b));
        stars.clear();
        if Stars::are_few(rows.len()) {
            sets.clear();
            for &row in &rows {
                sets.push(reader.read(source.content(row), options.view));
            }
            stars.take_few(&sets, &mut centres);
        } else {
            blocks::take(&mut stars, source, &rows, options, memory)?;
        }
        gone.extend(stars.gone.iter().map(|&gone| decision(&rows, gone)));
    }
    Ok(gone)
}

fn decision(rows: &[u32], (row, fate): (u32, Fate)) -> Decision {
    Decision {
        row: rows[row as usize],
        keeper: rows[fate.keeper as usize],
        similarity: fate.similarity,
        reason: fate.reason,
    }
}
