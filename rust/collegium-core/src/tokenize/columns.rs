//! Encoding a column of a file.

use std::path::Path;

use super::{Changes, Encoded, Tokenizer};
use crate::error::{Error, Result};
use crate::files;

/// The texts of a column of a block, none of which may be null.
pub(crate) fn texts<'a>(
    path: &Path,
    column: &str,
    block: &files::Block<'_>,
    rows: &'a files::Strings,
) -> Result<Vec<&'a str>> {
    let required = |(row, text): (usize, Option<&'a str>)| {
        text.ok_or_else(|| Error::Data {
            path: path.display().to_string(),
            place: block.place(row),
            reason: format!("field {column:?} is missing or null; every row needs one"),
        })
    };
    rows.views().into_iter().enumerate().map(required).collect()
}

/// An error of one text of a block, with its place in the file.
pub(crate) fn at_place(error: Error, path: &Path, place: impl Fn(usize) -> String) -> Error {
    match error {
        Error::Encode { row, reason } => Error::Data {
            path: path.display().to_string(),
            place: place(row),
            reason: format!("cannot be encoded: {reason}"),
        },
        other => other,
    }
}

impl Tokenizer {
    /// Encode the strings in a column of a JSONL or Parquet file, as [`Tokenizer::encode_batch`].
    ///
    /// With `lengths` also as [`Tokenizer::changes`]. The file is read a block at a time; of it only the ids stay in memory.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] naming file, line or row, and field.
    pub fn encode_file(
        &self,
        path: &Path,
        column: &str,
        add_special_tokens: bool,
        lengths: bool,
    ) -> Result<(Encoded, Option<Changes>)> {
        let mut changes = lengths.then(Changes::default);
        let mut all = self.encode_batch(&[], add_special_tokens, lengths)?;
        files::read(path, &[column], |block| {
            let texts = texts(path, column, block, &block.columns[0])?;
            let part = self
                .encode_batch(&texts, add_special_tokens, lengths)
                .map_err(|error| at_place(error, path, |row| block.place(row)))?;
            if let Some(changes) = &mut changes {
                let base = all.ids.len() as i64;
                let more = self.changes(&texts, &part)?;
                changes.changed.extend(more.changed);
                let uncertain = more.uncertain.iter().map(|token| token + base);
                changes.uncertain.extend(uncertain);
            }
            all.append(part);
            Ok(())
        })?;
        Ok((all, changes))
    }
}
