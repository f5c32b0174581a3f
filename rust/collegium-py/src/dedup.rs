//! `deduplicate` and `DedupStream`.

use std::sync::Mutex;

use collegium_core::dedup::{self, Dedup, Options, Rows, Stream, TokenIds};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::columns::{Column, Views, copied};
use crate::door::enter;
use crate::error::{argument, from_core};
use crate::texts::Texts;

type Columns<'py> = (
    Bound<'py, PyArray1<bool>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<u8>>,
);

/// The columns of rows as Python gives them: a dict.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub struct Given<'py> {
    texts: Bound<'py, PyAny>,
    groups: Bound<'py, PyAny>,
    answers: Option<Bound<'py, PyAny>>,
    ids: Option<Bound<'py, PyAny>>,
    verified: Option<PyReadonlyArray1<'py, bool>>,
    quality: Option<PyReadonlyArray1<'py, f64>>,
    teacher_rank: Option<PyReadonlyArray1<'py, i64>>,
    token_ids: Option<PyReadonlyArray1<'py, u32>>,
    token_offsets: Option<PyReadonlyArray1<'py, i64>>,
}

/// The options as Python gives them: a dict.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub struct Chosen {
    threshold: f64,
    scope: String,
    mode: String,
    keep: i64,
    diverse: i64,
    view: String,
    memory: Option<u64>,
}

impl Chosen {
    fn options(&self, py: Python<'_>) -> PyResult<Options> {
        let refuse = |error| from_core(py, &error);
        Ok(Options {
            threshold: self.threshold,
            keep: self.keep,
            diverse: self.diverse,
            view: self.view.parse().map_err(refuse)?,
            scope: self.scope.parse().map_err(refuse)?,
            mode: self.mode.parse().map_err(refuse)?,
            memory: self.memory,
        })
    }
}

/// The columns of rows, to be borrowed without the GIL.
struct Input {
    texts: Texts,
    groups: Column,
    answers: Option<Texts>,
    ids: Option<Column>,
    verified: Option<Vec<bool>>,
    quality: Option<Vec<f64>>,
    teacher_rank: Option<Vec<i64>>,
    tokens: Option<(Vec<u32>, Vec<i64>)>,
}

impl Input {
    fn read(given: &Given<'_>) -> PyResult<Self> {
        let answers = given.answers.as_ref();
        let ids = given.ids.as_ref();
        Ok(Self {
            texts: Texts::read("texts", &given.texts)?,
            groups: Column::read("groups", &given.groups)?,
            answers: answers
                .map(|answers| Texts::read("answers", answers))
                .transpose()?,
            ids: ids.map(|ids| Column::read("ids", ids)).transpose()?,
            verified: given.verified.as_ref().map(copied).transpose()?,
            quality: given.quality.as_ref().map(copied).transpose()?,
            teacher_rank: given.teacher_rank.as_ref().map(copied).transpose()?,
            tokens: match (&given.token_ids, &given.token_offsets) {
                (Some(ids), Some(offsets)) => Some((copied(ids)?, copied(offsets)?)),
                _ => None,
            },
        })
    }

    /// Do `work` on the rows without the GIL.
    fn enter<T: Send>(
        &self,
        py: Python<'_>,
        work: impl Send + FnOnce(&Rows<'_>) -> collegium_core::Result<T>,
    ) -> PyResult<T> {
        let texts = self.texts.views();
        let answers = match &self.answers {
            Some(answers) => answers.views(),
            None => vec![None; texts.len()],
        };
        let groups = self.groups.views(py, "groups")?;
        let ids = self.ids.as_ref();
        let ids = ids.map(|ids| ids.views(py, "ids")).transpose()?;
        let rows = Rows {
            texts: &texts,
            groups: groups.keys(),
            answers: &answers,
            ids: ids.as_ref().map(Views::keys),
            verified: self.verified.as_deref(),
            quality: self.quality.as_deref(),
            teacher_rank: self.teacher_rank.as_deref(),
            token_ids: self
                .tokens
                .as_ref()
                .map(|(ids, offsets)| TokenIds { ids, offsets }),
        };
        enter(py, || work(&rows))
    }
}

fn decisions(py: Python<'_>, found: Dedup) -> Columns<'_> {
    let reason = found.reason.into_iter().map(|reason| reason as u8);
    let reason: Vec<u8> = reason.collect();
    (
        found.keep.into_pyarray(py),
        found.kept_by.into_pyarray(py),
        found.similarity.into_pyarray(py),
        reason.into_pyarray(py),
    )
}

/// Columns keep, kept_by, similarity, reason.
#[pyfunction]
pub fn deduplicate<'py>(
    py: Python<'py>,
    columns: Given<'py>,
    options: Chosen,
) -> PyResult<Columns<'py>> {
    let options = options.options(py)?;
    let input = Input::read(&columns)?;
    let found = input.enter(py, |rows| dedup::deduplicate(rows, &options))?;
    Ok(decisions(py, found))
}

/// Columns row (-1: none), similarity, same.
#[pyfunction]
#[allow(clippy::type_complexity)] // One column each.
pub fn nearest<'py>(
    py: Python<'py>,
    texts: &Bound<'py, PyAny>,
    others: &Bound<'py, PyAny>,
    threshold: f64,
) -> PyResult<(
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<bool>>,
)> {
    let (texts, others) = (Texts::read("texts", texts)?, Texts::read("others", others)?);
    let (texts, others) = (texts.views(), others.views());
    let found = enter(py, || dedup::nearest(&texts, &others, threshold))?;
    let column = |near: &Option<dedup::Nearest>| near.map_or(-1, |near| near.row as i64);
    let rows: Vec<i64> = found.iter().map(column).collect();
    let similarity =
        |near: &Option<dedup::Nearest>| near.map_or(0.0, |near| near.similarity as f32);
    let similarities: Vec<f32> = found.iter().map(similarity).collect();
    let same = |near: &Option<dedup::Nearest>| near.is_some_and(|near| near.same);
    let same: Vec<bool> = found.iter().map(same).collect();
    Ok((
        rows.into_pyarray(py),
        similarities.into_pyarray(py),
        same.into_pyarray(py),
    ))
}

/// Rows that come part by part.
#[pyclass(frozen)]
#[derive(Debug)]
pub struct DedupStream(Mutex<Option<Stream>>);

#[pymethods]
impl DedupStream {
    #[new]
    fn new(py: Python<'_>, options: Chosen) -> PyResult<Self> {
        let stream = Stream::new(&options.options(py)?).map_err(|error| from_core(py, &error))?;
        Ok(Self(Mutex::new(Some(stream))))
    }

    fn add(&self, py: Python<'_>, columns: Given<'_>) -> PyResult<()> {
        let input = Input::read(&columns)?;
        // A failed part leaves no stream behind: some of its rows may be in it.
        let mut stream = self.take(py)?;
        let stream = input.enter(py, move |rows| {
            stream.push(rows)?;
            Ok(stream)
        })?;
        self.put(stream);
        Ok(())
    }

    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Columns<'py>> {
        let stream = self.take(py)?;
        let found = enter(py, || stream.finish())?;
        Ok(decisions(py, found))
    }
}

impl DedupStream {
    fn take(&self, py: Python<'_>) -> PyResult<Stream> {
        let mut held = match self.0.lock() {
            Ok(held) => held,
            Err(poisoned) => poisoned.into_inner(),
        };
        held.take().ok_or_else(|| {
            argument(
                py,
                "this stream is finished, in use or failed; make a new one".to_owned(),
            )
        })
    }

    fn put(&self, stream: Stream) {
        let mut held = match self.0.lock() {
            Ok(held) => held,
            Err(poisoned) => poisoned.into_inner(),
        };
        *held = Some(stream);
    }
}
