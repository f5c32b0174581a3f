//! `Tokenizer`.

use std::path::PathBuf;

use collegium_core::tokenize;
use numpy::{IntoPyArray, PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::door::enter;
use crate::texts::{Texts, without_nulls};

type Encoded<'py> = (
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<i64>>,
    Option<Bound<'py, PyArray1<u32>>>,
    Option<Bound<'py, PyArray1<bool>>>,
    Option<Bound<'py, PyArray1<i64>>>,
);

/// A tokenizer read from a `tokenizer.json`.
#[derive(Debug)]
#[pyclass(frozen, module = "collegium._rust")]
pub struct Tokenizer {
    pub(crate) core: tokenize::Tokenizer,
}

#[pymethods]
impl Tokenizer {
    /// Read a `tokenizer.json`.
    #[staticmethod]
    fn from_file(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let core = enter(py, || tokenize::Tokenizer::from_file(&path))?;
        Ok(Self { core })
    }

    /// Make a tokenizer from the contents of a `tokenizer.json`.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, source: &[u8]) -> PyResult<Self> {
        let core = enter(py, || {
            tokenize::Tokenizer::from_bytes(source.to_vec(), "tokenizer contents")
        })?;
        Ok(Self { core })
    }

    /// The contents of the file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.core.source())
    }

    /// Ids, offsets; with byte lengths also what the normalizer changed, and tokens in doubt.
    fn encode_batch<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        add_special_tokens: bool,
        byte_lengths: bool,
    ) -> PyResult<Encoded<'py>> {
        let texts = Texts::read("texts", texts)?;
        let views = without_nulls(py, "texts", texts.views())?;
        let (encoded, changes) = enter(py, || {
            let core = &self.core;
            let encoded = core.encode_batch(&views, add_special_tokens, byte_lengths)?;
            let changes = byte_lengths.then(|| core.changes(&views, &encoded));
            Ok((encoded, changes.transpose()?))
        })?;
        Ok(columns(py, encoded, changes))
    }

    /// Text of ids.
    fn decode(
        &self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, u32>,
        skip_special_tokens: bool,
    ) -> PyResult<String> {
        let ids = ids.to_vec()?;
        enter(py, || self.core.decode(&ids, skip_special_tokens))
    }

    /// Id of a token.
    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.core.token_to_id(token)
    }

    /// Token of an id.
    fn id_to_token(&self, id: u32) -> Option<String> {
        self.core.id_to_token(id)
    }

    /// Name of the program that encodes.
    #[getter]
    fn engine(&self) -> &'static str {
        self.core.engine()
    }

    /// The parts of the plan that encodes, or why there is none.
    #[getter]
    fn plan(&self) -> String {
        self.core.plan()
    }

    /// A copy with word caches of `words` words, or with none.
    fn with_cache(&self, py: Python<'_>, words: usize) -> PyResult<Self> {
        let core = self.copy(py)?.with_cache(words);
        Ok(Self { core })
    }

    /// A copy that encodes with the `tokenizers` crate.
    fn with_fallback(&self, py: Python<'_>) -> PyResult<Self> {
        let core = self.copy(py)?.with_fallback();
        Ok(Self { core })
    }

    /// Number of tokens.
    #[getter]
    fn vocab_size(&self) -> usize {
        self.core.vocab_size()
    }

    /// Hash of the file's contents.
    #[getter]
    fn fingerprint(&self) -> &str {
        self.core.fingerprint()
    }
}

impl Tokenizer {
    fn copy(&self, py: Python<'_>) -> PyResult<tokenize::Tokenizer> {
        let source = self.core.source().to_vec();
        enter(py, || {
            tokenize::Tokenizer::from_bytes(source, "tokenizer contents")
        })
    }
}

/// As `encode_batch`, of a column of a JSONL or Parquet file.
#[pyfunction]
pub fn encode_file<'py>(
    py: Python<'py>,
    tokenizer: &Tokenizer,
    path: PathBuf,
    column: &str,
    add_special_tokens: bool,
    byte_lengths: bool,
) -> PyResult<Encoded<'py>> {
    let (encoded, changes) = enter(py, || {
        tokenizer
            .core
            .encode_file(&path, column, add_special_tokens, byte_lengths)
    })?;
    Ok(columns(py, encoded, changes))
}

fn columns(
    py: Python<'_>,
    encoded: tokenize::Encoded,
    changes: Option<tokenize::Changes>,
) -> Encoded<'_> {
    let (changed, uncertain) = match changes {
        Some(changes) => (Some(changes.changed), Some(changes.uncertain)),
        None => (None, None),
    };
    (
        encoded.ids.into_pyarray(py),
        encoded.offsets.into_pyarray(py),
        encoded.byte_lengths.map(|lengths| lengths.into_pyarray(py)),
        changed.map(|changed| changed.into_pyarray(py)),
        uncertain.map(|uncertain| uncertain.into_pyarray(py)),
    )
}
