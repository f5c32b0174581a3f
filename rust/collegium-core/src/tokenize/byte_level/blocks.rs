//! Classes of 64 bytes at once, a bit for each, where the processor can compare so many.

/// Bytes of a block.
pub(super) const WIDTH: usize = 64;

/// One bit for each byte of a block; the classes are those of ASCII.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// Letters.
    pub letters: u64,
    /// Digits.
    pub numbers: u64,
    /// White space.
    pub spaces: u64,
    /// Of that, the space itself.
    pub blanks: u64,
    /// Of that, carriage returns and line feeds.
    pub breaks: u64,
    /// Apostrophes.
    pub quotes: u64,
    /// Bytes of characters beyond ASCII.
    pub high: u64,
}

/// Makes a block of bytes.
pub(super) type BlockOf = fn(&[u8; WIDTH]) -> Block;

/// What this processor makes blocks with, if it is worth it.
pub(super) fn best() -> Option<BlockOf> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        return Some(avx2::checked);
    }
    None
}

impl Block {
    /// The block from `at` on.
    #[inline(always)]
    pub fn after(self, at: usize) -> Self {
        Self {
            letters: self.letters >> at,
            numbers: self.numbers >> at,
            spaces: self.spaces >> at,
            blanks: self.blanks >> at,
            breaks: self.breaks >> at,
            quotes: self.quotes >> at,
            high: self.high >> at,
        }
    }

    /// What is no letter, number or white space.
    #[inline(always)]
    pub fn others(self) -> u64 {
        !(self.letters | self.numbers | self.spaces)
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8, _mm256_sub_epi8,
    };

    use super::{Block, WIDTH};

    pub(super) fn checked(bytes: &[u8; WIDTH]) -> Block {
        // SAFETY: `best` hands this out only where the processor has AVX2.
        unsafe { block(bytes) }
    }

    #[target_feature(enable = "avx2")]
    fn block(bytes: &[u8; WIDTH]) -> Block {
        let (low, high) = bytes.split_at(WIDTH / 2);
        let (low, high) = (half(low), half(high));
        let joined = |at: usize| u64::from(low[at]) | u64::from(high[at]) << 32;
        Block {
            letters: joined(0),
            numbers: joined(1),
            spaces: joined(2) | joined(3),
            blanks: joined(3),
            breaks: joined(4),
            quotes: joined(5),
            high: joined(6),
        }
    }

    /// Letters, digits, tab to carriage return, spaces, line breaks, apostrophes, other bytes.
    #[target_feature(enable = "avx2")]
    fn half(bytes: &[u8]) -> [u32; 7] {
        debug_assert_eq!(bytes.len(), WIDTH / 2);
        // SAFETY: both callers pass half a block, 32 bytes, and the load needs no alignment.
        let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast::<__m256i>()) };
        let all = |byte: u8| _mm256_set1_epi8(byte as i8);
        let mask = |found: __m256i| _mm256_movemask_epi8(found) as u32;
        let equal = |byte: u8| _mm256_cmpeq_epi8(bytes, all(byte));
        // As unsigned numbers, `width` and less stay what they are.
        let within = |bytes: __m256i, first: u8, width: u8| {
            let above = _mm256_sub_epi8(bytes, all(first));
            mask(_mm256_cmpeq_epi8(_mm256_min_epu8(above, all(width)), above))
        };
        [
            within(_mm256_or_si256(bytes, all(0x20)), b'a', b'z' - b'a'),
            within(bytes, b'0', 9),
            within(bytes, b'\t', b'\r' - b'\t'),
            mask(equal(b' ')),
            mask(_mm256_or_si256(equal(b'\n'), equal(b'\r'))),
            mask(equal(b'\'')),
            mask(bytes),
        ]
    }
}
