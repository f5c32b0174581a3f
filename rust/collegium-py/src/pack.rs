//! `pack`.

use numpy::{IntoPyArray, PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::door::enter;

type Packed<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, usize);

/// Rows and starts of the items, and the number of rows.
#[pyfunction]
pub fn pack<'py>(
    py: Python<'py>,
    lengths: PyReadonlyArray1<'py, i64>,
    capacity: i64,
) -> PyResult<Packed<'py>> {
    let lengths = lengths.to_vec()?;
    let packing = enter(py, || collegium_core::pack::pack(&lengths, capacity))?;
    Ok((
        packing.row_of.into_pyarray(py),
        packing.start_of.into_pyarray(py),
        packing.rows,
    ))
}
