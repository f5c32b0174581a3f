//! Encoding many texts into one flat array.

use std::ops::Range;

use tokenizers::PostProcessor;

use super::{Tokenizer, byte_lengths::byte_lengths};
use crate::error::{Error, Result};
use crate::parallel;

/// Below this many bytes a chunk is not worth a thread.
const CHUNK_BYTES: usize = 1 << 16;

/// The token ids of many texts, end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The ids of all texts.
    pub ids: Vec<u32>,
    /// Text `i` has the ids `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<i64>,
    /// Bytes of the original text that each token stands for, if asked for.
    pub byte_lengths: Option<Vec<u32>>,
}

/// What one text came to.
#[derive(Default)]
struct Part {
    ids: Vec<u32>,
    counts: Vec<usize>,
    byte_lengths: Vec<u32>,
}

impl Tokenizer {
    /// Encode `texts`, in parallel.
    ///
    /// With `lengths`, each token gets the number of bytes of the original text that it stands
    /// for. Tokens of the post-processor get 0; the others of a text sum to its length.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] naming the row, for example where the tokenizer has no unknown token.
    pub fn encode_batch(
        &self,
        texts: &[&str],
        add_special_tokens: bool,
        lengths: bool,
    ) -> Result<Encoded> {
        let parts = parallel::map(&chunks(texts), |rows| {
            let mut part = Part::default();
            for row in rows.clone() {
                self.encode_one(texts[row], add_special_tokens, lengths, &mut part)
                    .map_err(|error| Error::Encode {
                        row,
                        reason: error.to_string(),
                    })?;
            }
            Ok(part)
        })?;
        let parts = parts.into_iter().collect::<Result<Vec<Part>>>()?;
        Ok(join(parts, texts.len(), lengths))
    }

    fn encode_one(
        &self,
        text: &str,
        add_special_tokens: bool,
        lengths: bool,
        part: &mut Part,
    ) -> tokenizers::Result<()> {
        let body = if lengths {
            self.inner.encode(text, false)?
        } else {
            self.inner.encode_fast(text, false)?
        };
        let body_lengths = lengths.then(|| {
            let bytes_of = |token: usize| {
                let token = body.get_tokens().get(token)?;
                self.byte_tokens.bytes(token)
            };
            byte_lengths(text, body.get_offsets(), bytes_of)
        });
        let whole = match &self.post_processor {
            Some(processor) if add_special_tokens => processor.process(body, None, true)?,
            _ => body,
        };
        part.ids.extend_from_slice(whole.get_ids());
        part.counts.push(whole.len());
        if let Some(body_lengths) = body_lengths {
            let first = part.byte_lengths.len();
            let without_body = body_lengths.is_empty();
            let mut next = body_lengths.into_iter();
            part.byte_lengths
                .extend(whole.get_special_tokens_mask().iter().map(|&added| {
                    if added == 1 {
                        0
                    } else {
                        next.next().unwrap_or(0)
                    }
                }));
            if let Some(last) = part.byte_lengths[first..].last_mut()
                && without_body
            {
                *last = text.len() as u32;
            }
        }
        Ok(())
    }
}

/// Ranges of rows with at least `CHUNK_BYTES` of text each, the last one excepted.
fn chunks(texts: &[&str]) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (row, text) in texts.iter().enumerate() {
        bytes += text.len() + 16;
        if bytes >= CHUNK_BYTES {
            chunks.push(first..row + 1);
            (first, bytes) = (row + 1, 0);
        }
    }
    if first < texts.len() {
        chunks.push(first..texts.len());
    }
    chunks
}

fn join(parts: Vec<Part>, rows: usize, lengths: bool) -> Encoded {
    let total = parts.iter().map(|part| part.ids.len()).sum();
    let mut ids = Vec::with_capacity(total);
    let mut byte_lengths = Vec::with_capacity(if lengths { total } else { 0 });
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0);
    let mut end = 0;
    for part in parts {
        ids.extend_from_slice(&part.ids);
        byte_lengths.extend_from_slice(&part.byte_lengths);
        offsets.extend(part.counts.iter().map(|&count| {
            end += count as i64;
            end
        }));
    }
    Encoded {
        ids,
        offsets,
        byte_lengths: lengths.then_some(byte_lengths),
    }
}
