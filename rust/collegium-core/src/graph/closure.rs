//! The ancestors of every node as bit sets, and the longest way to it.

/// Bit sets of `words` words a node: bit a of node v says that a is v or an ancestor of v.
#[derive(Debug, Default)]
pub struct Closure {
    /// Words a node.
    pub words: usize,
    /// `[n * words]`.
    pub reach: Vec<u64>,
    /// `[n]` tokens on the longest path to each node, without its own.
    pub start: Vec<u32>,
}

impl Closure {
    /// Forget all graphs but keep the memory.
    pub fn clear(&mut self) {
        self.reach.clear();
        self.start.clear();
    }

    /// Append a graph in topological order; all graphs between two `clear` have as many words.
    ///
    /// `offsets` [n+1] says where the parents of each node begin, `lengths` [n] its tokens.
    pub fn append<T: Copy + Into<u32>>(&mut self, parents: &[u32], offsets: &[u32], lengths: &[T]) {
        self.words = lengths.len().div_ceil(64);
        match self.words {
            1 => self.sized::<1, T>(parents, offsets, lengths),
            2 => self.sized::<2, T>(parents, offsets, lengths),
            3 => self.sized::<3, T>(parents, offsets, lengths),
            4 => self.sized::<4, T>(parents, offsets, lengths),
            _ => self.wide(parents, offsets, lengths),
        }
    }

    /// As `wide`; the number of words is known to the compiler (up to 256 nodes).
    fn sized<const W: usize, T: Copy + Into<u32>>(
        &mut self,
        parents: &[u32],
        offsets: &[u32],
        lengths: &[T],
    ) {
        let (base, first) = (self.reach.len(), self.start.len());
        let n = lengths.len();
        self.reach.resize(base + n * W, 0);
        self.start.resize(first + n, 0);
        let (sets, _) = self.reach[base..].as_chunks_mut::<W>();
        let starts = &mut self.start[first..];
        let mut begin = offsets[0] as usize;
        for node in 0..n {
            let end = offsets[node + 1] as usize;
            let bit = 1u64 << (node % 64);
            let mut own: [u64; W] =
                std::array::from_fn(|word| if word == node / 64 { bit } else { 0 });
            let mut start = 0;
            for &parent in &parents[begin..end] {
                let parent = parent as usize;
                let above = sets[parent];
                for (word, up) in own.iter_mut().zip(above) {
                    *word |= up;
                }
                start = start.max(starts[parent] + lengths[parent].into());
            }
            begin = end;
            sets[node] = own;
            starts[node] = start;
        }
    }

    fn wide<T: Copy + Into<u32>>(&mut self, parents: &[u32], offsets: &[u32], lengths: &[T]) {
        let words = self.words;
        let base = self.reach.len();
        let first = self.start.len();
        self.reach.resize(base + lengths.len() * words, 0);
        for node in 0..lengths.len() {
            let (above, rest) = self.reach[base..].split_at_mut(node * words);
            let own = &mut rest[..words];
            own[node >> 6] = 1 << (node & 63);
            let mut start = 0;
            for &parent in &parents[offsets[node] as usize..offsets[node + 1] as usize] {
                let parent = parent as usize;
                for (word, up) in own.iter_mut().zip(&above[parent * words..]) {
                    *word |= up;
                }
                start = start.max(self.start[first + parent] + lengths[parent].into());
            }
            self.start.push(start);
        }
    }

    /// The bit set of a node of the first graph.
    pub fn of(&self, node: usize) -> &[u64] {
        &self.reach[node * self.words..(node + 1) * self.words]
    }
}

/// Set bits in rising order.
pub fn bits(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    words.iter().enumerate().flat_map(|(place, &word)| {
        let mut left = word;
        std::iter::from_fn(move || {
            (left != 0).then(|| {
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                place * 64 + bit
            })
        })
    })
}
