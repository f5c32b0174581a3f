//! `align`.

use collegium_core::align::{Side, align as find};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::columns::copied;
use crate::door::enter;

/// Offsets, byte lengths, tokens in doubt and tokens outside of one side.
type Columns<'py> = (
    PyReadonlyArray1<'py, i64>,
    PyReadonlyArray1<'py, u32>,
    PyReadonlyArray1<'py, i64>,
    PyReadonlyArray1<'py, i64>,
);

type Found<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<f32>>,
);

struct Copy {
    offsets: Vec<i64>,
    lengths: Vec<u32>,
    uncertain: Vec<i64>,
    outside: Vec<i64>,
}

impl Copy {
    fn of(columns: &Columns<'_>) -> PyResult<Self> {
        Ok(Self {
            offsets: copied(&columns.0)?,
            lengths: copied(&columns.1)?,
            uncertain: copied(&columns.2)?,
            outside: copied(&columns.3)?,
        })
    }

    fn side(&self, name: &'static str) -> Side<'_> {
        Side {
            name,
            offsets: &self.offsets,
            byte_lengths: &self.lengths,
            uncertain: &self.uncertain,
            outside: &self.outside,
        }
    }
}

/// Offsets of the spans; first tokens and numbers of tokens on both sides; weights.
#[pyfunction]
pub fn align<'py>(
    py: Python<'py>,
    student: Columns<'py>,
    teacher: Columns<'py>,
) -> PyResult<Found<'py>> {
    let (student, teacher) = (Copy::of(&student)?, Copy::of(&teacher)?);
    let found = enter(py, || {
        find(&student.side("student"), &teacher.side("teacher"))
    })?;
    Ok((
        found.offsets.into_pyarray(py),
        found.student.into_pyarray(py),
        found.teacher.into_pyarray(py),
        found.student_tokens.into_pyarray(py),
        found.teacher_tokens.into_pyarray(py),
        found.weight.into_pyarray(py),
    ))
}
