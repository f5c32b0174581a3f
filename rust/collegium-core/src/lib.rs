//! Tokenization, deduplication and packing for Collegium.
//!
//! | module | what |
//! |---|---|
//! | [`tokenize`] | texts to flat token ids, with the bytes that each token stands for |
//! | [`dedup`] | exact near-duplicate removal within a question and an answer |
//! | [`pack`] | sequences into rows of fixed capacity |
//! | [`parallel`] | the one thread pool, safe after a fork |
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
#![forbid(unsafe_code)]

pub mod dedup;
pub mod error;
pub mod pack;
pub mod parallel;
pub mod tokenize;

pub use error::{Error, Result};
