//! Texts as sequences of numbered units: words, characters or given tokens.

use std::borrow::Cow;
use std::hash::Hash;

use rustc_hash::FxHashMap;
use unicode_general_category::{GeneralCategory, get_general_category};

use super::{Rows, View};

/// The units of the rows of one class, end to end.
#[derive(Debug)]
pub(super) struct Units {
    ids: Vec<u32>,
    ends: Vec<usize>,
}

impl Units {
    /// Read the rows `members`; equal units get equal numbers.
    pub(super) fn of(rows: &Rows<'_>, members: &[usize], view: View) -> Self {
        let mut units = Self {
            ids: Vec::new(),
            ends: Vec::with_capacity(members.len()),
        };
        match (view, rows.token_ids) {
            (View::Tokens, Some(tokens)) => {
                for &row in members {
                    units.ids.extend_from_slice(tokens.of(row));
                    units.ends.push(units.ids.len());
                }
            }
            (View::Chars, _) => {
                let mut number = Numbers::default();
                for &row in members {
                    let text = lower(rows.texts[row].unwrap_or_default());
                    for (index, part) in text.split_whitespace().enumerate() {
                        let space = (index > 0).then_some(' ');
                        for character in space.into_iter().chain(part.chars()) {
                            units.ids.push(number.of(character));
                        }
                    }
                    units.ends.push(units.ids.len());
                }
            }
            _ => {
                let texts: Vec<Cow<'_, str>> = members
                    .iter()
                    .map(|&row| lower(rows.texts[row].unwrap_or_default()))
                    .collect();
                let mut number = Numbers::default();
                for text in &texts {
                    let first = units.ids.len();
                    units.ids.extend(words(text).map(|word| number.of(word)));
                    if units.ids.len() == first {
                        // Only punctuation: compared as it stands.
                        units.ids.push(number.of(text.trim()));
                    }
                    units.ends.push(units.ids.len());
                }
            }
        }
        units
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The units of one row, never empty.
    pub(super) fn row(&self, index: usize) -> &[u32] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.ids[start..self.ends[index]]
    }
}

/// Numbers for distinct keys, in order of appearance.
struct Numbers<K>(FxHashMap<K, u32>);

impl<K> Default for Numbers<K> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<K: Hash + Eq> Numbers<K> {
    fn of(&mut self, key: K) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(key).or_insert(next)
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        Cow::Owned(text.to_lowercase())
    } else if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// The maximal runs of letters, digits and `_`, as Python's `\w+` finds them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

fn is_word(c: char) -> bool {
    use GeneralCategory::{
        DecimalNumber, LetterNumber, LowercaseLetter, ModifierLetter, OtherLetter, OtherNumber,
        TitlecaseLetter, UppercaseLetter,
    };
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    matches!(
        get_general_category(c),
        LowercaseLetter
            | UppercaseLetter
            | TitlecaseLetter
            | ModifierLetter
            | OtherLetter
            | DecimalNumber
            | LetterNumber
            | OtherNumber
    )
}

#[cfg(test)]
mod tests {
    use super::{lower, words};

    #[test]
    fn words_of_any_script() {
        let text = lower("The ANSWER_1 is 3.5²; Straße, ΣΑΣ! 日本…\u{301}e");
        let found: Vec<&str> = words(&text).collect();
        assert_eq!(
            found,
            [
                "the", "answer_1", "is", "3", "5²", "straße", "σας", "日本", "e"
            ]
        );
    }
}
