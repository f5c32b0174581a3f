"""Strings in every shape that Arrow gives them."""

from __future__ import annotations

import gc

import numpy as np
import pyarrow as pa
import pytest

from collegium import Tokenizer, deduplicate
from collegium.errors import ArgumentError, DataError

TEXTS = ["one two three four", "日本語 😀", "", "One two, three four!", "five", "x" * 40]
TYPES = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.large_string()),
]


class ArrayOnly:
    """Something that exports a single array, not a stream."""

    def __init__(self, array: pa.Array) -> None:
        self.array = array

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        return self.array.__arrow_c_array__(requested_schema)


class Broken:
    """A stream that fails halfway."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        def batches():
            yield pa.record_batch({"a": ["x"]})
            raise OSError("the disk is gone")

        schema = pa.schema({"a": pa.string()})
        reader = pa.RecordBatchReader.from_batches(schema, batches())
        return reader.__arrow_c_stream__(requested_schema)


def column(texts: list[str | None], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(texts, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(texts, kind)


def shapes(texts: list[str | None], kind: pa.DataType) -> list[object]:
    """The same strings whole, sliced, chunked, chunked and sliced, as an array."""
    padded = column(["before", None, *texts, "after"], kind)
    whole = column(texts, kind)
    chunked = pa.chunked_array([whole[:2], whole[2:2], whole[2:]], type=kind)
    longer = pa.chunked_array([padded[:3], padded[3:]], type=kind)
    return [
        whole,
        padded[2 : 2 + len(texts)],
        chunked,
        longer.slice(2, len(texts)),
        ArrayOnly(whole),
        ArrayOnly(padded[2 : 2 + len(texts)]),
    ]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file) -> Tokenizer:
    return Tokenizer.from_file(tokenizer_file("gpt2"))


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_texts_to_encode(tokenizer, kind):
    expected = tokenizer.encode_batch(TEXTS, byte_lengths=True)
    for shape in shapes(list(TEXTS), kind):
        found = tokenizer.encode_batch(shape, byte_lengths=True)
        assert found.ids.tolist() == expected.ids.tolist()
        assert found.offsets.tolist() == expected.offsets.tolist()
        assert found.byte_lengths.tolist() == expected.byte_lengths.tolist()


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_rows_to_deduplicate(kind):
    texts = [*TEXTS, None]
    groups, answers, ids = ["q"] * 7, ["a", "b", None, "a", None, "a", None], list("gfedcba")
    expected = deduplicate(texts, groups, answers, ids=ids)
    assert expected.kept_by.tolist() == [3, 1, 2, 3, 4, 5, 6]
    every = zip(*(shapes(values, kind) for values in (texts, groups, answers, ids)), strict=True)
    for a, b, c, d in every:
        found = deduplicate(a, b, c, ids=d)
        assert found.kept_by.tolist() == expected.kept_by.tolist()


def test_columns_without_rows_or_values(tokenizer):
    for empty in (pa.array([], pa.string()), pa.chunked_array([], type=pa.string()), []):
        encoded = tokenizer.encode_batch(empty)
        assert encoded.ids.tolist() == []
        assert encoded.offsets.tolist() == [0]
        assert deduplicate(empty, empty, empty).keep.tolist() == []
    nulls = [pa.nulls(2), pa.array([None, None], pa.string()), pa.nulls(2, TYPES[3])]
    for none in nulls:
        assert deduplicate(none, [1, 1], none).keep.tolist() == [True, True]
        with pytest.raises(ArgumentError, match=r"texts\[0\] is null"):
            tokenizer.encode_batch(none)


def test_integer_groups_and_ids():
    texts = pa.array(["same words here"] * 3)
    for groups in (pa.array([1, 1, 2]), np.array([1, 1, 2], np.int32), [1, 1, 2], (1, 1, 2)):
        found = deduplicate(texts, groups, None, ids=pa.array([5, 4, 3], pa.uint16()))
        assert found.kept_by.tolist() == [1, 1, 2]


def test_nulls_are_named(tokenizer):
    with pytest.raises(ArgumentError, match=r"texts\[2\] is null"):
        tokenizer.encode_batch(pa.chunked_array([["a"], ["b", None]]))
    with pytest.raises(ArgumentError, match=r"groups\[1\] is null"):
        deduplicate(["a", "b"], pa.array(["q", None]), ["x", "x"])


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        (pa.array([1, 2]), "found Int64"),
        (pa.array([b"a"]), "found Binary; cast it to string"),
        (pa.table({"a": ["x"]}), "pass one column of the table"),
        (pa.record_batch({"a": ["x"]}), "pass one column of the table"),
        (pa.array([["x"]]), "found List"),
        (pa.array([1, 1]).dictionary_encode(), "found Dictionary"),
    ],
)
def test_other_types_are_refused(tokenizer, values, hint):
    with pytest.raises(ArgumentError, match=hint):
        tokenizer.encode_batch(values)


def test_data_that_is_not_valid(tokenizer):
    def raw(offsets: list[int], data: bytes) -> pa.Array:
        buffers = [None, pa.py_buffer(np.array(offsets, np.int32)), pa.py_buffer(data)]
        return pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)

    good = pa.array(["fine"])
    bad_text, bad_offsets = raw([0, 1, 3], b"a\xff\xfe"), raw([0, 3, 1], b"abc")
    for bad in (pa.chunked_array([good, bad_text]), pa.chunked_array([good, bad_offsets])):
        with pytest.raises(DataError, match="texts: Arrow chunk 1"):
            tokenizer.encode_batch(bad)
    # A character that an offset cuts in two.
    with pytest.raises(DataError, match="Arrow chunk 0"):
        tokenizer.encode_batch(raw([0, 1, 3], "日".encode()))


def test_a_stream_that_fails(tokenizer):
    with pytest.raises(DataError, match="the disk is gone"):
        tokenizer.encode_batch(Broken())


def test_buffers_are_given_back(tokenizer):
    gc.collect()
    before = pa.total_allocated_bytes()
    for _ in range(3):
        big = pa.array(["some text"] * 20_000)
        tokenizer.encode_batch(big[5:100])
        deduplicate(pa.chunked_array([big, big[:10]]), big.take([0] * 20_010), None)
    del big
    gc.collect()
    assert pa.total_allocated_bytes() <= before


def test_columns_of_datasets(tokenizer):
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict(
        {"n": range(6), "text": TEXTS, "in": [{"a": t} for t in TEXTS]}
    )
    order = [3, 0, 5]
    for column, texts in [
        (data["text"], TEXTS),
        (data.select(order)["text"], [TEXTS[i] for i in order]),
        (data.with_format("torch")["text"], TEXTS),
        (data["in"]["a"], TEXTS),
        (data.with_transform(lambda rows: {"text": ["x"] * len(rows["text"])})["text"], ["x"] * 6),
    ]:
        expected = tokenizer.encode_batch(list(texts))
        assert tokenizer.encode_batch(column).ids.tolist() == expected.ids.tolist()
    with pytest.raises(ArgumentError, match="found Int64"):
        tokenizer.encode_batch(data["n"])
