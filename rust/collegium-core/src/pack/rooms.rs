//! The open rows of a packing by their room: the least room that is enough, in a few steps.

/// Most capacity for which a table by room is kept.
const LARGEST_TABLE: usize = 1 << 22;
const NONE: u32 = u32::MAX;

/// Rows by room; among rows with equal room the one filled last is taken first.
pub enum Rooms {
    /// One stack a room, and a three-level bit set of the rooms that have rows.
    Table {
        /// The rooms that have rows.
        present: Bits,
        /// Top row of each room's stack.
        top: Vec<u32>,
        /// The row below each row.
        below: Vec<u32>,
    },
    /// For capacities that no table should be made for.
    Tree(std::collections::BTreeMap<usize, Vec<u32>>),
}

impl Rooms {
    /// No open rows yet.
    pub fn new(capacity: usize) -> Self {
        if capacity > LARGEST_TABLE {
            return Self::Tree(std::collections::BTreeMap::new());
        }
        Self::Table {
            present: Bits::new(capacity + 1),
            top: vec![NONE; capacity + 1],
            below: Vec::new(),
        }
    }

    /// Take the row with the least room of at least `length`: (room, row).
    #[inline]
    pub fn take(&mut self, length: usize) -> Option<(usize, u32)> {
        match self {
            Self::Table {
                present,
                top,
                below,
            } => {
                let room = present.next(length)?;
                let row = top[room];
                top[room] = below[row as usize];
                if top[room] == NONE {
                    present.clear(room);
                }
                Some((room, row))
            }
            Self::Tree(rows) => {
                let (&room, stack) = rows.range_mut(length..).next()?;
                let row = stack.pop()?;
                if stack.is_empty() {
                    rows.remove(&room);
                }
                Some((room, row))
            }
        }
    }

    /// Put a row (back); a full one is forgotten.
    #[inline]
    pub fn put(&mut self, room: usize, row: u32) {
        if room == 0 {
            return;
        }
        match self {
            Self::Table {
                present,
                top,
                below,
            } => {
                if below.len() <= row as usize {
                    below.resize(row as usize + 1, NONE);
                }
                below[row as usize] = top[room];
                if top[room] == NONE {
                    present.set(room);
                }
                top[room] = row;
            }
            Self::Tree(rows) => rows.entry(room).or_default().push(row),
        }
    }
}

/// A set of small numbers with a quick search for the next one.
pub struct Bits {
    levels: [Vec<u64>; 4],
}

impl Bits {
    fn new(size: usize) -> Self {
        let mut words = size;
        Self {
            levels: std::array::from_fn(|_| {
                words = words / 64 + 1;
                vec![0; words]
            }),
        }
    }

    fn set(&mut self, mut number: usize) {
        for level in &mut self.levels {
            let word = &mut level[number >> 6];
            let known = *word != 0;
            *word |= 1 << (number & 63);
            if known {
                return;
            }
            number >>= 6;
        }
    }

    fn clear(&mut self, mut number: usize) {
        for level in &mut self.levels {
            level[number >> 6] &= !(1 << (number & 63));
            if level[number >> 6] != 0 {
                return;
            }
            number >>= 6;
        }
    }

    /// The smallest member that is `from` or more.
    #[inline]
    fn next(&self, from: usize) -> Option<usize> {
        let mut at = from;
        for (depth, level) in self.levels.iter().enumerate() {
            let word = level.get(at >> 6)? & (u64::MAX << (at & 63));
            if word != 0 {
                let mut found = (at & !63) | word.trailing_zeros() as usize;
                for lower in self.levels[..depth].iter().rev() {
                    found = found << 6 | lower[found].trailing_zeros() as usize;
                }
                return Some(found);
            }
            at = (at >> 6) + 1;
        }
        None
    }
}
