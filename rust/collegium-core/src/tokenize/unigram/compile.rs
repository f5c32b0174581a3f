//! Which tokenizer files are Unigram with words.

use serde_json::Value;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

use super::model::Unigram;
use super::{Class, Rules, Words};
use crate::tokenize::charsmap::Charsmap;
use crate::tokenize::plan::{Family, Parts};
use crate::tokenize::token_bytes::ByteTokens;
use crate::tokenize::trie::VALUE_LIMIT;

/// The plan for a Unigram file, or why there is none.
pub(in crate::tokenize) fn compile(parts: &Parts<'_>) -> Result<Box<dyn Family>, String> {
    let ModelWrapper::Unigram(model) = parts.inner.get_model() else {
        return Err("the model is not Unigram".to_owned());
    };
    if model.alpha.is_some_and(|alpha| alpha != 0.0) {
        return Err("the model samples its segmentations".to_owned());
    }
    if parts.normalized_tokens.is_some() {
        return Err("added tokens are looked for in normalised text".to_owned());
    }
    let vocabulary: Vec<(String, f64)> = model.iter().cloned().collect();
    if vocabulary.len() >= VALUE_LIMIT as usize {
        return Err("the vocabulary is too large".to_owned());
    }
    let settings = parts.contents.get("model");
    let unknown = settings
        .and_then(|settings| settings.get("unk_id"))
        .and_then(Value::as_u64)
        .and_then(|id| u32::try_from(id).ok())
        .ok_or("the model has no unknown token")?;
    let byte_fallback = settings.and_then(|settings| settings.get("byte_fallback"));
    let unigram = Unigram::new(
        &vocabulary,
        unknown,
        byte_fallback == Some(&Value::Bool(true)),
    );
    let mark = unigram.id(" ").ok_or("▁ is no piece")?;

    let normalizer = parts.inner.get_normalizer().cloned();
    let pre_tokenizer = parts
        .inner
        .get_pre_tokenizer()
        .cloned()
        .ok_or("there is no pre-tokenizer")?;
    let white_space_splits = splits_at_white_space(&pre_tokenizer)?;
    let (has_map, rules) = normalizer_rules(normalizer.as_ref())?;
    let rules = Rules {
        white_space_splits,
        ..rules
    };
    // Spaces at the end would make words of their own.
    let spaces_go = if white_space_splits {
        rules.strip_right || rules.spaces_become != Some("▁")
    } else {
        rules.strip_right && rules.spaces_become.is_some()
    };
    if !spaces_go {
        return Err("runs of spaces are kept".to_owned());
    }
    let charsmap = has_map.then(|| Charsmap::of(parts.contents)).transpose()?;
    let classes = classes(charsmap.as_ref());
    Ok(Box::new(Words {
        is_usual: is_usual(&classes),
        classes,
        model: unigram,
        charsmap,
        rules,
        mark,
        byte_tokens: ByteTokens::of(parts.contents),
        normalizer,
        pre_tokenizer,
        vocabulary: vocabulary.into_iter().map(|(piece, _)| piece).collect(),
    }))
}

fn splits_at_white_space(pre_tokenizer: &PreTokenizerWrapper) -> Result<bool, String> {
    use PreTokenizerWrapper::{Metaspace, Sequence, WhitespaceSplit};
    let unknown = || Err("the pre-tokenizer is not Metaspace with words".to_owned());
    match pre_tokenizer {
        Metaspace(metaspace) if makes_words(metaspace) => Ok(false),
        Sequence(sequence) => match sequence.as_ref() {
            [WhitespaceSplit(_), Metaspace(metaspace)] if makes_words(metaspace) => Ok(true),
            [Metaspace(metaspace)] if makes_words(metaspace) => Ok(false),
            _ => unknown(),
        },
        _ => unknown(),
    }
}

fn makes_words(metaspace: &Metaspace) -> bool {
    metaspace.get_replacement() == '▁'
        && metaspace.get_split()
        && metaspace.get_prepend_scheme() == PrependScheme::Always
}

/// Whether there is a character map, and what follows it.
fn normalizer_rules(normalizer: Option<&NormalizerWrapper>) -> Result<(bool, Rules), String> {
    let mut has_map = false;
    let mut rules = Rules::default();
    let steps = match normalizer {
        None => &[],
        Some(NormalizerWrapper::Sequence(sequence)) => sequence.as_ref(),
        Some(step) => std::slice::from_ref(step),
    };
    for step in steps {
        let is_new = rules.spaces_become.is_none();
        match step {
            NormalizerWrapper::Precompiled(_) if !has_map && !rules.strip_right && is_new => {
                has_map = true;
            }
            NormalizerWrapper::StripNormalizer(strip)
                if strip.strip_right && !strip.strip_left && is_new =>
            {
                rules.strip_right = true;
            }
            NormalizerWrapper::Replace(replace) if is_new => {
                let pattern = serde_json::to_value(replace).unwrap_or_default();
                let runs = serde_json::to_value(ReplacePattern::Regex(" {2,}".to_owned()));
                if pattern.get("pattern") != runs.ok().as_ref() {
                    return Err("the normalizer replaces more than runs of spaces".to_owned());
                }
                rules.spaces_become = match replace.content.as_str() {
                    " " => Some(" "),
                    "▁" => Some("▁"),
                    _ => return Err("the normalizer replaces runs of spaces oddly".to_owned()),
                };
            }
            _ => return Err("the normalizer is not a character map alone".to_owned()),
        }
    }
    Ok((has_map, rules))
}

fn classes(charsmap: Option<&Charsmap>) -> [Class; 256] {
    std::array::from_fn(|code| {
        let Some(byte) = u8::try_from(code).ok().filter(u8::is_ascii) else {
            return Class::Changed;
        };
        let text = char::from(byte).to_string();
        let replacement = charsmap.and_then(|map| map.replacement(&text));
        match replacement {
            None if byte == b' ' => Class::Space,
            Some(" ") => Class::Space,
            // Other white space may split words, or go at the end.
            None if !char::from(byte).is_whitespace() => Class::Plain,
            _ => Class::Changed,
        }
    })
}

fn is_usual(classes: &[Class; 256]) -> bool {
    let class = |byte: u8| classes[usize::from(byte)];
    (b'!'..=b'~').all(|byte| class(byte) == Class::Plain)
        && class(b' ') == Class::Space
        && class(b'\n') == Class::Space
        && (0..b' ').all(|byte| class(byte) != Class::Plain)
        && class(0x7F) != Class::Space
}
