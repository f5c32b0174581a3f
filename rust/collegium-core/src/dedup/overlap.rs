//! For each text the most similar one among others, such as the questions of a test split.

use super::index::{Index, Met};
use super::keys::{Keys, Scratch};
use super::near::{Goal, Near, near};
use super::sets::Sets;
use super::units::{Content, Reader, is_blank};
use super::{Options, View};
use crate::error::Result;
use crate::parallel;

/// Texts compared side by side.
const PART: usize = 2048;

/// The nearest other text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Its row.
    pub row: usize,
    /// The similarity.
    pub similarity: f64,
    /// Whether both have the same units in the same order.
    pub same: bool,
}

/// Find for each of `texts` the most similar of `others` that reaches the threshold (the first
/// among equals). Null and blank texts are like nothing.
///
/// # Errors
///
/// [`crate::Error::Range`] for a threshold outside (0, 1].
pub fn nearest(
    texts: &[Option<&str>],
    others: &[Option<&str>],
    threshold: f64,
) -> Result<Vec<Option<Nearest>>> {
    let options = Options {
        threshold,
        ..Options::default()
    };
    options.check()?;
    let starts: Vec<usize> = (0..others.len()).step_by(PART).collect();
    let parts = parallel::map(&starts, |&start| {
        read(&others[start..(start + PART).min(others.len())])
    })?;
    let (mut sets, mut rows) = (Sets::default(), Vec::new());
    for (start, (part, numbers)) in starts.iter().zip(&parts) {
        sets.append(part);
        rows.extend(numbers.iter().map(|number| start + number));
    }
    // What the counts do not cover may be shared all the same: the texts are not in them.
    let keys = Keys::new(&options, sets.len(), &sets, false);
    let mut index = Index::new(keys.of_all(&sets));
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    for row in 0..sets.len() {
        found.clear();
        keys.of(sets.get(row), &mut scratch, &mut found);
        index.add(row as u32, sets.get(row).hashes.len(), &found);
    }
    let starts: Vec<usize> = (0..texts.len()).step_by(PART).collect();
    let parts = parallel::map(&starts, |&start| {
        let texts = &texts[start..(start + PART).min(texts.len())];
        let (mine, numbers) = read(texts);
        let mut result = vec![None; texts.len()];
        let (mut scratch, mut found, mut met) = (Scratch::default(), Vec::new(), Met::default());
        met.grow(sets.len());
        for (place, number) in numbers.into_iter().enumerate() {
            let set = mine.get(place);
            found.clear();
            keys.of(set, &mut scratch, &mut found);
            let mut best: Option<Near> = None;
            let goal = Goal::never(threshold);
            let meet = |other: u32| {
                let demanded = goal.demanded(best.as_ref());
                let found = near(set, sets.get(other as usize), other, demanded);
                Near::improve(&mut best, &goal, found)
            };
            index.candidates(set.hashes.len(), &found, threshold, &mut met, meet);
            result[number] = best.map(|near| Nearest {
                row: rows[near.centre as usize],
                similarity: near.similarity,
                same: near.same,
            });
        }
        result
    })?;
    Ok(parts.concat())
}

/// The sets of the texts that are not blank, with their numbers.
fn read(texts: &[Option<&str>]) -> (Sets, Vec<usize>) {
    let (mut reader, mut sets, mut numbers) = (Reader::default(), Sets::default(), Vec::new());
    for (number, text) in texts.iter().enumerate() {
        if let Some(text) = text.filter(|text| !is_blank(text)) {
            sets.push(reader.read(Content::Text(text), View::Words));
            numbers.push(number);
        }
    }
    (sets, numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::similarity::jaccard;
    use super::{Content, Reader, Sets, View, nearest};

    proptest! {
        #[test]
        fn nothing_nearer_is_overlooked(
            texts in prop::collection::vec("([abc] ){0,9}", 0..12),
            others in prop::collection::vec("([abc] ){0,9}", 0..40),
            tenth in 2u32..=10,
        ) {
            let threshold = f64::from(tenth) / 10.0;
            let mine: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
            let theirs: Vec<Option<&str>> = others.iter().map(|t| Some(t.as_str())).collect();
            let found = nearest(&mine, &theirs, threshold).expect("valid");
            let set = |text: &str| {
                let mut sets = Sets::default();
                sets.push(Reader::default().read(Content::Text(text), View::Words));
                sets.get(0).hashes.to_vec()
            };
            for (text, found) in texts.iter().zip(found) {
                let mut best = None;
                for (row, other) in others.iter().enumerate() {
                    if text.trim().is_empty() || other.trim().is_empty() {
                        continue;
                    }
                    let similarity = jaccard(&set(text), &set(other));
                    let better = best.is_none_or(|(_, highest)| similarity > highest);
                    if similarity >= threshold && better {
                        best = Some((row, similarity));
                    }
                }
                prop_assert_eq!(found.map(|near| (near.row, near.similarity)), best);
            }
        }
    }
}
