//! Added tokens that are looked for in normalised text, where spaces are marks already.

use memchr::memmem::Finder;
use tokenizers::NormalizedString;
use tokenizers::tokenizer::normalizer::Range;

use super::{Pieces, Unknown};
use crate::tokenize::added::{AddedTokens, Piece};
use crate::tokenize::byte_lengths::byte_lengths;
use crate::tokenize::plan::Section;
use crate::tokenize::tokens::Tokens;
use crate::tokenize::worker::Worker;

/// The tokens, and what tells quickly that a section has none.
#[derive(Debug)]
pub(super) struct Searched {
    tokens: AddedTokens,
    /// A part of each pattern without spaces and marks; `None` if one has no such part.
    parts: Option<Vec<Finder<'static>>>,
    /// Whether a normalizer makes the marks, before the search; else the pre-tokenizer does, after.
    marks_first: bool,
}

impl Searched {
    pub(super) fn new(tokens: AddedTokens, marks_first: bool) -> Self {
        let part = |pattern: &str| {
            let parts = pattern.split([' ', '▁']);
            let longest = parts.max_by_key(|part| part.len())?;
            (!longest.is_empty()).then(|| Finder::new(longest).into_owned())
        };
        let patterns = tokens.tokens().iter().map(|token| token.pattern.as_str());
        Self {
            parts: patterns.map(part).collect(),
            tokens,
            marks_first,
        }
    }

    /// Whether `text` may hold one of the tokens; false is certain.
    pub(super) fn may_hold(&self, text: &str) -> bool {
        self.parts.as_ref().is_none_or(|parts| {
            let mut parts = parts.iter();
            parts.any(|part| part.find(text.as_bytes()).is_some())
        })
    }
}

impl Pieces {
    pub(super) fn encode_searched(
        &self,
        searched: &Searched,
        section: Section<'_>,
        worker: &mut Worker,
        out: &mut Tokens,
    ) {
        if searched.marks_first {
            self.encode_marked(searched, section, worker, out);
            return;
        }
        let mut done = 0;
        searched.tokens.split(section.text, |piece| match piece {
            Piece::Text { start, end } => {
                let first = out.len();
                let part = Section {
                    text: &section.text[start..end],
                    starts_text: section.starts_text && start == 0,
                    ..section
                };
                self.encode_section(part, worker, out);
                out.overlap(first, done.min(end).saturating_sub(start) as u32);
                done = done.max(end);
            }
            Piece::Token { id, start, end } => {
                out.push(id, end.saturating_sub(start.max(done)) as u32);
                done = done.max(end);
            }
        });
    }

    /// Make the marks, search, and encode what is between the tokens as it is.
    fn encode_marked(
        &self,
        searched: &Searched,
        section: Section<'_>,
        worker: &mut Worker,
        out: &mut Tokens,
    ) {
        let mut normalized = NormalizedString::from(section.text);
        if self.is_prefixed(section) {
            normalized.prepend("▁");
        }
        if normalized.replace(' ', "▁").is_err() {
            return self.encode_section(section, worker, out);
        }
        let mut part = Tokens::with_room(section.text.len(), true);
        let mut ranges = Vec::new();
        searched.tokens.split(normalized.get(), |piece| {
            let mut at = match piece {
                Piece::Text { start, end } => {
                    let text = &normalized.get()[start..end];
                    self.encode_unprefixed(text, worker, &mut part);
                    start
                }
                Piece::Token { id, start, end } => {
                    part.push(id, (end - start) as u32);
                    start
                }
            };
            for &length in &part.lengths[ranges.len()..] {
                let end = at + length as usize;
                let range = normalized.convert_offsets(Range::Normalized(at..end));
                let range = range.unwrap_or_default();
                ranges.push((range.start, range.end));
                at = end;
            }
        });
        let lengths = byte_lengths(section.text, &ranges, |token| {
            let Unknown::Bytes(bytes) = &self.unknown else {
                return None;
            };
            let byte = bytes
                .iter()
                .position(|id| part.ids.get(token) == Some(id))?;
            Some(vec![byte as u8])
        });
        out.extend(&part.ids, &lengths);
    }
}
