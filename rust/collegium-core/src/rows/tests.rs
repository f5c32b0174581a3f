//! The rules by hand; against the Python oracle they are tested with real tokenizers.

use serde_json::json;

use super::prompts::strip;
use super::{Form, Layout, Rows, Target, fate, rows};
use crate::tokenize::Tokenizer;

/// One token a word.
fn words() -> Tokenizer {
    let vocab: serde_json::Map<_, _> = ["<unk>", "a", "b", "c", "ask", ":", "?", "</s>"]
        .iter()
        .enumerate()
        .map(|(id, word)| ((*word).to_owned(), json!(id)))
        .collect();
    let contents = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null, "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
    });
    Tokenizer::from_bytes(contents.to_string().into_bytes(), "words").expect("valid")
}

fn layout(decoder_start: Option<u32>) -> Layout {
    let decoder = decoder_start.is_none();
    Layout {
        forms: vec![Form {
            before: "ask : ".to_owned(),
            after: " ?".to_owned(),
            empty: "ask : ?".to_owned(),
            keep: 2,
        }],
        head: if decoder { vec![9] } else { vec![] },
        tail: if decoder { vec![] } else { vec![7] },
        eos: 7,
        decoder_start,
        max_prompt_tokens: 6,
        max_target_tokens: 3,
    }
}

fn made(decoder_start: Option<u32>) -> Rows {
    let target = |question, text| Target {
        question,
        form: 0,
        text,
    };
    let targets = [
        target(0, " b\u{1f}"),
        target(1, "a b c"),
        target(0, " \n"),
        target(2, "c c"),
    ];
    let questions = ["a", " c c b a\t", ""];
    rows(&words(), &questions, &targets, &layout(decoder_start)).expect("valid")
}

#[test]
fn decoder_rows() {
    let rows = made(None);
    // Head, marker, the end of the question, tail; then the target.
    assert_eq!(
        rows.input_ids,
        [
            9, 4, 5, 1, 6, 2, /**/ 9, 4, 5, 2, 1, 6, 1, 2, /**/ 9, 4, 5, 6, 3, 3
        ]
    );
    assert_eq!(rows.input_offsets, [0, 6, 14, 20]);
    assert_eq!(rows.edge_target, [2, 7, /**/ 1, 2, 3, /**/ 3, 3, 7]);
    assert_eq!(rows.edge_src, [4, 5, /**/ 5, 6, 7, /**/ 3, 4, 5]);
    assert_eq!(rows.edge_offsets, [0, 2, 5, 8]);
    assert_eq!(
        rows.fates,
        [
            0,
            fate::PROMPT_CUT | fate::TARGET_CUT,
            fate::EMPTY_TARGET,
            0
        ]
    );
    assert_eq!(rows.target_of, [0, 1, 3]);
    assert!(rows.encoder_ids.is_empty());
}

#[test]
fn encoder_decoder_rows() {
    let rows = made(Some(8));
    assert_eq!(
        rows.encoder_ids,
        [
            4, 5, 1, 6, 7, /**/ 4, 5, 2, 1, 6, 7, /**/ 4, 5, 6, 7
        ]
    );
    assert_eq!(rows.encoder_offsets, [0, 5, 11, 15]);
    assert_eq!(rows.input_ids, [8, 2, /**/ 8, 1, 2, /**/ 8, 3, 3]);
    assert_eq!(rows.edge_src, [0, 1, /**/ 0, 1, 2, /**/ 0, 1, 2]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let none = layout(None);
    let wrong = Target {
        question: 5,
        form: 0,
        text: "a",
    };
    let error = rows(&words(), &["a"], &[wrong], &none).expect_err("no such question");
    assert!(error.to_string().contains("question=5"));
    for narrow in [
        Layout {
            max_prompt_tokens: 3,
            ..none.clone()
        },
        Layout {
            max_target_tokens: 0,
            ..none
        },
    ] {
        let error = rows(&words(), &["a"], &[], &narrow).expect_err("no room");
        assert!(error.to_string().contains("_tokens="));
    }
}

#[test]
fn white_space_is_pythons() {
    assert_eq!(
        strip("\u{3000}\u{85}\x1c a b \u{2028}\u{feff}"),
        "a b \u{2028}\u{feff}"
    );
    assert_eq!(strip("\x00 "), "\x00");
}
