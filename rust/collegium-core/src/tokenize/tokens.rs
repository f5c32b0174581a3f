//! The growing output of one worker.

use super::cache::{COUNT_SHIFT, ID_MASK, LENGTH_MASK, LENGTH_SHIFT, Slots};

/// Ids end to end and, where they are asked for, the bytes of the original text of each.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// The ids.
    pub ids: Vec<u32>,
    /// Their byte lengths; empty where they are not asked for.
    pub lengths: Vec<u32>,
    wanted: bool,
    /// Bytes that belong to the next token.
    pending: u32,
}

impl Tokens {
    /// No tokens yet; room for those of `bytes` bytes of ordinary text.
    pub fn with_room(bytes: usize, wants_lengths: bool) -> Self {
        let room = bytes / 3 + 16;
        Self {
            ids: Vec::with_capacity(room),
            lengths: Vec::with_capacity(if wants_lengths { room } else { 0 }),
            wanted: wants_lengths,
            pending: 0,
        }
    }

    /// Whether byte lengths are asked for.
    pub fn wants_lengths(&self) -> bool {
        self.wanted
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Append a token that stands for `length` bytes, and for the skipped ones before it.
    pub fn push(&mut self, id: u32, length: u32) {
        self.ids.push(id);
        if self.wanted {
            self.lengths.push(length + self.pending);
            self.pending = 0;
        }
    }

    /// Append a token that stands for no text; skipped bytes wait for the next one.
    pub fn push_special(&mut self, id: u32) {
        self.ids.push(id);
        if self.wanted {
            self.lengths.push(0);
        }
    }

    /// Append tokens.
    pub fn extend(&mut self, ids: &[u32], lengths: &[u32]) {
        let first = self.lengths.len();
        self.ids.extend_from_slice(ids);
        if self.wanted {
            self.lengths.extend_from_slice(lengths);
            self.settle(first);
        }
    }

    /// Append the tokens of a cached word.
    #[inline(always)]
    pub fn push_slots(&mut self, slots: &Slots) {
        if self.wanted {
            self.push_slots_with::<true>(slots);
        } else {
            self.push_slots_with::<false>(slots);
        }
    }

    /// As [`Tokens::push_slots`]; `LENGTHS` is what [`Tokens::wants_lengths`] says.
    #[inline(always)]
    pub fn push_slots_with<const LENGTHS: bool>(&mut self, slots: &Slots) {
        let count = (slots[0] >> COUNT_SHIFT) as usize;
        // Four at once and then cut: cheaper than a loop of unknown length.
        let end = self.ids.len() + count;
        self.ids
            .extend_from_slice(&slots.map(|slot| slot & ID_MASK));
        self.ids.truncate(end);
        if LENGTHS {
            let first = self.lengths.len();
            let lengths = slots.map(|slot| (slot >> LENGTH_SHIFT) & LENGTH_MASK);
            self.lengths.extend_from_slice(&lengths);
            self.lengths.truncate(first + count);
            self.settle(first);
        }
    }

    /// Bytes that no token covers: they go to the next token, at the end to the last one.
    pub fn skip(&mut self, bytes: u32) {
        if self.wanted {
            self.pending += bytes;
        }
    }

    /// Bytes that still wait for a token.
    pub fn pending(&self) -> u32 {
        self.pending
    }

    /// Give the waiting bytes to the last token after `first`, if there is one; else forget them.
    pub fn finish(&mut self, first: usize) {
        if self.wanted {
            if let Some(last) = self.lengths[first..].last_mut() {
                *last += self.pending;
            }
            self.pending = 0;
        }
    }

    /// Byte lengths of the tokens from `first` on; empty where they are not asked for.
    pub fn lengths_from(&mut self, first: usize) -> &mut [u32] {
        self.lengths.get_mut(first..).unwrap_or_default()
    }

    /// Take `bytes` off the front of the tokens from `first` on: another token has them already.
    pub fn overlap(&mut self, first: usize, mut bytes: u32) {
        for length in self.lengths_from(first) {
            let taken = bytes.min(*length);
            *length -= taken;
            bytes -= taken;
        }
    }

    #[inline(always)]
    fn settle(&mut self, first: usize) {
        if self.pending != 0
            && let Some(length) = self.lengths.get_mut(first)
        {
            *length += self.pending;
            self.pending = 0;
        }
    }
}
