"""Columns of JSONL and Parquet files, read without Python strings; files that cannot be used."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collegium import Encoded, Tokenizer
from collegium.errors import ArgumentError, CheckpointError, DataError

TEXTS = [
    "one two three",
    "日本語 😀 cafe\u0301",
    "",
    'quo"ted\\ \t\n\x7f\u2028',
    "x" * 500,
    " a  b ",
] * 40


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file: Callable[[str], Path]) -> Tokenizer:
    return Tokenizer.from_file(tokenizer_file("pythia"))


def same(found: Encoded, expected: Encoded) -> None:
    for name in ("ids", "offsets", "byte_lengths", "changed", "uncertain"):
        a, b = getattr(found, name), getattr(expected, name)
        assert (a is None) == (b is None)
        assert a is None or (a.dtype == b.dtype and a.tolist() == b.tolist())


def jsonl(ascii: bool) -> bytes:
    rows = [{"n": i, "deep": {"text": 1}, "text": text} for i, text in enumerate(TEXTS)]
    return b"\n".join(json.dumps(row, ensure_ascii=ascii).encode() for row in rows)


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_jsonl(
    tokenizer: Tokenizer, tmp_path: Path, lengths: bool, ascii: bool, packed: bool
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(gzip.compress(jsonl(ascii)) if packed else jsonl(ascii))
    found = tokenizer.encode_file(path, "text", byte_lengths=lengths)
    same(found, tokenizer.encode_batch(TEXTS, byte_lengths=lengths))


KINDS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary()]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_parquet(
    tokenizer: Tokenizer, tmp_path: Path, kind: Any, compression: str, version: str
) -> None:
    column = pa.array(TEXTS).cast(pa.string())
    column = column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind)
    table = pa.table({"n": range(len(TEXTS)), "text": column, "s": [{"text": t} for t in TEXTS]})
    path = tmp_path / "a.parquet"
    pq.write_table(
        table, path, row_group_size=70, data_page_size=300, compression=compression,
        data_page_version=version,
    )  # fmt: skip
    expected = tokenizer.encode_batch(TEXTS, byte_lengths=True)
    same(tokenizer.encode_file(path, "text", byte_lengths=True), expected)
    same(tokenizer.encode_file(path, "s.text", byte_lengths=True), expected)


def test_no_rows(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\n \n")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "b")
    for name in "ab":
        encoded = tokenizer.encode_file(tmp_path / name, "text")
        assert encoded.ids.tolist() == []
        assert encoded.offsets.tolist() == [0]


@pytest.mark.parametrize(
    ("content", "hints"),
    [
        (b'{"text": "a"}\n{"text": "b\xff"}\n', ["line 2", "byte 25 of the file", "UTF-8", "0xff"]),
        (b'{"text": "a"}\n{"text": 1}\n', ["line 2", "byte 2", 'field "text"', "integer"]),
        (b'{"text": "a"}\n\n{"text": null}\n', ["line 3", 'field "text"', "null"]),
        (b'{"text": "a"}\n{"texts": "b"}\n', ["line 2", "missing or null"]),
        (b'{"texts": "b"}\n', ['field "text"']),
        (b'{"text": "a"}\n["b"]\n', ["line 2", "JSON object"]),
        (b'{"text": "a"}\n{"text": "b\n', ["line 2", "not a JSON object"]),
        (b'{"text": "\\ud800"}\n', ["line 1", "surrogate"]),
        (gzip.compress(b'{"text": "a"}\n' * 999)[:-9], ["line ", "of the unpacked data"]),
        (b"PAR1", ["not a readable Parquet file"]),
        (b"ARROW1\0\0", ["an Arrow file"]),
    ],
)
def test_files_that_cannot_be_used(
    tokenizer: Tokenizer, tmp_path: Path, content: bytes, hints: list[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        tokenizer.encode_file(path, "text")
    for hint in [str(path), *hints]:
        assert hint in str(error.value)


@pytest.mark.parametrize(
    ("table", "column", "hint"),
    [
        (pa.table({"a": ["x"], "b": [1]}), "text", 'no column "text"; it has: a, b'),
        (pa.table({"text": [1]}), "text", "holds INT64; expected strings"),
        (pa.table({"text": [["x"]]}), "text", "is nested; expected strings"),
        (
            pa.table({"text": ["x"] * 70 + [None]}),
            "text",
            'row 71: field "text" is missing or null',
        ),
        (pa.table({"text": [b"a", b"\xff"]}), "text", 'row 2, column "text": expected UTF-8'),
    ],
)
def test_parquet_columns_that_cannot_be_used(
    tokenizer: Tokenizer, tmp_path: Path, table: pa.Table, column: str, hint: str
) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path, row_group_size=30)
    with pytest.raises(DataError) as error:
        tokenizer.encode_file(path, column)
    assert hint in str(error.value)
    assert str(path) in str(error.value)


def test_damaged_parquet_is_no_defect_of_ours(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(500)]}), path)
    whole = path.read_bytes()
    chance = np.random.default_rng(0)
    for _ in range(60):
        bad = bytearray(whole)
        for place in chance.integers(4, len(whole), 8):
            bad[place] ^= int(chance.integers(1, 256))
        path.write_bytes(bad)
        try:
            assert len(tokenizer.encode_file(path, "text")) >= 0
        except DataError as error:
            assert str(path) in str(error)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        tokenizer.encode_file(path, "text")


def test_missing_files_and_folders(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.jsonl: cannot be read"):
        tokenizer.encode_file(tmp_path / "nothing.jsonl", "text")
    with pytest.raises(DataError, match="is a folder"):
        tokenizer.encode_file(tmp_path, "text")


def test_tokenizer_files_that_cannot_be_used(
    tokenizer_file: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = tokenizer_file("gpt2").read_bytes()
    contents = json.loads(whole)
    unknown = {**contents, "model": {**contents["model"], "type": "Markov"}}
    for name, content, hint in [
        ("cut.json", whole[: len(whole) // 3], "truncated"),
        ("other.json", b'{"architectures": ["GPT2LMHeadModel"]}', 'no "model"'),
        ("model.json", json.dumps(unknown).encode(), "not a usable tokenizer.json"),
        ("weights.json", b"\x00\x01\x02", "not JSON"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError) as error:
            Tokenizer.from_file(tmp_path / name)
        assert hint in str(error.value)
        assert name in str(error.value)


def test_ids_that_are_no_tokens(tokenizer: Tokenizer) -> None:
    with pytest.raises(ArgumentError, match=r"ids\[1\] = 999999 is no token of this tokenizer"):
        tokenizer.decode([1, 999_999])
    with pytest.raises(ArgumentError, match=r"ids\[0\] = -1"):
        tokenizer.decode([-1])


def test_a_text_of_more_than_two_gigabytes(tokenizer: Tokenizer) -> None:
    """Zeros that are never written take no memory."""
    size = (1 << 31) + 1
    data = np.zeros(size, np.uint8)
    offsets = np.array([0, 0, size], np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    texts = pa.Array.from_buffers(pa.large_string(), 2, buffers)
    with pytest.raises(DataError, match=r"texts\[1\].*2\^31 bytes"):
        tokenizer.encode_batch(texts)
