//! Columns of strings from JSONL and Parquet files, a block of rows at a time.
//!
//! What a file is, its first bytes tell: Parquet, gzip (of JSONL), or JSONL. Errors name the file,
//! the line or row, and the field; those of JSONL also the byte.

mod jsonl;
mod line;
mod parquet;
mod strings;

pub use strings::Strings;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::error::{Error, Result};

/// Some rows of a file.
#[derive(Debug)]
pub struct Block<'a> {
    /// One column for each that was asked for.
    pub columns: Vec<Strings>,
    places: Places<'a>,
}

/// Where the rows of a block stand in their file.
#[derive(Debug, Clone, Copy)]
enum Places<'a> {
    /// Line of each row, from 1.
    Lines(&'a [u64]),
    /// Number of the first row, from 1.
    Rows(u64),
}

impl Block<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Strings::len)
    }

    /// Where a row stands: `line 7`, or `row 7` of a Parquet file.
    pub fn place(&self, row: usize) -> String {
        match self.places {
            Places::Lines(lines) => format!("line {}", lines.get(row).copied().unwrap_or_default()),
            Places::Rows(first) => format!("row {}", first + row as u64),
        }
    }
}

/// Read the named columns of a file and hand them on in blocks, in the order of the rows.
///
/// A field that a line of JSONL lacks is null.
///
/// # Errors
///
/// [`Error::Data`]: the file cannot be read, is damaged, is not of a known kind, has no such
/// column, or a value in it is neither a string nor null. What `take` returns is passed on.
pub fn read(
    path: &Path,
    columns: &[&str],
    mut take: impl FnMut(&Block<'_>) -> Result<()>,
) -> Result<()> {
    let name = path.display().to_string();
    let fail = |error: std::io::Error| Error::Data {
        path: name.clone(),
        place: String::new(),
        reason: format!("cannot be read: {error}"),
    };
    if path.is_dir() {
        return Err(Error::Data {
            path: name,
            place: String::new(),
            reason: "is a folder; expected a JSONL or Parquet file".to_owned(),
        });
    }
    let mut file = File::open(path).map_err(fail)?;
    let mut head = Vec::new();
    (&mut file).take(6).read_to_end(&mut head).map_err(fail)?;
    file.rewind().map_err(fail)?;
    match head.as_slice() {
        [b'P', b'A', b'R', b'1', ..] => parquet::read(file, &name, columns, &mut take),
        [0x1F, 0x8B, ..] => {
            let unpacked = flate2::read::MultiGzDecoder::new(file);
            jsonl::read(unpacked, &name, "of the unpacked data", columns, &mut take)
        }
        b"ARROW1" => Err(Error::Data {
            path: name,
            place: String::new(),
            reason: "an Arrow file; expected JSONL or Parquet. Open it with pyarrow or datasets \
                     and pass the column"
                .to_owned(),
        }),
        _ => jsonl::read(file, &name, "of the file", columns, &mut take),
    }
}

#[cfg(test)]
mod tests;
