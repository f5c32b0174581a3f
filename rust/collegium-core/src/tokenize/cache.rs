//! A bounded cache from short words to their tokens: one for each worker, without locks.
//!
//! A word of up to 15 bytes is its own key, so a hit is always right. 2 MB hold the words of
//! ordinary text; when a bucket is full, the less recently
//! used of its two words is overwritten.

/// Up to four tokens: each an id and its byte length; the number of tokens is in the first.
pub(super) type Slots = [u32; 4];

/// The longest word that has a key, in bytes.
pub(super) const LONGEST: usize = 15;
/// Ids must be smaller than this.
pub(super) const ID_LIMIT: u32 = 1 << LENGTH_SHIFT;

pub(super) const ID_MASK: u32 = ID_LIMIT - 1;
pub(super) const LENGTH_SHIFT: u32 = 24;
pub(super) const LENGTH_MASK: u32 = 0xF;
pub(super) const COUNT_SHIFT: u32 = 28;

/// Words that are looked for at the same time, so that one does not wait for the memory of another.
pub(super) const BATCH: usize = 16;

/// A word of a text, to be looked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Word {
    /// First byte.
    pub start: usize,
    /// End.
    pub end: usize,
    /// Its key, if it is short.
    pub key: Option<u128>,
}

/// Words that a worker's cache holds: 2 MB.
const WORDS: usize = 1 << 16;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct Entry {
    key: u128,
    slots: Slots,
}

const EMPTY: Entry = Entry {
    key: 0,
    slots: [0; 4],
};

/// Two entries of one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Bucket([Entry; 2]);

/// The cache of one worker.
#[derive(Debug)]
pub(super) struct WordCache {
    buckets: Box<[Bucket]>,
    shift: u32,
    enabled: bool,
}

impl Default for WordCache {
    fn default() -> Self {
        Self::with_words(WORDS)
    }
}

impl WordCache {
    /// A cache of at least `words` words; of none with 0.
    pub fn with_words(words: usize) -> Self {
        let buckets = (words / 2).max(2).next_power_of_two();
        Self {
            buckets: vec![Bucket([EMPTY; 2]); buckets].into_boxed_slice(),
            shift: 64 - buckets.trailing_zeros(),
            enabled: words > 0,
        }
    }

    /// The key of `text[start..end]`, or `None` where it is too long (or empty).
    #[inline(always)]
    pub fn key(text: &[u8], start: usize, end: usize) -> Option<u128> {
        let length = end - start;
        if length.wrapping_sub(1) >= LONGEST {
            return None;
        }
        let bytes = match text.get(start..start + 16) {
            Some(block) => {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(block);
                u128::from_le_bytes(bytes)
            }
            None => Self::block_at_end(&text[start..end]),
        };
        Some(Self::mask(bytes, length))
    }

    /// The key of the first `length` bytes of a block, 1 to 15.
    #[inline(always)]
    pub fn mask(block: u128, length: usize) -> u128 {
        (block & MASKS[length & 15]) | (length as u128) << 120
    }

    #[cold]
    fn block_at_end(word: &[u8]) -> u128 {
        let mut bytes = [0; 16];
        bytes[..word.len()].copy_from_slice(word);
        u128::from_le_bytes(bytes)
    }

    #[inline(always)]
    fn bucket(&self, key: u128) -> usize {
        let high = ((key >> 64) as u64).wrapping_mul(0xA076_1D64_78BD_642F);
        let mixed = (key as u64 ^ high ^ (high >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> self.shift) as usize
    }

    /// The tokens of a word.
    #[inline(always)]
    pub fn get(&mut self, key: u128) -> Option<&Slots> {
        let index = self.bucket(key);
        let Bucket(entries) = self.buckets.get_mut(index)?;
        if entries[0].key != key {
            if entries[1].key != key {
                return None;
            }
            entries.swap(0, 1);
        }
        Some(&entries[0].slots)
    }

    /// Begin to load what [`WordCache::get`] will look at; nothing waits for it.
    #[inline(always)]
    pub fn prefetch(&self, key: u128) {
        if let Some(bucket) = self.buckets.get(self.bucket(key)) {
            prefetch(bucket);
        }
    }

    /// Remember the tokens of a word, unless there are more than four (or none).
    pub fn put(&mut self, key: u128, ids: &[u32], lengths: &[u32]) {
        if !self.enabled || ids.is_empty() || ids.len() > 4 || lengths.len() != ids.len() {
            return;
        }
        let mut slots = [0; 4];
        for (slot, (&id, &length)) in slots.iter_mut().zip(ids.iter().zip(lengths)) {
            if id >= ID_LIMIT || length > LENGTH_MASK {
                return;
            }
            *slot = id | length << LENGTH_SHIFT;
        }
        slots[0] |= (ids.len() as u32) << COUNT_SHIFT;
        let index = self.bucket(key);
        if let Some(Bucket(entries)) = self.buckets.get_mut(index) {
            entries[1] = Entry { key, slots };
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code)]
fn prefetch<T>(place: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: every x86-64 processor has the instruction, and it changes nothing that a program
    // can see, whatever the address; this one is that of a reference.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn prefetch<T>(_place: &T) {}

/// `MASKS[n]` keeps the first n bytes.
const MASKS: [u128; 16] = {
    let mut masks = [0; 16];
    let mut length = 1;
    while length < 16 {
        masks[length] = (1 << (8 * length)) - 1;
        length += 1;
    }
    masks
};

#[cfg(test)]
mod tests {
    use super::{LONGEST, WordCache};

    #[test]
    fn keys_are_the_words() {
        let text = b"abc abc  a very long word here; and a longer text";
        let key = |start, end| WordCache::key(text, start, end);
        assert_eq!(key(0, 3), key(4, 7));
        assert_ne!(key(0, 3), key(0, 2));
        assert_eq!(key(0, LONGEST + 1), None);
        assert_eq!(key(3, 3), None);
        assert_eq!(WordCache::key(b"xabc", 1, 4), key(0, 3));
        assert_ne!(WordCache::key(b"a\0", 0, 2), WordCache::key(b"a", 0, 1));
    }

    #[test]
    fn a_full_cache_forgets_and_is_never_wrong() {
        for words in [0, 1, 8, 1 << 10] {
            let mut cache = WordCache::with_words(words);
            let mut held = 0;
            let name = |n: u32| n.to_string().into_bytes();
            for n in 0..1000u32 {
                let word = name(n);
                let key = WordCache::key(&word, 0, word.len()).expect("short");
                cache.put(key, &[n, 7], &[1, word.len() as u32 - 1]);
            }
            for n in 0..1000 {
                let word = name(n);
                let key = WordCache::key(&word, 0, word.len()).expect("short");
                if let Some(slots) = cache.get(key) {
                    assert_eq!(slots[0] & super::ID_MASK, n);
                    held += 1;
                }
            }
            assert!(held <= words.max(4) && (held > 0) == (words > 0));
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut cache = WordCache::default();
        let key = WordCache::key(b"word", 0, 4).expect("short");
        cache.put(key, &[1; 5], &[1; 5]);
        cache.put(key, &[super::ID_LIMIT], &[4]);
        cache.put(key, &[1], &[16]);
        cache.put(key, &[], &[]);
        assert_eq!(cache.get(key), None);
    }
}
