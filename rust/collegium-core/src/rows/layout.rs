//! How prompts and targets are laid out.

use crate::error::{Error, Result};

/// How one objective puts a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// What stands before the question.
    pub before: String,
    /// What stands after it.
    pub after: String,
    /// The prompt of a question without text.
    pub empty: String,
    /// Tokens at the front of a prompt that stay when it is cut.
    pub keep: usize,
}

/// How prompts and targets become rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// One for each objective.
    pub forms: Vec<Form>,
    /// Tokens in front of every prompt.
    pub head: Vec<u32>,
    /// Tokens at the end of every prompt.
    pub tail: Vec<u32>,
    /// Ends a target.
    pub eos: u32,
    /// What the decoder of an encoder-decoder student reads first; `None` for decoder-only.
    pub decoder_start: Option<u32>,
    /// Most tokens of a prompt, head and tail included.
    pub max_prompt_tokens: usize,
    /// Most tokens of a target, the EOS included.
    pub max_target_tokens: usize,
}

impl Layout {
    /// Tokens that a prompt's text may have.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] if that is not more than what is always kept, or no target fits.
    pub fn room(&self) -> Result<usize> {
        let fixed = self.head.len() + self.tail.len();
        let room = self.max_prompt_tokens.saturating_sub(fixed);
        let keep = self.forms.iter().map(|form| form.keep).max().unwrap_or(0);
        let fail = |name, value: usize, allowed| Error::Range {
            name,
            value: value.to_string(),
            allowed,
        };
        if room <= keep {
            let allowed = "more than the tokens that every prompt has";
            return Err(fail("max_prompt_tokens", self.max_prompt_tokens, allowed));
        }
        if self.max_target_tokens == 0 {
            return Err(fail("max_target_tokens", 0, "1 or more"));
        }
        Ok(room)
    }
}
