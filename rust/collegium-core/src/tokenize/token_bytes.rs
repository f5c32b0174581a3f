//! Which tokens of a vocabulary stand for bytes rather than characters.

use serde_json::Value;

/// How the vocabulary writes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteTokens {
    /// Tokens are characters.
    None,
    /// Byte-level BPE: each byte is written as one printable character.
    ByteLevel,
    /// SentencePiece byte fallback: `<0x0A>` is one byte, other tokens are characters.
    Fallback,
}

impl ByteTokens {
    /// Read it from the contents of a `tokenizer.json`.
    pub(super) fn of(contents: &Value) -> Self {
        let model = contents.get("model");
        if has_byte_level(contents.get("pre_tokenizer"))
            || has_byte_level(contents.get("normalizer"))
        {
            Self::ByteLevel
        } else if model.and_then(|m| m.get("byte_fallback")) == Some(&Value::Bool(true)) {
            Self::Fallback
        } else {
            Self::None
        }
    }

    /// The printable character by which byte-level BPE writes a byte.
    pub(super) fn character(byte: u8) -> char {
        let code = u32::from(byte);
        let code = match byte {
            0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => code,
            0x00..=0x20 => 0x100 + code,
            0x7F..=0xA0 => 0x121 + code - 0x7F,
            0xAD => 0x143,
        };
        char::from_u32(code).unwrap_or_default()
    }

    /// Bytes that `token` stands for, or `None` where it stands for characters.
    pub(super) fn bytes(self, token: &str) -> Option<Vec<u8>> {
        match self {
            Self::None => None,
            Self::ByteLevel => token.chars().map(byte_of).collect(),
            Self::Fallback => {
                let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
                let hexadecimal =
                    digits.len() == 2 && digits.bytes().all(|d| d.is_ascii_hexdigit());
                let byte = u8::from_str_radix(digits, 16).ok()?;
                hexadecimal.then(|| vec![byte])
            }
        }
    }
}

fn has_byte_level(component: Option<&Value>) -> bool {
    match component {
        Some(Value::Object(entries)) => {
            entries.get("type").and_then(Value::as_str) == Some("ByteLevel")
                || entries.values().any(|entry| has_byte_level(Some(entry)))
        }
        Some(Value::Array(items)) => items.iter().any(|item| has_byte_level(Some(item))),
        _ => false,
    }
}

/// GPT-2's alphabet: printable Latin-1 characters are their own byte; the 68 other bytes, in
/// order, are U+0100 and on.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => u8::try_from(code).ok(),
        0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        0x121..=0x142 => u8::try_from(code - 0x121 + 0x7F).ok(),
        0x143 => Some(0xAD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteTokens, byte_of};

    #[test]
    fn the_alphabet_has_every_byte_once() {
        let mut bytes: Vec<u8> = ('\0'..='\u{200}').filter_map(byte_of).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert!((0..=255).all(|byte| byte_of(ByteTokens::character(byte)) == Some(byte)));
        assert_eq!(ByteTokens::ByteLevel.bytes("Ġa"), Some(vec![b' ', b'a']));
        assert_eq!(ByteTokens::ByteLevel.bytes("a b"), None);
    }

    #[test]
    fn fallback_tokens_are_single_bytes() {
        assert_eq!(ByteTokens::Fallback.bytes("<0xE3>"), Some(vec![0xE3]));
        for other in ["<0xE>", "<0xE3", "▁a", "<0x+3>", "<0xE33>"] {
            assert_eq!(ByteTokens::Fallback.bytes(other), None, "{other}");
        }
    }
}
