//! The file behind a tokenizer: reading, checking, fingerprint.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Read the whole file.
pub(super) fn read(path: &Path, name: &str) -> Result<Vec<u8>> {
    if path.is_dir() {
        return Err(Error::TokenizerFile {
            path: name.to_owned(),
            reason: "is a folder; name the tokenizer.json in it".to_owned(),
        });
    }
    std::fs::read(path).map_err(|error| Error::Read {
        path: name.to_owned(),
        reason: error.to_string(),
    })
}

/// Parse the JSON, and tell other JSON files from a tokenizer.
pub(super) fn parse(source: &[u8], name: &str) -> Result<Value> {
    let fail = |reason: String| Error::TokenizerFile {
        path: name.to_owned(),
        reason,
    };
    let contents: Value = serde_json::from_slice(source).map_err(|error| {
        let what = if error.is_eof() {
            "truncated or empty JSON"
        } else {
            "not JSON"
        };
        fail(format!("{what} ({error})"))
    })?;
    match contents.get("model") {
        Some(Value::Object(_)) => Ok(contents),
        Some(other) => Err(fail(format!("\"model\" is {}", kind(other)))),
        None if contents.is_object() => Err(fail("no \"model\" in it".to_owned())),
        None => Err(fail(format!("it holds {}", kind(&contents)))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// SHA-256 (hexadecimal) of the canonical form: sorted keys, no white space.
pub(super) fn fingerprint(contents: &Value) -> String {
    let mut digest = Sha256::new();
    absorb(contents, &mut digest);
    digest
        .finalize()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn absorb(value: &Value, digest: &mut Sha256) {
    match value {
        Value::Array(items) => {
            digest.update(b"[");
            for item in items {
                absorb(item, digest);
                digest.update(b",");
            }
            digest.update(b"]");
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            digest.update(b"{");
            for (key, item) in entries {
                absorb_string(key, digest);
                digest.update(b":");
                absorb(item, digest);
                digest.update(b",");
            }
            digest.update(b"}");
        }
        Value::String(text) => absorb_string(text, digest),
        Value::Null => digest.update(b"null"),
        Value::Bool(flag) => digest.update(flag.to_string()),
        Value::Number(number) => digest.update(number.to_string()),
    }
}

/// The length stands before the bytes, so that no two documents read the same.
fn absorb_string(text: &str, digest: &mut Sha256) {
    digest.update(format!("\"{}\"", text.len()));
    digest.update(text);
}

#[cfg(test)]
mod tests {
    use super::{fingerprint, parse};

    fn of(text: &str) -> String {
        fingerprint(&serde_json::from_str(text).expect("valid JSON"))
    }

    #[test]
    fn only_the_contents_count() {
        let one = of(r#"{"a": [1, 2.5, null], "b": {"c": "x", "d": true}}"#);
        assert_eq!(
            one,
            of("{\"b\":{\"d\":true,\n\"c\":\"\\u0078\"},\"a\":[1,2.5,null]}")
        );
        assert_eq!(one.len(), 64);
        for other in [
            r#"{"a": [1, 2.5, null], "b": {"c": "x", "d": false}}"#,
            r#"{"a": [2.5, 1, null], "b": {"c": "x", "d": true}}"#,
            r#"{"a": [1, 2.5, null, {"b": {"c": "x", "d": true}}]}"#,
        ] {
            assert_ne!(one, of(other));
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        for (text, hint) in [
            ("", "truncated or empty"),
            ("{\"model\": {", "truncated"),
            ("hello", "not JSON"),
            ("[1]", "a list"),
            ("{\"architectures\": []}", "no \"model\""),
            ("{\"model\": 3}", "a number"),
        ] {
            let message = parse(text.as_bytes(), "some/file.json")
                .expect_err("must be refused")
                .to_string();
            assert!(
                message.contains(hint) && message.contains("some/file.json"),
                "{message}"
            );
        }
    }
}
