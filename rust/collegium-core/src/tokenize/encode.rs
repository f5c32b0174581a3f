//! Encoding many texts into one flat array.

use std::ops::Range;

use super::plan::{Plan, Step};
use super::tokens::Tokens;
use super::worker::Worker;
use super::{Engine, Tokenizer, fallback};
use crate::error::{Error, Result};
use crate::parallel;

/// Below this many bytes a task is not worth a thread.
const TASK_BYTES: usize = 1 << 16;
/// Above this many bytes a task could not be interrupted soon enough.
const MOST_BYTES: usize = 1 << 22;
/// Texts of more bytes are cut, to be shared by the threads.
const LONG_TEXT: usize = 1 << 19;
/// Tasks for each thread: enough to share the load, few enough to be cheap.
const TASKS_PER_THREAD: usize = 8;

/// The token ids of many texts, end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The ids of all texts.
    pub ids: Vec<u32>,
    /// Text `i` has the ids `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<i64>,
    /// Bytes of the original text that each token stands for, if asked for.
    pub byte_lengths: Option<Vec<u32>>,
}

impl Encoded {
    /// Add the texts of another encoding, made with the same options.
    pub fn append(&mut self, other: Self) {
        let base = self.ids.len() as i64;
        self.ids.extend(other.ids);
        let ends = other.offsets.iter().skip(1);
        self.offsets.extend(ends.map(|end| end + base));
        if let (Some(mine), Some(more)) = (&mut self.byte_lengths, other.byte_lengths) {
            mine.extend(more);
        }
    }
}

/// Work for one thread: whole texts, or steps of a long one.
#[derive(Debug)]
enum Task {
    Texts {
        first: usize,
        end: usize,
    },
    Steps {
        row: usize,
        steps: Vec<Step>,
        last: bool,
    },
}

/// What a task came to.
#[derive(Debug)]
struct Part {
    tokens: Tokens,
    /// Where the tokens of its rows end.
    ends: Vec<usize>,
    /// In a part of a long text: where its own tokens are, those of the post-processor left out.
    body: Option<Range<usize>>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    special: bool,
    lengths: bool,
}

impl Tokenizer {
    /// Encode `texts`, in parallel.
    ///
    /// With `lengths`, each token gets the number of bytes of the original text that it stands
    /// for. Tokens of the post-processor get 0; the others of a text sum to its length.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] naming the row, for example where the tokenizer has no unknown token.
    pub fn encode_batch(
        &self,
        texts: &[&str],
        add_special_tokens: bool,
        lengths: bool,
    ) -> Result<Encoded> {
        if let Some(row) = texts.iter().position(|text| text.len() > 1 << 31) {
            return Err(Error::Encode {
                row,
                reason: "it has more than 2^31 bytes; split it".to_owned(),
            });
        }
        let wanted = Wanted {
            special: add_special_tokens,
            lengths,
        };
        let tasks = self.tasks(texts, parallel::width()?);
        let parts = parallel::map(&tasks, |task| self.run(task, texts, wanted))?;
        let parts = parts.into_iter().collect::<Result<Vec<Part>>>()?;
        join(parts, texts.len(), lengths)
    }

    /// Divide the texts among `threads` threads.
    fn tasks(&self, texts: &[&str], threads: usize) -> Vec<Task> {
        let total: usize = texts.iter().map(|text| text.len() + 16).sum();
        let most = match self.engine {
            Engine::Native(_) => MOST_BYTES,
            Engine::Fallback { .. } => 2 * TASK_BYTES,
        };
        if total < 2 * TASK_BYTES || threads == 1 && total <= most {
            return vec![Task::Texts {
                first: 0,
                end: texts.len(),
            }];
        }
        let share = (total / (threads * TASKS_PER_THREAD)).clamp(TASK_BYTES, most);
        let mut tasks = Vec::new();
        let (mut first, mut bytes) = (0, 0);
        for (row, text) in texts.iter().enumerate() {
            match &self.engine {
                Engine::Native(plan) if text.len() > LONG_TEXT.max(share) => {
                    if first < row {
                        tasks.push(Task::Texts { first, end: row });
                    }
                    cut(plan, text, row, share, &mut tasks);
                    (first, bytes) = (row + 1, 0);
                }
                _ => {
                    bytes += text.len() + 16;
                    if bytes >= share {
                        tasks.push(Task::Texts {
                            first,
                            end: row + 1,
                        });
                        (first, bytes) = (row + 1, 0);
                    }
                }
            }
        }
        if first < texts.len() {
            tasks.push(Task::Texts {
                first,
                end: texts.len(),
            });
        }
        tasks
    }

    fn run(&self, task: &Task, texts: &[&str], wanted: Wanted) -> Result<Part> {
        let bytes = match task {
            Task::Texts { first, end } => texts[*first..*end].iter().map(|text| text.len()).sum(),
            Task::Steps { steps, .. } => steps.iter().map(Step::bytes).sum(),
        };
        let mut part = Part {
            tokens: Tokens::with_room(bytes, wanted.lengths),
            ends: Vec::new(),
            body: None,
        };
        match &self.engine {
            Engine::Native(plan) => self.workers.lend(|worker| {
                encode_with_plan(plan, task, texts, wanted, worker, &mut part);
            }),
            Engine::Fallback { .. } => {
                let Task::Texts { first, end } = *task else {
                    return Ok(part);
                };
                let processor = self.post_processor.as_ref().filter(|_| wanted.special);
                for (row, text) in (first..end).zip(&texts[first..end]) {
                    let inner = &self.inner;
                    fallback::encode(inner, processor, self.byte_tokens, text, &mut part.tokens)
                        .map_err(|error| Error::Encode {
                            row,
                            reason: error.to_string(),
                        })?;
                    part.ends.push(part.tokens.len());
                }
            }
        }
        Ok(part)
    }
}

fn encode_with_plan(
    plan: &Plan,
    task: &Task,
    texts: &[&str],
    wanted: Wanted,
    worker: &mut Worker,
    part: &mut Part,
) {
    let tokens = &mut part.tokens;
    let ends = |ids: &[u32], tokens: &mut Tokens| {
        if wanted.special {
            ids.iter().for_each(|&id| tokens.push_special(id));
        }
    };
    match task {
        Task::Texts { first, end } => {
            part.ends.reserve(end - first);
            for text in &texts[*first..*end] {
                let start = tokens.len();
                ends(&plan.ends.prefix, tokens);
                let body = tokens.len();
                plan.encode(text, worker, tokens);
                if tokens.len() > body {
                    tokens.finish(body);
                    ends(&plan.ends.suffix, tokens);
                } else {
                    // Without tokens of its own, the text belongs to the last of the others.
                    ends(&plan.ends.suffix, tokens);
                    tokens.finish(start);
                }
                part.ends.push(tokens.len());
            }
        }
        Task::Steps { row, steps, last } => {
            let Some(text) = texts.get(*row) else { return };
            if steps.first().is_some_and(Step::is_first) {
                ends(&plan.ends.prefix, tokens);
            }
            let body = tokens.len();
            for &step in steps {
                plan.take(text, step, worker, tokens);
            }
            part.body = Some(body..tokens.len());
            if *last {
                ends(&plan.ends.suffix, tokens);
                part.ends.push(tokens.len());
            }
        }
    }
}

/// Tasks of about `share` bytes for a long text.
fn cut(plan: &Plan, text: &str, row: usize, share: usize, tasks: &mut Vec<Task>) {
    let mut steps: Vec<Step> = Vec::new();
    let mut bytes = 0;
    plan.visit(text, |step| {
        plan.cut(text, step, share, |step| {
            bytes += step.bytes();
            steps.push(step);
            if bytes >= share {
                let steps = std::mem::take(&mut steps);
                tasks.push(Task::Steps {
                    row,
                    steps,
                    last: false,
                });
                bytes = 0;
            }
        });
    });
    tasks.push(Task::Steps {
        row,
        steps,
        last: true,
    });
}

fn join(mut parts: Vec<Part>, rows: usize, lengths: bool) -> Result<Encoded> {
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0);
    if let [part] = parts.as_mut_slice() {
        offsets.extend(part.ends.iter().map(|&end| end as i64));
        let tokens = std::mem::take(&mut part.tokens);
        return Ok(Encoded {
            ids: tokens.ids,
            offsets,
            byte_lengths: lengths.then_some(tokens.lengths),
        });
    }
    let mut total = 0;
    for part in &parts {
        offsets.extend(part.ends.iter().map(|&end| (total + end) as i64));
        total += part.tokens.len();
    }
    let mut byte_lengths = None;
    if lengths {
        let mut all = joined(&mut parts, total, |tokens| &mut tokens.lengths)?;
        let mut waiting = Waiting::default();
        let mut first = 0;
        for part in &parts {
            let end = first + part.tokens.len();
            waiting.settle(part, first, &mut all[..end]);
            first = end;
        }
        byte_lengths = Some(all);
    }
    Ok(Encoded {
        ids: joined(&mut parts, total, |tokens| &mut tokens.ids)?,
        offsets,
        byte_lengths,
    })
}

/// One column of all parts, end to end; the parts lose it. Threads share even this, since fresh
/// memory is slow to write to.
fn joined(
    parts: &mut [Part],
    total: usize,
    column: impl Fn(&mut Tokens) -> &mut Vec<u32> + Sync,
) -> Result<Vec<u32>> {
    let mut all = vec![0; total];
    let mut rest = all.as_mut_slice();
    let mut places = Vec::with_capacity(parts.len());
    for part in parts {
        let (place, after) = std::mem::take(&mut rest).split_at_mut(part.tokens.len());
        places.push((place, part));
        rest = after;
    }
    parallel::for_each(&mut places, |(place, part)| {
        place.copy_from_slice(&std::mem::take(column(&mut part.tokens)));
    })?;
    Ok(all)
}

/// Bytes of a long text that no token of one part covers: they go to the first token of the next
/// part, or at the end to the last token before them.
#[derive(Debug, Default)]
struct Waiting {
    bytes: u32,
    last: Option<usize>,
}

impl Waiting {
    fn settle(&mut self, part: &Part, first: usize, lengths: &mut [u32]) {
        let Some(body) = &part.body else { return };
        if !body.is_empty() {
            lengths[first + body.start] += std::mem::take(&mut self.bytes);
            self.last = Some(first + body.end - 1);
        }
        self.bytes += part.tokens.pending();
        if !part.ends.is_empty() {
            let last = self.last.or(lengths.len().checked_sub(1));
            if let Some(length) = last.and_then(|last| lengths.get_mut(last)) {
                *length += self.bytes;
            }
            *self = Self::default();
        }
    }
}
