"""Encoded sequences: consistency and the Parquet file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collegium.errors import DataError
from collegium.objectives.files import read_metadata
from collegium.objectives.sequences import EncodedSequence, read_sequences, write_sequences

ROWS = [
    EncodedSequence("q1", "label", [1, 2, 3], [1, 2], [3, 4], [1.0, 1.0]),
    EncodedSequence("q1", "rationale:ä", [1], [0], [2], [0.5], [7, 8]),
]


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    write_sequences(path, ROWS, {"tokenizer": "abc"})
    assert read_sequences(path) == ROWS
    assert read_metadata(path)["tokenizer"] == "abc"
    write_sequences(path, [])
    assert read_sequences(path) == []
    assert [p.name for p in tmp_path.iterdir()] == ["train.parquet"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (([1, 2], [], [], []), "no loss edge"),
        (([1, 2], [0, 1], [1], [1.0, 1.0]), "expected the same number"),
        (([1, 2], [2], [1], [1.0]), "outside its 2 tokens"),
        (([1, 2], [1], [1], [0.0]), "not above 0"),
        (([1, 2], [1], [1], [1.0], []), "empty encoder input"),
    ],
)
def test_inconsistent_sequences_are_refused(fields: tuple, message: str) -> None:
    with pytest.raises(DataError, match=f"'label' of example 'q9' .*{message}"):
        EncodedSequence("q9", "label", *fields)


def test_files_of_another_kind_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(DataError, match="no such file"):
        read_sequences(path)
    write_sequences(path, ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut off"):
        read_sequences(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DataError, match="another kind"):
        read_sequences(path)
    table = pa.table({"a": [1]}).replace_schema_metadata(
        {b"collegium": b'{"format": "collegium.sequences", "v": 9}'}
    )
    pq.write_table(table, path)
    with pytest.raises(DataError, match="version 9"):
        read_sequences(path)
    table = table.replace_schema_metadata(
        {b"collegium": b'{"format": "collegium.sequences", "v": 1}'}
    )
    pq.write_table(table, path)
    with pytest.raises(DataError, match="'example_id' is missing"):
        read_sequences(path)
