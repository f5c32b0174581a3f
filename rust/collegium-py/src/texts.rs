//! Columns of strings from Python: sequences of `str | None`, or Arrow.

use arrow_array::ArrayRef;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::arrow;
use crate::error::argument;

/// A column of strings that outlives the GIL.
pub enum Texts {
    /// All strings end to end, with the end of each; `None` is null.
    Owned {
        /// The strings.
        bytes: String,
        /// End of each in `bytes`.
        ends: Vec<Option<usize>>,
    },
    /// Borrowed from the Arrow buffers.
    Arrow(Vec<ArrayRef>),
}

impl Texts {
    /// Read the column `name`.
    pub fn read(name: &str, values: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = values.py();
        let refuse = |what: &str| {
            argument(
                py,
                format!("{name}: expected a list of strings or an Arrow column, found {what}"),
            )
        };
        if values.is_instance_of::<PyString>() || values.is_instance_of::<PyBytes>() {
            return Err(refuse("a single string; put it into a list"));
        }
        if let Some(chunks) = arrow::chunks(name, values)? {
            return Ok(Self::Arrow(chunks));
        }
        let rows = values
            .try_iter()
            .map_err(|_| refuse(&kind(values)))?
            .enumerate();
        let mut bytes = String::new();
        let mut ends = Vec::with_capacity(values.len().unwrap_or(0));
        for (row, value) in rows {
            let value = value?;
            if value.is_none() {
                ends.push(None);
                continue;
            }
            let text = value.cast::<PyString>().map_err(|_| {
                let found = kind(&value);
                argument(
                    py,
                    format!("{name}[{row}]: expected a string or None, found {found}"),
                )
            })?;
            let text = text.to_str().map_err(|_| {
                argument(
                    py,
                    format!(
                        "{name}[{row}] is not valid Unicode (it has a lone surrogate); mend it \
                         with text.encode('utf-8', 'replace').decode()"
                    ),
                )
            })?;
            bytes.push_str(text);
            ends.push(Some(bytes.len()));
        }
        Ok(Self::Owned { bytes, ends })
    }

    /// One view a row.
    pub fn views(&self) -> Vec<Option<&str>> {
        match self {
            Self::Owned { bytes, ends } => {
                let mut start = 0;
                ends.iter()
                    .map(|end| {
                        let end = (*end)?;
                        let text = bytes.get(start..end);
                        start = end;
                        text
                    })
                    .collect()
            }
            Self::Arrow(chunks) => {
                let rows = chunks.iter().map(|chunk| chunk.len()).sum();
                let mut views = Vec::with_capacity(rows);
                for chunk in chunks {
                    arrow::append(chunk, &mut views);
                }
                views
            }
        }
    }
}

/// One view a row, where no row may be null.
pub fn without_nulls<'a>(
    py: Python<'_>,
    name: &str,
    views: Vec<Option<&'a str>>,
) -> PyResult<Vec<&'a str>> {
    let null = views.iter().position(Option::is_none);
    match null {
        Some(row) => Err(argument(
            py,
            format!("{name}[{row}] is null; every row needs one"),
        )),
        None => Ok(views.into_iter().flatten().collect()),
    }
}

/// The type of a value, for messages.
pub fn kind(value: &Bound<'_, PyAny>) -> String {
    value
        .get_type()
        .name()
        .map_or_else(|_| "something else".to_owned(), |name| name.to_string())
}
