//! `deduplicate`.

use collegium_core::dedup::{self, Mode, Options, Rows, Scope, TokenIds, View};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::columns::{Column, Views, copied};
use crate::door::enter;
use crate::error::from_core;
use crate::texts::Texts;

type Columns<'py> = (
    Bound<'py, PyArray1<bool>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<u8>>,
);

/// Columns keep, kept_by, similarity, reason.
#[pyfunction]
#[pyo3(signature = (texts, groups, answers, *, ids, verified, quality, teacher_rank, token_ids,
                    token_offsets, threshold, scope, mode, keep, diverse, view))]
#[allow(clippy::too_many_arguments)] // One a column or option of the Python function.
pub fn deduplicate<'py>(
    py: Python<'py>,
    texts: &Bound<'py, PyAny>,
    groups: &Bound<'py, PyAny>,
    answers: Option<&Bound<'py, PyAny>>,
    ids: Option<&Bound<'py, PyAny>>,
    verified: Option<PyReadonlyArray1<'py, bool>>,
    quality: Option<PyReadonlyArray1<'py, f64>>,
    teacher_rank: Option<PyReadonlyArray1<'py, i64>>,
    token_ids: Option<PyReadonlyArray1<'py, u32>>,
    token_offsets: Option<PyReadonlyArray1<'py, i64>>,
    threshold: f64,
    scope: &str,
    mode: &str,
    keep: i64,
    diverse: i64,
    view: &str,
) -> PyResult<Columns<'py>> {
    let refuse = |error| from_core(py, &error);
    let options = Options {
        threshold,
        keep,
        diverse,
        view: view.parse::<View>().map_err(refuse)?,
        scope: scope.parse::<Scope>().map_err(refuse)?,
        mode: mode.parse::<Mode>().map_err(refuse)?,
    };
    let texts = Texts::read("texts", texts)?;
    let groups = Column::read("groups", groups)?;
    let answers = answers
        .map(|answers| Texts::read("answers", answers))
        .transpose()?;
    let ids = ids.map(|ids| Column::read("ids", ids)).transpose()?;
    let verified = copied(verified.as_ref())?;
    let quality = copied(quality.as_ref())?;
    let teacher_rank = copied(teacher_rank.as_ref())?;
    let tokens = copied(token_ids.as_ref())?.zip(copied(token_offsets.as_ref())?);

    let texts = texts.views();
    let answers = match &answers {
        Some(answers) => answers.views(),
        None => vec![None; texts.len()],
    };
    let groups = groups.views(py, "groups")?;
    let ids = ids.as_ref().map(|ids| ids.views(py, "ids")).transpose()?;
    let rows = Rows {
        texts: &texts,
        groups: groups.keys(),
        answers: &answers,
        ids: ids.as_ref().map(Views::keys),
        verified: verified.as_deref(),
        quality: quality.as_deref(),
        teacher_rank: teacher_rank.as_deref(),
        token_ids: tokens
            .as_ref()
            .map(|(ids, offsets)| TokenIds { ids, offsets }),
    };
    let found = enter(py, || dedup::deduplicate(&rows, &options))?;
    let reason: Vec<u8> = found
        .reason
        .into_iter()
        .map(|reason| reason as u8)
        .collect();
    Ok((
        found.keep.into_pyarray(py),
        found.kept_by.into_pyarray(py),
        found.similarity.into_pyarray(py),
        reason.into_pyarray(py),
    ))
}
