"""Training rows of either kind in Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from collegium.errors import DataError
from collegium.objectives.files import read_columns, read_metadata, write_rows
from collegium.objectives.sequences import KIND as SEQUENCES
from collegium.objectives.sequences import read_sequences
from collegium.objectives.trees import EncodedTree, TrainingItem

KIND = "collegium.trees"
_TOKENS = ("input_ids", "position_ids", "node_id", "subtree_end")
_EDGES = ("edge_src", "edge_target", "edge_weight", "edge_objective")


def _schema() -> Any:
    import pyarrow as pa

    ids = pa.list_(pa.int32())
    return pa.schema(
        [
            pa.field("example_id", pa.string(), nullable=False),
            pa.field("objectives", pa.list_(pa.string()), nullable=False),
            *(pa.field(name, ids, nullable=False) for name in _TOKENS),
            *(
                pa.field(name, pa.list_(pa.float32()) if name == "edge_weight" else ids, False)
                for name in _EDGES
            ),
            pa.field("encoder_ids", ids, nullable=True),
        ]
    )


def write_trees(
    path: Path, trees: Iterable[EncodedTree], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write `trees` to a Parquet file (see `files.write_rows`)."""
    write_rows(path, trees, _schema(), KIND, metadata)


def read_trees(path: Path) -> list[EncodedTree]:
    """Read the trees of a file that `write_trees` wrote.

    Raises:
        DataError: the file is missing, cut off, of another kind or version, or a row is
            inconsistent.
    """
    columns = read_columns(path, _schema(), KIND)
    names = columns["objectives"].to_pylist()
    encoder = columns["encoder_ids"].to_pylist()
    ids = columns["example_id"].to_pylist()
    arrays = {name: _rows(columns[name]) for name in (*_TOKENS, *_EDGES)}
    trees = []
    for row, example_id in enumerate(ids):
        own = {name: values[row] for name, values in arrays.items()}
        tokens = {len(own[name]) for name in _TOKENS}
        edges = {len(own[name]) for name in _EDGES}
        if len(tokens) != 1 or len(edges) != 1 or edges == {0}:
            raise DataError(
                f"{path}: row {row} (example {example_id!r}) has token columns of lengths "
                f"{sorted(tokens)} and edge columns of lengths {sorted(edges)}: expected one "
                "length each, above 0; encode the data again"
            )
        trees.append(EncodedTree(example_id, tuple(names[row]), encoder_ids=encoder[row], **own))
    return trees


def _rows(column: Any) -> list[Any]:
    """Return one NumPy array a row, without a Python object a number."""
    column = column.combine_chunks()
    values = column.values.to_numpy(zero_copy_only=False)
    offsets = column.offsets.to_numpy()
    return np.split(values[offsets[0] : offsets[-1]], offsets[1:-1] - offsets[0])


def read_items(path: Path) -> list[TrainingItem]:
    """Read whatever kind of training rows `path` holds.

    Raises:
        DataError: as `read_sequences` and `read_trees`.
    """
    kind = read_metadata(path)["format"]
    return list(read_sequences(path) if kind == SEQUENCES else read_trees(path))
