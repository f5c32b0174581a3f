"""`EncodedSequence`: one training sequence with its loss edges, and its Parquet file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collegium.atomic import atomic_path
from collegium.errors import DataError

FORMAT = "collegium.sequences"
VERSION = 1
_KEY = b"collegium"


@dataclass(frozen=True, slots=True)
class EncodedSequence:
    """Tokens of one objective of one question, and which of them predict what.

    The hidden state at ``edge_src[e]`` predicts the token ``edge_target[e]``, weighted by
    ``edge_weight[e]``. Decoder-only: `input_ids` = prompt + target without its last token.
    Encoder-decoder: `input_ids` = decoder start + target without its last token, and
    `encoder_ids` = the prompt.
    """

    example_id: str
    objective: str
    input_ids: list[int]
    edge_src: list[int]
    edge_target: list[int]
    edge_weight: list[float]
    encoder_ids: list[int] | None = None

    def __post_init__(self) -> None:
        """Refuse a sequence that could train nothing or that is inconsistent."""
        edges = len(self.edge_src)
        problem = None
        if not edges:
            problem = "has no loss edge"
        elif not (edges == len(self.edge_target) == len(self.edge_weight)):
            problem = (
                f"has {edges} edge_src, {len(self.edge_target)} edge_target and "
                f"{len(self.edge_weight)} edge_weight entries (expected the same number)"
            )
        elif min(self.edge_src) < 0 or max(self.edge_src) >= len(self.input_ids):
            problem = f"has an edge outside its {len(self.input_ids)} tokens"
        elif not min(self.edge_weight) > 0:
            problem = "has an edge weight that is not above 0"
        elif self.encoder_ids is not None and not self.encoder_ids:
            problem = "has an empty encoder input"
        if problem:
            raise DataError(f"sequence {self.objective!r} of example {self.example_id!r} {problem}")

    def __len__(self) -> int:
        """Return the number of (decoder) input tokens."""
        return len(self.input_ids)


def schema() -> Any:
    """Return the Arrow schema of a file of sequences."""
    import pyarrow as pa

    ids = pa.list_(pa.int32())
    return pa.schema(
        [
            pa.field("example_id", pa.string(), nullable=False),
            pa.field("objective", pa.string(), nullable=False),
            pa.field("input_ids", ids, nullable=False),
            pa.field("edge_src", ids, nullable=False),
            pa.field("edge_target", ids, nullable=False),
            pa.field("edge_weight", pa.list_(pa.float32()), nullable=False),
            pa.field("encoder_ids", ids, nullable=True),
        ]
    )


def write_sequences(
    path: Path, sequences: Iterable[EncodedSequence], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write `sequences` to a Parquet file, atomically (beside it, then renamed).

    `metadata` (JSON values) is kept in the file: format, tokenizer fingerprint, counts.
    """
    import pyarrow as pa

    rows = list(sequences)
    fields = schema()
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in fields]
    write_table(path, pa.Table.from_arrays(columns, schema=fields), metadata)


def write_table(path: Path, table: Any, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a table of `schema` as `write_sequences` does."""
    import pyarrow.parquet as pq

    head = {"format": FORMAT, "v": VERSION, **(metadata or {})}
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


def read_metadata(path: Path) -> dict[str, Any]:
    """Return what `write_sequences` kept beside the rows.

    Raises:
        DataError: the file is missing, cut off, of another kind or of another version.
    """
    head = (_open(path).schema_arrow.metadata or {}).get(_KEY)
    values = json.loads(head) if head else {}
    if values.get("format") != FORMAT:
        raise DataError(f"{path}: expected encoded sequences, found a Parquet file of another kind")
    if values.get("v") != VERSION:
        raise DataError(
            f"{path}: encoded sequences of version {values.get('v')}, this release reads version "
            f"{VERSION}: encode them again"
        )
    return values


def read_sequences(path: Path) -> list[EncodedSequence]:
    """Read the sequences of a file that `write_sequences` wrote.

    Raises:
        DataError: as `read_metadata`, or a row is inconsistent.
    """
    import pyarrow as pa

    read_metadata(path)
    names = schema().names
    try:
        columns = _open(path).read(columns=names).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read to its end ({error})") from error
    missing = [name for name in names if name not in columns]
    if missing:
        raise DataError(f"{path}: column {missing[0]!r} is missing")
    return [EncodedSequence(*row) for row in zip(*(columns[name] for name in names), strict=True)]
