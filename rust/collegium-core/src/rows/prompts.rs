//! Prompts as the student reads them, in training and when asked.

use super::layout::Layout;
use super::range;
use crate::error::{Error, Result};
use crate::tokenize::Tokenizer;

/// The ids of prompts, end to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompts {
    /// The ids of all prompts.
    pub ids: Vec<u32>,
    /// Prompt `i` has the ids `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<i64>,
    /// Whether the prompt lost the beginning of its question.
    pub cut: Vec<bool>,
}

impl Prompts {
    /// Put every question in one form.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] naming the question, [`Error::Range`].
    pub fn new(
        tokenizer: &Tokenizer,
        questions: &[&str],
        form: usize,
        layout: &Layout,
    ) -> Result<Self> {
        let pairs: Vec<_> = (0..questions.len())
            .map(|question| (question, form))
            .collect();
        encode(tokenizer, questions, &pairs, layout)
    }

    /// The ids of one prompt.
    pub(super) fn row(&self, prompt: usize) -> &[u32] {
        &self.ids[range(&self.offsets, prompt)]
    }
}

/// The prompts of (question, form) pairs.
pub(super) fn encode(
    tokenizer: &Tokenizer,
    questions: &[&str],
    pairs: &[(usize, usize)],
    layout: &Layout,
) -> Result<Prompts> {
    let room = layout.room()?;
    let mut text = String::new();
    let mut ends = Vec::with_capacity(pairs.len());
    let mut keeps = Vec::with_capacity(pairs.len());
    for &(question, form) in pairs {
        let question = *get("question", questions, question)?;
        let form = get("form", &layout.forms, form)?;
        match strip(question) {
            "" => text.push_str(&form.empty),
            question => {
                text.push_str(&form.before);
                text.push_str(question);
                text.push_str(&form.after);
            }
        }
        ends.push(text.len());
        keeps.push(form.keep);
    }
    let mut start = 0;
    let mut views = Vec::with_capacity(ends.len());
    for &end in &ends {
        views.push(text.get(start..end).unwrap_or_default());
        start = end;
    }
    let encoded = tokenizer.encode_batch(&views, false, false)?;
    let mut prompts = Prompts {
        ids: Vec::with_capacity(encoded.ids.len() + pairs.len()),
        offsets: vec![0],
        cut: Vec::with_capacity(pairs.len()),
    };
    for (index, keep) in keeps.into_iter().enumerate() {
        let body = &encoded.ids[range(&encoded.offsets, index)];
        let cut = body.len() > room;
        prompts.ids.extend_from_slice(&layout.head);
        if cut {
            prompts.ids.extend_from_slice(&body[..keep]);
            prompts
                .ids
                .extend_from_slice(&body[body.len() - (room - keep)..]);
        } else {
            prompts.ids.extend_from_slice(body);
        }
        prompts.ids.extend_from_slice(&layout.tail);
        prompts.offsets.push(prompts.ids.len() as i64);
        prompts.cut.push(cut);
    }
    Ok(prompts)
}

fn get<'a, T>(name: &'static str, items: &'a [T], index: usize) -> Result<&'a T> {
    items.get(index).ok_or_else(|| Error::Range {
        name,
        value: index.to_string(),
        allowed: "the number of one that was given",
    })
}

/// The text without white space around it, by Python's notion of white space.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\x1C'..='\x1F').contains(&c))
}
