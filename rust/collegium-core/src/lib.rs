//! Tokenization, deduplication and packing for Collegium.
//!
//! | module | what |
//! |---|---|
//! | [`tokenize`] | texts to flat token ids, with the bytes that each token stands for |
//! | [`align`] | common spans of two tokenizations |
//! | [`rows`] | prompts and targets to training rows with their loss edges |
//! | [`dedup`] | near-duplicate removal within an answer, of a question or across |
//! | [`pack`] | sequences into rows of fixed capacity |
//! | [`files`] | columns of strings from JSONL and Parquet files |
//! | [`graph`] | thought graphs into trees with their loss edges |
//! | [`scratch`] | files for what does not fit the memory |
//! | [`parallel`] | the one thread pool, safe after a fork |
//! | [`interrupt`] | a way out of long work |
//! | [`error`] | the one error type |
//!
//! Nothing here knows Python; every result is the same for any number of threads.
//!
//! ```
//! let packing = collegium_core::pack::pack(&[3, 5, 2], 5)?;
//! assert_eq!(packing.rows, 2);
//! # Ok::<(), collegium_core::Error>(())
//! ```
#![deny(missing_docs)]
// One call, in `scratch`, maps a file.
#![deny(unsafe_code)]

pub mod align;
pub mod dedup;
pub mod error;
pub mod files;
pub mod graph;
pub mod interrupt;
pub mod pack;
pub mod parallel;
pub mod rows;
pub mod scratch;
pub mod tokenize;

pub use error::{Error, Result};
