//! Errors of the core as the package's own exceptions.

use collegium_core::Error;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The exception class in `collegium.errors` for each variant.
fn class(error: &Error) -> &'static str {
    match error {
        Error::Read { .. } | Error::TokenizerFile { .. } => "CheckpointError",
        Error::Encode { .. } | Error::Data { .. } => "DataError",
        Error::Scratch { .. } => "RunError",
        _ => "ArgumentError",
    }
}

/// The exception for an error of the core.
pub fn from_core(py: Python<'_>, error: &Error) -> PyErr {
    raise(py, class(error), error.to_string())
}

/// `collegium.errors.ArgumentError` with this message.
pub fn argument(py: Python<'_>, message: String) -> PyErr {
    raise(py, "ArgumentError", message)
}

/// `collegium.errors.DataError` with this message.
pub fn data(py: Python<'_>, message: String) -> PyErr {
    raise(py, "DataError", message)
}

fn raise(py: Python<'_>, class: &str, message: String) -> PyErr {
    let found = py
        .import("collegium.errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| Ok(class.cast_into::<PyType>()?));
    match found {
        Ok(class) => PyErr::from_type(class, message),
        Err(missing) => missing,
    }
}
