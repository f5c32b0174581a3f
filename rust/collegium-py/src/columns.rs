//! Columns of names or numbers from Python.

use collegium_core::dedup::Keys;
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::texts::{Texts, without_nulls};

/// A column of names or numbers that outlives the GIL.
pub enum Column {
    /// `int64`.
    Integers(Vec<i64>),
    /// Strings.
    Texts(Texts),
}

/// The views of a [`Column`].
pub enum Views<'a> {
    /// Numbers.
    Integers(&'a [i64]),
    /// Names.
    Texts(Vec<&'a str>),
}

impl Column {
    /// Read the column `name`: an `int64` array, or strings.
    pub fn read(name: &str, values: &Bound<'_, PyAny>) -> PyResult<Self> {
        match values.cast::<PyArray1<i64>>() {
            Ok(array) => Ok(Self::Integers(array.readonly().to_vec()?)),
            Err(_) => Texts::read(name, values).map(Self::Texts),
        }
    }

    /// One view a row; no row may be null.
    pub fn views(&self, py: Python<'_>, name: &str) -> PyResult<Views<'_>> {
        Ok(match self {
            Self::Integers(values) => Views::Integers(values),
            Self::Texts(texts) => Views::Texts(without_nulls(py, name, texts.views())?),
        })
    }
}

impl Views<'_> {
    /// As the core takes it.
    pub fn keys(&self) -> Keys<'_> {
        match self {
            Self::Integers(values) => Keys::Integers(values),
            Self::Texts(values) => Keys::Texts(values),
        }
    }
}

/// A copy of an array, so that nobody can write to it while the GIL is released.
pub fn copied<T: numpy::Element + Copy>(array: &PyReadonlyArray1<'_, T>) -> PyResult<Vec<T>> {
    Ok(array.to_vec()?)
}
