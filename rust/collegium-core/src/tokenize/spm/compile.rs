//! Which tokenizer files are SentencePiece BPE.

use std::collections::HashMap;

use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

use super::cuts::{Cuts, Join};
use super::searched::Searched;
use super::{Pieces, Prefix, Unknown};
use crate::tokenize::bpe::Merges;
use crate::tokenize::plan::{Family, Parts};

/// The plan for a SentencePiece-BPE file, or why there is none.
pub(in crate::tokenize) fn compile(parts: &mut Parts<'_>) -> Result<Box<dyn Family>, String> {
    let ModelWrapper::BPE(model) = parts.inner.get_model() else {
        return Err("the model is not BPE".to_owned());
    };
    check_options(model)?;
    let (prefix, splits) = prefix(
        parts.inner.get_normalizer(),
        parts.inner.get_pre_tokenizer(),
    )?;
    let vocab = model.get_vocab();
    let mark = *vocab.get("▁").ok_or("▁ is no token")?;
    let unknown = unknown(model, &vocab)?;
    let merges = Merges::read(&vocab, parts.contents)?;
    let joins = joins(parts.contents, &unknown, &vocab)?;
    if splits && (model.ignore_merges || joins.iter().any(|&(_, right)| right == '▁')) {
        return Err("words are split where merges join them".to_owned());
    }

    let mut characters: HashMap<char, u32, _> = vocab
        .iter()
        .filter_map(|(token, &id)| single(token).map(|character| (character, id)))
        .collect();
    characters.insert(' ', mark);
    let ascii = std::array::from_fn(|code| characters.get(&char::from(code as u8)).copied());
    let spaces_only = matches!(unknown, Unknown::Token { .. });
    let longest = vocab.keys().map(String::len).max().unwrap_or_default();
    Ok(Box::new(Pieces {
        prefix,
        characters,
        ascii,
        unknown,
        merges,
        cuts: Cuts::new(joins.into_iter(), spaces_only),
        searched: parts
            .normalized_tokens
            .take()
            .map(|tokens| Searched::new(tokens, parts.inner.get_normalizer().is_some())),
        whole: model.ignore_merges.then_some((vocab, longest)),
    }))
}

fn check_options(model: &BPE) -> Result<(), String> {
    if model.dropout.is_some_and(|dropout| dropout != 0.0) {
        return Err("the model drops merges at random".to_owned());
    }
    let affix = |affix: &Option<String>| affix.as_ref().is_some_and(|text| !text.is_empty());
    if affix(&model.continuing_subword_prefix) || affix(&model.end_of_word_suffix) {
        return Err("the model writes affixes into its tokens".to_owned());
    }
    Ok(())
}

/// Which sections get a mark, and whether words are split at marks.
fn prefix(
    normalizer: Option<&NormalizerWrapper>,
    pre_tokenizer: Option<&PreTokenizerWrapper>,
) -> Result<(Prefix, bool), String> {
    let spaces_to_marks = |step: &NormalizerWrapper| {
        serde_json::to_value(step).is_ok_and(|step| {
            step == serde_json::json!(
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
            )
        })
    };
    let put_before = match normalizer {
        None => None,
        Some(NormalizerWrapper::Sequence(steps)) => match steps.as_ref() {
            [NormalizerWrapper::Prepend(prepend), replace]
                if prepend.prepend == "▁" && spaces_to_marks(replace) =>
            {
                Some(Prefix::Always)
            }
            [replace] if spaces_to_marks(replace) => Some(Prefix::Never),
            _ => return Err("the normalizer is not that of SentencePiece BPE".to_owned()),
        },
        Some(replace) if spaces_to_marks(replace) => Some(Prefix::Never),
        Some(_) => return Err("the normalizer is not that of SentencePiece BPE".to_owned()),
    };
    match (put_before, pre_tokenizer) {
        (Some(prefix), None) => Ok((prefix, false)),
        // There are no spaces left to split at.
        (Some(prefix), Some(PreTokenizerWrapper::Split(split)))
            if serde_json::to_value(&split.pattern)
                .is_ok_and(|pattern| pattern == serde_json::json!({"String": " "}))
                && !split.invert =>
        {
            Ok((prefix, false))
        }
        (None, Some(PreTokenizerWrapper::Metaspace(metaspace)))
            if metaspace.get_replacement() == '▁' =>
        {
            let prefix = match metaspace.get_prepend_scheme() {
                PrependScheme::Always => Prefix::Missing,
                PrependScheme::First => Prefix::FirstMissing,
                PrependScheme::Never => Prefix::Never,
            };
            Ok((prefix, metaspace.get_split()))
        }
        _ => Err("the pre-tokenizer is not that of SentencePiece BPE".to_owned()),
    }
}

fn unknown(model: &BPE, vocab: &HashMap<String, u32>) -> Result<Unknown, String> {
    if model.byte_fallback {
        let id = |byte: usize| vocab.get(&format!("<0x{byte:02X}>")).copied();
        let ids: Vec<u32> = (0..256).map_while(id).collect();
        let ids = Box::<[u32; 256]>::try_from(ids.into_boxed_slice())
            .map_err(|_| "byte fallback without a token for every byte")?;
        return Ok(Unknown::Bytes(ids));
    }
    let token = model
        .unk_token
        .as_ref()
        .ok_or("there is no unknown token")?;
    let id = *vocab
        .get(token)
        .ok_or("the unknown token is not in the vocabulary")?;
    Ok(Unknown::Token {
        id,
        fuse: model.fuse_unk,
    })
}

/// Where merges join: the last character of the left side and the first of the right one.
fn joins(
    contents: &Value,
    unknown: &Unknown,
    vocab: &HashMap<String, u32>,
) -> Result<Vec<Join>, String> {
    let stands_for_other_text = |token: &str| {
        vocab.get(token).is_some_and(|id| match unknown {
            Unknown::Bytes(bytes) => bytes.contains(id),
            Unknown::Token { id: unknown, .. } => id == unknown,
        })
    };
    Merges::listed(contents)?
        .map(|pair| {
            let (left, right) = pair?;
            if stands_for_other_text(left) || stands_for_other_text(right) {
                return Err("merges of bytes or of the unknown token".to_owned());
            }
            left.chars()
                .next_back()
                .zip(right.chars().next())
                .ok_or_else(|| "a merge of nothing".to_owned())
        })
        .collect()
}

fn single(token: &str) -> Option<char> {
    let mut characters = token.chars();
    characters.next().filter(|_| characters.next().is_none())
}
