//! Two tokenizations of the same texts: the shortest stretches of bytes that both cut out.
//!
//! A distribution of the teacher can be put beside one of the student where both have read the
//! same bytes: at the start of each common span.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::parallel;

/// One tokenization of n texts.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Its name in messages.
    pub name: &'static str,
    /// Text `i` has the tokens `offsets[i]..offsets[i + 1]`.
    pub offsets: &'a [i64],
    /// Bytes of each token.
    pub byte_lengths: &'a [u32],
    /// Tokens whose end is in doubt, in order.
    pub uncertain: &'a [i64],
    /// Tokens that stand for no text, in order: they belong to no span.
    pub outside: &'a [i64],
}

/// Spans of all texts, in order. Tokens are counted over all texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alignment {
    /// Text `i` has the spans `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<i64>,
    /// First token of the student in each span.
    pub student: Vec<i64>,
    /// First token of the teacher in each span.
    pub teacher: Vec<i64>,
    /// Tokens of the student in each span.
    pub student_tokens: Vec<u32>,
    /// Tokens of the teacher in each span.
    pub teacher_tokens: Vec<u32>,
    /// Shared part of the bytes of the two first tokens.
    pub weight: Vec<f32>,
}

/// Find the minimal common spans of each text.
///
/// A span ends where both tokenizations have a boundary of which neither is in doubt, and at the
/// end of the text. Tokens of no bytes go with the bytes before them, at the start of a text with
/// those after them. A text without tokens on one side has no spans.
///
/// # Errors
///
/// [`Error::Length`] for different numbers of texts, [`Error::Combination`] naming a text that the
/// two sides give different numbers of bytes.
pub fn align(student: &Side<'_>, teacher: &Side<'_>) -> Result<Alignment> {
    let texts = student.check()?;
    let found = teacher.check()?;
    if texts != found {
        return Err(Error::Length {
            name: teacher.name,
            found,
            expected: texts,
        });
    }
    let rows: Vec<usize> = (0..texts).collect();
    let chunks: Vec<&[usize]> = rows.chunks(512).collect();
    let parts = parallel::map(&chunks, |rows| -> Result<Alignment> {
        let mut part = Alignment::default();
        for &row in *rows {
            spans(row, student, teacher, &mut part)?;
            part.offsets.push(part.student.len() as i64);
        }
        Ok(part)
    })?;
    let mut all = Alignment {
        offsets: vec![0],
        ..Alignment::default()
    };
    for part in parts {
        let part = part?;
        let base = all.student.len() as i64;
        all.offsets
            .extend(part.offsets.iter().map(|end| end + base));
        all.student.extend(part.student);
        all.teacher.extend(part.teacher);
        all.student_tokens.extend(part.student_tokens);
        all.teacher_tokens.extend(part.teacher_tokens);
        all.weight.extend(part.weight);
    }
    Ok(all)
}

impl Side<'_> {
    /// The number of texts.
    fn check(&self) -> Result<usize> {
        let whole = self.byte_lengths.len() as i64;
        let rising = self.offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        match (self.offsets.first(), self.offsets.last()) {
            (Some(0), Some(&last)) if last == whole && rising => Ok(self.offsets.len() - 1),
            _ => Err(Error::Combination(format!(
                "{}: offsets must rise from 0 to the number of byte lengths, {whole}",
                self.name
            ))),
        }
    }

    fn tokens(&self, row: usize) -> Tokens<'_> {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        let within = |places: &[i64]| {
            let start = places.partition_point(|&place| place < range.start as i64);
            let end = places.partition_point(|&place| place < range.end as i64);
            start..end
        };
        Tokens {
            lengths: self.byte_lengths,
            uncertain: &self.uncertain[within(self.uncertain)],
            outside: &self.outside[within(self.outside)],
            range,
        }
    }
}

/// The tokens of one text that are still to be taken.
struct Tokens<'a> {
    lengths: &'a [u32],
    uncertain: &'a [i64],
    outside: &'a [i64],
    range: Range<usize>,
}

/// What one side has in a span so far.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    /// First token of the span.
    first: Option<usize>,
    /// Bytes of the first token that has some.
    bytes: u32,
    count: u32,
    /// Whether the end is in doubt.
    doubt: bool,
}

impl Tokens<'_> {
    /// Take the next token and those without bytes after it; returns its end.
    fn take(&mut self, end: u64, taken: &mut Taken) -> u64 {
        taken.doubt = false;
        let mut end = end;
        let mut moved = false;
        while let Some(token) = self.range.clone().next() {
            let length = self.lengths[token];
            if moved && length > 0 {
                break;
            }
            self.range.start += 1;
            if holds(&mut self.outside, token) {
                end += u64::from(length);
                continue;
            }
            taken.first.get_or_insert(token);
            taken.count += 1;
            if taken.bytes == 0 {
                taken.bytes = length;
            }
            // In front of the first bytes nothing ends.
            let doubt = holds(&mut self.uncertain, token);
            taken.doubt = doubt || taken.doubt && length == 0;
            moved |= length > 0;
            end += u64::from(length);
        }
        end
    }
}

/// Whether `places`, in order, goes on with `token`, which is then taken off.
fn holds(places: &mut &[i64], token: usize) -> bool {
    match places.split_first() {
        Some((&place, rest)) if place == token as i64 => {
            *places = rest;
            true
        }
        _ => false,
    }
}

fn spans(row: usize, student: &Side<'_>, teacher: &Side<'_>, out: &mut Alignment) -> Result<()> {
    let bytes = |side: &Side<'_>| -> u64 {
        let range = side.offsets[row] as usize..side.offsets[row + 1] as usize;
        side.byte_lengths[range]
            .iter()
            .map(|&length| u64::from(length))
            .sum()
    };
    let (whole, other) = (bytes(student), bytes(teacher));
    if whole == 0 || other == 0 {
        return Ok(());
    }
    if whole != other {
        return Err(Error::Combination(format!(
            "text {row} has {whole} bytes for {} and {other} for {}: they must be encodings of the \
             same texts",
            student.name, teacher.name
        )));
    }
    let (mut left, mut right) = (student.tokens(row), teacher.tokens(row));
    let (mut a, mut b) = (0, 0);
    while a < whole {
        let (mut mine, mut theirs) = (Taken::default(), Taken::default());
        a = left.take(a, &mut mine);
        b = right.take(b, &mut theirs);
        while a != b || (a < whole && (mine.doubt || theirs.doubt)) {
            if a < b {
                a = left.take(a, &mut mine);
            } else if b < a {
                b = right.take(b, &mut theirs);
            } else {
                a = left.take(a, &mut mine);
                b = right.take(b, &mut theirs);
            }
        }
        if let (Some(first), Some(other)) = (mine.first, theirs.first) {
            out.student.push(first as i64);
            out.teacher.push(other as i64);
            out.student_tokens.push(mine.count);
            out.teacher_tokens.push(theirs.count);
            let shared = f64::from(mine.bytes.min(theirs.bytes));
            out.weight
                .push((shared / f64::from(mine.bytes.max(theirs.bytes))) as f32);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
