//! The rows to be compared, as columns.

use std::cmp::Ordering;

use super::classes::Source;
use super::hash::Key;
use super::units::{Content, is_blank};
use super::{Options, Scope, View, numbers};
use crate::error::{Error, Result};
use crate::parallel;

/// Rows whose keys are made side by side.
const PART: usize = 8192;
/// Bytes of texts of ordinary length.
const ORDINARY: std::ops::RangeInclusive<usize> = 32..=4096;

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
/// higher quality (NaN last), then a text of ordinary length (32 to 4,096 bytes), then the lower
/// teacher rank, then the lower id. Equal ids fall back on the text, if
/// it is compared, and last on the position;
/// without ids the position decides.
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

    fn part(&self, row: usize, key: Key) -> Key {
        match self {
            Self::Integers(values) => key.with(values[row] as u64),
            Self::Texts(values) => key.with_bytes(values[row].as_bytes()),
        }
    }
}

impl<'a> TokenIds<'a> {
    pub(super) fn of(&self, row: usize) -> &'a [u32] {
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
        let text = self.texts[row].is_some_and(|text| !is_blank(text));
        text && match (view, self.token_ids) {
            (View::Tokens, Some(tokens)) => !tokens.of(row).is_empty(),
            _ => true,
        }
    }

    /// The comparable rows, each with the key of its class: rows of other keys never meet.
    pub(super) fn keyed(&self, options: &Options) -> Result<Vec<(Key, u32)>> {
        if u32::try_from(self.texts.len()).is_err() {
            return Err(Error::Range {
                name: "texts",
                value: format!("{} rows", self.texts.len()),
                allowed: "at most 4,294,967,295 rows at a time",
            });
        }
        let starts: Vec<usize> = (0..self.texts.len()).step_by(PART).collect();
        let parts = parallel::map(&starts, |&start| {
            (start..(start + PART).min(self.texts.len()))
                .filter(|&row| self.comparable(row, options.view))
                .map(|row| (self.class(row, options.scope), row as u32))
                .collect::<Vec<_>>()
        })?;
        Ok(parts.concat())
    }

    /// The key of a row's class: the answer, in scope `Group` with the group; without an answer
    /// the numbers in the text.
    pub(super) fn class(&self, row: usize, scope: Scope) -> Key {
        let key = self.place(row, scope);
        match (self.answers[row], self.texts[row]) {
            (None, Some(text)) => numbers::guard(key, text),
            _ => key,
        }
    }

    /// The answer, in scope `Group` with the group.
    pub(super) fn place(&self, row: usize, scope: Scope) -> Key {
        let key = match scope {
            Scope::Group => self.groups.part(row, Key::EMPTY),
            Scope::All => Key::EMPTY,
        };
        match self.answers[row] {
            Some(answer) => key.with(1).with_bytes(answer.as_bytes()),
            None => key.with(0),
        }
    }

    /// What decides first about the worth of a row: the lower, the better.
    pub(super) fn rank(&self, row: usize) -> Rank {
        let verified = self.verified.is_some_and(|column| column[row]);
        let quality = match self.quality {
            // `+ 0.0` makes -0 and 0 the same quality.
            Some(column) if !column[row].is_nan() => column[row] + 0.0,
            _ => f64::NEG_INFINITY,
        };
        let ordinary = self.texts[row].is_some_and(|text| ORDINARY.contains(&text.len()));
        Rank {
            unverified: !verified,
            quality: !ascending(quality),
            unusual: !ordinary,
            teacher: self.teacher_rank.map_or(0, |column| column[row]),
        }
    }
}

/// A number that rises with `value`.
fn ascending(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    }
}

/// What decides first about the worth of a row, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    unverified: bool,
    quality: u64,
    unusual: bool,
    teacher: i64,
}

impl Rank {
    pub(super) const BYTES: usize = 18;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = u8::from(self.unverified);
        bytes[1..9].copy_from_slice(&self.quality.to_be_bytes());
        bytes[9] = u8::from(self.unusual);
        bytes[10..].copy_from_slice(&big_endian(self.teacher));
        bytes
    }
}

/// Bytes in whose order the numbers ascend.
pub(super) fn big_endian(value: i64) -> [u8; 8] {
    (value as u64 ^ 1 << 63).to_be_bytes()
}

impl Source for Rows<'_> {
    fn content(&self, row: u32) -> Content<'_> {
        match self.token_ids {
            Some(tokens) => Content::Tokens(tokens.of(row as usize)),
            None => Content::Text(self.texts[row as usize].unwrap_or_default()),
        }
    }

    fn by_worth(&self, a: u32, b: u32) -> Ordering {
        let (first, second) = (a as usize, b as usize);
        let ids = || match self.ids {
            Some(ids) if self.token_ids.is_some() => ids.order(first, second),
            Some(ids) => ids
                .order(first, second)
                .then_with(|| self.texts[first].cmp(&self.texts[second])),
            None => Ordering::Equal,
        };
        let ranked =
            self.verified.is_some() || self.quality.is_some() || self.teacher_rank.is_some();
        let ranks = if ranked {
            self.rank(first).cmp(&self.rank(second))
        } else {
            let unusual =
                |row: usize| !self.texts[row].is_some_and(|text| ORDINARY.contains(&text.len()));
            unusual(first).cmp(&unusual(second))
        };
        ranks.then_with(ids).then(a.cmp(&b))
    }

    fn home(&self, row: u32) -> Key {
        self.place(row as usize, Scope::Group)
    }
}
