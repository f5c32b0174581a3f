//! The extension module `collegium._rust`: conversions and error mapping, no algorithms.
//!
//! The public functions, with their documentation, are in `collegium/{tokenizer,dedup,packing}.py`.

mod arrow;
mod columns;
mod dedup;
mod door;
mod error;
mod pack;
mod texts;
mod tokenize;

use pyo3::prelude::*;

#[pymodule]
mod _rust {
    #[pymodule_export]
    use super::dedup::deduplicate;
    #[pymodule_export]
    use super::pack::pack;
    #[pymodule_export]
    use super::tokenize::Tokenizer;
}
