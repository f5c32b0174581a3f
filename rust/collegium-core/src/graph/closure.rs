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
            1 => self.narrow(parents, offsets, lengths),
            2 => self.double(parents, offsets, lengths),
            _ => self.wide(parents, offsets, lengths),
        }
    }

    fn narrow<T: Copy + Into<u32>>(&mut self, parents: &[u32], offsets: &[u32], lengths: &[T]) {
        let base = self.reach.len();
        let first = self.start.len();
        for node in 0..lengths.len() {
            let mut own = 1u64 << node;
            let mut start = 0;
            for &parent in &parents[offsets[node] as usize..offsets[node + 1] as usize] {
                let parent = parent as usize;
                own |= self.reach[base + parent];
                start = start.max(self.start[first + parent] + lengths[parent].into());
            }
            self.reach.push(own);
            self.start.push(start);
        }
    }

    fn double<T: Copy + Into<u32>>(&mut self, parents: &[u32], offsets: &[u32], lengths: &[T]) {
        let base = self.reach.len();
        let first = self.start.len();
        for node in 0..lengths.len() {
            let own = 1u128 << node;
            let (mut low, mut high) = (own as u64, (own >> 64) as u64);
            let mut start = 0;
            for &parent in &parents[offsets[node] as usize..offsets[node + 1] as usize] {
                let parent = parent as usize;
                let above = &self.reach[base + 2 * parent..base + 2 * parent + 2];
                low |= above[0];
                high |= above[1];
                start = start.max(self.start[first + parent] + lengths[parent].into());
            }
            self.reach.extend_from_slice(&[low, high]);
            self.start.push(start);
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
