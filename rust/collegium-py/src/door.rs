//! The one door into long work.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use collegium_core::{Error, interrupt};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::marker::Ungil;
use pyo3::prelude::*;

use crate::error::from_core;

thread_local! {
    /// What a signal handler raised while work was under way on this thread.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Run `work` without the GIL and map its error. A panic becomes a `RuntimeError`; what a signal
/// handler raises (`KeyboardInterrupt` for Ctrl-C) ends the work and is passed on.
pub fn enter<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    F: Ungil + Send + FnOnce() -> collegium_core::Result<T>,
    T: Ungil + Send,
{
    let run = || catch_unwind(AssertUnwindSafe(|| interrupt::allow(signalled, work)));
    let result = py.detach(run);
    let raised = RAISED.with_borrow_mut(Option::take);
    match (result, raised) {
        // Even where the work came to its end in the same moment: the signal is not lost.
        (_, Some(raised)) => Err(raised),
        (Ok(Err(Error::Interrupted)), None) => Err(PyKeyboardInterrupt::new_err(())),
        (Ok(result), None) => result.map_err(|error| from_core(py, &error)),
        (Err(panic), None) => {
            let reason = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Err(PyRuntimeError::new_err(format!(
                "the Rust core failed, which is a defect of collegium: {reason}"
            )))
        }
    }
}

/// Run Python's signal handlers, which only the main thread does, and tell whether one raised.
fn signalled() -> bool {
    Python::attach(|py| match py.check_signals() {
        Ok(()) => false,
        Err(raised) => {
            RAISED.with_borrow_mut(|kept| *kept = Some(raised));
            true
        }
    })
}
