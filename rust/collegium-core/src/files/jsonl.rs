//! JSONL: lines are parsed in parallel, a block of the file at a time.

use std::io::Read;
use std::ops::Range;

use super::line::{Field, fields, names};
use super::{Block, Places, Strings};
use crate::error::{Error, Result};
use crate::{interrupt, parallel};

/// Bytes that are read at a time; a longer line is read whole.
const BLOCK_BYTES: usize = 1 << 23;
/// Below this many bytes lines are not worth a thread.
const CHUNK_BYTES: usize = 1 << 17;

/// Where a file is known by name, and what its bytes are counted in.
struct Origin<'a> {
    path: &'a str,
    counted: &'a str,
}

impl Origin<'_> {
    fn fail(&self, line: u64, byte: u64, reason: String) -> Error {
        Error::Data {
            path: self.path.to_owned(),
            place: format!("line {line} (byte {byte} {})", self.counted),
            reason,
        }
    }
}

/// Rows of some lines.
struct Part {
    columns: Vec<Strings>,
    /// Line of each row, from 0 within the part.
    lines: Vec<u64>,
    /// Lines of the part, blank ones included.
    count: u64,
    /// Whether any row has the field.
    seen: Vec<bool>,
}

/// Something wrong in a part: line and byte within it.
struct Problem {
    line: u64,
    byte: usize,
    reason: String,
}

/// As [`super::read`].
pub(super) fn read(
    mut file: impl Read,
    path: &str,
    counted: &str,
    columns: &[&str],
    take: &mut dyn FnMut(&Block<'_>) -> Result<()>,
) -> Result<()> {
    let origin = Origin { path, counted };
    let mut pending = Vec::new();
    let mut offset = 0;
    let mut line = 1;
    let mut seen = vec![false; columns.len()];
    let mut first = None;
    loop {
        interrupt::check()?;
        let more = fill(&mut file, &mut pending).map_err(|error| {
            let byte = offset + pending.len() as u64;
            let reason = format!("cannot be read any further: {error}");
            let lines = pending.iter().filter(|&&byte| byte == b'\n').count() as u64;
            origin.fail(line + lines, byte, reason)
        })?;
        // Without a line's end: the line goes on, or the file ends here.
        let whole = match memchr::memrchr(b'\n', &pending) {
            _ if !more => pending.len(),
            Some(end) => end + 1,
            None => continue,
        };
        let bytes = &pending[..whole];
        let skipped = if offset == 0 && bytes.starts_with(b"\xEF\xBB\xBF") {
            3
        } else {
            0
        };
        let chunks = chunks(bytes, skipped);
        let parts = parallel::map(&chunks, |range| parse(&bytes[range.clone()], columns))?;
        let mut block = vec![Strings::default(); columns.len()];
        let mut lines = Vec::new();
        for (part, range) in parts.into_iter().zip(&chunks) {
            let part = part.map_err(|problem| {
                let byte = offset + (range.start + problem.byte) as u64;
                origin.fail(line + problem.line, byte, problem.reason)
            })?;
            for (column, rows) in block.iter_mut().zip(&part.columns) {
                column.append(rows);
            }
            for (seen, found) in seen.iter_mut().zip(part.seen) {
                *seen |= found;
            }
            if let (None, Some(&row)) = (&first, part.lines.first()) {
                first = Some((line + row, field_names(&bytes[range.clone()])));
            }
            lines.extend(part.lines.iter().map(|row| line + row));
            line += part.count;
        }
        if !lines.is_empty() {
            take(&Block {
                columns: block,
                places: Places::Lines(&lines),
            })?;
        }
        offset += whole as u64;
        pending.drain(..whole);
        if !more {
            break;
        }
    }
    if let (Some(unknown), Some((line, names))) = (seen.iter().position(|seen| !seen), first) {
        return Err(Error::Data {
            path: path.to_owned(),
            place: String::new(),
            reason: format!(
                "no line has a field {:?}; line {line} has: {}",
                columns[unknown],
                names.join(", ")
            ),
        });
    }
    Ok(())
}

/// Read one more block; false at the end of the file.
fn fill(file: &mut impl Read, pending: &mut Vec<u8>) -> std::io::Result<bool> {
    let read = file.take(BLOCK_BYTES as u64).read_to_end(pending)?;
    Ok(read == BLOCK_BYTES)
}

/// Ranges of whole lines.
fn chunks(bytes: &[u8], skipped: usize) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let mut start = skipped;
    while start < bytes.len() {
        let wanted = (start + CHUNK_BYTES).min(bytes.len());
        let end = memchr::memchr(b'\n', &bytes[wanted - 1..]).map_or(bytes.len(), |at| wanted + at);
        chunks.push(start..end);
        start = end;
    }
    chunks
}

fn parse(bytes: &[u8], columns: &[&str]) -> std::result::Result<Part, Problem> {
    let mut part = Part {
        columns: vec![Strings::default(); columns.len()],
        lines: Vec::new(),
        count: 0,
        seen: vec![false; columns.len()],
    };
    let mut start = 0;
    while start < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at);
        let raw = &bytes[start..end];
        let problem = |byte: usize, reason: String| Problem {
            line: part.count,
            byte: start + byte,
            reason,
        };
        let line = std::str::from_utf8(raw).map_err(|error| {
            let at = error.valid_up_to();
            problem(at, format!("expected UTF-8, found byte 0x{:02x}", raw[at]))
        })?;
        if !line.trim_ascii().is_empty() {
            let found = fields(line, columns).map_err(|error| {
                let byte = error.column().saturating_sub(1);
                problem(byte, reason(&error))
            })?;
            for ((column, seen), field) in part.columns.iter_mut().zip(&mut part.seen).zip(found) {
                *seen |= field != Field::Missing;
                column.push(match &field {
                    Field::Text(text) => Some(text),
                    Field::Null | Field::Missing => None,
                });
            }
            part.lines.push(part.count);
        }
        part.count += 1;
        start = end + 1;
    }
    Ok(part)
}

/// The parser's message without its own place.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let text = message.split(" at line ").next().unwrap_or(&message);
    let text = match text.contains("hex escape") {
        true => "a \\u escape that is no character, such as half of a surrogate pair",
        false => text,
    };
    match error.classify() {
        serde_json::error::Category::Data => text.to_owned(),
        _ => format!("not a JSON object: {text}"),
    }
}

/// Names of the fields of the first row.
fn field_names(bytes: &[u8]) -> Vec<String> {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    lines
        .find_map(|line| {
            std::str::from_utf8(line)
                .ok()
                .filter(|line| !line.trim_ascii().is_empty())
        })
        .map_or_else(Vec::new, names)
}
