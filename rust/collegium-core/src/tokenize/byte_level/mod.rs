//! Byte-level BPE: GPT-2, GPT-NeoX and Pythia, Qwen, Llama 3, SmolLM2.

mod blocks;
mod pattern;
mod scanner;
mod words;

use rustc_hash::FxHashMap;
use tokenizers::{ModelWrapper, NormalizedString, NormalizerWrapper};

use super::added::{AddedTokens, Piece};
use super::bpe::Merges;
use super::byte_lengths::byte_lengths;
use super::cache::{BATCH, Word};
use super::classes::{UNSTABLE, class};
use super::plan::{Family, Parts, Section};
use super::token_bytes::ByteTokens;
use super::tokens::Tokens;
use super::worker::Worker;
use blocks::BlockOf;
use pattern::Pattern;
use scanner::Scanner;
use words::{Cl100k, Digits, Gpt2, Words};

/// A compiled byte-level tokenizer.
#[derive(Debug)]
struct ByteLevel {
    nfc: bool,
    /// Put a space before text that does not begin with one.
    add_prefix_space: bool,
    pattern: Pattern,
    /// What the scanner makes blocks with.
    blocks: Option<BlockOf>,
    tokens: Option<AddedTokens>,
    /// Token of each byte; without one, the byte is left out.
    bytes: [Option<u32>; 256],
    merges: Merges,
    /// Words that are tokens whatever the merges say (`ignore_merges`).
    whole: Option<FxHashMap<Box<[u8]>, u32>>,
    /// Whether an added token could lie across a cut.
    cuts: bool,
}

/// Compile the file, if it is of this family.
///
/// # Errors
///
/// What is unusual about it, in words.
pub(super) fn compile(parts: Parts<'_>) -> Result<Box<dyn Family>, String> {
    let ModelWrapper::BPE(model) = parts.inner.get_model() else {
        return Err("the model is no BPE".to_owned());
    };
    if model.dropout.is_some_and(|dropout| dropout != 0.0) {
        return Err("the model drops merges at random".to_owned());
    }
    let affix = |affix: &Option<String>| affix.as_ref().is_some_and(|affix| !affix.is_empty());
    if affix(&model.continuing_subword_prefix) || affix(&model.end_of_word_suffix) {
        return Err("the model marks where words begin or end".to_owned());
    }
    let (pattern, add_prefix_space) = Pattern::of(parts.inner.get_pre_tokenizer())?;
    let vocab = model.get_vocab();
    let nfc = is_nfc(parts.inner.get_normalizer())?;
    let bytes = std::array::from_fn(|byte| {
        let name = ByteTokens::character(byte as u8).to_string();
        vocab.get(&name).copied()
    });
    if let Some(missing) = (0..=u8::MAX).find(|&byte| is_missing(&bytes, byte)) {
        let reason = if model.unk_token.is_some() || model.byte_fallback {
            "other tokens stand for it"
        } else if nfc || add_prefix_space {
            "the text is changed before"
        } else {
            ""
        };
        if !reason.is_empty() {
            return Err(format!("byte {missing:#04x} is no token, and {reason}"));
        }
    }
    let whole = model.ignore_merges.then(|| {
        let words = vocab.iter().filter_map(|(token, &id)| {
            let bytes = ByteTokens::ByteLevel.bytes(token)?;
            Some((bytes.into_boxed_slice(), id))
        });
        words.collect()
    });
    let spaced = |pattern: &str| pattern == " " || (pattern.contains(' ') && pattern.trim() != "");
    let cuts = parts.normalized_tokens.as_ref().is_none_or(|added| {
        let mut tokens = added.tokens().iter();
        !tokens.any(|token| token.rstrip || spaced(&token.pattern))
    });
    Ok(Box::new(ByteLevel {
        nfc,
        add_prefix_space,
        pattern,
        blocks: blocks::best(),
        merges: Merges::read(&vocab, parts.contents)?,
        tokens: parts.normalized_tokens,
        bytes,
        whole,
        cuts,
    }))
}

/// Whether a byte of some text has no token.
fn is_missing(bytes: &[Option<u32>; 256], byte: u8) -> bool {
    let is_used = !matches!(byte, 0xC0 | 0xC1 | 0xF5..);
    is_used && bytes[usize::from(byte)].is_none()
}

/// Whether the normalizer is NFC; the only other one that is known is none.
fn is_nfc(normalizer: Option<&NormalizerWrapper>) -> Result<bool, String> {
    match normalizer {
        None => Ok(false),
        Some(NormalizerWrapper::NFC(_)) => Ok(true),
        Some(NormalizerWrapper::Sequence(list)) => match list.as_ref() {
            [] => Ok(false),
            [NormalizerWrapper::NFC(_)] => Ok(true),
            _ => Err("a sequence of normalizers before byte-level BPE".to_owned()),
        },
        Some(_) => Err("a normalizer other than NFC before byte-level BPE".to_owned()),
    }
}

impl Family for ByteLevel {
    fn describe(&self) -> String {
        let nfc = if self.nfc { "NFC, " } else { "" };
        let prefix = if self.add_prefix_space {
            ", prefix space"
        } else {
            ""
        };
        let missing = (0..=u8::MAX).filter(|&byte| is_missing(&self.bytes, byte));
        let left_out = match missing.count() {
            0 => String::new(),
            count => format!(", {count} bytes without a token left out"),
        };
        let words = self.pattern.name();
        format!("byte-level BPE: {nfc}{words} words{prefix}{left_out}")
    }

    fn encode(&self, section: Section<'_>, worker: &mut Worker, out: &mut Tokens) {
        if self.nfc && may_change(section.text) {
            self.encode_normalized(section.text, worker, out);
        } else {
            self.encode_pieces(section.text, worker, out, |_, _, _| ());
        }
    }

    fn cut(&self, text: &str, near: usize) -> Option<usize> {
        if !self.cuts {
            return None;
        }
        // A space between ASCII letters begins a word in every pattern, and NFC leaves it alone.
        let from = near.max(1);
        let windows = text.as_bytes().get(from - 1..)?.windows(3);
        let mut spaces = windows.enumerate().filter(|(_, window)| {
            matches!(window, [a, b' ', b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic())
        });
        spaces.next().map(|(offset, _)| from + offset)
    }
}

/// Whether NFC may change the text; false is certain.
fn may_change(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    text.chars()
        .any(|c| c >= '\u{300}' && class(c) & UNSTABLE != 0)
}

impl ByteLevel {
    /// Encode a text that NFC may change.
    fn encode_normalized(&self, text: &str, worker: &mut Worker, out: &mut Tokens) {
        let mut normalized = NormalizedString::from(text);
        normalized.nfc();
        if normalized.get() == text || !out.wants_lengths() {
            self.encode_pieces(normalized.get(), worker, out, |_, _, _| ());
            return;
        }
        let mut part = Tokens::with_room(text.len(), true);
        let mut ranges = Vec::new();
        let mut names: Vec<Option<Vec<u8>>> = Vec::new();
        self.encode_pieces(
            normalized.get(),
            worker,
            &mut part,
            |tokens, start, name| {
                let mut start = start;
                for &length in &tokens.lengths[ranges.len()..] {
                    let end = start + length as usize;
                    let original = tokenizers::tokenizer::normalizer::Range::Normalized(start..end);
                    let range = normalized.convert_offsets(original).unwrap_or(0..0);
                    ranges.push((range.start, range.end));
                    names.push(match name {
                        Some(token) => ByteTokens::ByteLevel.bytes(token),
                        None => normalized
                            .get()
                            .as_bytes()
                            .get(start..end)
                            .map(<[u8]>::to_vec),
                    });
                    start = end;
                }
            },
        );
        let lengths = byte_lengths(text, &ranges, |token| names.get(token)?.clone());
        out.extend(&part.ids, &lengths);
    }

    /// Encode normalized text. `seen` is told of each piece when its tokens are there: where it
    /// began, and its text if it is an added token.
    fn encode_pieces(
        &self,
        text: &str,
        worker: &mut Worker,
        out: &mut Tokens,
        mut seen: impl FnMut(&Tokens, usize, Option<&str>),
    ) {
        let Some(added) = &self.tokens else {
            self.encode_text(text, worker, out);
            seen(out, 0, None);
            return;
        };
        let mut done = 0;
        added.split(text, |piece| match piece {
            Piece::Text { start, end } => {
                let first = out.len();
                self.encode_text(&text[start..end], worker, out);
                if done > start {
                    out.overlap(first, (done.min(end) - start) as u32);
                }
                done = done.max(end);
                seen(out, start, None);
            }
            Piece::Token { id, start, end } => {
                out.push(id, end.saturating_sub(start.max(done)) as u32);
                done = done.max(end);
                seen(out, start, text.get(start..end));
            }
        });
    }

    fn encode_text(&self, text: &str, worker: &mut Worker, out: &mut Tokens) {
        if self.add_prefix_space && !text.starts_with(' ') && !text.is_empty() {
            let first = out.len();
            self.encode_words(&format!(" {text}"), worker, out);
            let character = text.chars().next().map_or(0, char::len_utf8);
            without_prefix(out.lengths_from(first), character as u32);
        } else {
            self.encode_words(text, worker, out);
        }
    }

    fn encode_words(&self, text: &str, worker: &mut Worker, out: &mut Tokens) {
        if out.wants_lengths() {
            self.encode_for::<true>(text.as_bytes(), worker, out);
        } else {
            self.encode_for::<false>(text.as_bytes(), worker, out);
        }
    }

    fn encode_for<const LENGTHS: bool>(&self, text: &[u8], worker: &mut Worker, out: &mut Tokens) {
        match self.pattern {
            Pattern::Gpt2 => self.encode_with::<Gpt2, LENGTHS>(text, worker, out),
            Pattern::Digits => self.encode_with::<Digits, LENGTHS>(text, worker, out),
            Pattern::Qwen2 => self.encode_with::<Cl100k<1>, LENGTHS>(text, worker, out),
            Pattern::Llama3 => self.encode_with::<Cl100k<3>, LENGTHS>(text, worker, out),
        }
    }

    fn encode_with<W: Words, const LENGTHS: bool>(
        &self,
        text: &[u8],
        worker: &mut Worker,
        out: &mut Tokens,
    ) {
        let mut scanner = Scanner::new(text, self.blocks);
        let mut batch = [Word::default(); BATCH];
        let mut start = 0;
        while start < text.len() {
            let mut count = 0;
            while start < text.len() && count < BATCH {
                let word = scanner.word::<W>(start);
                if let Some(key) = word.key {
                    worker.cache.prefetch(key);
                }
                batch[count] = word;
                count += 1;
                start = word.end;
            }
            for &Word { start, end, key } in &batch[..count] {
                match key.and_then(|key| worker.cache.get(key)) {
                    Some(slots) => out.push_slots_with::<LENGTHS>(slots),
                    None => self.encode_word(&text[start..end], key, worker, out),
                }
            }
        }
    }

    /// Encode a word that is not in the cache.
    #[cold]
    #[inline(never)]
    fn encode_word(&self, word: &[u8], key: Option<u128>, worker: &mut Worker, out: &mut Tokens) {
        let scratch = &mut worker.merging;
        scratch.clear();
        let mut left_out = 0;
        match self.whole.as_ref().and_then(|whole| whole.get(word)) {
            Some(&id) => scratch.push(id, word.len() as u32),
            None => {
                for &byte in word {
                    match self.bytes[usize::from(byte)] {
                        Some(id) => scratch.push(id, 1 + std::mem::take(&mut left_out)),
                        None => left_out += 1,
                    }
                }
                self.merges.apply(scratch);
            }
        }
        out.extend(&scratch.ids, &scratch.lengths);
        out.skip(left_out);
        if let Some(key) = key
            && left_out == 0
        {
            worker.cache.put(key, &scratch.ids, &scratch.lengths);
        }
    }
}

/// Byte lengths without the space that was put before the text. The space touches the first
/// character, of `character` bytes, so that the token of the space has the whole of it.
fn without_prefix(lengths: &mut [u32], character: u32) {
    let Some((first, rest)) = lengths.split_first_mut() else {
        return;
    };
    let mut missing = character.saturating_sub(*first - 1);
    *first += missing;
    *first -= 1;
    for length in rest {
        let taken = missing.min(*length);
        *length -= taken;
        missing -= taken;
    }
}
