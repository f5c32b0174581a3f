//! The compiled character map of a SentencePiece model: which strings it replaces, and by what.

use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

/// A grapheme of this many bytes or more is looked up character by character.
const LONG_GRAPHEME: usize = 6;

/// Where mapped text goes.
pub(super) trait Output {
    /// Text that stays.
    fn keep(&mut self, text: &str);
    /// Text that is replaced.
    fn replace(&mut self, old: &str, new: &str);
}

impl Output for String {
    fn keep(&mut self, text: &str) {
        self.push_str(text);
    }

    fn replace(&mut self, _old: &str, new: &str) {
        self.push_str(new);
    }
}

/// A map of strings to strings, as a double-array trie (the layout of Darts) whose values are
/// places in a text of replacements, each ended by a zero byte.
#[derive(Debug)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    replacements: String,
    /// ASCII characters that it leaves alone, whatever stands beside them.
    plain: [bool; 128],
}

impl Charsmap {
    /// The map in a `tokenizer.json`; the `tokenizers` crate keeps its own to itself.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, in words.
    pub(super) fn of(contents: &Value) -> Result<Self, String> {
        let text = find(contents.get("normalizer"), "precompiled_charsmap")
            .and_then(Value::as_str)
            .ok_or("the character map is missing")?;
        let blob = base64::decode(text).map_err(|error| format!("the character map: {error}"))?;
        Self::new(&blob).ok_or_else(|| "the character map cannot be read".to_owned())
    }

    /// Decode the bytes of `precompiled_charsmap`.
    pub(super) fn new(blob: &[u8]) -> Option<Self> {
        let (size, rest) = blob.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*size) as usize / 4 * 4;
        let (trie, replacements) = rest.split_at_checked(size)?;
        let units: Vec<u32> = trie
            .chunks_exact(4)
            .map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]))
            .collect();
        (!units.is_empty()).then_some(())?;
        let mut map = Self {
            units,
            replacements: String::from_utf8(replacements.to_vec()).ok()?,
            plain: [false; 128],
        };
        map.plain = std::array::from_fn(|code| {
            let text = char::from(code as u8).to_string();
            // A carriage return joins with the line feed after it.
            text != "\r" && map.replacement(&text).is_none()
        });
        Some(map)
    }

    /// Whether this is an ASCII byte that the map leaves alone.
    pub(super) fn is_plain(&self, byte: u8) -> bool {
        self.plain.get(usize::from(byte)) == Some(&true)
    }

    /// The replacement of the shortest entry that `text` begins with.
    pub(super) fn replacement(&self, text: &str) -> Option<&str> {
        let mut node = offset(self.units[0]);
        for &byte in text.as_bytes() {
            if byte == 0 {
                return None;
            }
            node ^= usize::from(byte);
            let unit = *self.units.get(node)?;
            if unit & (1 << 31 | 0xFF) != u32::from(byte) {
                return None;
            }
            node ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                let start = (self.units.get(node)? & !(1 << 31)) as usize;
                let text = self.replacements.get(start..)?;
                return text.split('\0').next();
            }
        }
        None
    }

    /// Append `text` to `out`, mapped.
    pub(super) fn map(&self, text: &str, out: &mut impl Output) {
        let bytes = text.as_bytes();
        let is_plain = |byte: u8| self.is_plain(byte);
        let mut done = 0;
        while done < bytes.len() {
            // Between two plain bytes there is always a boundary of graphemes.
            let run = bytes[done..].iter().take_while(|&&b| is_plain(b)).count();
            let mut start = done + run;
            if start < bytes.len() && run > 0 {
                start -= 1;
            }
            out.keep(&text[done..start]);
            let mut end = start;
            while end < bytes.len() {
                end += 1 + usize::from(end == start && run > 0);
                let next = bytes.get(end - 1).zip(bytes.get(end));
                if next.is_none_or(|(&a, &b)| is_plain(a) && is_plain(b)) {
                    break;
                }
            }
            self.map_graphemes(&text[start..end.min(bytes.len())], out);
            done = end;
        }
    }

    fn map_graphemes(&self, text: &str, out: &mut impl Output) {
        for grapheme in text.graphemes(true) {
            if grapheme.len() < LONG_GRAPHEME
                && let Some(replacement) = self.replacement(grapheme)
            {
                out.replace(grapheme, replacement);
                continue;
            }
            let mut buffer = [0; 4];
            for character in grapheme.chars() {
                let character = &*character.encode_utf8(&mut buffer);
                match self.replacement(character) {
                    Some(replacement) => out.replace(character, replacement),
                    None => out.keep(character),
                }
            }
        }
    }
}

fn find<'a>(value: Option<&'a Value>, key: &str) -> Option<&'a Value> {
    match value? {
        Value::Object(entries) => entries
            .get(key)
            .or_else(|| entries.values().find_map(|entry| find(Some(entry), key))),
        Value::Array(items) => items.iter().find_map(|item| find(Some(item), key)),
        _ => None,
    }
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize
}

#[cfg(test)]
mod tests {
    use super::Charsmap;

    #[test]
    fn what_is_no_map_is_refused() {
        for blob in [
            &[][..],
            &[8, 0, 0, 0, 1],
            &[0, 0, 0, 0],
            &[4, 0, 0, 0, 0, 0, 0, 0, 0xFF],
        ] {
            assert!(Charsmap::new(blob).is_none(), "{blob:?}");
        }
        // A trie of the root alone replaces nothing.
        let map = Charsmap::new(&[4, 0, 0, 0, 0, 0, 0, 0]).expect("a map");
        let mut out = String::new();
        map.map("a é\r\nb\0", &mut out);
        assert_eq!(out, "a é\r\nb\0");
    }
}
