//! Sequences into rows of fixed capacity: global best-fit decreasing.

use std::collections::BTreeSet;

use crate::error::{Error, Result};

/// Where every item went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// Row of each item.
    pub row_of: Vec<i64>,
    /// Position in the row at which each item begins.
    pub start_of: Vec<i64>,
    /// Number of rows.
    pub rows: usize,
}

/// Put items of `lengths` into as few rows of `capacity` as best-fit decreasing finds.
///
/// Items are taken from the longest to the shortest, the earlier first among equals; each goes to
/// the row with the least room that still holds it (the earlier row among equals), or opens a new
/// one. At most 11/9 OPT + 4 rows; O(n log n).
///
/// # Errors
///
/// [`Error::Range`] for a capacity below 1, [`Error::ItemLength`] naming the first item that is
/// longer than the capacity or shorter than 1.
pub fn pack(lengths: &[i64], capacity: i64) -> Result<Packing> {
    if capacity < 1 {
        return Err(Error::Range {
            name: "capacity",
            value: capacity.to_string(),
            allowed: "at least 1",
        });
    }
    if let Some(item) = lengths.iter().position(|&l| l < 1 || l > capacity) {
        return Err(Error::ItemLength {
            item,
            length: lengths[item],
            capacity,
        });
    }
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&item| std::cmp::Reverse(lengths[item]));

    let mut packing = Packing {
        row_of: vec![0; lengths.len()],
        start_of: vec![0; lengths.len()],
        rows: 0,
    };
    // Rows that still have room, as (room, row).
    let mut open: BTreeSet<(i64, usize)> = BTreeSet::new();
    for item in order {
        let length = lengths[item];
        let (room, row) = match open.range((length, 0)..).next() {
            Some(&best) => {
                open.remove(&best);
                best
            }
            None => {
                packing.rows += 1;
                (capacity, packing.rows - 1)
            }
        };
        packing.row_of[item] = row as i64;
        packing.start_of[item] = capacity - room;
        if room > length {
            open.insert((room - length, row));
        }
    }
    Ok(packing)
}

#[cfg(test)]
mod tests;
