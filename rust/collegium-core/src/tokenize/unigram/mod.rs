//! Unigram with words: every word begins with the mark `▁`, and no piece crosses into the next.

mod aligned;
mod changed;
mod compile;
mod model;

pub(super) use compile::compile;
pub(super) use model::width;

use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use super::cache::{BATCH, WordCache};
use super::charsmap::Charsmap;
use super::plan::{Family, Section};
use super::token_bytes::ByteTokens;
use super::tokens::Tokens;
use super::worker::Worker;
use model::{Scratch, Sink, Unigram};

/// What the normalizer and the words make of an ASCII byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Part of a word, unchanged.
    Plain,
    /// A space, or mapped to one. Neighbours make one mark; at the end of a section they go.
    Space,
    /// Anything else: the section takes the long way.
    Changed,
}

/// Bytes that are compared at once.
const CHUNK: usize = 64;

/// A word of a section, and the spaces before it.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    spaces: usize,
    start: usize,
    end: usize,
    key: Option<u128>,
}

/// The buffers of one worker.
#[derive(Debug, Default)]
pub(super) struct Lattice {
    search: Scratch,
    word: String,
    ids: Vec<u32>,
    lengths: Vec<u32>,
    mapped: String,
    pieces: String,
    changes: aligned::Changes,
}

/// T5, FLAN-T5, XLM-R and others that are put together in the same way.
#[derive(Debug)]
struct Words {
    model: Unigram,
    classes: [Class; 256],
    /// Whether printable ASCII is [`Class::Plain`], and a space or line feed [`Class::Space`].
    is_usual: bool,
    charsmap: Option<Charsmap>,
    rules: Rules,
    /// Id of `▁`.
    mark: u32,
    byte_tokens: ByteTokens,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: PreTokenizerWrapper,
    vocabulary: Vec<String>,
}

/// What follows the character map.
#[derive(Debug, Clone, Copy, Default)]
struct Rules {
    /// White space at the end goes.
    strip_right: bool,
    /// What stands for two spaces and more.
    spaces_become: Option<&'static str>,
    /// Words are split at white space first, which goes.
    white_space_splits: bool,
}

impl Family for Words {
    fn describe(&self) -> String {
        let map = if self.charsmap.is_some() {
            ", character map"
        } else {
            ""
        };
        format!("Unigram, words at ▁{map}")
    }

    fn encode(&self, section: Section<'_>, worker: &mut Worker, out: &mut Tokens) {
        let mut rest = section.text;
        // Only the words around what changes take the long way.
        while let Some(changed) = self.first_changed(rest.as_bytes()) {
            let before = (1..changed).rev().find(|&at| self.can_cut(rest, at));
            let (plain, from) = rest.split_at(before.unwrap_or(0));
            let whole = out.wants_lengths() && plain.is_empty() && self.displaces(from, worker);
            let end = if whole {
                None
            } else {
                self.cut(from, changed - plain.len())
            };
            let (part, after) = from.split_at(end.unwrap_or(from.len()));
            self.encode_plain(plain, worker, out);
            if out.wants_lengths() {
                self.encode_aligned(part, worker, out);
            } else {
                self.encode_changed(part, worker, out);
            }
            rest = after;
        }
        self.encode_plain(rest, worker, out);
    }

    fn cut(&self, text: &str, near: usize) -> Option<usize> {
        (near.max(1)..text.len()).find(|&at| self.can_cut(text, at))
    }
}

impl Words {
    fn class(&self, byte: u8) -> Class {
        self.classes[usize::from(byte)]
    }

    /// Whether this is a space between two letters, which starts a word whatever stands around it.
    fn can_cut(&self, text: &str, at: usize) -> bool {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() && self.class(byte) == Class::Plain;
        match text.as_bytes().get(at - 1..) {
            Some(&[left, b' ', right, ..]) => {
                self.class(b' ') == Class::Space && is_letter(left) && is_letter(right)
            }
            _ => false,
        }
    }

    fn first_changed(&self, text: &[u8]) -> Option<usize> {
        let mut done = 0;
        if self.is_usual {
            let is_odd = |byte: u8| (byte < b' ') & (byte != b'\n') | (byte > b'~');
            // Without a branch for each byte, many are compared at once.
            let odd = |chunk: &[u8]| chunk.iter().fold(false, |odd, &byte| odd | is_odd(byte));
            let chunks = text.chunks(CHUNK);
            done = CHUNK * chunks.take_while(|chunk| !odd(chunk)).count();
        }
        let is_changed = |&byte: &u8| self.class(byte) == Class::Changed;
        let rest = text.get(done..).unwrap_or_default();
        rest.iter().position(is_changed).map(|at| done + at)
    }

    /// A section of plain bytes and spaces only.
    fn encode_plain(&self, text: &str, worker: &mut Worker, out: &mut Tokens) {
        if out.wants_lengths() {
            self.encode_plain_for::<true>(text, worker, out);
        } else {
            self.encode_plain_for::<false>(text, worker, out);
        }
    }

    fn encode_plain_for<const LENGTHS: bool>(
        &self,
        text: &str,
        worker: &mut Worker,
        out: &mut Tokens,
    ) {
        let bytes = text.as_bytes();
        let mut batch = [Word::default(); BATCH];
        let mut at = 0;
        while at < bytes.len() {
            let mut count = 0;
            while at < bytes.len() && count < BATCH {
                let word = &mut batch[count];
                word.spaces = at;
                while at < bytes.len() && self.class(bytes[at]) == Class::Space {
                    at += 1;
                }
                word.start = at;
                match self.is_usual.then(|| short_word(bytes, at)).flatten() {
                    Some((length, key)) => {
                        at += length;
                        word.key = Some(key);
                    }
                    None => {
                        while at < bytes.len() && self.class(bytes[at]) == Class::Plain {
                            at += 1;
                        }
                        word.key = WordCache::key(bytes, word.start, at);
                    }
                }
                word.end = at;
                if let Some(key) = word.key {
                    worker.cache.prefetch(key);
                }
                count += 1;
            }
            for word in &batch[..count] {
                if LENGTHS {
                    out.skip((word.start - word.spaces) as u32);
                }
                // There is no word after spaces at the end.
                if word.start < word.end {
                    self.encode_plain_word::<LENGTHS>(text, word, worker, out);
                }
            }
        }
    }

    #[inline(always)]
    fn encode_plain_word<const LENGTHS: bool>(
        &self,
        text: &str,
        word: &Word,
        worker: &mut Worker,
        out: &mut Tokens,
    ) {
        let first = out.len();
        match word.key.and_then(|key| worker.cache.get(key)) {
            Some(slots) => out.push_slots_with::<LENGTHS>(slots),
            None => self.encode_new_word(&text[word.start..word.end], word.key, worker, out),
        }
        if LENGTHS {
            let bytes = text.as_bytes();
            if word.start == 0 || self.rules.white_space_splits {
                self.share_first_character(&bytes[word.start..], first, out);
            } else if bytes[..word.start].ends_with(b"\r\n") {
                self.move_line_feed(first, out);
            }
        }
    }

    /// The tokens of `▁` and `text[start..end]`; the mark has no length.
    #[inline]
    fn encode_word(
        &self,
        text: &str,
        start: usize,
        end: usize,
        worker: &mut Worker,
        out: &mut Tokens,
    ) {
        let key = WordCache::key(text.as_bytes(), start, end);
        match key.and_then(|key| worker.cache.get(key)) {
            Some(slots) => out.push_slots(slots),
            None => self.encode_new_word(&text[start..end], key, worker, out),
        }
    }

    #[inline(never)]
    fn encode_new_word(
        &self,
        core: &str,
        key: Option<u128>,
        worker: &mut Worker,
        out: &mut Tokens,
    ) {
        let Lattice {
            search,
            word,
            ids,
            lengths,
            ..
        } = &mut worker.lattice;
        word.clear();
        word.push(' ');
        word.push_str(core);
        ids.clear();
        lengths.clear();
        self.model
            .encode(word, search, &mut Marked { ids, lengths });
        if let Some(key) = key {
            worker.cache.put(key, ids, lengths);
        }
        out.extend(ids, lengths);
    }

    /// A mark that is put before a word belongs to its first character. Where it is a token of its
    /// own it takes that character, unless the next token is a byte of it.
    fn share_first_character(&self, character: &[u8], first: usize, out: &mut Tokens) {
        let [mark, next, ..] = out.ids[first..] else {
            return;
        };
        if mark == self.mark && self.model.byte(character[0]) != Some(next) {
            let width = width(character[0]) as u32;
            let lengths = out.lengths_from(first);
            lengths[0] += width;
            lengths[1] -= width.min(lengths[1]);
        }
    }

    /// One mark stands for a carriage return with its line feed, and has the bytes of the former:
    /// the line feed goes to the next token where the mark is a token of its own.
    #[cold]
    fn move_line_feed(&self, first: usize, out: &mut Tokens) {
        if out.ids[first] == self.mark
            && let [mark, next, ..] = out.lengths_from(first)
        {
            *mark -= 1;
            *next += 1;
        }
    }
}

/// Length and key of the word at `start` in a text of printable ASCII and white space, if it has 1
/// to 15 bytes and the text goes on long enough. It is found without a branch for each byte.
#[inline(always)]
fn short_word(text: &[u8], start: usize) -> Option<(usize, u128)> {
    const TOP: u128 = u128::from_le_bytes([0x80; 16]);
    const PRINTABLE: u128 = u128::from_le_bytes([0x80 - 0x21; 16]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(text.get(start..start + 16)?);
    let block = u128::from_le_bytes(bytes);
    // The top bit of each byte tells whether it is more than a space; no sum carries.
    let spaces = !(block + PRINTABLE) & TOP;
    let length = (spaces.trailing_zeros() / 8) as usize;
    (1..16)
        .contains(&length)
        .then(|| (length, WordCache::mask(block, length)))
}

/// Tokens of a word that begins with a mark of no length.
struct Marked<'a> {
    ids: &'a mut Vec<u32>,
    lengths: &'a mut Vec<u32>,
}

impl Sink for Marked<'_> {
    fn token(&mut self, id: u32, start: usize, end: usize) {
        self.ids.push(id);
        self.lengths.push((end - start.max(1)) as u32);
    }

    fn byte(&mut self, id: u32, at: usize, _start: usize, _end: usize) {
        self.token(id, at, at + 1);
    }
}
