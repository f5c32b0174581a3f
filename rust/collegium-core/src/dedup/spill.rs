//! Rows that do not fit the memory: spread over files by their answers, then taken file by file.
//!
//! Rows that may meet are in the same file. A file is mapped into memory, so that its texts are
//! read where they lie; of each row only its place and the key of its class are held.

use std::cmp::Ordering;
use std::fs::File;
use std::io::Write;

use super::classes::Source;
use super::hash::Key;
use super::rows::{Keys, Rank, big_endian};
use super::units::Content;
use super::{Dedup, Options, Rows, View};
use crate::error::Result;
use crate::parallel;
use crate::scratch::{self, Mapped};

/// Files that the rows are spread over.
const SHARDS: usize = 64;
/// Bytes gathered for a file before they are written.
const BUFFER: usize = 1 << 16;
/// Rows prepared side by side.
const PART: usize = 1024;
/// Bytes held for each row of all files, and of the one being taken.
const HELD: u64 = 16;
const HELD_IN_SHARD: u64 = 64;
/// Bytes that are held whatever the number of rows.
const FIXED: u64 = 16 << 20;

/// Rows that come part by part; equal to [`super::deduplicate`] on all of them.
#[derive(Debug)]
pub struct Stream {
    options: Options,
    shards: Vec<Shard>,
    rows: u64,
}

#[derive(Debug)]
struct Shard {
    file: Option<File>,
    buffer: Vec<u8>,
    rows: u64,
}

impl Stream {
    /// Begin.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Range`] for options that do not fit.
    pub fn new(options: &Options) -> Result<Self> {
        options.check()?;
        let mut shards = Vec::new();
        shards.resize_with(SHARDS, || Shard {
            file: None,
            buffer: Vec::new(),
            rows: 0,
        });
        Ok(Self {
            options: options.clone(),
            shards,
            rows: 0,
        })
    }

    /// Add rows. All parts have the same columns.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Length`], [`crate::Error::Combination`] for columns that do not fit,
    /// [`crate::Error::Scratch`] when the disk fails.
    pub fn push(&mut self, rows: &Rows<'_>) -> Result<()> {
        rows.check(self.options.view)?;
        let starts: Vec<usize> = (0..rows.texts.len()).step_by(PART).collect();
        for some in starts.chunks(8 * parallel::width()?.max(1)) {
            let parts = parallel::map(some, |&start| {
                let mut records = Vec::new();
                for row in start..(start + PART).min(rows.texts.len()) {
                    if rows.comparable(row, self.options.view) {
                        let class = rows.class(row, self.options.scope);
                        let shard = rows.place(row, self.options.scope).shard(SHARDS);
                        records.push((row, shard, class));
                    }
                }
                records
            })?;
            for (row, shard, class) in parts.into_iter().flatten() {
                let shard = &mut self.shards[shard];
                record(&mut shard.buffer, rows, row, self.rows + row as u64, class);
                shard.rows += 1;
                if shard.buffer.len() >= BUFFER {
                    shard.flush()?;
                }
            }
        }
        self.rows += rows.texts.len() as u64;
        Ok(())
    }

    /// Decide on all rows.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Scratch`] when the disk fails.
    pub fn finish(self) -> Result<Dedup> {
        let mut result = Dedup::all_kept(self.rows as usize);
        for mut shard in self.shards {
            shard.flush()?;
            let Some(file) = shard.file else { continue };
            shard.buffer = Vec::new();
            let memory = self.options.memory.map(|bytes| {
                let held = FIXED + HELD * self.rows + HELD_IN_SHARD * shard.rows;
                bytes.saturating_sub(held)
            });
            let records = Mapped::new(file)?;
            let (spilled, keyed) = Spilled::read(&records, self.options.view);
            let gone = super::decide(&spilled, keyed, &self.options, memory)?;
            result.drop_rows(gone, |row| spilled.record(row).row as usize);
        }
        Ok(result)
    }
}

impl Shard {
    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(scratch::file()?),
        };
        file.write_all(&self.buffer).map_err(scratch::failed)?;
        self.buffer.clear();
        Ok(())
    }
}

const HEAD: usize = 8 + 16 + 16 + Rank::BYTES + 1 + 4 + 8;

fn record(out: &mut Vec<u8>, rows: &Rows<'_>, row: usize, number: u64, class: Key) {
    let integer;
    let id: &[u8] = match rows.ids {
        Some(Keys::Integers(values)) => {
            integer = big_endian(values[row]);
            &integer
        }
        Some(Keys::Texts(values)) => values[row].as_bytes(),
        None => &[],
    };
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&class.to_bytes());
    out.extend_from_slice(&rows.home(row as u32).to_bytes());
    out.extend_from_slice(&rows.rank(row).to_bytes());
    out.push(u8::from(rows.ids.is_some()));
    out.extend_from_slice(&(id.len() as u32).to_le_bytes());
    match rows.content(row as u32) {
        Content::Tokens(ids) => {
            out.extend_from_slice(&(ids.len() as u64 * 4).to_le_bytes());
            out.extend_from_slice(id);
            out.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        }
        Content::Text(text) => {
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(id);
            out.extend_from_slice(text.as_bytes());
        }
        Content::Stored(bytes) => {
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(id);
            out.extend_from_slice(bytes);
        }
    }
}

/// The rows of one file.
struct Spilled<'a> {
    bytes: &'a [u8],
    places: Vec<u64>,
    view: View,
}

struct Record<'a> {
    row: u64,
    class: Key,
    home: Key,
    rank: &'a [u8],
    has_id: bool,
    id: &'a [u8],
    content: &'a [u8],
    end: usize,
}

impl<'a> Spilled<'a> {
    fn read(bytes: &'a [u8], view: View) -> (Self, Vec<(Key, u32)>) {
        let mut spilled = Self {
            bytes,
            places: Vec::new(),
            view,
        };
        let mut keyed = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let record = spilled.at(at);
            keyed.push((record.class, spilled.places.len() as u32));
            spilled.places.push(at as u64);
            at = record.end;
        }
        (spilled, keyed)
    }

    fn at(&self, start: usize) -> Record<'a> {
        let number = |from: usize, length: usize| {
            let mut eight = [0; 8];
            eight[..length].copy_from_slice(&self.bytes[start + from..start + from + length]);
            u64::from_le_bytes(eight)
        };
        let key = |from: usize| Key::from_bytes(&self.bytes[start + from..start + from + 16]);
        let after = 40 + Rank::BYTES;
        let id = start + HEAD;
        let content = id + number(after + 1, 4) as usize;
        let end = content + number(after + 5, 8) as usize;
        Record {
            row: number(0, 8),
            class: key(8),
            home: key(24),
            rank: &self.bytes[start + 40..start + after],
            has_id: self.bytes[start + after] == 1,
            id: &self.bytes[id..content],
            content: &self.bytes[content..end],
            end,
        }
    }

    fn record(&self, row: u32) -> Record<'a> {
        self.at(self.places[row as usize] as usize)
    }
}

impl Source for Spilled<'_> {
    fn content(&self, row: u32) -> Content<'_> {
        let content = self.record(row).content;
        match self.view {
            View::Tokens => Content::Stored(content),
            // What was written was UTF-8.
            _ => Content::Text(std::str::from_utf8(content).unwrap_or_default()),
        }
    }

    fn by_worth(&self, a: u32, b: u32) -> Ordering {
        let (first, second) = (self.record(a), self.record(b));
        let by_id = || match (first.has_id, self.view) {
            (true, View::Tokens) => first.id.cmp(second.id),
            (true, _) => (first.id, first.content).cmp(&(second.id, second.content)),
            (false, _) => Ordering::Equal,
        };
        first.rank.cmp(second.rank).then_with(by_id).then(a.cmp(&b))
    }

    fn home(&self, row: u32) -> Key {
        self.record(row).home
    }
}
