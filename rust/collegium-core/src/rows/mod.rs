//! Training rows: a prompt and a target become input ids and loss edges.
//!
//! Decoder-only: input = head, prompt, target without its last token; the last token of the prompt
//! and those after it predict the target. Encoder-decoder: the encoder reads prompt and tail, the
//! decoder its start token and the target without its last token.

mod file;
mod layout;
mod prompts;

pub use file::FileRows;
pub use layout::{Form, Layout};
pub use prompts::Prompts;

use rustc_hash::FxHashMap;

use crate::error::Result;
use crate::tokenize::Tokenizer;
use prompts::strip;

/// A text to be learnt, and the prompt that it answers.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Which question.
    pub question: usize,
    /// Which of the layout's forms puts it.
    pub form: usize,
    /// The text; white space around it is left out.
    pub text: &'a str,
}

/// What became of a target; flags that add up.
pub mod fate {
    /// The target has no tokens: no row.
    pub const EMPTY_TARGET: u8 = 1;
    /// The prompt has no tokens: no row.
    pub const EMPTY_PROMPT: u8 = 2;
    /// The prompt was cut.
    pub const PROMPT_CUT: u8 = 4;
    /// The target was cut.
    pub const TARGET_CUT: u8 = 8;
    /// There was no target.
    pub const MISSING: u8 = 16;
}

/// Encoded rows, end to end. All edges have weight 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// What became of each target, see [`fate`].
    pub fates: Vec<u8>,
    /// The target of each row.
    pub target_of: Vec<i64>,
    /// Input ids of all rows; row `i` has `input_offsets[i]..input_offsets[i + 1]`.
    pub input_ids: Vec<u32>,
    /// See `input_ids`.
    pub input_offsets: Vec<i64>,
    /// Position within the row that predicts; row `i` has `edge_offsets[i]..edge_offsets[i + 1]`.
    pub edge_src: Vec<u32>,
    /// The token that it predicts.
    pub edge_target: Vec<u32>,
    /// See `edge_src`.
    pub edge_offsets: Vec<i64>,
    /// What the encoder of an encoder-decoder student reads.
    pub encoder_ids: Vec<u32>,
    /// Row `i` has `encoder_offsets[i]..encoder_offsets[i + 1]`.
    pub encoder_offsets: Vec<i64>,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            fates: Vec::new(),
            target_of: Vec::new(),
            input_ids: Vec::new(),
            input_offsets: vec![0],
            edge_src: Vec::new(),
            edge_target: Vec::new(),
            edge_offsets: vec![0],
            encoder_ids: Vec::new(),
            encoder_offsets: vec![0],
        }
    }
}

/// Make a row of each target, in their order.
///
/// Each prompt is encoded once, however many targets it has. A prompt that is too long loses the
/// beginning of its question; a target that is too long loses its end and with it the EOS.
///
/// # Errors
///
/// [`crate::Error::Encode`] naming the prompt (counted as they are used) or target; indices of
/// targets that are out of range are [`crate::Error::Range`].
pub fn rows(
    tokenizer: &Tokenizer,
    questions: &[&str],
    targets: &[Target<'_>],
    layout: &Layout,
) -> Result<Rows> {
    let mut used: Vec<(usize, usize)> = Vec::new();
    let mut places = FxHashMap::default();
    let mut prompt_of = Vec::with_capacity(targets.len());
    for target in targets {
        let pair = (target.question, target.form);
        let place = *places.entry(pair).or_insert_with(|| {
            used.push(pair);
            used.len() - 1
        });
        prompt_of.push(place);
    }
    let prompts = prompts::encode(tokenizer, questions, &used, layout)?;
    let texts: Vec<&str> = targets.iter().map(|target| strip(target.text)).collect();
    let encoded = tokenizer.encode_batch(&texts, false, false)?;
    let mut rows = Rows::default();
    rows.input_ids.reserve(encoded.ids.len());
    for (index, &place) in prompt_of.iter().enumerate() {
        let target = &encoded.ids[range(&encoded.offsets, index)];
        rows.add(prompts.row(place), prompts.cut[place], target, layout);
    }
    Ok(rows)
}

impl Rows {
    fn add(&mut self, prompt: &[u32], prompt_cut: bool, target: &[u32], layout: &Layout) {
        let index = self.fates.len() as i64;
        if target.is_empty() || prompt.is_empty() {
            self.fates.push(match target {
                [] => fate::EMPTY_TARGET,
                _ => fate::EMPTY_PROMPT,
            });
            return;
        }
        let cut = target.len() + 1 > layout.max_target_tokens;
        let kept = &target[..target.len().min(layout.max_target_tokens)];
        let before = self.edge_target.len();
        self.edge_target.extend_from_slice(kept);
        if !cut {
            self.edge_target.push(layout.eos);
        }
        let learnt = &self.edge_target[before..];
        let (start, first) = match &layout.decoder_start {
            None => (prompt, prompt.len() - 1),
            Some(start) => {
                self.encoder_ids.extend_from_slice(prompt);
                (std::slice::from_ref(start), 0)
            }
        };
        self.input_ids.extend_from_slice(start);
        self.input_ids
            .extend_from_slice(&learnt[..learnt.len() - 1]);
        self.edge_src
            .extend((first..first + learnt.len()).map(|position| position as u32));
        self.input_offsets.push(self.input_ids.len() as i64);
        self.edge_offsets.push(self.edge_target.len() as i64);
        self.encoder_offsets.push(self.encoder_ids.len() as i64);
        self.target_of.push(index);
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        self.fates
            .push(flag(prompt_cut, fate::PROMPT_CUT) | flag(cut, fate::TARGET_CUT));
    }

    /// Add the rows of other targets.
    fn append(&mut self, other: &Self) {
        let base = self.fates.len() as i64;
        self.fates.extend_from_slice(&other.fates);
        self.target_of
            .extend(other.target_of.iter().map(|target| target + base));
        self.edge_src.extend_from_slice(&other.edge_src);
        join(
            &mut self.input_ids,
            &mut self.input_offsets,
            &other.input_ids,
            &other.input_offsets,
        );
        join(
            &mut self.edge_target,
            &mut self.edge_offsets,
            &other.edge_target,
            &other.edge_offsets,
        );
        join(
            &mut self.encoder_ids,
            &mut self.encoder_offsets,
            &other.encoder_ids,
            &other.encoder_offsets,
        );
    }
}

fn join(ids: &mut Vec<u32>, offsets: &mut Vec<i64>, more: &[u32], ends: &[i64]) {
    let base = ids.len() as i64;
    ids.extend_from_slice(more);
    offsets.extend(ends.iter().skip(1).map(|end| end + base));
}

fn range(offsets: &[i64], row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

#[cfg(test)]
mod tests;
