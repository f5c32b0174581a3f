//! Word after word of a text: by blocks where the processor makes them, else byte by byte.

use super::blocks::{Block, BlockOf, WIDTH};
use super::words::{Words, plain_word};
use crate::tokenize::cache::{Word, WordCache};

/// Fewer bytes than this at the end of a block are not asked, but read again with what follows.
const REST: usize = 16;

/// Reads the words of one text, in order.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    make: Option<BlockOf>,
    block: Block,
    /// Where the block begins.
    base: usize,
    /// Bytes of it that count.
    width: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner of `text`, by blocks from `make` or byte by byte.
    pub fn new(text: &'a [u8], make: Option<BlockOf>) -> Self {
        Self {
            text,
            make,
            block: Block::default(),
            base: 0,
            width: 0,
        }
    }

    /// The word that begins at `start`, which is inside the text; starts rise.
    #[inline(always)]
    pub fn word<W: Words>(&mut self, start: usize) -> Word {
        if W::BY_BLOCKS && self.make.is_some() {
            let end = match self.within_block::<W>(start) {
                Some(length) => start + length,
                None => W::end(self.text, start),
            };
            let key = WordCache::key(self.text, start, end);
            return Word { start, end, key };
        }
        let (end, key) = match plain_word(self.text, start) {
            Some((length, key)) => (start + length, Some(key)),
            None => {
                let end = W::end(self.text, start);
                (end, WordCache::key(self.text, start, end))
            }
        };
        Word { start, end, key }
    }

    /// The length of the word, if the block shows it whole and what follows it.
    #[inline(always)]
    fn within_block<W: Words>(&mut self, start: usize) -> Option<usize> {
        let mut at = start - self.base;
        if at + REST > self.width {
            self.read(start)?;
            at = 0;
        }
        let seen = |block: Block, width: usize| {
            let visible = width.min(block.high.trailing_zeros() as usize);
            let (length, told) = W::length(block)?;
            (told < visible).then_some(length)
        };
        let found = seen(self.block.after(at), self.width - at);
        if found.is_some() || at == 0 || self.width - at > WIDTH / 2 {
            return found;
        }
        self.read(start)?;
        seen(self.block, self.width)
    }

    #[inline(always)]
    fn read(&mut self, start: usize) -> Option<()> {
        self.width = 0;
        self.base = start;
        let bytes = self.text.get(start..)?.first_chunk::<WIDTH>()?;
        self.block = self.make?(bytes);
        self.width = WIDTH;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::Scanner;
    use crate::tokenize::byte_level::blocks;
    use crate::tokenize::byte_level::words::{Cl100k, Gpt2, Words};
    use proptest::prelude::*;

    fn same_as_byte_by_byte<W: Words>(text: &[u8]) {
        let mut scanner = Scanner::new(text, blocks::best());
        let mut start = 0;
        while start < text.len() {
            let end = scanner.word::<W>(start).end;
            assert_eq!(
                end,
                W::end(text, start),
                "{:?}",
                String::from_utf8_lossy(&text[start..])
            );
            start = end;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn at_every_offset(
            parts in prop::collection::vec(
                prop_oneof![
                    "[a-zA-Z]{1,20}", "[0-9]{1,5}", "[ \\t\\r\\n]{1,4}", "[!-/:-@\\[-`{-~]{1,3}",
                    "'(s|t|re|LL|x)?", "[éß日😀\u{a0}\u{301}²]{1,3}", "[a-z]{30,90}", " {1,70}",
                    Just(" ".to_owned()), "[\0-\x7f]{1,3}",
                ],
                1..40,
            ),
        ) {
            let text = parts.concat();
            for offset in 0..64 {
                let moved = format!("{}{text}", "x".repeat(offset));
                same_as_byte_by_byte::<Gpt2>(moved.as_bytes());
                same_as_byte_by_byte::<Cl100k<1>>(moved.as_bytes());
                same_as_byte_by_byte::<Cl100k<3>>(moved.as_bytes());
            }
        }
    }

    #[test]
    fn blocks_of_every_byte() {
        let Some(make) = blocks::best() else { return };
        for byte in 0..=u8::MAX {
            for place in 0..64 {
                let mut bytes = [b'x'; 64];
                bytes[place] = byte;
                let block = make(&bytes).after(place);
                let bits = [
                    block.letters,
                    block.numbers,
                    block.spaces,
                    block.blanks,
                    block.breaks,
                    block.quotes,
                    block.high,
                ];
                let expected = [
                    byte.is_ascii_alphabetic(),
                    byte.is_ascii_digit(),
                    matches!(byte, b'\t'..=b'\r' | b' '),
                    byte == b' ',
                    matches!(byte, b'\r' | b'\n'),
                    byte == b'\'',
                    !byte.is_ascii(),
                ];
                assert_eq!(
                    bits.map(|bits| bits & 1 == 1),
                    expected,
                    "{byte} at {place}"
                );
            }
        }
    }
}
