//! The nearest centre of a row, and when it is found.

use super::sets::Set;
use super::{Mode, Options};

/// A centre near a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Near {
    pub(super) centre: u32,
    pub(super) similarity: f64,
    /// Whether both have the same units in the same order.
    pub(super) same: bool,
}

impl Near {
    /// Put `other` in the place of `best` where it is better, and return what is now demanded.
    #[inline]
    pub(super) fn improve(best: &mut Option<Self>, goal: &Goal, other: Option<Self>) -> f64 {
        if let Some(other) = other {
            let better = best.is_none_or(|known| {
                other.similarity > known.similarity
                    || (other.similarity == known.similarity && other.centre < known.centre)
            });
            if better {
                *best = Some(other);
            }
        }
        goal.demanded(best.as_ref())
    }
}

/// When a row's search is over.
#[derive(Debug)]
pub(super) struct Goal {
    pub(super) threshold: f64,
    enough: f64,
}

impl Goal {
    /// Of a class that is compared pair by pair.
    ///
    /// There any two centres are farther from each other than `1 - threshold`. As `1 - J` is a
    /// metric, a row no farther than half of that from one is farther from every other.
    pub(super) fn of_few(options: &Options) -> Self {
        let threshold = options.threshold;
        Self {
            threshold,
            enough: (f64::midpoint(1.0, threshold) + 1e-9).min(1.0),
        }
    }

    /// Of a class that is compared through an index. LSH mode may overlook that two centres are
    /// near each other, but never that they are equal.
    pub(super) fn new(options: &Options) -> Self {
        match options.mode {
            Mode::Exact => Self::of_few(options),
            Mode::Lsh => Self {
                threshold: options.threshold,
                enough: 1.0,
            },
        }
    }

    /// Of rows that may be equal to several others.
    pub(super) fn never(threshold: f64) -> Self {
        Self {
            threshold,
            enough: f64::INFINITY,
        }
    }

    /// The similarity from which a centre is of interest, infinite where none is any more.
    #[inline]
    pub(super) fn demanded(&self, best: Option<&Near>) -> f64 {
        match best {
            None => self.threshold,
            Some(near) if near.similarity >= self.enough => f64::INFINITY,
            Some(near) => near.similarity,
        }
    }
}

/// How near a row is to a centre, if it is near enough.
#[inline]
pub(super) fn near(set: Set<'_>, other: Set<'_>, centre: u32, demanded: f64) -> Option<Near> {
    let similarity = set.similarity(&other, demanded)?;
    Some(Near {
        centre,
        similarity,
        same: set.sequence == other.sequence,
    })
}
