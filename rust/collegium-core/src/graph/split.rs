//! A tree longer than a row becomes several, each repeating the path down to its cut.

use super::order::Dag;
use super::problem::Problem;
use super::trie::Trie;

/// The parts of a tree. Part 0 holds the root with its own loss edges; every other part hangs below
/// a node whose path it repeats.
#[derive(Debug, Default)]
pub struct Parts {
    /// For each part the node whose path is repeated; unused for part 0.
    pub under: Vec<u32>,
    /// For each tree node the part that begins with it, 0 where it stays with its parent.
    pub begins: Vec<u32>,
}

impl Parts {
    /// Number of parts.
    pub fn len(&self) -> usize {
        self.under.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.under.is_empty()
    }

    /// Cut `trie` so that no part has more than `capacity` tokens, repeated ones included.
    ///
    /// From the leaves up: where what hangs together below a node no longer fits behind the path to
    /// it, its children are put into as few rows as best-fit decreasing finds; the emptiest of them
    /// stays with the node. Only the path down to that node is repeated.
    ///
    /// # Errors
    ///
    /// [`Problem::TooLong`] for a path that is longer than a row.
    pub fn cut(&mut self, trie: &Trie, dag: &Dag, capacity: usize) -> Result<(), Problem> {
        let n = trie.len();
        let capacity = capacity as u64;
        self.under.clear();
        self.under.push(0);
        self.begins.clear();
        self.begins.resize(n, 0);
        let mut open: Vec<u64> = trie
            .inputs
            .iter()
            .map(|&tokens| u64::from(tokens))
            .collect();
        if open.iter().sum::<u64>() <= capacity {
            return Ok(());
        }
        let mut children: Vec<Vec<u32>> = vec![Vec::new(); n];
        for t in 1..n {
            children[trie.parent[t] as usize].push(t as u32);
        }
        for t in (0..n).rev() {
            let end = u64::from(trie.start[t]) + open[t];
            if end > capacity {
                return Err(Problem::TooLong {
                    node: dag.given[trie.node[t] as usize] as usize,
                    length: end,
                    capacity: capacity as usize,
                });
            }
            let below: u64 = children[t].iter().map(|&c| open[c as usize]).sum();
            open[t] += if end + below <= capacity {
                below
            } else {
                self.separate(t, &children[t], &open, capacity - end)
            };
        }
        Ok(())
    }

    /// Put the children of `t` into rows with `room` and return what stays with `t`.
    fn separate(&mut self, t: usize, children: &[u32], open: &[u64], room: u64) -> u64 {
        let mut order = children.to_vec();
        order.sort_by_key(|&c| std::cmp::Reverse(open[c as usize]));
        let mut rows: Vec<(u64, Vec<u32>)> = Vec::new();
        for c in order {
            let size = open[c as usize];
            let best = rows
                .iter_mut()
                .filter(|(used, _)| used + size <= room)
                .max_by_key(|(used, _)| *used);
            match best {
                Some((used, row)) => {
                    *used += size;
                    row.push(c);
                }
                None => rows.push((size, vec![c])),
            }
        }
        let stays = (0..rows.len()).min_by_key(|&row| rows[row].0);
        let mut left = 0;
        for (place, (used, row)) in rows.into_iter().enumerate() {
            if Some(place) == stays {
                left = used;
                continue;
            }
            let part = self.under.len() as u32;
            self.under.push(t as u32);
            for c in row {
                self.begins[c as usize] = part;
            }
        }
        left
    }
}
