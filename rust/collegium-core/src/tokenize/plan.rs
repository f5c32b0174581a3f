//! The plan that serves a file: a closed list of combinations that are known to be exact.

use serde_json::Value;
use tokenizers::{
    ModelWrapper, NormalizedString, Normalizer, NormalizerWrapper, PostProcessorWrapper,
};

use super::added::{AddedToken, AddedTokens, Piece};
use super::ends::Ends;
use super::tokens::Tokens;
use super::worker::Worker;
use super::{byte_level, spm, unigram};

/// A text between two added tokens, or a part of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'a> {
    /// The text, before any normalization.
    pub text: &'a str,
    /// Whether it begins at the first byte of the whole text.
    pub starts_text: bool,
    /// Whether it begins where an added token or the whole text does, not at a cut.
    pub opens: bool,
}

/// One family of tokenizers: how the text between added tokens becomes tokens.
pub(super) trait Family: std::fmt::Debug + Send + Sync {
    /// Its parts, for people.
    fn describe(&self) -> String;

    /// Append the tokens of a section, with their byte lengths if `out` wants them.
    fn encode(&self, section: Section<'_>, worker: &mut Worker, out: &mut Tokens);

    /// A place at or after `near` where `text` may be cut in two without changing its tokens.
    fn cut(&self, text: &str, near: usize) -> Option<usize>;
}

/// What a family is compiled from.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// The file as the `tokenizers` crate reads it.
    pub inner: &'a tokenizers::Tokenizer,
    /// The file.
    pub contents: &'a Value,
    /// Added tokens that are looked for after normalization, their patterns normalized.
    pub normalized_tokens: Option<AddedTokens>,
}

/// How to encode with this crate's own code.
#[derive(Debug)]
pub(super) struct Plan {
    added: Option<AddedTokens>,
    family: Box<dyn Family>,
    /// Tokens of the post-processor.
    pub ends: Ends,
}

impl Plan {
    /// Make the plan of a file.
    ///
    /// # Errors
    ///
    /// Why the file needs the `tokenizers` crate, in words.
    pub fn compile(
        inner: &tokenizers::Tokenizer,
        post_processor: Option<&PostProcessorWrapper>,
        contents: &Value,
    ) -> Result<Self, String> {
        let (raw, normalized) = added_tokens(inner)?;
        let parts = Parts {
            inner,
            contents,
            normalized_tokens: AddedTokens::new(normalized)?,
        };
        Ok(Self {
            added: AddedTokens::new(raw)?,
            family: family(parts)?,
            ends: Ends::of(post_processor)?,
        })
    }

    /// The parts of the plan, for people.
    pub fn describe(&self) -> String {
        self.family.describe()
    }

    /// Append the tokens of a text, without those of the post-processor.
    pub fn encode(&self, text: &str, worker: &mut Worker, out: &mut Tokens) {
        self.visit(text, |step| self.take(text, step, worker, out));
    }

    /// The steps that make up a text, in order.
    pub fn visit(&self, text: &str, mut visit: impl FnMut(Step)) {
        let mut done = 0;
        let mut step = |piece| {
            let (id, start, end) = match piece {
                Piece::Text { start, end } => (None, start, end),
                Piece::Token { id, start, end } => (Some(id), start, end),
            };
            let overlap = end.min(done).saturating_sub(start);
            done = done.max(end);
            visit(Step {
                id,
                start,
                end,
                overlap,
                opens: true,
            });
        };
        match &self.added {
            Some(added) => added.split(text, step),
            None if text.is_empty() => (),
            None => step(Piece::Text {
                start: 0,
                end: text.len(),
            }),
        }
    }

    /// Append the tokens of one step of `text`.
    pub fn take(&self, text: &str, step: Step, worker: &mut Worker, out: &mut Tokens) {
        if let Some(id) = step.id {
            out.push(id, (step.end - step.start - step.overlap) as u32);
            return;
        }
        let section = Section {
            text: text.get(step.start..step.end).unwrap_or_default(),
            starts_text: step.start == 0,
            opens: step.opens,
        };
        let first = out.len();
        self.family.encode(section, worker, out);
        if step.overlap > 0 {
            out.overlap(first, step.overlap as u32);
        }
    }

    /// Cut a step into steps of about `bytes` bytes, where that is possible.
    pub fn cut(&self, text: &str, step: Step, bytes: usize, mut visit: impl FnMut(Step)) {
        let mut rest = step;
        while rest.id.is_none() && rest.overlap == 0 && rest.end - rest.start > 2 * bytes {
            let section = text.get(rest.start..rest.end).unwrap_or_default();
            let Some(place) = self.family.cut(section, bytes) else {
                break;
            };
            let end = rest.start + place;
            visit(Step { end, ..rest });
            rest = Step {
                start: end,
                opens: false,
                ..rest
            };
        }
        visit(rest);
    }
}

/// The one family that covers the file.
fn family(mut parts: Parts<'_>) -> Result<Box<dyn Family>, String> {
    match parts.inner.get_model() {
        ModelWrapper::Unigram(_) => unigram::compile(&parts),
        ModelWrapper::BPE(_) => match spm::compile(&mut parts) {
            Ok(family) => Ok(family),
            Err(spm) => byte_level::compile(parts).map_err(|byte_level| {
                format!("not byte-level BPE: {byte_level}; not SentencePiece BPE: {spm}")
            }),
        },
        _ => Err("the model is neither BPE nor Unigram".to_owned()),
    }
}

/// An added token, or the text between two of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    id: Option<u32>,
    start: usize,
    end: usize,
    /// Bytes at its front that the step before it has taken.
    overlap: usize,
    opens: bool,
}

impl Step {
    /// Whether nothing of the text stands before it.
    pub fn is_first(&self) -> bool {
        self.start == 0
    }

    /// Number of bytes.
    pub fn bytes(&self) -> usize {
        self.end - self.start
    }
}

/// The added tokens to be found before normalization, and those after it.
fn added_tokens(
    inner: &tokenizers::Tokenizer,
) -> Result<(Vec<AddedToken>, Vec<AddedToken>), String> {
    let mut found: Vec<_> = inner.get_added_tokens_decoder().into_iter().collect();
    found.sort_unstable_by_key(|&(id, _)| id);
    let (mut raw, mut normalized) = (Vec::new(), Vec::new());
    for (id, token) in found {
        let pattern = match inner.get_normalizer() {
            Some(normalizer) if token.normalized => normalize(normalizer, &token.content)?,
            _ => token.content.clone(),
        };
        let list = if token.normalized {
            &mut normalized
        } else {
            &mut raw
        };
        list.push(AddedToken {
            id,
            pattern,
            single_word: token.single_word,
            lstrip: token.lstrip,
            rstrip: token.rstrip,
        });
    }
    Ok((raw, normalized))
}

fn normalize(normalizer: &NormalizerWrapper, text: &str) -> Result<String, String> {
    let mut normalized = NormalizedString::from(text);
    normalizer
        .normalize(&mut normalized)
        .map_err(|error| format!("normalizer: {error}"))?;
    Ok(normalized.get().to_owned())
}
