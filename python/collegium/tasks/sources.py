"""Source files of tasks: found, read row by row, and split as published."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collegium.errors import DataError
from collegium.jsonl import json_lines, json_object
from collegium.registry import nearest

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet")
_TYPES: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True)
class SourceRow:
    """One row of a source file, which can say where it stands."""

    path: Path
    line: int
    values: Mapping[str, Any]

    def get(self, key: str, kind: type | tuple[type, ...], *, null: bool = False) -> Any:
        """Return one field; with `null` it may be null, but it has to be there.

        Raises:
            DataError: the field is missing or of another type; names file, line and field.
        """
        if key not in self.values:
            raise DataError(
                f"{self.path}, line {self.line}: no field {key!r}.{nearest(key, self.values)} "
                f"Found: {', '.join(self.values)}."
            )
        value = self.values[key]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wrong = not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
        if wrong and not (value is None and null):
            expected = " or ".join(_TYPES[k] for k in kinds)
            raise DataError(
                f"{self.path}, line {self.line}, field {key!r}: expected {expected}, "
                f"found {'null' if value is None else repr(value)[:60]}"
            )
        return value

    def optional(self, key: str, kind: type) -> Any:
        """Return one field, or None where it is missing or null."""
        return self.get(key, kind, null=True) if key in self.values else None

    def texts(self, key: str) -> list[str]:
        """Return a field that is a list of texts."""
        values = self.get(key, list)
        if not all(isinstance(value, str) for value in values):
            raise DataError(
                f"{self.path}, line {self.line}, field {key!r}: expected a list of texts, "
                f"found {values!r:.80}"
            )
        return values


def split_file(data: Path, names: Sequence[str], *, required: bool = True) -> Path | None:
    """Find the file of one split in a folder: the first of ``<name>.jsonl``, ``.jsonl.gz``, ...

    Raises:
        DataError: there is no such file and `required` is set; lists what the folder holds.
    """
    for name in names:
        for suffix in SUFFIXES:
            if (data / f"{name}{suffix}").is_file():
                return data / f"{name}{suffix}"
    if not required:
        return None
    held = ", ".join(sorted(entry.name for entry in data.iterdir())[:12]) or "nothing"
    raise DataError(
        f"{data}: expected a file {names[0]}.jsonl or {names[0]}.jsonl.gz, found {held}"
    )


def check_exists(data: Path | None, task: str) -> Path:
    """Return `data`.

    Raises:
        DataError: no path was given, or nothing is there.
    """
    if data is None:
        raise DataError(f"task {task!r} needs data: set task.data to a file or folder")
    if not data.exists():
        raise DataError(f"task.data: {data} does not exist")
    return data


def read_rows(path: Path) -> Iterator[SourceRow]:
    """Yield the rows of a JSONL file (gzipped or not) or of a Parquet file.

    Raises:
        DataError: the file is missing, empty, truncated, not UTF-8 or not JSON; names the line.
    """
    empty = True
    for line, values in _parquet(path) if path.suffix == ".parquet" else _jsonl(path):
        empty = False
        yield SourceRow(path, line, values)
    if empty:
        raise DataError(f"{path}: the file holds no rows")


def _jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, raw in json_lines(path):
        yield line, json_object(path, line, raw)


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            rows = file.read().to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({str(error)[:200]})") from None
    yield from enumerate(rows, 1)


def carve(count: int, share: float = 0.1, seed: int = 0) -> tuple[list[int], list[int]]:
    """Split row numbers into those held out and the rest, as published for these data sets.

    ``perm = default_rng(seed).permutation(count)``; the first ``ceil(share * count)`` are held out
    (Hsieh et al. 2023 through `datasets`; gives 720 / 80 for SVAMP). The rest stays permuted, so
    that its first n rows are a random sample.
    """
    import numpy as np

    order = np.random.default_rng(seed).permutation(count).tolist()
    held_out = math.ceil(share * count)
    return order[:held_out], order[held_out:]
