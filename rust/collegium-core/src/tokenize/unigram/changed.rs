//! Sections that the normalizer changes.

use std::cell::RefCell;
use std::ops::Range;

use tokenizers::{
    NormalizedString, Normalizer, OffsetType, PreTokenizedString, PreTokenizer, Token,
};

use unicode_segmentation::UnicodeSegmentation;

use super::aligned::Aligned;
use super::model::Sink;
use super::{Lattice, Words};
use crate::tokenize::byte_lengths::byte_lengths;
use crate::tokenize::charsmap::Output as _;
use crate::tokenize::tokens::Tokens;
use crate::tokenize::worker::Worker;

const MARK: char = '▁';

/// Ids, and the range of the original that each token touches.
type Ranged = (Vec<u32>, Vec<(usize, usize)>);

impl Words {
    /// Normalise, then encode, without looking back at the original.
    pub(super) fn encode_changed(&self, text: &str, worker: &mut Worker, out: &mut Tokens) {
        let mut mapped = std::mem::take(&mut worker.lattice.mapped);
        let mut marked = std::mem::take(&mut worker.lattice.pieces);
        mapped.clear();
        match &self.charsmap {
            Some(map) => map.map(text, &mut mapped),
            None => mapped.push_str(text),
        }
        let mut normalized = mapped.as_str();
        if self.rules.strip_right {
            normalized = normalized.trim_end();
        }
        if let Some(replacement) = self.rules.spaces_become {
            marked.clear();
            collapse(normalized, replacement, &mut marked);
            normalized = &marked;
        }
        if self.rules.white_space_splits {
            for word in normalized.split_whitespace() {
                self.encode_marked(word, worker, out);
            }
        } else {
            self.encode_marked(normalized, worker, out);
        }
        worker.lattice.mapped = mapped;
        worker.lattice.pieces = marked;
    }

    /// Encode words that begin with a mark or a space; the first may lack it.
    fn encode_marked(&self, text: &str, worker: &mut Worker, out: &mut Tokens) {
        let mut cores = text.split([MARK, ' ']);
        // What stands before the first mark, if anything, gets one.
        if let Some(first) = cores.next()
            && !first.is_empty()
        {
            self.encode_word(first, 0, first.len(), worker, out);
        }
        for core in cores {
            self.encode_word(core, 0, core.len(), worker, out);
        }
    }

    /// Whether what `text` begins with goes away, which displaces all of the section's offsets.
    pub(super) fn displaces(&self, text: &str, worker: &mut Worker) -> bool {
        let (Some(map), Some(first)) = (&self.charsmap, text.graphemes(true).next()) else {
            return false;
        };
        let changes = &mut worker.lattice.changes;
        changes.clear();
        map.map(first, changes);
        changes.is_displaced()
    }

    /// The same with byte lengths.
    pub(super) fn encode_aligned(&self, text: &str, worker: &mut Worker, out: &mut Tokens) {
        let (ids, mut ranges) = if self.model.has_bytes() {
            match self.align_with_crate(text, &mut worker.lattice) {
                Ok(found) => found,
                // The components of the crate do not fail on text.
                Err(_) => return self.encode_changed(text, worker, out),
            }
        } else {
            self.align(text, worker)
        };
        // An empty token at the end takes the bytes that are left.
        ranges.push((text.len(), text.len()));
        let token = |index: usize| ids.get(index).map(|&id| self.vocabulary.get(id as usize));
        let lengths = byte_lengths(text, &ranges, |index| {
            self.byte_tokens.bytes(token(index)??)
        });
        out.extend(&ids, &lengths[..ids.len()]);
        out.skip(lengths[ids.len()]);
    }

    fn align(&self, text: &str, worker: &mut Worker) -> Ranged {
        let mut changes = std::mem::take(&mut worker.lattice.changes);
        changes.clear();
        match &self.charsmap {
            Some(map) => map.map(text, &mut changes),
            None => changes.keep(text),
        }
        let mut aligned = Aligned::default();
        changes.align(text, &mut aligned);
        worker.lattice.changes = changes;
        if self.rules.strip_right {
            aligned.trim_end();
        }
        if let Some(replacement) = self.rules.spaces_become {
            let mut collapsed = Aligned::default();
            aligned.collapse(replacement, &mut collapsed);
            aligned = collapsed;
        }
        let mut found = Found {
            tokens: Tokens::with_room(text.len(), true),
            ranges: Vec::new(),
        };
        let normalized = &aligned.text;
        if self.rules.white_space_splits {
            let mut start = 0;
            for part in normalized.split(char::is_whitespace) {
                self.align_marked(&aligned, start..start + part.len(), worker, &mut found);
                let end = start + part.len();
                start = end + normalized[end..].chars().next().map_or(0, char::len_utf8);
            }
        } else {
            self.align_marked(&aligned, 0..normalized.len(), worker, &mut found);
        }
        (found.tokens.ids, found.ranges)
    }

    /// As [`Words::encode_marked`], for a part of a text.
    fn align_marked(
        &self,
        aligned: &Aligned,
        part: Range<usize>,
        worker: &mut Worker,
        found: &mut Found,
    ) {
        let is_mark = |&(_, character): &(usize, char)| matches!(character, MARK | ' ');
        let marks = aligned.text[part.clone()].char_indices().filter(is_mark);
        let mut marks = marks
            .map(|(at, mark)| (part.start + at, mark.len_utf8()))
            .peekable();
        let first = marks.peek().map_or(part.end, |&(at, _)| at);
        if part.start < first {
            // The mark that is put before belongs to the first character.
            self.align_word(aligned, part.start, part.start..first, worker, found);
        }
        while let Some((at, width)) = marks.next() {
            let end = marks.peek().map_or(part.end, |&(next, _)| next);
            self.align_word(aligned, at, at + width..end, worker, found);
        }
    }

    fn align_word(
        &self,
        aligned: &Aligned,
        mark: usize,
        core: Range<usize>,
        worker: &mut Worker,
        found: &mut Found,
    ) {
        let first = found.tokens.len();
        self.encode_word(
            &aligned.text,
            core.start,
            core.end,
            worker,
            &mut found.tokens,
        );
        let range = |at: usize| (aligned.ranges[at].0 as usize, aligned.ranges[at].1 as usize);
        let mut at = core.start;
        for (index, &length) in found.tokens.lengths[first..].iter().enumerate() {
            let start = if index == 0 { range(mark) } else { range(at) };
            at += length as usize;
            let end = if length == 0 { start } else { range(at - 1) };
            found.ranges.push((start.0, end.1));
        }
    }

    fn align_with_crate(&self, text: &str, lattice: &mut Lattice) -> tokenizers::Result<Ranged> {
        let mut section = PreTokenizedString::from(text);
        if let Some(normalizer) = &self.normalizer {
            section.normalize(|part| normalizer.normalize(part))?;
        }
        self.pre_tokenizer.pre_tokenize(&mut section)?;
        let lattice = RefCell::new(lattice);
        section.tokenize(|part: &NormalizedString| {
            Ok(self.crate_tokens(part.get(), &mut lattice.borrow_mut()))
        })?;
        let encoding = section.into_encoding(None, 0, OffsetType::Byte)?;
        Ok((encoding.get_ids().to_vec(), encoding.get_offsets().to_vec()))
    }

    fn crate_tokens(&self, word: &str, lattice: &mut Lattice) -> Vec<Token> {
        let mut tokens = Spelled {
            has_mark: word.starts_with(MARK),
            tokens: Vec::new(),
        };
        let word = word.replace(MARK, " ");
        self.model.encode(&word, &mut lattice.search, &mut tokens);
        tokens.tokens
    }
}

/// Tokens, and the range of the original that each touches.
struct Found {
    tokens: Tokens,
    ranges: Vec<(usize, usize)>,
}

/// Tokens of a word whose first space is spelled `▁`, with the offsets of that spelling.
struct Spelled {
    has_mark: bool,
    tokens: Vec<Token>,
}

impl Sink for Spelled {
    fn token(&mut self, id: u32, start: usize, end: usize) {
        let spelled = |at: usize| if at > 0 && self.has_mark { at + 2 } else { at };
        let offsets = (spelled(start), spelled(end));
        self.tokens.push(Token::new(id, String::new(), offsets));
    }

    fn byte(&mut self, id: u32, _at: usize, start: usize, end: usize) {
        self.token(id, start, end);
    }
}

/// Append `text` with `replacement` for every run of two spaces and more.
fn collapse(text: &str, replacement: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find("  ") {
        out.push_str(&rest[..at]);
        out.push_str(replacement);
        rest = rest[at..].trim_start_matches(' ');
    }
    out.push_str(rest);
}
