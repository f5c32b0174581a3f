//! Encoding with the `tokenizers` crate: whatever no plan covers.

use tokenizers::{PostProcessor, PostProcessorWrapper, Tokenizer as Inner};

use super::byte_lengths::byte_lengths;
use super::token_bytes::ByteTokens;
use super::tokens::Tokens;

/// Append the tokens of one text.
///
/// `inner` has no post-processor, which would trim the offsets.
pub(super) fn encode(
    inner: &Inner,
    post_processor: Option<&PostProcessorWrapper>,
    byte_tokens: ByteTokens,
    text: &str,
    out: &mut Tokens,
) -> tokenizers::Result<()> {
    let lengths = out.wants_lengths();
    let body = if lengths {
        inner.encode(text, false)?
    } else {
        inner.encode_fast(text, false)?
    };
    let body_lengths = if lengths {
        let bytes_of = |token: usize| byte_tokens.bytes(body.get_tokens().get(token)?);
        byte_lengths(text, body.get_offsets(), bytes_of)
    } else {
        Vec::new()
    };
    let whole = match post_processor {
        Some(processor) => processor.process(body, None, true)?,
        None => body,
    };
    if !lengths {
        out.extend(whole.get_ids(), &[]);
        return Ok(());
    }
    let first = out.len();
    let without_body = body_lengths.is_empty();
    let mut next = body_lengths.into_iter();
    for (&id, &added) in whole.get_ids().iter().zip(whole.get_special_tokens_mask()) {
        if added == 1 {
            out.push_special(id);
        } else {
            out.push(id, next.next().unwrap_or(0));
        }
    }
    if without_body {
        out.skip(text.len() as u32);
        out.finish(first);
    }
    Ok(())
}
