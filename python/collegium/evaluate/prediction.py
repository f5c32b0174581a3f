"""`Prediction`: what a student said about one question; rows kept as JSONL or Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from collegium.atomic import atomic_path
from collegium.errors import ArgumentError, DataError
from collegium.jsonl import json_lines, json_object

FORMAT = "collegium.predictions"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer of a student.

    `correct` is None where the gold answer is not known.
    """

    id: str
    mode: str
    """``label`` (direct), or ``rationale:<teacher>`` (rationale, then answer)."""
    raw: str
    """The text as generated."""
    rationale: str | None
    answer: str | None
    parsed: bool
    """Whether an answer was found in `raw`."""
    tokens: int
    """Generated tokens, the end token included."""
    finished: bool
    """Whether the end token came in time."""
    truncated: bool
    """Whether the question was too long and lost its beginning."""
    gold: str | None = None
    correct: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return asdict(self)


def write_predictions(path: Path, rows: Sequence[Prediction]) -> None:
    """Write rows atomically, as the suffix says: ``.jsonl`` or ``.parquet``.

    Raises:
        ArgumentError: another suffix.
    """
    if path.suffix not in (".jsonl", ".parquet"):
        raise ArgumentError(f"{path}: expected a name ending in .jsonl or .parquet")
    with atomic_path(path) as partial:
        if path.suffix == ".parquet":
            _write_parquet(partial, rows)
        else:
            lines = (json.dumps(row.to_json(), ensure_ascii=False) for row in rows)
            partial.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def read_predictions(path: Path) -> list[Prediction]:
    """Read what `write_predictions` wrote.

    Raises:
        DataError: the file is missing, cut off, or a row has other fields.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file (expected predictions)")
    if path.suffix == ".parquet":
        rows = _read_parquet(path)
    else:
        rows = [json_object(path, line, raw) for line, raw in json_lines(path)]
    expected = {f.name for f in fields(Prediction)}
    for number, row in enumerate(rows, 1):
        if set(row) != expected:
            odd = ", ".join(sorted(expected ^ set(row)))
            raise DataError(f"{path}, row {number}: fields missing or not known: {odd}")
    return [Prediction(**row) for row in rows]


def _schema() -> Any:
    import pyarrow as pa

    kinds = {"tokens": pa.int64()} | dict.fromkeys(
        ("parsed", "finished", "truncated", "correct"), pa.bool_()
    )
    return pa.schema([(f.name, kinds.get(f.name, pa.string())) for f in fields(Prediction)])


def _write_parquet(path: Path, rows: Sequence[Prediction]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    head = json.dumps({"format": FORMAT, "v": VERSION}).encode()
    schema = _schema().with_metadata({b"collegium": head})
    table = pa.Table.from_pylist([row.to_json() for row in rows], schema=schema)
    pq.write_table(table, path, compression="zstd")


def _read_parquet(path: Path) -> list[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file, maybe cut off ({error})") from error
    head = json.loads((table.schema.metadata or {}).get(b"collegium", b"{}"))
    if head.get("format") != FORMAT or head.get("v") != VERSION:
        raise DataError(
            f"{path}: expected predictions of version {VERSION}, found {head or 'another file'}"
        )
    return table.to_pylist()
