//! Where a normalizer changed a text, so that byte lengths are less than certain.

use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

use super::charsmap::Charsmap;
use super::{Encoded, Tokenizer};
use crate::error::Result;
use crate::parallel;

/// What the normalizer did to the texts of an [`Encoded`] with byte lengths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// For each text, whether its characters were changed. White space that becomes `▁`, and a
    /// `▁` put in front, are no change. May be true for white space that stayed.
    pub changed: Vec<bool>,
    /// Tokens, in order, whose last byte is in doubt: the next token may stand for a part of it.
    /// The last token of a text is never one.
    pub uncertain: Vec<i64>,
}

/// What is known of a file's normalizer.
#[derive(Debug, Default)]
pub(super) struct Normalization {
    /// None where it changes no characters.
    normalizer: Option<NormalizerWrapper>,
    /// Whether it is Unicode's canonical composition alone.
    nfc: bool,
    /// The character map, where steps about white space are all that follow it.
    map: Option<Charsmap>,
    /// ASCII characters that it leaves alone.
    kept: Vec<bool>,
    /// Whether those that are printed are among them.
    keeps_printable: bool,
    /// Whether ASCII text never changes.
    keeps_ascii: bool,
    /// Whether runs of spaces and spaces at the ends may change.
    spaces: bool,
    /// Whether a change keeps to itself: the place between two ASCII characters stays certain.
    local: bool,
}

impl Normalization {
    /// Read it from the contents of a `tokenizer.json`.
    pub(super) fn of(contents: &Value) -> std::result::Result<Self, serde_json::Error> {
        let written = contents.get("normalizer").unwrap_or(&Value::Null);
        let parts = parts(written);
        if parts.iter().all(|part| is_mark(part)) {
            return Ok(Self::default());
        }
        let normalizer: NormalizerWrapper = serde_json::from_value(written.clone())?;
        let types: Vec<&str> = parts
            .iter()
            .filter_map(|part| part["type"].as_str())
            .collect();
        let kept = (0..128u8).map(|byte| {
            let text = char::from(byte).to_string();
            // Between letters, since ends may be stripped.
            let whole = format!("a{text}a");
            byte.is_ascii_whitespace() && text == " "
                || normalized(&normalizer, &whole).is_some_and(|found| is_same(&found, &whole))
        });
        let kept: Vec<bool> = kept.collect();
        let spaces = types
            .iter()
            .any(|kind| !matches!(*kind, "NFC" | "NFD" | "NFKC" | "NFKD"));
        Ok(Self {
            keeps_ascii: !spaces && kept.iter().all(|&kept| kept),
            nfc: types == ["NFC"],
            map: match parts.split_first() {
                Some((first, rest)) if rest.iter().all(|part| is_about_spaces(part)) => {
                    let is_map = first["type"] == "Precompiled";
                    is_map.then(|| Charsmap::of(contents).ok()).flatten()
                }
                _ => None,
            },
            keeps_printable: kept[0x20..0x7F].iter().all(|&kept| kept),
            kept,
            spaces,
            local: parts.iter().all(|part| is_mark(part) || is_local(part)),
            normalizer: Some(normalizer),
        })
    }

    fn changes(&self, text: &str) -> bool {
        let Some(normalizer) = &self.normalizer else {
            return false;
        };
        if text.is_ascii() && self.local {
            return !self.keeps_ascii && self.changes_ascii(text.as_bytes());
        }
        if self.nfc && text.chars().all(stays_composed) {
            return false;
        }
        if let Some(map) = &self.map {
            let mut mapped = String::with_capacity(text.len());
            map.map(text, &mut mapped);
            if !is_same(&mapped, text) {
                return true;
            }
            let ends = |text: &str| text.len() != text.trim().len();
            if !ends(&mapped) && !mapped.contains("  ") {
                return false;
            }
        }
        normalized(normalizer, text).is_none_or(|found| !is_same(&found, text))
    }

    fn changes_ascii(&self, text: &[u8]) -> bool {
        // Without a branch for each byte, many are compared at once.
        let others = || {
            let is_other = |byte: u8| !(0x20..0x7F).contains(&byte);
            text.iter().fold(false, |any, &byte| any | is_other(byte))
        };
        let double = || {
            let pairs = text.iter().zip(text.get(1..).unwrap_or_default());
            pairs.fold(false, |any, (&a, &b)| any | (a == b' ') & (b == b' '))
        };
        let ends = || text.first() == Some(&b' ') || text.last() == Some(&b' ');
        let all_kept = self.keeps_printable && !others();
        !all_kept && text.iter().any(|&byte| !self.kept[usize::from(byte)])
            || self.spaces && (ends() || double())
    }
}

impl Tokenizer {
    /// What the normalizer did to `texts`, whose encoding is `encoded`, with byte lengths.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Interrupted`].
    pub fn changes(&self, texts: &[&str], encoded: &Encoded) -> Result<Changes> {
        let lengths = encoded.byte_lengths.as_deref().unwrap_or_default();
        if self.normalization.normalizer.is_none() {
            return Ok(Changes {
                changed: vec![false; texts.len()],
                uncertain: Vec::new(),
            });
        }
        let rows: Vec<usize> = (0..texts.len()).collect();
        let chunks: Vec<&[usize]> = rows.chunks(256).collect();
        let parts = parallel::map(&chunks, |rows| {
            let mut part = Changes::default();
            for &row in *rows {
                let changed = self.normalization.changes(texts[row]);
                part.changed.push(changed);
                let range = encoded.offsets[row] as usize..encoded.offsets[row + 1] as usize;
                if changed && (!texts[row].is_ascii() || !self.normalization.local) {
                    let doubts = self.doubts(texts[row], &lengths[range.clone()]);
                    part.uncertain
                        .extend(doubts.map(|token| (range.start + token) as i64));
                }
            }
            part
        })?;
        let mut all = Changes::default();
        for mut part in parts {
            all.changed.append(&mut part.changed);
            all.uncertain.append(&mut part.uncertain);
        }
        Ok(all)
    }

    /// Tokens of a changed text whose end does not lie between two ASCII characters.
    fn doubts(&self, text: &str, lengths: &[u32]) -> impl Iterator<Item = usize> {
        let bytes = text.as_bytes();
        let local = self.normalization.local;
        let ascii = move |at: usize| bytes.get(at).is_none_or(u8::is_ascii);
        let mut end = 0;
        lengths
            .iter()
            .enumerate()
            .filter_map(move |(token, &length)| {
                end += length as usize;
                let certain = local && ascii(end.saturating_sub(1)) && ascii(end);
                (end < bytes.len() && !certain).then_some(token)
            })
    }
}

fn normalized(normalizer: &NormalizerWrapper, text: &str) -> Option<String> {
    let mut normalized = NormalizedString::from(text);
    normalizer.normalize(&mut normalized).ok()?;
    Some(normalized.get().to_owned())
}

/// Whether the normalized form is the text, but for the marks that stand for spaces.
fn is_same(normalized: &str, text: &str) -> bool {
    let plain = |c: char| if c == '▁' { ' ' } else { c };
    let same = |form: &str| form.chars().map(plain).eq(text.chars().map(plain));
    same(normalized) || normalized.strip_prefix('▁').is_some_and(same)
}

fn parts(normalizer: &Value) -> Vec<&Value> {
    match (
        normalizer.get("type").and_then(Value::as_str),
        normalizer.get("normalizers"),
    ) {
        (Some("Sequence"), Some(Value::Array(inner))) => inner.iter().flat_map(parts).collect(),
        (None, _) => Vec::new(),
        _ => vec![normalizer],
    }
}

/// Whether this step only writes spaces as marks, or bytes as characters.
fn is_mark(part: &Value) -> bool {
    match part["type"].as_str() {
        Some("ByteLevel") => true,
        Some("Prepend") => part["prepend"] == "▁",
        Some("Replace") => part["pattern"]["String"] == " " && part["content"] == "▁",
        _ => false,
    }
}

/// Whether this step only takes spaces at the ends away, or writes several as one.
fn is_about_spaces(part: &Value) -> bool {
    match part["type"].as_str() {
        Some("Strip") => true,
        Some("Replace") => {
            part["pattern"]["Regex"] == " {2,}"
                && (part["content"] == " " || part["content"] == "▁")
        }
        _ => is_mark(part),
    }
}

/// Whether this step never joins two ASCII characters with more than those that it replaces.
fn is_local(part: &Value) -> bool {
    match part["type"].as_str() {
        Some(
            "NFC" | "NFD" | "NFKC" | "NFKD" | "Precompiled" | "Nmt" | "Lowercase" | "Strip"
            | "StripAccents" | "BertNormalizer",
        ) => true,
        // Of several characters at most one is made, and none of one is made several.
        Some("Replace") => part["content"]
            .as_str()
            .is_some_and(|c| c.chars().count() <= 1),
        _ => false,
    }
}

/// Characters that canonical composition leaves alone, and that join no neighbour among them.
/// Others may too; they are looked at in full.
fn stays_composed(c: char) -> bool {
    matches!(c,
        '\0'..='\u{2FF}' | '\u{400}'..='\u{482}' | '\u{48A}'..='\u{52F}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205E}'
        | '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FE}'
        | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' | '\u{FF00}'..='\u{FFEF}'
        | '\u{1F300}'..='\u{1FAFF}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Normalization, stays_composed};

    fn of(normalizer: serde_json::Value) -> Normalization {
        Normalization::of(&json!({ "normalizer": normalizer })).expect("valid")
    }

    #[test]
    fn composed_characters_stay() {
        let nfc = of(json!({"type": "NFC"}));
        let plain: String = ('\0'..=char::MAX).filter(|&c| stays_composed(c)).collect();
        let normalizer = nfc.normalizer.as_ref().expect("one");
        assert_eq!(
            super::normalized(normalizer, &plain).as_deref(),
            Some(plain.as_str())
        );
        let backwards: String = plain.chars().rev().collect();
        assert_eq!(super::normalized(normalizer, &backwards), Some(backwards));
        for (text, changed) in [
            ("plain  text\n", false),
            ("caf\u{e9} – 日本語 😀", false),
            ("cafe\u{301}", true),
            ("\u{212b}", true),
            ("\u{1100}\u{1161}", true),
            ("q\u{301}", false),
        ] {
            assert_eq!(nfc.changes(text), changed, "{text}");
        }
    }

    #[test]
    fn marks_are_no_change() {
        for none in [
            json!(null),
            json!({"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}),
        ] {
            assert!(!of(none).changes(" a  é\u{301}ﬁ "));
        }
    }

    #[test]
    fn other_steps() {
        let lower = of(json!({"type": "Sequence", "normalizers": [
            {"type": "Lowercase"}, {"type": "Strip", "strip_left": true, "strip_right": true}]}));
        assert!(lower.changes("A b") && lower.changes(" a b") && !lower.changes("a b"));
        assert!(lower.local && lower.changes("É") && !lower.changes("é"));
        let quotes = of(json!(
            {"type": "Replace", "pattern": {"String": "\""}, "content": "''"}));
        assert!(!quotes.local && quotes.changes("a\"") && !quotes.changes("a"));
    }
}
