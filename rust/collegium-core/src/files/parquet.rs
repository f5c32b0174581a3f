//! Parquet: columns of strings through the column readers, without Arrow.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;

use super::{Block, Places, Strings};
use crate::error::{Error, Result};
use crate::interrupt;

/// Rows of a block.
const BLOCK_ROWS: usize = 4096;

/// As [`super::read`].
pub(super) fn read(
    file: File,
    path: &str,
    columns: &[&str],
    take: &mut dyn FnMut(&Block<'_>) -> Result<()>,
) -> Result<()> {
    let fail = |place: String, reason: String| Error::Data {
        path: path.to_owned(),
        place,
        reason,
    };
    let file = guarded(|| SerializedFileReader::new(file)).map_err(|reason| {
        fail(
            String::new(),
            format!("not a readable Parquet file: {reason}"),
        )
    })?;
    let metadata = file.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let places = columns
        .iter()
        .map(|column| find(schema, column).map_err(|reason| fail(String::new(), reason)))
        .collect::<Result<Vec<usize>>>()?;
    let mut row = 1;
    for group in 0..metadata.num_row_groups() {
        let damaged = |reason| {
            fail(
                format!("row group {}", group + 1),
                format!("cannot be read: {reason}"),
            )
        };
        let reader = guarded(|| file.get_row_group(group)).map_err(damaged)?;
        let mut readers = Vec::new();
        for (&place, column) in places.iter().zip(columns) {
            match guarded(|| reader.get_column_reader(place)).map_err(damaged)? {
                ColumnReader::ByteArrayColumnReader(reader) => {
                    readers.push((reader, schema.column(place).max_def_level(), *column));
                }
                _ => return Err(damaged(format!("column {column:?} holds no strings"))),
            }
        }
        let mut left = usize::try_from(metadata.row_group(group).num_rows()).unwrap_or(0);
        while left > 0 {
            interrupt::check()?;
            let wanted = left.min(BLOCK_ROWS);
            let mut block = Vec::new();
            for (reader, defined, column) in &mut readers {
                let values = guarded(|| values(reader, *defined, wanted)).map_err(damaged)?;
                let mut strings = Strings::default();
                for (index, value) in values.iter().enumerate() {
                    let text = value
                        .as_ref()
                        .map(|bytes| std::str::from_utf8(bytes.data()));
                    strings.push(text.transpose().map_err(|error| {
                        fail(
                            format!("row {}, column {column:?}", row + index as u64),
                            format!(
                                "expected UTF-8, found another byte at {}",
                                error.valid_up_to()
                            ),
                        )
                    })?);
                }
                block.push(strings);
            }
            take(&Block {
                columns: block,
                places: Places::Rows(row),
            })?;
            row += wanted as u64;
            left -= wanted;
        }
    }
    Ok(())
}

/// The place of a column of strings.
fn find(schema: &SchemaDescriptor, name: &str) -> std::result::Result<usize, String> {
    let mut columns = schema.columns().iter();
    let Some(place) = columns.position(|column| column.path().string() == name) else {
        let nested = schema.columns().iter().any(|c| c.path().parts()[0] == name);
        let names: Vec<_> = schema
            .root_schema()
            .get_fields()
            .iter()
            .map(|f| f.name())
            .collect();
        return Err(if nested {
            format!("column {name:?} is nested; expected strings")
        } else {
            format!("no column {name:?}; it has: {}", names.join(", "))
        });
    };
    let column = schema.column(place);
    match column.physical_type() {
        Type::BYTE_ARRAY if column.max_rep_level() == 0 => Ok(place),
        kind => Err(format!("column {name:?} holds {kind}; expected strings")),
    }
}

/// The next `wanted` rows of a column.
fn values(
    reader: &mut ColumnReaderImpl<ByteArrayType>,
    defined: i16,
    wanted: usize,
) -> std::result::Result<Vec<Option<ByteArray>>, ParquetError> {
    let mut rows = Vec::with_capacity(wanted);
    while rows.len() < wanted {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let left = wanted - rows.len();
        let wants_levels = (defined > 0).then_some(&mut levels);
        let (records, ..) = reader.read_records(left, wants_levels, None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::EOF(
                "a column ends before its row group".to_owned(),
            ));
        }
        if defined == 0 {
            rows.extend(values.into_iter().map(Some));
        } else {
            let mut values = values.into_iter();
            let value = |level: i16| (level == defined).then(|| values.next()).flatten();
            rows.extend(levels.into_iter().map(value));
        }
    }
    Ok(rows)
}

/// The reader trusts what it reads here and there: a panic means damaged data.
fn guarded<T>(
    work: impl FnOnce() -> std::result::Result<T, ParquetError>,
) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("damaged data".to_owned()),
    }
}
