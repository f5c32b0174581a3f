"""`EncodedSequence`: one training sequence with its loss edges, and its Parquet file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collegium.errors import DataError
from collegium.objectives import files
from collegium.objectives.files import read_columns, write_rows

KIND = "collegium.sequences"


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

    @property
    def objectives(self) -> tuple[str]:
        """Its objective, as `EncodedTree.objectives`."""
        return (self.objective,)


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
    """Write `sequences` to a Parquet file (see `files.write_rows`)."""
    write_rows(path, sequences, schema(), KIND, metadata)


def write_table(path: Path, table: Any, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a table of `schema` as `write_sequences` does."""
    files.write_table(path, table, KIND, metadata)


def read_sequences(path: Path) -> list[EncodedSequence]:
    """Read the sequences of a file that `write_sequences` wrote.

    Raises:
        DataError: the file is missing, cut off, of another kind or version, or a row is
            inconsistent.
    """
    columns = read_columns(path, schema(), KIND).values()
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return [EncodedSequence(*row) for row in rows]
