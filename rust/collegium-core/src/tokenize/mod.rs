//! Texts to flat token ids, with the bytes of the original text that each token stands for.

mod added;
mod bpe;
mod byte_lengths;
mod byte_level;
mod cache;
mod changes;
mod charsmap;
mod classes;
mod columns;
mod encode;
mod ends;
mod fallback;
mod file;
mod pairs;
mod plan;
mod spm;
mod token_bytes;
mod tokens;
mod trie;
mod unigram;
mod worker;

pub use changes::Changes;
pub(crate) use columns::{at_place, texts};
pub use encode::Encoded;

use std::fmt;
use std::path::Path;

use tokenizers::{PostProcessorWrapper, Tokenizer as Inner};

use crate::error::{Error, Result};
use changes::Normalization;
use plan::Plan;
use token_bytes::ByteTokens;
use worker::Stash;

/// What encodes.
enum Engine {
    /// This crate's own code.
    Native(Box<Plan>),
    /// The `tokenizers` crate.
    Fallback {
        /// Why no plan covers the file.
        reason: String,
    },
}

/// A tokenizer read from a `tokenizer.json`.
///
/// Truncation and padding that the file may ask for are left out: texts keep their length, and
/// rows are built by [`crate::pack`].
pub struct Tokenizer {
    /// Without its post-processor, which would trim the offsets.
    inner: Inner,
    post_processor: Option<PostProcessorWrapper>,
    byte_tokens: ByteTokens,
    engine: Engine,
    workers: Stash,
    /// Whether each id up to the largest one is a token.
    known: Vec<bool>,
    normalization: Normalization,
    fingerprint: String,
    source: Vec<u8>,
}

impl Tokenizer {
    /// Read a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] or [`Error::TokenizerFile`], naming the file.
    pub fn from_file(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let source = file::read(path, &name)?;
        Self::from_bytes(source, &name)
    }

    /// Make a tokenizer from the contents of a `tokenizer.json`; `name` stands in error messages.
    ///
    /// # Errors
    ///
    /// [`Error::TokenizerFile`].
    pub fn from_bytes(source: Vec<u8>, name: &str) -> Result<Self> {
        let contents = file::parse(&source, name)?;
        let fail = |error: tokenizers::Error| Error::TokenizerFile {
            path: name.to_owned(),
            reason: error.to_string(),
        };
        let mut inner = Inner::from_bytes(&source).map_err(fail)?;
        inner.with_truncation(None).map_err(fail)?;
        inner.with_padding(None);
        let post_processor = inner.get_post_processor().cloned();
        inner.with_post_processor(None::<PostProcessorWrapper>);

        let mut known = Vec::new();
        for &id in inner.get_vocab(true).values() {
            let index = id as usize;
            if known.len() <= index {
                known.resize(index + 1, false);
            }
            known[index] = true;
        }
        let engine = match Plan::compile(&inner, post_processor.as_ref(), &contents) {
            Ok(plan) => Engine::Native(Box::new(plan)),
            Err(reason) => Engine::Fallback { reason },
        };
        Ok(Self {
            engine,
            workers: Stash::new(None),
            inner,
            post_processor,
            byte_tokens: ByteTokens::of(&contents),
            normalization: Normalization::of(&contents).map_err(|error| fail(error.into()))?,
            known,
            fingerprint: file::fingerprint(&contents),
            source,
        })
    }

    /// What encodes: `native`, this crate's own code, or `tokenizers`, the crate of that name.
    pub fn engine(&self) -> &'static str {
        match self.engine {
            Engine::Native(_) => "native",
            Engine::Fallback { .. } => "tokenizers",
        }
    }

    /// The parts of the plan that encodes, or why no plan covers the file.
    pub fn plan(&self) -> String {
        match &self.engine {
            Engine::Native(plan) => plan.describe(),
            Engine::Fallback { reason } => reason.clone(),
        }
    }

    /// The same tokenizer with word caches of `words` words; with 0, without them.
    #[must_use]
    pub fn with_cache(mut self, words: usize) -> Self {
        self.workers = Stash::new(Some(words));
        self
    }

    /// The same tokenizer, encoding with the `tokenizers` crate.
    #[must_use]
    pub fn with_fallback(mut self) -> Self {
        self.engine = Engine::Fallback {
            reason: "asked for".to_owned(),
        };
        self
    }

    /// Number of tokens, those added to the model's vocabulary included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// SHA-256 of the file's contents, whatever the order of its keys and its white space.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The contents of the file, from which [`Tokenizer::from_bytes`] makes the same tokenizer.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Id of a token.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Token with this id, as written in the vocabulary.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Text of `ids`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownId`] naming the first id that is no token, [`Error::Decode`].
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        let unknown = |&id: &u32| !self.known.get(id as usize).copied().unwrap_or(false);
        if let Some(position) = ids.iter().position(unknown) {
            return Err(Error::UnknownId {
                position,
                id: ids[position],
                vocab_size: self.vocab_size(),
            });
        }
        self.inner
            .decode(ids, skip_special_tokens)
            .map_err(|error| Error::Decode(error.to_string()))
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("engine", &self.engine())
            .field("vocab_size", &self.vocab_size())
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
