"""Parquet files of training rows: one schema a kind, the kind and its version in the metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from collegium.atomic import atomic_path
from collegium.errors import DataError

VERSION = 1
KINDS = {"collegium.sequences": "encoded sequences", "collegium.trees": "encoded trees"}
_KEY = b"collegium"


def write_rows(
    path: Path, rows: Iterable[Any], schema: Any, kind: str, metadata: Mapping[str, Any] | None
) -> None:
    """Write the attributes of `rows` that `schema` names, atomically (beside it, then renamed).

    `metadata` (JSON values) is kept in the file: tokenizer fingerprint, counts.
    """
    import pyarrow as pa

    rows = list(rows)
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in schema]
    write_table(path, pa.Table.from_arrays(columns, schema=schema), kind, metadata)


def write_table(path: Path, table: Any, kind: str, metadata: Mapping[str, Any] | None) -> None:
    """Write a table as `write_rows` does."""
    import pyarrow.parquet as pq

    head = {"format": kind, "v": VERSION, **(metadata or {})}
    table = table.replace_schema_metadata({_KEY: json.dumps(head, sort_keys=True).encode()})
    with atomic_path(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def _open(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file (expected encoded sequences)") from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file, maybe cut off ({error})") from error


def read_metadata(path: Path, kind: str | None = None) -> dict[str, Any]:
    """Return what `write_rows` kept beside the rows.

    Raises:
        DataError: the file is missing, cut off, of another kind or of another version.
    """
    head = (_open(path).schema_arrow.metadata or {}).get(_KEY)
    values = json.loads(head) if head else {}
    found = values.get("format")
    if found not in KINDS or (kind is not None and found != kind):
        wanted = KINDS[kind] if kind is not None else "encoded sequences or trees"
        raise DataError(f"{path}: expected {wanted}, found a Parquet file of another kind")
    if values.get("v") != VERSION:
        raise DataError(
            f"{path}: {KINDS[found]} of version {values.get('v')}, this release reads version "
            f"{VERSION}: encode them again"
        )
    return values


def read_columns(path: Path, schema: Any, kind: str) -> dict[str, Any]:
    """Return the columns of `schema` by name, as Arrow arrays.

    Raises:
        DataError: as `read_metadata`, or a column is missing.
    """
    import pyarrow as pa

    read_metadata(path, kind)
    try:
        table = _open(path).read(columns=schema.names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read to its end ({error})") from error
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise DataError(f"{path}: column {missing[0]!r} is missing")
    return {name: table[name] for name in schema.names}
