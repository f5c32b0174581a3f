//! The extension module `collegium._rust`: conversions and error mapping, no algorithms.
//!
//! The public functions, with their documentation, are in `collegium/{tokenizer,alignment,dedup,packing,unrolling}.py
//! and collegium/objectives/rows.py`.

mod align;
mod arrow;
mod columns;
mod dedup;
mod door;
mod error;
mod graph;
mod pack;
mod rows;
mod texts;
mod tokenize;

use pyo3::prelude::*;

#[pymodule]
mod _rust {
    #[pymodule_export]
    use super::align::align;
    #[pymodule_export]
    use super::dedup::{DedupStream, deduplicate, nearest};
    #[pymodule_export]
    use super::graph::unroll;
    #[pymodule_export]
    use super::pack::pack;
    #[pymodule_export]
    use super::rows::{encode_prompts, encode_rows, encode_rows_file};
    #[pymodule_export]
    use super::tokenize::{Tokenizer, encode_file};
}
