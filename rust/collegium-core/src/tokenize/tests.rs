//! Small tokenizers of each family, written out here.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Tokenizer;
use crate::Error;

fn make(contents: &Value) -> Tokenizer {
    Tokenizer::from_bytes(contents.to_string().into_bytes(), "test.json").expect("valid file")
}

/// Byte-level BPE over single bytes with one merge, NFC, and a template that adds `<s>` `</s>`.
fn byte_level() -> Tokenizer {
    let mut vocab = serde_json::Map::new();
    let alphabet = ('\0'..='\u{200}').filter(|&c| {
        super::token_bytes::ByteTokens::ByteLevel
            .bytes(&c.to_string())
            .is_some()
    });
    for (id, character) in alphabet.enumerate() {
        vocab.insert(character.to_string(), json!(id));
    }
    vocab.insert("ab".into(), json!(256));
    let special = |id: u32, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": true})
    };
    make(&json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": null,
        "added_tokens": [special(257, "<s>"), special(258, "</s>")],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [257], "tokens": ["<s>"]},
                               "</s>": {"id": "</s>", "ids": [258], "tokens": ["</s>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                  "ignore_merges": false, "vocab": vocab, "merges": [["a", "b"]]}
    }))
}

/// Unigram with a Metaspace and stripped ends.
fn unigram() -> Tokenizer {
    make(&json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Strip", "strip_left": true, "strip_right": true},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
                  "vocab": [["<unk>", 0.0], ["▁", -2.0], ["▁a", -1.0], ["b", -2.0], ["c", -2.0]]}
    }))
}

#[test]
fn truncation_in_the_file_is_left_out() {
    let tokenizer = byte_level();
    let encoded = tokenizer
        .encode_batch(&["ab abab"], false, false)
        .expect("valid");
    assert_eq!(encoded.ids.len(), 4);
    assert_eq!(
        tokenizer.decode(&encoded.ids, false).expect("known"),
        "ab abab"
    );
    let long = "x".repeat(50);
    let encoded = tokenizer
        .encode_batch(&[&long], false, false)
        .expect("valid");
    assert_eq!(encoded.ids.len(), 50);
}

#[test]
fn tokens_of_the_post_processor_have_no_bytes() {
    let encoded = byte_level()
        .encode_batch(&["ab<s>日", ""], true, true)
        .expect("valid");
    assert_eq!(encoded.offsets, [0, 7, 9]);
    assert_eq!(
        encoded.byte_lengths.expect("asked for"),
        [0, 2, 3, 1, 1, 1, 0, 0, 0]
    );
}

#[test]
fn composed_characters_belong_to_their_first_token() {
    // e + U+0301 becomes one character of two bytes, which no byte of the text matches.
    let encoded = byte_level()
        .encode_batch(&["e\u{301}ab"], false, true)
        .expect("valid");
    assert_eq!(encoded.byte_lengths.expect("asked for"), [3, 0, 2]);
}

#[test]
fn stripped_and_collapsed_spaces() {
    let tokenizer = unigram();
    let encoded = tokenizer
        .encode_batch(&["  a  bc \n", "   "], false, true)
        .expect("valid");
    let tokens: Vec<_> = encoded
        .ids
        .iter()
        .map(|&id| tokenizer.id_to_token(id).expect("known"))
        .collect();
    assert_eq!(tokens, ["▁a", "▁", "b", "c"]);
    assert_eq!(encoded.byte_lengths.expect("asked for"), [3, 2, 1, 3]);
    assert_eq!(encoded.offsets, [0, 4, 4]);
}

#[test]
fn unknown_ids_are_named() {
    let tokenizer = byte_level();
    assert_eq!(
        tokenizer.decode(&[1, 9999], true),
        Err(Error::UnknownId {
            position: 1,
            id: 9999,
            vocab_size: 259
        })
    );
    assert_eq!(tokenizer.token_to_id("</s>"), Some(258));
    assert_eq!(tokenizer.token_to_id("nothing"), None);
}

#[test]
fn missing_files_and_folders_are_named() {
    let gone = std::path::Path::new("no/such/tokenizer.json");
    let error = Tokenizer::from_file(gone).expect_err("missing");
    assert!(matches!(error, Error::Read { .. }) && error.to_string().contains("no/such"));
    let folder = Tokenizer::from_file(std::path::Path::new(".")).expect_err("a folder");
    assert!(folder.to_string().contains("is a folder"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lengths_cover_each_text(texts in prop::collection::vec(".{0,40}", 1..6)) {
        let views: Vec<&str> = texts.iter().map(String::as_str).collect();
        for tokenizer in [byte_level(), unigram()] {
            for special in [false, true] {
                let encoded = tokenizer.encode_batch(&views, special, true).expect("valid");
                let lengths = encoded.byte_lengths.expect("asked for");
                for (row, text) in texts.iter().enumerate() {
                    let range = encoded.offsets[row] as usize..encoded.offsets[row + 1] as usize;
                    let sum: u32 = lengths[range.clone()].iter().sum();
                    prop_assert!(range.is_empty() || sum as usize == text.len());
                }
            }
        }
    }
}
