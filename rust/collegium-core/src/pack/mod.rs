//! Sequences into rows of fixed capacity: global best-fit decreasing.

mod rooms;

use rooms::Rooms;

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
/// the row with the least room that still holds it (the one filled last among equals), or opens a
/// new one. At most 11/9 OPT + 4 rows; O(n) for capacities up to 4 million, else O(n log n).
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
    if lengths.len() >= u32::MAX as usize {
        return Err(Error::Range {
            name: "lengths",
            value: lengths.len().to_string(),
            allowed: "fewer than 2^32 - 1 items",
        });
    }
    if let Some(item) = lengths.iter().position(|&l| l < 1 || l > capacity) {
        return Err(Error::ItemLength {
            item,
            length: lengths[item],
            capacity,
        });
    }
    let capacity = capacity as usize;
    let mut open = Rooms::new(capacity);
    let mut rows = 0u32;
    // Items come in the order of their lengths, so each visit lands somewhere else in memory: one
    // visit an item, unpacked afterwards.
    let mut places = vec![(0u32, 0i64); lengths.len()];
    let order = longest_first(lengths, capacity);
    let mut begin = 0;
    while begin < order.len() {
        let length = lengths[order[begin] as usize] as usize;
        let mut end = order.len();
        if let Some(shorter) = order.get(begin + 1..).filter(|rest| !rest.is_empty()) {
            end = begin + 1 + shorter.partition_point(|&i| lengths[i as usize] as usize == length);
        }
        for &item in &order[begin..end] {
            let (room, row) = open.take(length).unwrap_or_else(|| {
                rows += 1;
                (capacity, rows - 1)
            });
            places[item as usize] = (row, (capacity - room) as i64);
            open.put(room - length, row);
        }
        begin = end;
    }
    Ok(Packing {
        row_of: places.iter().map(|place| i64::from(place.0)).collect(),
        start_of: places.iter().map(|place| place.1).collect(),
        rows: rows as usize,
    })
}

/// Items by falling length, equal ones in their order.
fn longest_first(lengths: &[i64], capacity: usize) -> Vec<u32> {
    let mut order: Vec<u32> = vec![0; lengths.len()];
    if capacity > (4 * lengths.len()).max(1 << 16) {
        order
            .iter_mut()
            .zip(0..)
            .for_each(|(slot, item)| *slot = item);
        order.sort_by_key(|&item| std::cmp::Reverse(lengths[item as usize]));
        return order;
    }
    let mut begin = vec![0u32; capacity + 1];
    for &length in lengths {
        begin[capacity - length as usize + 1] += 1;
    }
    let mut total = 0;
    for slot in &mut begin {
        total += *slot;
        *slot = total;
    }
    for (item, &length) in (0..).zip(lengths) {
        let slot = &mut begin[capacity - length as usize];
        order[*slot as usize] = item;
        *slot += 1;
    }
    order
}

#[cfg(test)]
mod tests;
