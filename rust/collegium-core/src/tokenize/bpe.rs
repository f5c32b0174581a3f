//! Byte-pair merges: the lowest rank first, of equal ranks the leftmost.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rustc_hash::FxHashSet;
use serde_json::Value;

use super::pairs::{NO_MERGE, Pairs};

/// Words of more symbols are merged with a heap; the plain search is quadratic.
const SHORT: usize = 48;
const END: u32 = u32::MAX;

/// Which pairs of tokens merge, into what, and in which order.
#[derive(Debug)]
pub(super) struct Merges {
    /// (left, right) to (rank, merged).
    pairs: Pairs,
    /// Neighbouring symbols that some merge joins; no token lies across others. `None`: not known.
    bridges: Option<FxHashSet<u64>>,
}

/// Symbols of one word, and room to merge them.
#[derive(Debug, Default)]
pub(super) struct MergeScratch {
    /// Symbols, then tokens.
    pub ids: Vec<u32>,
    /// The byte length of each.
    pub lengths: Vec<u32>,
    /// Rank and result of the pair that begins at each symbol.
    pairs: Vec<(u32, u32)>,
    previous: Vec<u32>,
    next: Vec<u32>,
    /// Rank, then position, in one number: half the memory that a long word goes through.
    queue: BinaryHeap<Reverse<u64>>,
}

impl MergeScratch {
    /// Forget the last word.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.lengths.clear();
    }

    /// Append a symbol.
    pub fn push(&mut self, id: u32, length: u32) {
        self.ids.push(id);
        self.lengths.push(length);
    }
}

impl Merges {
    /// Read the merges of a BPE model, written as `"a b"` or as `["a", "b"]`.
    ///
    /// # Errors
    ///
    /// What is unusual about them, in words.
    pub fn read(vocab: &HashMap<String, u32>, contents: &Value) -> Result<Self, String> {
        let mut pairs = Vec::new();
        let mut bridges = Some(FxHashSet::default());
        let unknown = contents.pointer("/model/unk_token").and_then(Value::as_str);
        for (rank, merge) in Self::listed(contents)?.enumerate() {
            let (left, right) = merge?;
            let id = |token: &str| {
                vocab
                    .get(token)
                    .copied()
                    .ok_or_else(|| format!("merge {rank} makes or uses no token of the vocabulary"))
            };
            let whole = format!("{left}{right}");
            let merged = id(&whole)?;
            // Symbols that are no single characters would not be seen by their ends.
            if whole.contains("<0x") || unknown.is_some_and(|unknown| whole.contains(unknown)) {
                bridges = None;
            }
            let symbol = |c: Option<char>| vocab.get(&*c?.encode_utf8(&mut [0; 4])).copied();
            if let Some(bridges) = &mut bridges
                && let Some(last) = symbol(left.chars().next_back())
                && let Some(first) = symbol(right.chars().next())
            {
                bridges.insert(pair_key(last, first));
            }
            // Of a pair that is listed twice, the later rank counts.
            pairs.push((pair_key(id(left)?, id(right)?), (rank as u32, merged)));
        }
        Ok(Self {
            pairs: Pairs::new(&pairs),
            bridges,
        })
    }

    /// The two sides of each merge, by rank.
    ///
    /// # Errors
    ///
    /// As [`Merges::read`].
    pub fn listed(
        contents: &Value,
    ) -> Result<impl Iterator<Item = Result<(&str, &str), String>>, String> {
        let merges = contents
            .pointer("/model/merges")
            .and_then(Value::as_array)
            .ok_or("the model has no list of merges")?;
        // A header that old files kept from their merges.txt.
        let is_header = |merge: &&Value| {
            merge
                .as_str()
                .is_some_and(|text| text.starts_with("#version"))
        };
        let merges = merges.iter().filter(move |merge| !is_header(merge));
        Ok(merges.zip(0..).map(|(merge, rank)| {
            match merge {
                Value::String(text) => text.split_once(' '),
                Value::Array(pair) => match pair.as_slice() {
                    [Value::String(left), Value::String(right)] => Some((&**left, &**right)),
                    _ => None,
                },
                _ => None,
            }
            .ok_or_else(|| format!("merge {rank} is no pair"))
        }))
    }

    #[inline]
    fn pair(&self, left: u32, right: u32) -> (u32, u32) {
        self.pairs.get(pair_key(left, right))
    }

    /// Merge the symbols of `word` in place.
    pub fn apply(&self, word: &mut MergeScratch) {
        if word.ids.len() <= SHORT {
            self.apply_to_short(word);
        } else {
            self.apply_to_long(word);
        }
    }

    fn apply_to_short(&self, word: &mut MergeScratch) {
        let MergeScratch {
            ids,
            lengths,
            pairs,
            ..
        } = word;
        pairs.clear();
        pairs.extend(ids.windows(2).map(|pair| self.pair(pair[0], pair[1])));
        loop {
            let mut best = NO_MERGE;
            let mut place = 0;
            for (position, &pair) in pairs.iter().enumerate() {
                if pair.0 < best.0 {
                    (best, place) = (pair, position);
                }
            }
            if best.0 == NO_MERGE.0 {
                return;
            }
            ids[place] = best.1;
            lengths[place] += lengths[place + 1];
            ids.remove(place + 1);
            lengths.remove(place + 1);
            pairs.remove(place);
            if let Some(&right) = ids.get(place + 1) {
                pairs[place] = self.pair(best.1, right);
            }
            if place > 0 {
                pairs[place - 1] = self.pair(ids[place - 1], best.1);
            }
        }
    }

    /// The end of the stretch of symbols from `start` that merges may join.
    fn stretch(&self, ids: &[u32], start: usize) -> usize {
        let Some(bridges) = &self.bridges else {
            return ids.len();
        };
        let mut pairs = ids[start..].windows(2);
        let gap = pairs.position(|pair| !bridges.contains(&pair_key(pair[0], pair[1])));
        gap.map_or(ids.len(), |gap| start + gap + 1)
    }

    fn apply_to_long(&self, word: &mut MergeScratch) {
        let MergeScratch {
            ids,
            lengths,
            previous,
            next,
            queue,
            ..
        } = word;
        let count = ids.len() as u32;
        previous.clear();
        previous.extend((0..count).map(|position| position.wrapping_sub(1)));
        next.clear();
        next.extend((1..=count).map(|position| if position == count { END } else { position }));
        let mut start = 0;
        while start < ids.len() {
            // No merge leaves the stretch, and a small queue stays in the processor's cache.
            let end = self.stretch(ids, start);
            let mut entries = std::mem::take(queue).into_vec();
            entries.clear();
            let pairs = ids[start..end].windows(2).zip(start as u32..);
            entries.extend(pairs.filter_map(|(pair, position)| {
                let (rank, _) = self.pair(pair[0], pair[1]);
                (rank != NO_MERGE.0).then(|| Reverse(entry(rank, position)))
            }));
            *queue = BinaryHeap::from(entries);
            start = end;
            while let Some(Reverse(top)) = queue.pop() {
                let place = top as u32;
                let at = place as usize;
                let after = next[at];
                if ids[at] == END || after == END {
                    continue;
                }
                // An entry is stale once one of its symbols has been merged: no two pairs share a rank.
                let (rank, merged) = self.pair(ids[at], ids[after as usize]);
                if u64::from(rank) != top >> 32 {
                    continue;
                }
                let beyond = next[after as usize];
                ids[at] = merged;
                lengths[at] += lengths[after as usize];
                ids[after as usize] = END;
                next[after as usize] = END;
                next[at] = beyond;
                if beyond != END {
                    previous[beyond as usize] = place;
                    let (rank, _) = self.pair(merged, ids[beyond as usize]);
                    if rank != NO_MERGE.0 {
                        queue.push(Reverse(entry(rank, place)));
                    }
                }
                let before = previous[at];
                if before != END {
                    let (rank, _) = self.pair(ids[before as usize], merged);
                    if rank != NO_MERGE.0 {
                        queue.push(Reverse(entry(rank, before)));
                    }
                }
            }
        }
        let mut kept = 0;
        for at in 0..ids.len() {
            if ids[at] != END {
                ids[kept] = ids[at];
                lengths[kept] = lengths[at];
                kept += 1;
            }
        }
        ids.truncate(kept);
        lengths.truncate(kept);
    }
}

fn entry(rank: u32, position: u32) -> u64 {
    u64::from(rank) << 32 | u64::from(position)
}

fn pair_key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}
