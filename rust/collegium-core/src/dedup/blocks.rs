//! A class of any size, block by block.
//!
//! A block is as many rows, in the order of worth, as the memory takes. The centres of the blocks
//! before it lie in a file; they are read once, from front to back, for each block. What comes out
//! does not depend on where the blocks end.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use super::classes::Source;
use super::cluster::Stars;
use super::index::{Index, Met};
use super::keys::{Keys, Scratch};
use super::near::{Goal, Near, near};
use super::sets::Sets;
use super::units::Reader;
use super::{Options, View};
use crate::error::Result;
use crate::scratch;
use crate::{interrupt, parallel};

/// Rows read side by side.
const PART: usize = 1024;
/// However little memory there is, a block has at least so many rows, and a class at most so many
/// blocks: each reads the centres of those before it.
const LEAST: usize = 16;
const MOST_BLOCKS: usize = 64;

/// Take the class `rows` (in the order of worth).
pub(super) fn take(
    stars: &mut Stars<'_>,
    source: &impl Source,
    rows: &[u32],
    options: &Options,
    memory: Option<u64>,
) -> Result<()> {
    let mut chosen: Option<Keys> = None;
    let mut centres: Option<Centres> = None;
    let goal = Goal::new(options);
    let least = rows.len().div_ceil(MOST_BLOCKS).max(LEAST);
    let mut start = 0;
    while start < rows.len() {
        let block = read(source, &rows[start..], options, memory, least)?;
        let end = start + block.len();
        let complete = start == 0 && end == rows.len();
        let keys = chosen.get_or_insert_with(|| Keys::new(options, rows.len(), &block, complete));
        let mut best = vec![None; block.len()];
        if let Some(centres) = &mut centres {
            centres.meet(&block, keys, &goal, &mut best)?;
        }
        stars.take_block(&block, keys, best)?;
        if end < rows.len() {
            let file = match &mut centres {
                Some(file) => file,
                None => centres.insert(Centres::new()?),
            };
            for row in 0..block.len() {
                if stars.is_centre((start + row) as u32) {
                    file.add((start + row) as u32, &block, row)?;
                }
            }
        }
        start = end;
    }
    Ok(())
}

/// The sets of as many of the first rows as fit, and of `least` at least.
fn read(
    source: &impl Source,
    rows: &[u32],
    options: &Options,
    memory: Option<u64>,
    least: usize,
) -> Result<Sets> {
    let mut block = Sets::default();
    let limit = memory.unwrap_or(u64::MAX);
    let width = parallel::width()?.max(1);
    // Little memory is looked at often.
    let (step, together) = if memory.is_some_and(|bytes| bytes < 1 << 22) {
        (least.div_ceil(width).min(PART), least)
    } else {
        (PART, PART * width * 8)
    };
    let mut bytes = 0;
    for parts in rows.chunks(together) {
        let first = block.len();
        if width == 1 {
            interrupt::check()?;
            sets(source, parts, options.view, &mut block);
        } else {
            let parts: Vec<&[u32]> = parts.chunks(step).collect();
            let found = parallel::map(&parts, |part| {
                let mut found = Sets::default();
                sets(source, part, options.view, &mut found);
                found
            })?;
            found.iter().for_each(|part| block.append(part));
        }
        bytes += (first..block.len())
            .map(|row| cost(block.get(row).hashes.len(), options.threshold))
            .sum::<u64>();
        if bytes > limit {
            break;
        }
    }
    Ok(block)
}

/// Bytes that a row of this size takes in a block.
fn cost(size: usize, threshold: f64) -> u64 {
    let keys = super::similarity::prefix(size, threshold).min(size);
    (8 * size + 2 * Index::BYTES * keys + 96) as u64
}

fn sets(source: &impl Source, rows: &[u32], view: View, out: &mut Sets) {
    let mut reader = Reader::default();
    for &row in rows {
        out.push(reader.read(source.content(row), view));
    }
}

/// The centres of earlier blocks, in a file.
#[derive(Debug)]
struct Centres {
    file: BufWriter<File>,
    count: usize,
}

impl Centres {
    fn new() -> Result<Self> {
        Ok(Self {
            file: BufWriter::with_capacity(1 << 20, scratch::file()?),
            count: 0,
        })
    }

    fn add(&mut self, centre: u32, block: &Sets, row: usize) -> Result<()> {
        let set = block.get(row);
        let mut write = |bytes: &[u8]| self.file.write_all(bytes).map_err(scratch::failed);
        write(&centre.to_le_bytes())?;
        write(&(set.hashes.len() as u32).to_le_bytes())?;
        write(&set.sequence.to_le_bytes())?;
        for hash in set.hashes {
            write(&hash.to_le_bytes())?;
        }
        self.count += 1;
        Ok(())
    }

    /// Find for each row of a block the nearest of these centres.
    fn meet(
        &mut self,
        block: &Sets,
        keys: &Keys,
        goal: &Goal,
        best: &mut [Option<Near>],
    ) -> Result<()> {
        let mut index = Index::new(keys.of_all(block));
        let (mut scratch, mut found) = (Scratch::default(), Vec::new());
        for row in 0..block.len() {
            found.clear();
            let set = block.get(row);
            keys.of(set, &mut scratch, &mut found);
            index.add(row as u32, set.hashes.len(), &found);
        }
        self.file.flush().map_err(scratch::failed)?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(0)).map_err(scratch::failed)?;
        let mut reader = BufReader::with_capacity(1 << 20, &mut *file);
        let mut met = Met::default();
        met.grow(block.len());
        let (mut one, mut bytes) = (Sets::default(), Vec::new());
        for _ in 0..self.count {
            interrupt::check()?;
            let mut head = [0; 16];
            reader.read_exact(&mut head).map_err(scratch::failed)?;
            let centre = number::<4>(&head[..4]) as u32;
            bytes.resize(8 * number::<4>(&head[4..8]) as usize, 0);
            reader.read_exact(&mut bytes).map_err(scratch::failed)?;
            one.clear();
            one.push_stored(
                bytes.chunks_exact(8).map(number::<8>),
                number::<8>(&head[8..]),
            );
            let set = one.get(0);
            found.clear();
            keys.of(set, &mut scratch, &mut found);
            index.candidates(set.hashes.len(), &found, goal.threshold, &mut met, |row| {
                let other = block.get(row as usize);
                let nearest = &mut best[row as usize];
                let demanded = goal.demanded(nearest.as_ref());
                if demanded < f64::INFINITY {
                    Near::improve(nearest, goal, near(set, other, centre, demanded));
                }
                goal.threshold
            });
        }
        file.seek(SeekFrom::End(0)).map_err(scratch::failed)?;
        Ok(())
    }
}

fn number<const N: usize>(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    eight[..N].copy_from_slice(&bytes[..N]);
    u64::from_le_bytes(eight)
}
