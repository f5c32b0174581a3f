//! Training rows and prompts.

use std::path::PathBuf;

use collegium_core::rows::{self, FileRows, Form, Layout, Prompts, Rows, Target};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::columns::copied;
use crate::door::enter;
use crate::error::argument;
use crate::texts::{Texts, without_nulls};
use crate::tokenize::Tokenizer;

type Ids<'py> = Bound<'py, PyArray1<u32>>;
type Places<'py> = Bound<'py, PyArray1<i64>>;
type Flat<'py> = (
    Bound<'py, PyArray1<u8>>,
    Places<'py>,
    (Ids<'py>, Places<'py>),
    (Ids<'py>, Ids<'py>, Places<'py>),
    (Ids<'py>, Places<'py>),
);

/// `before, after, empty, keep` of each form.
type Forms = Vec<(String, String, String, usize)>;

/// A layout's fields as the Python dataclass has them.
#[derive(Debug, FromPyObject)]
pub struct LayoutFields {
    forms: Forms,
    head: Vec<u32>,
    tail: Vec<u32>,
    eos: u32,
    decoder_start: Option<u32>,
    max_prompt_tokens: usize,
    max_target_tokens: usize,
}

impl From<LayoutFields> for Layout {
    fn from(fields: LayoutFields) -> Self {
        let form = |(before, after, empty, keep)| Form {
            before,
            after,
            empty,
            keep,
        };
        Self {
            forms: fields.forms.into_iter().map(form).collect(),
            head: fields.head,
            tail: fields.tail,
            eos: fields.eos,
            decoder_start: fields.decoder_start,
            max_prompt_tokens: fields.max_prompt_tokens,
            max_target_tokens: fields.max_target_tokens,
        }
    }
}

/// Fates, targets of the rows; input, edges and encoder input, each with its offsets.
#[pyfunction]
pub fn encode_rows<'py>(
    py: Python<'py>,
    tokenizer: &Tokenizer,
    questions: &Bound<'py, PyAny>,
    targets: &Bound<'py, PyAny>,
    question_of: PyReadonlyArray1<'py, i64>,
    form_of: PyReadonlyArray1<'py, i64>,
    layout: LayoutFields,
) -> PyResult<Flat<'py>> {
    let questions = Texts::read("questions", questions)?;
    let questions = without_nulls(py, "questions", questions.views())?;
    let texts = Texts::read("targets", targets)?;
    let texts = without_nulls(py, "targets", texts.views())?;
    let (question_of, form_of) = (copied(&question_of)?, copied(&form_of)?);
    if question_of.len() != texts.len() || form_of.len() != texts.len() {
        let message = format!(
            "{} targets, but {} question_of and {} form_of",
            texts.len(),
            question_of.len(),
            form_of.len()
        );
        return Err(argument(py, message));
    }
    let layout = Layout::from(layout);
    let made = enter(py, || {
        // A negative number becomes one that is out of range.
        let place = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        let targets: Vec<Target<'_>> = texts
            .iter()
            .zip(question_of.iter().zip(&form_of))
            .map(|(text, (&question, &form))| Target {
                question: place(question),
                form: place(form),
                text,
            })
            .collect();
        rows::rows(&tokenizer.core, &questions, &targets, &layout)
    })?;
    Ok(flat(py, made))
}

/// The rows of a file's columns, and the ids of its lines: their bytes and where each ends.
#[pyfunction]
pub fn encode_rows_file<'py>(
    py: Python<'py>,
    tokenizer: &Tokenizer,
    path: PathBuf,
    question: &str,
    targets: Vec<String>,
    id: Option<&str>,
    layout: LayoutFields,
) -> PyResult<(Flat<'py>, Bound<'py, PyArray1<u8>>, Places<'py>)> {
    let layout = Layout::from(layout);
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let found = enter(py, || {
        FileRows::read(&tokenizer.core, &path, question, &targets, id, &layout)
    })?;
    let (bytes, ends) = found.ids.into_parts();
    Ok((
        flat(py, found.rows),
        bytes.into_pyarray(py),
        ends.into_pyarray(py),
    ))
}

/// Ids and offsets of prompts, and which of them were cut.
#[pyfunction]
pub fn encode_prompts<'py>(
    py: Python<'py>,
    tokenizer: &Tokenizer,
    questions: &Bound<'py, PyAny>,
    form: usize,
    layout: LayoutFields,
) -> PyResult<(Ids<'py>, Places<'py>, Bound<'py, PyArray1<bool>>)> {
    let questions = Texts::read("questions", questions)?;
    let questions = without_nulls(py, "questions", questions.views())?;
    let layout = Layout::from(layout);
    let made = enter(py, || {
        Prompts::new(&tokenizer.core, &questions, form, &layout)
    })?;
    Ok((
        made.ids.into_pyarray(py),
        made.offsets.into_pyarray(py),
        made.cut.into_pyarray(py),
    ))
}

fn flat(py: Python<'_>, rows: Rows) -> Flat<'_> {
    (
        rows.fates.into_pyarray(py),
        rows.target_of.into_pyarray(py),
        (
            rows.input_ids.into_pyarray(py),
            rows.input_offsets.into_pyarray(py),
        ),
        (
            rows.edge_src.into_pyarray(py),
            rows.edge_target.into_pyarray(py),
            rows.edge_offsets.into_pyarray(py),
        ),
        (
            rows.encoder_ids.into_pyarray(py),
            rows.encoder_offsets.into_pyarray(py),
        ),
    )
}
