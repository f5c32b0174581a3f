//! Sets of 3-grams, rare ones first.

use rustc_hash::FxHashMap;

use super::units::Units;

/// No unit has this number.
const NOTHING: u32 = u32::MAX;

/// For each row of one class its set of 3-grams, as ascending numbers. A number is lower the fewer
/// different rows hold the 3-gram, so that a set begins with what is rarest.
#[derive(Debug)]
pub(super) struct Shingles {
    numbers: Vec<u32>,
    ends: Vec<usize>,
    /// Rows with the same units share a set.
    set_of: Vec<u32>,
    distinct: usize,
}

impl Shingles {
    /// Collect the 3-grams of `units`. Fewer than three units are one 3-gram.
    pub(super) fn of(units: &Units) -> Self {
        let mut set_by_units: FxHashMap<&[u32], u32> = FxHashMap::default();
        let mut number_of: FxHashMap<[u32; 3], u32> = FxHashMap::default();
        let mut rows_with: Vec<u32> = Vec::new();
        let mut shingles = Self {
            numbers: Vec::new(),
            ends: Vec::new(),
            set_of: Vec::with_capacity(units.len()),
            distinct: 0,
        };
        let mut set: Vec<u32> = Vec::new();
        for index in 0..units.len() {
            let row = units.row(index);
            let next = set_by_units.len() as u32;
            let which = *set_by_units.entry(row).or_insert(next);
            shingles.set_of.push(which);
            if which < next {
                continue;
            }
            set.clear();
            let mut add = |shingle: [u32; 3]| {
                let next = number_of.len() as u32;
                set.push(*number_of.entry(shingle).or_insert(next));
            };
            match *row {
                [a] => add([a, NOTHING, NOTHING]),
                [a, b] => add([a, b, NOTHING]),
                _ => row.windows(3).for_each(|w| add([w[0], w[1], w[2]])),
            }
            set.sort_unstable();
            set.dedup();
            rows_with.resize(number_of.len(), 0);
            for &number in &set {
                rows_with[number as usize] += 1;
            }
            shingles.numbers.extend_from_slice(&set);
            shingles.ends.push(shingles.numbers.len());
        }
        shingles.distinct = rows_with.len();
        shingles.rare_first(&rows_with);
        shingles
    }

    fn rare_first(&mut self, rows_with: &[u32]) {
        let mut by_rarity: Vec<u32> = (0..rows_with.len() as u32).collect();
        by_rarity.sort_by_key(|&number| rows_with[number as usize]);
        let mut place = vec![0; by_rarity.len()];
        for (rank, &number) in by_rarity.iter().enumerate() {
            place[number as usize] = rank as u32;
        }
        let mut start = 0;
        for &end in &self.ends {
            let set = &mut self.numbers[start..end];
            for number in &mut *set {
                *number = place[*number as usize];
            }
            set.sort_unstable();
            start = end;
        }
    }

    /// The set of one row, never empty.
    pub(super) fn row(&self, index: usize) -> &[u32] {
        let set = self.set_of[index] as usize;
        let start = set.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.numbers[start..self.ends[set]]
    }

    /// Whether two rows have the same units in the same order.
    pub(super) fn same_units(&self, a: usize, b: usize) -> bool {
        self.set_of[a] == self.set_of[b]
    }

    /// Number of distinct 3-grams in the class.
    pub(super) fn distinct(&self) -> usize {
        self.distinct
    }
}
