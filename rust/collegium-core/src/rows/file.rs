//! Training rows straight from a file's columns.

use std::path::Path;

use super::{Layout, Rows, Target, fate, rows};
use crate::error::Result;
use crate::files::{self, Strings};
use crate::tokenize::{Tokenizer, at_place, texts};

/// The rows of a file. Target `t` belongs to line or row `t / columns` of the file and is in target
/// column `t % columns`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRows {
    /// The rows.
    pub rows: Rows,
    /// Name of each line or row of the file: its id, or its number from 0.
    pub ids: Strings,
}

impl FileRows {
    /// Read the question, the targets and perhaps the ids from columns of a JSONL or Parquet file.
    ///
    /// `targets` has one column for each form of the layout. A target that is null or missing gets
    /// no row.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Data`] naming file, line or row, and field.
    pub fn read(
        tokenizer: &Tokenizer,
        path: &Path,
        question: &str,
        targets: &[&str],
        id: Option<&str>,
        layout: &Layout,
    ) -> Result<Self> {
        let mut all = Self::default();
        let mut columns = vec![question];
        columns.extend_from_slice(targets);
        columns.extend(id);
        files::read(path, &columns, |block| {
            let questions = texts(path, question, block, &block.columns[0])?;
            let views: Vec<_> = block.columns[1..=targets.len()]
                .iter()
                .map(Strings::views)
                .collect();
            let slots = questions.len() * targets.len();
            // Where each target that there is stands among all.
            let mut slot_of = Vec::with_capacity(slots);
            let mut wanted = Vec::with_capacity(slots);
            for question in 0..questions.len() {
                for (form, column) in views.iter().enumerate() {
                    if let Some(text) = column[question] {
                        slot_of.push(question * targets.len() + form);
                        wanted.push(Target {
                            question,
                            form,
                            text,
                        });
                    }
                }
            }
            let mut part = rows(tokenizer, &questions, &wanted, layout)
                .map_err(|error| place_of(error, path, block))?;
            let mut fates = vec![fate::MISSING; slots];
            for (&slot, &fate) in slot_of.iter().zip(&part.fates) {
                fates[slot] = fate;
            }
            for target in &mut part.target_of {
                *target = slot_of[*target as usize] as i64;
            }
            part.fates = fates;
            all.rows.append(&part);
            match id {
                Some(id) => {
                    let column = &block.columns[targets.len() + 1];
                    texts(path, id, block, column)?;
                    all.ids.append(column);
                }
                None => {
                    for _ in 0..questions.len() {
                        let number = all.ids.len().to_string();
                        all.ids.push(Some(&number));
                    }
                }
            }
            Ok(())
        })?;
        Ok(all)
    }
}

/// Which prompt or target of a block failed is not known: name where the block begins.
fn place_of(error: crate::Error, path: &Path, block: &files::Block<'_>) -> crate::Error {
    at_place(error, path, |_| {
        format!("in the rows from {}", block.place(0))
    })
}
