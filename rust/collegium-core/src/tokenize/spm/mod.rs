//! SentencePiece BPE: spaces are marks `▁`, unknown characters are bytes (Llama 2, Mistral, Gemma).
//!
//! The model merges over a whole section. It is cut into words where no merge can cross, so that
//! words can be remembered ([`cuts`]).

mod compile;
mod cuts;
mod searched;

pub(super) use compile::compile;

use std::collections::HashMap;

use super::bpe::{MergeScratch, Merges};
use super::cache::{BATCH, Word, WordCache};
use super::plan::{Family, Section};
use super::tokens::Tokens;
use super::worker::Worker;
use cuts::Cuts;
use searched::Searched;

const MARK: char = '▁';

/// Which sections get a mark at their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Never,
    /// All, also those that begin with a space.
    Always,
    /// Those that do not begin with a mark.
    Missing,
    /// The one at the beginning of the text, if it does not begin with a mark.
    FirstMissing,
}

/// What becomes of characters that are no token.
#[derive(Debug)]
enum Unknown {
    /// The tokens of their bytes.
    Bytes(Box<[u32; 256]>),
    /// One token, or one for each run of them.
    Token { id: u32, fuse: bool },
}

#[derive(Debug)]
struct Pieces {
    prefix: Prefix,
    characters: HashMap<char, u32, rustc_hash::FxBuildHasher>,
    ascii: [Option<u32>; 128],
    unknown: Unknown,
    merges: Merges,
    cuts: Cuts,
    /// With `ignore_merges`: all tokens, and the length of the longest.
    whole: Option<(HashMap<String, u32>, usize)>,
    /// Added tokens that are looked for in normalised text.
    searched: Option<Searched>,
}

impl Family for Pieces {
    fn describe(&self) -> String {
        let prefix = match self.prefix {
            Prefix::Never => "no ▁ put before",
            Prefix::Always => "▁ before every section",
            Prefix::Missing => "▁ before sections without one",
            Prefix::FirstMissing => "▁ before the text",
        };
        let unknown = match self.unknown {
            Unknown::Bytes(_) => "byte fallback",
            Unknown::Token { .. } => "unknown token",
        };
        format!("SentencePiece BPE, {prefix}, {unknown}")
    }

    fn encode(&self, section: Section<'_>, worker: &mut Worker, out: &mut Tokens) {
        match &self.searched {
            Some(searched) if searched.may_hold(section.text) => {
                self.encode_searched(searched, section, worker, out);
            }
            _ => self.encode_section(section, worker, out),
        }
    }

    fn cut(&self, text: &str, near: usize) -> Option<usize> {
        if self.whole.is_some() || self.searched.is_some() {
            return None;
        }
        let bytes = text.as_bytes();
        (near.max(1)..bytes.len()).find(|&at| self.cuts.at(bytes[at - 1], bytes[at]))
    }
}

impl Pieces {
    fn is_prefixed(&self, section: Section<'_>) -> bool {
        let has_mark = section.text.starts_with([' ', MARK]);
        section.opens
            && !section.text.is_empty()
            && match self.prefix {
                Prefix::Never => false,
                Prefix::Always => true,
                Prefix::Missing => !has_mark,
                Prefix::FirstMissing => section.starts_text && !has_mark,
            }
    }

    fn encode_section(&self, section: Section<'_>, worker: &mut Worker, out: &mut Tokens) {
        let text = section.text;
        if !self.is_prefixed(section) {
            self.encode_unprefixed(text, worker, out);
        } else if !self.push_whole(text, true, out) {
            let end = self.cuts.next(text.as_bytes(), 0);
            self.encode_prefixed(&text[..end], worker, out);
            self.encode_words(text, end, worker, out);
        }
    }

    fn encode_unprefixed(&self, text: &str, worker: &mut Worker, out: &mut Tokens) {
        if !self.push_whole(text, false, out) {
            self.encode_words(text, 0, worker, out);
        }
    }

    /// The words from `start` on.
    fn encode_words(&self, text: &str, start: usize, worker: &mut Worker, out: &mut Tokens) {
        let bytes = text.as_bytes();
        let mut start = start;
        let mut batch = [Word::default(); BATCH];
        while start < bytes.len() {
            let mut count = 0;
            while start < bytes.len() && count < BATCH {
                let end = self.cuts.next(bytes, start);
                let key = WordCache::key(bytes, start, end);
                if let Some(key) = key {
                    worker.cache.prefetch(key);
                }
                batch[count] = Word { start, end, key };
                count += 1;
                start = end;
            }
            for word in &batch[..count] {
                match word.key.and_then(|key| worker.cache.get(key)) {
                    Some(slots) => out.push_slots(slots),
                    None => {
                        let text = &text[word.start..word.end];
                        self.encode_new_word(text, word.key, worker, out);
                    }
                }
            }
        }
    }

    /// With `ignore_merges`, a section that is a token is that token.
    fn push_whole(&self, text: &str, prefixed: bool, out: &mut Tokens) -> bool {
        let Some((tokens, longest)) = &self.whole else {
            return false;
        };
        if text.len() > *longest {
            return false;
        }
        let mark = if prefixed { "▁" } else { "" };
        let id = tokens.get(&format!("{mark}{}", text.replace(' ', "▁")));
        if let Some(&id) = id {
            out.push(id, text.len() as u32);
        }
        id.is_some()
    }

    /// The first word of a section, with a mark before it that stands for no text.
    fn encode_prefixed(&self, word: &str, worker: &mut Worker, out: &mut Tokens) {
        let mut marked = std::mem::take(&mut worker.marked);
        marked.clear();
        marked.push(' ');
        marked.push_str(word);
        let first = out.len();
        let key = WordCache::key(marked.as_bytes(), 0, marked.len());
        match key.and_then(|key| worker.cache.get(key)) {
            Some(slots) => out.push_slots(slots),
            None => self.encode_new_word(&marked, key, worker, out),
        }
        worker.marked = marked;
        if !out.wants_lengths() {
            return;
        }
        let next_is_byte = match (&self.unknown, out.ids.get(first + 1)) {
            (Unknown::Bytes(bytes), Some(id)) => bytes[usize::from(word.as_bytes()[0])] == *id,
            _ => false,
        };
        let lengths = out.lengths_from(first);
        lengths[0] -= 1;
        // The mark belongs to the first character. Where it is a token of its own it takes that
        // character, unless the next token is a byte of it.
        if lengths[0] == 0 && lengths.len() > 1 && !next_is_byte {
            let width = word.chars().next().map_or(0, char::len_utf8) as u32;
            lengths[0] = width;
            lengths[1] -= width.min(lengths[1]);
        }
    }

    #[inline(never)]
    fn encode_new_word(
        &self,
        word: &str,
        key: Option<u128>,
        worker: &mut Worker,
        out: &mut Tokens,
    ) {
        let Worker { merging, cache, .. } = worker;
        self.symbols(word, merging);
        self.merges.apply(merging);
        if let Some(key) = key {
            cache.put(key, &merging.ids, &merging.lengths);
        }
        out.extend(&merging.ids, &merging.lengths);
    }

    /// The symbols that merging begins with.
    fn symbols(&self, word: &str, symbols: &mut MergeScratch) {
        symbols.clear();
        // Bytes of unknown characters that wait to become one token.
        let mut waiting = 0;
        for character in word.chars() {
            let width = character.len_utf8() as u32;
            let known = match self.ascii.get(character as usize) {
                Some(known) => *known,
                None => self.characters.get(&character).copied(),
            };
            match (known, &self.unknown) {
                (Some(id), Unknown::Bytes(_)) => symbols.push(id, width),
                (Some(id), &Unknown::Token { id: unknown, .. }) => {
                    if waiting > 0 {
                        symbols.push(unknown, waiting);
                        waiting = 0;
                    }
                    symbols.push(id, width);
                }
                (None, Unknown::Bytes(bytes)) => {
                    let mut buffer = [0; 4];
                    for byte in character.encode_utf8(&mut buffer).bytes() {
                        symbols.push(bytes[usize::from(byte)], 1);
                    }
                }
                (None, Unknown::Token { fuse: true, .. }) => waiting += width,
                (None, Unknown::Token { id, fuse: false }) => symbols.push(*id, width),
            }
        }
        if let Unknown::Token { id, .. } = self.unknown
            && waiting > 0
        {
            symbols.push(id, waiting);
        }
    }
}
