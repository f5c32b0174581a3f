//! Unigram: the segmentation of a text with the highest sum of scores (Kudo 2018,
//! arXiv:1804.10959).

use std::cmp::Reverse;

use crate::tokenize::trie::Trie;

/// What a word came to, token by token.
pub(super) trait Sink {
    /// A token that stands for `start..end` of the word.
    fn token(&mut self, id: u32, start: usize, end: usize);

    /// A token that stands for the byte at `at`, in the unknown part `start..end`.
    fn byte(&mut self, id: u32, at: usize, start: usize, end: usize);
}

/// An unknown character scores this much less than the worst piece.
const UNKNOWN_PENALTY: f64 = 10.0;

/// The end of no piece.
const NOWHERE: u32 = u32::MAX;

/// The best way to reach a place: the piece that ends there.
#[derive(Debug, Clone, Copy)]
struct Best {
    score: f64,
    start: u32,
    id: u32,
}

const UNREACHED: Best = Best {
    score: 0.0,
    start: NOWHERE,
    id: 0,
};

/// Room that texts encoded one after the other share.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    best: Vec<Best>,
    path: Vec<(u32, u32, u32)>,
}

/// A Unigram model. It reads the mark `▁` as a space; texts hold no other spaces.
#[derive(Debug)]
pub(super) struct Unigram {
    pieces: Trie,
    scores: Vec<f64>,
    unknown: u32,
    unknown_score: f64,
    /// Ids of `<0x00>` to `<0xFF>` where bytes stand for what is unknown.
    bytes: Option<Box<[Option<u32>; 256]>>,
}

impl Unigram {
    /// A model of `vocabulary` (pieces and scores by id). Of equal pieces the last counts.
    pub(super) fn new(vocabulary: &[(String, f64)], unknown: u32, byte_fallback: bool) -> Self {
        let mut keys: Vec<(Vec<u8>, u32)> = vocabulary
            .iter()
            .zip(0..)
            .filter(|((piece, _), _)| !piece.is_empty() && !piece.contains(' '))
            .map(|((piece, _), id)| (piece.replace('▁', " ").into_bytes(), id))
            .collect();
        keys.sort_unstable_by(|a, b| (&a.0, Reverse(a.1)).cmp(&(&b.0, Reverse(b.1))));
        keys.dedup_by(|later, kept| later.0 == kept.0);
        let pieces = Trie::build(&keys);
        let bytes = byte_fallback.then(|| {
            Box::new(std::array::from_fn(|byte| {
                pieces.get(format!("<0x{byte:02X}>").as_bytes())
            }))
        });
        let worst = vocabulary
            .iter()
            .fold(f64::INFINITY, |worst, &(_, score)| worst.min(score));
        Self {
            pieces,
            scores: vocabulary.iter().map(|&(_, score)| score).collect(),
            unknown,
            unknown_score: worst - UNKNOWN_PENALTY,
            bytes,
        }
    }

    /// Id of a piece, spelled with a space for the mark.
    pub(super) fn id(&self, piece: &str) -> Option<u32> {
        self.pieces.get(piece.as_bytes())
    }

    /// Whether bytes stand for what is unknown.
    pub(super) fn has_bytes(&self) -> bool {
        self.bytes.is_some()
    }

    /// The token that stands for a byte of unknown text.
    pub(super) fn byte(&self, byte: u8) -> Option<u32> {
        self.bytes.as_ref()?[usize::from(byte)]
    }

    /// Encode `text`, not longer than 2^31 bytes.
    pub(super) fn encode(&self, text: &str, scratch: &mut Scratch, sink: &mut impl Sink) {
        self.search(text, &mut scratch.best);
        scratch.path.clear();
        let mut end = text.len() as u32;
        while end > 0 {
            let Best { start, id, .. } = scratch.best[end as usize];
            match scratch.path.last_mut() {
                // Neighbours that are unknown become one.
                Some(next) if id == self.unknown && next.2 == id => next.0 = start,
                _ => scratch.path.push((start, end, id)),
            }
            end = start;
        }
        for &(start, end, id) in scratch.path.iter().rev() {
            if id == self.unknown {
                self.emit_unknown(text, start as usize, end as usize, sink);
            } else {
                sink.token(id, start as usize, end as usize);
            }
        }
    }

    /// Forward pass. Of equally good pieces that end at a place, the first found, which is the
    /// longest, stays.
    fn search(&self, text: &str, best: &mut Vec<Best>) {
        let bytes = text.as_bytes();
        best.clear();
        best.resize(bytes.len() + 1, UNREACHED);
        let mut start = 0;
        while start < bytes.len() {
            let width = width(bytes[start]);
            let so_far = best[start].score;
            let mut has_character = false;
            let reach = |best: &mut [Best], end: usize, id: u32, score: f64| {
                let score = score + so_far;
                let place = &mut best[end];
                if place.start == NOWHERE || score > place.score {
                    *place = Best {
                        score,
                        start: start as u32,
                        id,
                    };
                }
            };
            self.pieces.prefixes(&bytes[start..], |length, id| {
                has_character |= length == width;
                reach(best, start + length, id, self.scores[id as usize]);
            });
            if !has_character {
                reach(best, start + width, self.unknown, self.unknown_score);
            }
            start += width;
        }
    }

    fn emit_unknown(&self, text: &str, start: usize, end: usize, sink: &mut impl Sink) {
        let part = &text.as_bytes()[start..end];
        if let Some(id) = self.pieces.get(part) {
            return sink.token(id, start, end);
        }
        if let Some(bytes) = &self.bytes
            && part.iter().all(|&byte| bytes[usize::from(byte)].is_some())
        {
            for (at, &byte) in (start..).zip(part) {
                if let Some(id) = bytes[usize::from(byte)] {
                    sink.byte(id, at, start, end);
                }
            }
            return;
        }
        sink.token(self.unknown, start, end);
    }
}

/// Bytes of the character that begins with this byte.
#[inline]
pub(in crate::tokenize) fn width(first: u8) -> usize {
    match first {
        0x00..=0x7F => 1,
        0x80..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xFF => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::{Scratch, Sink, Unigram};

    impl Sink for Vec<(u32, usize, usize)> {
        fn token(&mut self, id: u32, start: usize, end: usize) {
            self.push((id, start, end));
        }

        fn byte(&mut self, id: u32, at: usize, _start: usize, _end: usize) {
            self.push((id, at, at + 1));
        }
    }

    fn encode(pieces: &[(&str, f64)], byte_fallback: bool, text: &str) -> Vec<(u32, usize, usize)> {
        let pieces: Vec<(String, f64)> = pieces.iter().map(|&(p, s)| (p.to_owned(), s)).collect();
        let mut tokens = Vec::new();
        Unigram::new(&pieces, 0, byte_fallback).encode(text, &mut Scratch::default(), &mut tokens);
        tokens
    }

    #[test]
    fn the_best_path_and_the_first_of_equals() {
        let pieces = [
            ("<unk>", 0.0),
            ("a", -1.0),
            ("aa", -2.0),
            ("▁a", -1.5),
            ("b", -9.0),
        ];
        // "aa" and "a" "a" score the same: the longer piece is found first.
        assert_eq!(encode(&pieces, false, "aa"), [(2, 0, 2)]);
        assert_eq!(
            encode(&pieces, false, " aab"),
            [(3, 0, 2), (1, 2, 3), (4, 3, 4)]
        );
    }

    #[test]
    fn unknown_neighbours_are_one() {
        let pieces = [
            ("<unk>", 0.0),
            ("a", -1.0),
            ("<0xC3>", -2.0),
            ("<0xA9>", -2.0),
        ];
        assert_eq!(
            encode(&pieces, false, "aéxa"),
            [(1, 0, 1), (0, 1, 4), (1, 4, 5)]
        );
        assert_eq!(
            encode(&pieces, true, "éa"),
            [(2, 0, 1), (3, 1, 2), (1, 2, 3)]
        );
        // x has no byte, so the whole part stays unknown.
        assert_eq!(encode(&pieces, true, "éx"), [(0, 0, 3)]);
        assert!(encode(&pieces, true, "").is_empty());
    }
}
