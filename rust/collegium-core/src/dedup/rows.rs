//! The rows to be compared, as columns.

use std::cmp::{Ordering, Reverse};

use rustc_hash::FxHashMap;

use super::View;
use crate::error::{Error, Result};

/// A column of names or numbers without nulls.
#[derive(Debug, Clone, Copy)]
pub enum Keys<'a> {
    /// Numbers.
    Integers(&'a [i64]),
    /// Names.
    Texts(&'a [&'a str]),
}

/// Token ids of each text, end to end: text `i` has `ids[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, Copy)]
pub struct TokenIds<'a> {
    /// The ids of all texts.
    pub ids: &'a [u32],
    /// One more than there are texts.
    pub offsets: &'a [i64],
}

/// The rows, and what decides which of two near-duplicates is kept: verified before not, then the
/// higher quality (NaN last), then the lower teacher rank, then the lower id. Equal ids fall back
/// on the text and last on the position; without ids the position decides.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The texts.
    pub texts: &'a [Option<&'a str>],
    /// Group of each row.
    pub groups: Keys<'a>,
    /// Answer of each row; null equals only null.
    pub answers: &'a [Option<&'a str>],
    /// Stable ids.
    pub ids: Option<Keys<'a>>,
    /// Whether a row's answer was verified.
    pub verified: Option<&'a [bool]>,
    /// Higher is better.
    pub quality: Option<&'a [f64]>,
    /// Lower is better.
    pub teacher_rank: Option<&'a [i64]>,
    /// Needed by [`View::Tokens`], refused with the others.
    pub token_ids: Option<TokenIds<'a>>,
}

impl Keys<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    fn order(&self, a: usize, b: usize) -> Ordering {
        match self {
            Self::Integers(values) => values[a].cmp(&values[b]),
            Self::Texts(values) => values[a].cmp(values[b]),
        }
    }

    /// A small number for each distinct key.
    pub(super) fn numbered(&self) -> Vec<u32> {
        match self {
            Self::Integers(values) => number(values.iter().copied()),
            Self::Texts(values) => number(values.iter().copied()),
        }
    }
}

fn number<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> Vec<u32> {
    let mut seen: FxHashMap<K, u32> = FxHashMap::default();
    keys.map(|key| {
        let next = seen.len() as u32;
        *seen.entry(key).or_insert(next)
    })
    .collect()
}

impl TokenIds<'_> {
    pub(super) fn of(&self, row: usize) -> &[u32] {
        &self.ids[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    fn check(&self, rows: usize) -> Result<()> {
        let bounds_fit = self.offsets.first() == Some(&0)
            && self.offsets.last() == Some(&(self.ids.len() as i64))
            && self.offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        if self.offsets.len() != rows + 1 {
            return Err(Error::Length {
                name: "token_ids",
                found: self.offsets.len().saturating_sub(1),
                expected: rows,
            });
        }
        if !bounds_fit {
            return Err(Error::Combination(format!(
                "token_ids: the offsets must rise from 0 to the number of ids ({})",
                self.ids.len()
            )));
        }
        Ok(())
    }
}

impl Rows<'_> {
    pub(super) fn check(&self, view: View) -> Result<()> {
        let expected = self.texts.len();
        let lengths = [
            ("groups", Some(self.groups.len())),
            ("answers", Some(self.answers.len())),
            ("ids", self.ids.as_ref().map(Keys::len)),
            ("verified", self.verified.map(<[_]>::len)),
            ("quality", self.quality.map(<[_]>::len)),
            ("teacher_rank", self.teacher_rank.map(<[_]>::len)),
        ];
        for (name, found) in lengths {
            if let Some(found) = found.filter(|&found| found != expected) {
                return Err(Error::Length {
                    name,
                    found,
                    expected,
                });
            }
        }
        match (view, self.token_ids) {
            (View::Tokens, None) => Err(Error::Combination(
                "view='tokens' compares token ids: pass them as token_ids".to_owned(),
            )),
            (View::Tokens, Some(tokens)) => tokens.check(expected),
            (_, Some(_)) => Err(Error::Combination(
                "token_ids are compared only with view='tokens'; pass that too, or leave them out"
                    .to_owned(),
            )),
            (_, None) => Ok(()),
        }
    }

    /// Whether the row holds anything to compare.
    pub(super) fn comparable(&self, row: usize, view: View) -> bool {
        let text = self.texts[row].is_some_and(|text| !text.trim().is_empty());
        text && match (view, self.token_ids) {
            (View::Tokens, Some(tokens)) => !tokens.of(row).is_empty(),
            _ => true,
        }
    }

    /// The better row first.
    pub(super) fn by_worth(&self, a: usize, b: usize) -> Ordering {
        let verified = |row: usize| Reverse(self.verified.is_some_and(|column| column[row]));
        let quality = |row: usize| match self.quality {
            Some(column) if !column[row].is_nan() => column[row],
            _ => f64::NEG_INFINITY,
        };
        let rank = |row: usize| self.teacher_rank.map(|column| column[row]);
        let ids = || match self.ids {
            Some(ids) => ids
                .order(a, b)
                .then_with(|| self.texts[a].cmp(&self.texts[b])),
            None => Ordering::Equal,
        };
        verified(a)
            .cmp(&verified(b))
            // `+ 0.0` makes -0 and 0 the same quality.
            .then_with(|| (quality(b) + 0.0).total_cmp(&(quality(a) + 0.0)))
            .then_with(|| rank(a).cmp(&rank(b)))
            .then_with(ids)
            .then(a.cmp(&b))
    }
}
