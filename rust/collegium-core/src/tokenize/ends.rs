//! The tokens that a post-processor puts before and after those of a text.

use tokenizers::{Encoding, PostProcessor, PostProcessorWrapper, Token};

/// Tokens before and after every text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    /// Before.
    pub prefix: Vec<u32>,
    /// After.
    pub suffix: Vec<u32>,
}

/// Stands for the text; no vocabulary is as large.
const TEXT: u32 = u32::MAX;

impl Ends {
    /// Ask the processor what it adds to a text.
    ///
    /// # Errors
    ///
    /// What is unusual about it, in words.
    pub fn of(processor: Option<&PostProcessorWrapper>) -> Result<Self, String> {
        let Some(processor) = processor else {
            return Ok(Self::default());
        };
        let text = Encoding::from_tokens(vec![Token::new(TEXT, String::new(), (0, 0))], 0);
        let whole = processor
            .process(text, None, true)
            .map_err(|error| format!("post-processor: {error}"))?;
        let mut sides = whole.get_ids().split(|&id| id == TEXT);
        match (sides.next(), sides.next(), sides.next()) {
            (Some(prefix), Some(suffix), None) => Ok(Self {
                prefix: prefix.to_vec(),
                suffix: suffix.to_vec(),
            }),
            _ => Err("the post-processor does not use the text once".to_owned()),
        }
    }
}
