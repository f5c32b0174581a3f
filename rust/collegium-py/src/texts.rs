//! Columns of strings from Python: sequences of `str | None`, or Arrow.

use arrow_array::ArrayRef;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyString};

use crate::arrow;
use crate::error::argument;

/// A column of strings that outlives the GIL.
pub enum Texts {
    /// Borrowed from Python's strings, which are kept alive.
    Python(Vec<Option<PyBackedStr>>),
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
        let mut texts = Vec::with_capacity(values.len().unwrap_or(0));
        for (row, value) in rows {
            let value = value?;
            if value.is_none() {
                texts.push(None);
                continue;
            }
            let text = value.cast_into::<PyString>().map_err(|error| {
                let found = kind(&error.into_inner());
                argument(
                    py,
                    format!("{name}[{row}]: expected a string or None, found {found}"),
                )
            })?;
            let text = PyBackedStr::try_from(text).map_err(|_| {
                argument(
                    py,
                    format!(
                        "{name}[{row}] is not valid Unicode (it has a lone surrogate); mend it \
                         with text.encode('utf-8', 'replace').decode()"
                    ),
                )
            })?;
            texts.push(Some(text));
        }
        Ok(Self::Python(texts))
    }

    /// One view a row.
    pub fn views(&self) -> Vec<Option<&str>> {
        match self {
            Self::Python(texts) => texts.iter().map(Option::as_deref).collect(),
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
