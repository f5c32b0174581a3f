//! The recognised ways to cut text into words; patterns are compared, never interpreted.

use tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

/// How text is cut into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// The pattern of GPT-2, built into the ByteLevel pre-tokenizer.
    Gpt2,
    /// Single digits, then GPT-2's pattern (StarCoder, SmolLM).
    Digits,
    /// Qwen 2 and later: single digits.
    Qwen2,
    /// Llama 3, cl100k: up to three digits.
    Llama3,
}

const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Pattern {
    /// The pattern of a pre-tokenizer, and whether a space is put before the text.
    ///
    /// # Errors
    ///
    /// What is unusual about it, in words.
    pub fn of(pre_tokenizer: Option<&PreTokenizerWrapper>) -> Result<(Self, bool), String> {
        use PreTokenizerWrapper as P;
        let list = match pre_tokenizer {
            Some(P::Sequence(sequence)) => sequence.as_ref(),
            Some(single) => std::slice::from_ref(single),
            None => &[],
        };
        match list {
            [P::ByteLevel(level)] if level.use_regex => Ok((Self::Gpt2, level.add_prefix_space)),
            [P::Digits(digits), P::ByteLevel(level)]
                if digits.individual_digits && level.use_regex && !level.add_prefix_space =>
            {
                Ok((Self::Digits, false))
            }
            [P::Split(split), P::ByteLevel(level)] if plain(level) => match regex(split) {
                Some(QWEN2) => Ok((Self::Qwen2, false)),
                Some(LLAMA3) => Ok((Self::Llama3, false)),
                _ => Err("a pattern for words that is not known".to_owned()),
            },
            _ => Err("a pre-tokenizer that is not known for BPE".to_owned()),
        }
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt2 => "GPT-2",
            Self::Digits => "GPT-2 words, single digits",
            Self::Qwen2 => "Qwen 2",
            Self::Llama3 => "Llama 3",
        }
    }
}

/// Only maps bytes to characters.
fn plain(level: &ByteLevel) -> bool {
    !level.use_regex && !level.add_prefix_space
}

/// The regex, if its matches become words as they are.
fn regex(split: &Split) -> Option<&str> {
    match &split.pattern {
        SplitPattern::Regex(regex)
            if split.behavior == SplitDelimiterBehavior::Isolated && !split.invert =>
        {
            Some(regex)
        }
        _ => None,
    }
}
