//! What the caller can choose.

use std::str::FromStr;

use crate::error::{Error, Result};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// 3-grams of lower-cased words (letters, digits and `_` of any script).
    Words,
    /// 3-grams of lower-cased characters, each run of white space read as one space.
    Chars,
    /// 3-grams of given token ids.
    Tokens,
    /// As `Words`, with every number in one spelling and the signs of equations as words.
    Canonical,
}

/// Between which rows duplicates are sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Within a group.
    Group,
    /// Across groups.
    All,
}

/// How duplicates are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All of them.
    Exact,
    /// By hashes that a pair at the threshold shares with a probability of at least 0.998; what
    /// they propose is verified exactly. For long texts and low thresholds.
    Lsh,
}

/// Options of [`super::deduplicate`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Similarity from which a row is a near-duplicate, in (0, 1].
    pub threshold: f64,
    /// Rows kept of each cluster, at least 1.
    pub keep: i64,
    /// If above 0, rows kept of each group and answer: a farthest-first choice.
    pub diverse: i64,
    /// What is compared.
    pub view: View,
    /// Between which rows duplicates are sought.
    pub scope: Scope,
    /// How duplicates are found.
    pub mode: Mode,
    /// Bytes of memory that may be used beside the columns; beyond them the disk is used.
    pub memory: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threshold: 0.7,
            keep: 1,
            diverse: 0,
            view: View::Words,
            scope: Scope::Group,
            mode: Mode::Exact,
            memory: None,
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<()> {
        let fail = |name, value: String, allowed| {
            Err(Error::Range {
                name,
                value,
                allowed,
            })
        };
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            return fail(
                "threshold",
                self.threshold.to_string(),
                "a similarity above 0 and at most 1",
            );
        }
        if self.keep < 1 {
            return fail("keep", self.keep.to_string(), "at least 1");
        }
        if self.diverse < 0 {
            let allowed = "at least 0 (0 turns the choice of diverse rows off)";
            return fail("diverse", self.diverse.to_string(), allowed);
        }
        if self.memory == Some(0) {
            return fail("memory", "0".to_owned(), "a number of bytes above 0");
        }
        Ok(())
    }
}

impl FromStr for View {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "words" => Ok(Self::Words),
            "chars" => Ok(Self::Chars),
            "tokens" => Ok(Self::Tokens),
            "canonical" => Ok(Self::Canonical),
            _ => Err(unknown(
                "view",
                name,
                "'words', 'chars', 'tokens' or 'canonical'",
            )),
        }
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "group" => Ok(Self::Group),
            "all" => Ok(Self::All),
            _ => Err(unknown("scope", name, "'group' or 'all'")),
        }
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "exact" => Ok(Self::Exact),
            "lsh" => Ok(Self::Lsh),
            _ => Err(unknown("mode", name, "'exact' or 'lsh'")),
        }
    }
}

fn unknown(name: &'static str, value: &str, allowed: &'static str) -> Error {
    Error::Range {
        name,
        value: format!("'{value}'"),
        allowed,
    }
}
