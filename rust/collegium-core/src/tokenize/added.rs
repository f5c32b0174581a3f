//! Added tokens: strings that are found in the text before anything else looks at it.

use std::collections::HashSet;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use memchr::memmem::Finder;
use regex::Regex;

/// One added token.
#[derive(Debug, Clone)]
pub(super) struct AddedToken {
    /// Its id.
    pub id: u32,
    /// The string to find.
    pub pattern: String,
    /// Only where no letter, digit or underscore touches it.
    pub single_word: bool,
    /// Takes the white space before it.
    pub lstrip: bool,
    /// Takes the white space after it.
    pub rstrip: bool,
}

/// A part of a text. Parts rise, but one may begin before the end of the one before it: white
/// space that a token took may hold another token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes without an added token.
    Text {
        /// First byte.
        start: usize,
        /// End.
        end: usize,
    },
    /// An added token, with the white space that it takes.
    Token {
        /// Its id.
        id: u32,
        /// First byte.
        start: usize,
        /// End.
        end: usize,
    },
}

/// The added tokens of a tokenizer that are looked for at one stage.
#[derive(Debug)]
pub(super) struct AddedTokens {
    tokens: Vec<AddedToken>,
    automaton: AhoCorasick,
    /// What every pattern begins with, where that is worth a search of its own.
    prefix: Option<Finder<'static>>,
    word: Regex,
}

impl AddedTokens {
    /// Prepare to look for `tokens`; `None` where there are none.
    ///
    /// # Errors
    ///
    /// What is unusual about them, in words.
    pub fn new(tokens: Vec<AddedToken>) -> Result<Option<Self>, String> {
        if tokens.is_empty() {
            return Ok(None);
        }
        if tokens.iter().any(|token| token.pattern.is_empty()) {
            return Err("an added token is empty".to_owned());
        }
        let mut seen = HashSet::new();
        if !tokens.iter().all(|token| seen.insert(&token.pattern)) {
            return Err("two added tokens are the same once they are normalized".to_owned());
        }
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::LeftmostLongest)
            .build(tokens.iter().map(|token| &token.pattern))
            .map_err(|error| format!("added tokens: {error}"))?;
        let prefix = common_prefix(&tokens);
        Ok(Some(Self {
            tokens,
            automaton,
            prefix: (prefix.len() > 1).then(|| Finder::new(&prefix).into_owned()),
            word: Regex::new(r"^\w$").map_err(|error| error.to_string())?,
        }))
    }

    /// The tokens.
    pub fn tokens(&self) -> &[AddedToken] {
        &self.tokens
    }

    /// Visit the parts of `text`, in order.
    pub fn split(&self, text: &str, mut visit: impl FnMut(Piece)) {
        let mut done = 0;
        let from = match &self.prefix {
            Some(prefix) => prefix.find(text.as_bytes()),
            None => Some(0),
        };
        if let Some(from) = from {
            let rest = &text.as_bytes()[from..];
            for found in self.automaton.find_iter(rest) {
                let Some(token) = self.tokens.get(found.pattern().as_usize()) else {
                    continue;
                };
                let (mut start, mut end) = (from + found.start(), from + found.end());
                let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) else {
                    continue;
                };
                if token.single_word
                    && (self.is_word(before.chars().next_back())
                        || self.is_word(after.chars().next()))
                {
                    continue;
                }
                if token.lstrip {
                    start = before.trim_end().len().max(done);
                }
                if token.rstrip {
                    end += after.len() - after.trim_start().len();
                }
                if done < start {
                    visit(Piece::Text {
                        start: done,
                        end: start,
                    });
                }
                // White space that was all taken by the token before leaves nothing of this one.
                if start < end {
                    visit(Piece::Token {
                        id: token.id,
                        start,
                        end,
                    });
                }
                done = end;
            }
        }
        if done != text.len() {
            visit(Piece::Text {
                start: done,
                end: text.len(),
            });
        }
    }

    fn is_word(&self, character: Option<char>) -> bool {
        character.is_some_and(|c| self.word.is_match(c.encode_utf8(&mut [0; 4])))
    }
}

fn common_prefix(tokens: &[AddedToken]) -> Vec<u8> {
    let mut patterns = tokens.iter().map(|token| token.pattern.as_bytes());
    let mut prefix = patterns.next().unwrap_or_default().to_vec();
    for pattern in patterns {
        let shared = prefix.iter().zip(pattern).take_while(|(a, b)| a == b);
        prefix.truncate(shared.count());
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::{AddedToken, AddedTokens, Piece};

    fn pieces(tokens: &[(&str, &str)], text: &str) -> Vec<(Option<u32>, String)> {
        let tokens = tokens
            .iter()
            .enumerate()
            .map(|(id, (pattern, flags))| AddedToken {
                id: id as u32,
                pattern: (*pattern).to_owned(),
                single_word: flags.contains('w'),
                lstrip: flags.contains('l'),
                rstrip: flags.contains('r'),
            });
        let mut pieces = Vec::new();
        let added = AddedTokens::new(tokens.collect())
            .expect("valid")
            .expect("some");
        added.split(text, |piece| {
            pieces.push(match piece {
                Piece::Text { start, end } => (None, text[start..end].to_owned()),
                Piece::Token { id, start, end } => (Some(id), text[start..end].to_owned()),
            });
        });
        pieces
    }

    #[test]
    fn the_longest_token_is_found_first() {
        let tokens = [("<s>", ""), ("<s>x", ""), ("</s>", "")];
        let found = pieces(&tokens, "a<s>x</s>");
        let expected = [(None, "a"), (Some(1), "<s>x"), (Some(2), "</s>")];
        assert_eq!(found, expected.map(|(id, text)| (id, text.to_owned())));
        assert!(pieces(&tokens, "").is_empty());
    }

    #[test]
    fn flags() {
        let tokens = [("yes", "w"), ("<m>", "lr"), ("  ", "")];
        let found = pieces(&tokens, "yesterday yes  <m> \n<m>   x");
        let expected = [
            (None, "yesterday "),
            (Some(0), "yes"),
            (Some(2), "  "),
            (Some(1), "<m> \n"),
            (Some(1), "<m>   "),
            // The spaces that <m> took hold another token, after which the text goes on.
            (Some(2), "  "),
            (None, " x"),
        ];
        assert_eq!(found, expected.map(|(id, text)| (id, text.to_owned())));
    }
}
