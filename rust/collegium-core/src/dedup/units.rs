//! Texts as sequences of hashed units: words, characters, tokens, or words and equations.

use unicode_general_category::{GeneralCategory, get_general_category};

use super::{View, hash, numbers};

/// What a row holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    /// A text.
    Text(&'a str),
    /// Token ids.
    Tokens(&'a [u32]),
    /// Token ids as little-endian bytes.
    Stored(&'a [u8]),
}

/// Reads units; its buffers are used again and again.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The lower-cased text and zeros behind it.
    padded: Vec<u8>,
    units: Vec<u64>,
}

impl Reader {
    /// The units of a row, at least one unless it has no tokens.
    pub(super) fn read(&mut self, content: Content<'_>, view: View) -> &[u64] {
        self.units.clear();
        match (content, view) {
            (Content::Tokens(ids), _) => self.units.extend(ids.iter().map(|&id| hash::number(id))),
            (Content::Stored(bytes), _) => {
                let ids = bytes.chunks_exact(4).map(|four| {
                    let mut id = [0; 4];
                    id.copy_from_slice(four);
                    hash::number(u32::from_le_bytes(id))
                });
                self.units.extend(ids);
            }
            (Content::Text(text), View::Chars) => self.chars(text),
            (Content::Text(text), View::Canonical) => {
                let text = numbers::canonical_text(text);
                self.words(&text);
            }
            (Content::Text(text), _) => self.words(text),
        }
        &self.units
    }

    fn chars(&mut self, text: &str) {
        let text = text.to_lowercase();
        let parts = text.split(is_space).filter(|part| !part.is_empty());
        for (index, part) in parts.enumerate() {
            let space = (index > 0).then_some(' ');
            let characters = space.into_iter().chain(part.chars());
            self.units
                .extend(characters.map(|c| hash::number(u32::from(c))));
        }
    }

    fn words(&mut self, text: &str) {
        self.padded.clear();
        if text.is_ascii() {
            self.padded.extend_from_slice(text.as_bytes());
            self.padded.make_ascii_lowercase();
            self.pad();
            self.ascii_words();
        } else {
            let text = text.to_lowercase();
            self.padded.extend_from_slice(text.as_bytes());
            self.pad();
            for word in text.split(|c| !is_word(c)).filter(|word| !word.is_empty()) {
                let start = word.as_ptr() as usize - text.as_ptr() as usize;
                self.units
                    .push(hash::word(&self.padded, start, start + word.len()));
            }
        }
        if self.units.is_empty() {
            // Only punctuation: compared as it stands.
            let text = trim(text).to_lowercase();
            self.units.push(hash::bytes(text.as_bytes()));
        }
    }

    /// Zeros up to a whole block, at least eight.
    fn pad(&mut self) {
        let length = (self.padded.len() + 8).next_multiple_of(64);
        self.padded.resize(length, 0);
    }

    /// The words of an ASCII text, 64 bytes at a time.
    fn ascii_words(&mut self) {
        let (mut start, mut inside) = (0, false);
        for (block, bytes) in self.padded.chunks_exact(64).enumerate() {
            let within = word_bits(bytes);
            // Bits where a word begins or has ended.
            let mut turns = within ^ (within << 1 | u64::from(inside));
            while turns != 0 {
                let at = block * 64 + turns.trailing_zeros() as usize;
                turns &= turns - 1;
                if inside {
                    self.units.push(hash::word(&self.padded, start, at));
                } else {
                    start = at;
                }
                inside = !inside;
            }
        }
    }
}

/// One bit for each of 64 lower-case bytes: whether it belongs to a word.
#[inline]
fn word_bits(bytes: &[u8]) -> u64 {
    let mut flags = [0_u8; 64];
    for (flag, &byte) in flags.iter_mut().zip(bytes) {
        let letter = byte.wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        *flag = u8::from(letter | digit | (byte == b'_'));
    }
    let mut bits = 0;
    for (index, eight) in flags.chunks_exact(8).enumerate() {
        let mut word = [0; 8];
        word.copy_from_slice(eight);
        // The product gathers the eight low bits in its top byte.
        let gathered = u64::from_le_bytes(word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (8 * index);
    }
    bits
}

/// The text without white space around it, as Python's `str.strip` leaves it.
fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Whether there is nothing but white space.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// Whether Python's `str.isspace` holds.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Whether Python's `\w` matches.
pub(super) fn is_word(c: char) -> bool {
    use GeneralCategory::{
        DecimalNumber, LetterNumber, LowercaseLetter, ModifierLetter, OtherLetter, OtherNumber,
        TitlecaseLetter, UppercaseLetter,
    };
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    matches!(
        get_general_category(c),
        LowercaseLetter
            | UppercaseLetter
            | TitlecaseLetter
            | ModifierLetter
            | OtherLetter
            | DecimalNumber
            | LetterNumber
            | OtherNumber
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hash;
    use super::{Content, Reader, View, is_word};

    fn hashed(words: &[&str]) -> Vec<u64> {
        words
            .iter()
            .map(|word| {
                let mut padded = word.as_bytes().to_vec();
                padded.extend([0; 8]);
                hash::word(&padded, 0, word.len())
            })
            .collect()
    }

    fn read(text: &str) -> Vec<u64> {
        Reader::default()
            .read(Content::Text(text), View::Words)
            .to_vec()
    }

    #[test]
    fn words_of_any_script() {
        assert_eq!(
            read("The ANSWER_1 is 3.5²; Straße, ΣΑΣ! 日本…\u{301}e"),
            hashed(&[
                "the", "answer_1", "is", "3", "5²", "straße", "σας", "日本", "e"
            ])
        );
        assert_eq!(read(" ?! "), [hash::bytes(b"?!")]);
        assert_ne!(read("\0"), read("\0\0"));
    }

    proptest! {
        #[test]
        fn blocks_find_the_words_that_a_split_finds(text in "[a-zA-Z0-9_ .,é\\-\n]{0,200}") {
            let lower = text.to_lowercase();
            let words: Vec<&str> =
                lower.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
            prop_assume!(!words.is_empty());
            prop_assert_eq!(read(&text), hashed(&words));
        }
    }
}
