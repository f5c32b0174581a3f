//! Arrow columns of strings, through the PyCapsule interface of the C data interface.

use std::ptr::NonNull;

use arrow_array::cast::AsArray;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::ffi_stream::{ArrayStreamReader, FFI_ArrowArrayStream};
use arrow_array::{Array, ArrayRef, make_array};
use arrow_schema::{ArrowError, DataType};
use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods, PyTuple};

use crate::error::{argument, data};

/// The chunks of `values` if it speaks Arrow, checked down to their UTF-8.
pub fn chunks(name: &str, values: &Bound<'_, PyAny>) -> PyResult<Option<Vec<ArrayRef>>> {
    let py = values.py();
    let chunks = if values.hasattr("__arrow_c_stream__")? {
        stream(&values.call_method0("__arrow_c_stream__")?)?
    } else if values.hasattr("__arrow_c_array__")? {
        array(&values.call_method0("__arrow_c_array__")?)?
    } else {
        return Ok(None);
    };
    let chunks = chunks.map_err(|error| data(py, format!("{name}: Arrow data: {error}")))?;
    for (index, chunk) in chunks.iter().enumerate() {
        if !holds_strings(chunk.data_type()) {
            return Err(argument(
                py,
                format!(
                    "{name}: expected an Arrow column of strings, found {}{}",
                    chunk.data_type(),
                    hint(chunk.data_type())
                ),
            ));
        }
        chunk
            .to_data()
            .validate_full()
            .map_err(|error| data(py, format!("{name}: Arrow chunk {index}: {error}")))?;
    }
    Ok(Some(chunks))
}

/// Append the values of a chunk that passed [`chunks`].
pub fn append<'a>(chunk: &'a ArrayRef, views: &mut Vec<Option<&'a str>>) {
    match chunk.data_type() {
        DataType::Utf8 => views.extend(chunk.as_string::<i32>()),
        DataType::LargeUtf8 => views.extend(chunk.as_string::<i64>()),
        DataType::Utf8View => views.extend(chunk.as_string_view()),
        DataType::Dictionary(..) => {
            let dictionary = chunk.as_any_dictionary();
            let mut words = Vec::with_capacity(dictionary.values().len());
            append(dictionary.values(), &mut words);
            if words.is_empty() {
                // Every key is null, and normalized_keys() cannot number them.
                views.resize(views.len() + chunk.len(), None);
                return;
            }
            let keys = dictionary.normalized_keys();
            views.extend(keys.into_iter().enumerate().map(|(row, key)| {
                let word = words.get(key).copied().flatten();
                word.filter(|_| chunk.is_valid(row))
            }));
        }
        _ => views.resize(views.len() + chunk.len(), None),
    }
}

fn holds_strings(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => holds_strings(values),
        _ => false,
    }
}

fn hint(kind: &DataType) -> &'static str {
    match kind {
        DataType::Struct(_) => "; pass one column of the table",
        DataType::Binary | DataType::LargeBinary => "; cast it to string",
        _ => "",
    }
}

type Chunks = Result<Vec<ArrayRef>, ArrowError>;

fn stream(capsule: &Bound<'_, PyAny>) -> PyResult<Chunks> {
    let pointer: NonNull<FFI_ArrowArrayStream> = capsule
        .cast::<PyCapsule>()?
        .pointer_checked(Some(c_str!("arrow_array_stream")))?
        .cast();
    // SAFETY: a capsule of this name holds a valid stream by the Arrow PyCapsule interface. Moving
    // it out marks the capsule's own as released, so that its destructor leaves it alone.
    let reader = unsafe { ArrayStreamReader::from_raw(pointer.as_ptr()) };
    Ok(reader.and_then(Iterator::collect))
}

fn array(capsules: &Bound<'_, PyAny>) -> PyResult<Chunks> {
    let capsules = capsules.cast::<PyTuple>()?;
    let schema: NonNull<FFI_ArrowSchema> = capsules
        .get_item(0)?
        .cast::<PyCapsule>()?
        .pointer_checked(Some(c_str!("arrow_schema")))?
        .cast();
    let array: NonNull<FFI_ArrowArray> = capsules
        .get_item(1)?
        .cast::<PyCapsule>()?
        .pointer_checked(Some(c_str!("arrow_array")))?
        .cast();
    // SAFETY: capsules of these names hold a valid array and its schema by the Arrow PyCapsule
    // interface, alive while `capsules` is. The array is moved out, the schema only read.
    let data = unsafe { from_ffi(FFI_ArrowArray::from_raw(array.as_ptr()), schema.as_ref()) };
    Ok(data.map(|data| vec![make_array(data)]))
}
