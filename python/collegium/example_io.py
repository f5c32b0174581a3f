"""Examples in files: Parquet (written with pyarrow, readable by `datasets`) and JSONL.

Writing replaces a file as a whole or not at all. Reading refuses what does not fit, naming file,
line and field.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from collegium.atomic import atomic_path
from collegium.errors import DataError
from collegium.example import VERSION, Example, Rationale
from collegium.jsonl import json_lines, json_object
from collegium.registry import nearest

if TYPE_CHECKING:
    import pyarrow as pa

VERSION_KEY = b"collegium.v"

_EXPECTED = {
    "string_type": "text",
    "string_unicode": "Unicode text",
    "string_too_short": "text that is not empty",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "an object",
    "greater_than_equal": "a number of 0 or more",
}


@dataclass(frozen=True)
class BadRow:
    """A row that was left out: where it stands and what is wrong with it."""

    path: Path
    line: int
    problem: str

    def __str__(self) -> str:
        """Return file, line and problem as one sentence."""
        return f"{self.path}, line {self.line}{self.problem}"


def read_examples(path: str | Path) -> list[Example]:
    """Read a Parquet file, or JSONL where the name does not end in ``.parquet``.

    Raises:
        DataError: as `read_parquet` and `read_jsonl`.
    """
    if Path(path).suffix == ".parquet":
        return read_parquet(path)
    return read_jsonl(path)[0]


def read_jsonl(
    path: str | Path, *, skip_bad_rows: bool = False
) -> tuple[list[Example], list[BadRow]]:
    """Read a JSONL file (``.gz``: gzipped).

    Returns:
        The examples, and with `skip_bad_rows` the rows that were left out (else an empty list).

    Raises:
        DataError: the file cannot be read or holds no rows; without `skip_bad_rows`, a row is not
            UTF-8, not JSON, of another version, has a missing, unknown or wrong field, or an id
            that was there before.
    """
    path = Path(path)
    examples: list[Example] = []
    bad: list[BadRow] = []
    seen: dict[str, int] = {}
    for line, raw in json_lines(path):
        try:
            values = json_object(path, line, raw)
        except DataError as error:
            problem = str(error).removeprefix(f"{path}, line {line}")
        else:
            found = _example(values)
            if isinstance(found, Example) and found.id not in seen:
                seen[found.id] = line
                examples.append(found)
                continue
            problem = found if isinstance(found, str) else _repeated(found.id, seen[found.id])
        row = BadRow(path, line, problem)
        if not skip_bad_rows:
            raise DataError(str(row))
        bad.append(row)
    if not examples and not bad:
        raise DataError(f"{path}: the file holds no rows")
    return examples, bad


def write_jsonl(path: str | Path, examples: Iterable[Example]) -> None:
    """Write a JSONL file (``.gz``: gzipped, the same bytes for the same rows) atomically.

    Fields without a value are left out.

    Raises:
        DataError: an id occurs twice, or the file cannot be written.
    """
    path = Path(path)
    with atomic_path(path) as partial, partial.open("wb") as plain:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=plain, mode="wb", filename="", mtime=0) as packed:
                packed.writelines(_json_rows(path, examples))
        else:
            plain.writelines(_json_rows(path, examples))


def _json_rows(path: Path, examples: Iterable[Example]) -> Iterator[bytes]:
    for example in _unique(path, examples):
        yield example.model_dump_json(exclude_none=True).encode() + b"\n"


def read_parquet(path: str | Path) -> list[Example]:
    """Read a Parquet file of examples.

    Raises:
        DataError: the file is missing, damaged or truncated, of another version, lacks a column or
            has an unknown or wrong one, or a row does not fit.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a readable Parquet file, or a truncated one ({_short(error)})"
        ) from None
    return from_table(table, where=str(path))


def write_parquet(path: str | Path, examples: Iterable[Example]) -> None:
    """Write a Parquet file of examples atomically; the schema version is in its metadata.

    Raises:
        DataError: an id occurs twice, or the file cannot be written.
    """
    import pyarrow.parquet as pq

    path = Path(path)
    table = to_table(list(_unique(path, examples)))
    with atomic_path(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def schema() -> pa.Schema:
    """Return the Arrow schema of examples, the version in its metadata."""
    import pyarrow as pa

    text, whole, real, truth = pa.string(), pa.int64(), pa.float64(), pa.bool_()
    rationale = {
        **dict.fromkeys(("teacher", "text", "answer", "prompt_hash", "graph", "licence"), text),
        **dict.fromkeys(("sample", "prompt_tokens", "completion_tokens"), whole),
        **dict.fromkeys(("parent", "first_error"), whole),
        **dict.fromkeys(("cost", "score"), real),
        **dict.fromkeys(("parsed", "gold_in_prompt"), truth),
    }
    example = {
        **dict.fromkeys(("id", "task", "split", "question", "context", "answer"), text),
        "v": whole,
        "choices": pa.list_(text),
        "rationales": pa.list_(pa.struct(_fields(Rationale, rationale))),
    }
    return pa.schema(_fields(Example, example), metadata={VERSION_KEY: str(VERSION).encode()})


def _fields(model: type[BaseModel], types: Mapping[str, pa.DataType]) -> list[pa.Field]:
    import pyarrow as pa

    return [
        pa.field(name, types[name], nullable=not field.is_required() and field.default is None)
        for name, field in model.model_fields.items()
    ]


def to_table(examples: Sequence[Example]) -> pa.Table:
    """Return the examples as an Arrow table of `schema`.

    Raises:
        DataError: a whole number does not fit 64 bits.
    """
    import pyarrow as pa

    try:
        return pa.Table.from_pylist([e.model_dump() for e in examples], schema=schema())
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(f"examples do not fit the schema: {_short(error)}") from None


def from_table(table: pa.Table, *, where: str = "table") -> list[Example]:
    """Return the examples of an Arrow table; `where` names it in errors.

    Raises:
        DataError: another version, a missing, unknown or wrong column, or a row that does not fit.
    """
    import pyarrow as pa

    expected = schema()
    version = (table.schema.metadata or {}).get(VERSION_KEY, b"none").decode()
    if version != str(VERSION):
        raise DataError(
            f"{where}: expected examples of schema version {VERSION} (collegium.v in the "
            f"metadata), found {'no version' if version == 'none' else f'version {version}'}"
        )
    missing = [name for name in expected.names if name not in table.column_names]
    unknown = [name for name in table.column_names if name not in expected.names]
    if missing:
        raise DataError(
            f"{where}: no column {missing[0]!r}.{nearest(missing[0], unknown)} "
            f"Found: {', '.join(table.column_names)}."
        )
    if unknown:
        raise DataError(
            f"{where}: unknown column {unknown[0]!r}. Known: {', '.join(expected.names)}."
        )
    examples: list[Example] = []
    seen: dict[str, int] = {}
    table = table.select(expected.names)
    for name in expected.names:
        kind, target = table.schema.field(name).type, expected.field(name).type
        try:
            if kind != target:
                table.column(name).cast(target)
        except pa.ArrowException:
            raise DataError(f"{where}, column {name!r}: expected {target}, found {kind}") from None
    for number, values in enumerate(table.to_pylist(), 1):
        found = _example(values)
        if isinstance(found, str):
            raise DataError(f"{where}, row {number}{found}")
        if found.id in seen:
            raise DataError(f"{where}, row {number}{_repeated(found.id, seen[found.id])}")
        seen[found.id] = number
        examples.append(found)
    return examples


def _example(values: Mapping[str, Any]) -> Example | str:
    try:
        return Example.model_validate(values)
    except ValidationError as error:
        return _problem(error)


def _problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    first = min(problems, key=lambda problem: problem["loc"] != ("v",))
    *outer, name = first["loc"]
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"]).lstrip(".")
    if first["type"] == "missing":
        given = first["input"] if isinstance(first["input"], Mapping) else {}
        return f", field {path!r}: missing.{nearest(str(name), given)} Found: {', '.join(given)}."
    if first["type"] == "extra_forbidden":
        known = (Rationale if outer else Example).model_fields
        return f": unknown field {path!r}.{nearest(str(name), known)} Known: {', '.join(known)}."
    expected = _EXPECTED.get(first["type"], first["msg"].removeprefix("Value error, "))
    found = "null" if first["input"] is None else repr(first["input"])
    return f", field {path!r}: expected {expected}, found {found[:60]}"


def _repeated(identifier: str, line: int) -> str:
    return f", field 'id': expected a new id, found {identifier!r} again (first in line {line})"


def _unique(path: Path, examples: Iterable[Example]) -> Iterator[Example]:
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise DataError(f"{path}: not written, the id {example.id!r} occurs twice")
        seen.add(example.id)
        yield example


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
