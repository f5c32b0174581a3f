"""Rows of fixed capacity."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from collegium import pack
from collegium.errors import ArgumentError


def test_the_tightest_row_is_chosen():
    packing = pack([6, 7, 3, 4], 10)
    assert packing.row_of.tolist() == [1, 0, 0, 1]
    assert packing.start_of.tolist() == [0, 0, 7, 6]
    assert packing.rows == 2
    assert packing.row_of.dtype == packing.start_of.dtype == np.int64


def test_nothing_needs_no_row():
    packing = pack([], 10)
    assert packing.rows == 0
    assert packing.row_of.shape == packing.start_of.shape == (0,)


@pytest.mark.parametrize(
    "lengths",
    [
        (3, 5, 2),
        np.array([3, 5, 2], dtype=np.uint8),
        np.array([3, 0, 5, 0, 2, 0])[::2],
        pa.array([3, 5, 2], pa.int32()),
        pa.chunked_array([[3], [5, 2]]),
        range(1, 4),
    ],
)
def test_many_kinds_of_sequences(lengths):
    assert pack(lengths, 6).rows == 2 - (isinstance(lengths, range))


@pytest.mark.parametrize(
    ("lengths", "capacity", "hint"),
    [
        ([1, 2, 9], 8, "item 2 has length 9, more than the capacity 8"),
        ([1, 0], 8, "item 1 has length 0"),
        ([1, 2, -4], 8, "item 2 has length -4"),
        ([1], 0, "capacity=0 is out of range"),
        ([1], -3, "capacity=-3"),
        ([1], 2.5, "capacity=2.5: expected an integer"),
        ([1], 2**70, "64 bits"),
        ([1, 2.5], 8, r"lengths\[1\] = 2.5"),
        ([1, None], 8, r"lengths\[1\] = None"),
        ([1, 2**70], 8, r"lengths\[1\]"),
        ([True, False], 8, r"lengths\[0\] = True"),
        ([[1, 2]], 8, "2 dimensions"),
        ([[1], [1, 2]], 8, "flat sequence"),
        ("12", 8, "single string"),
        (5, 8, "found int"),
        (pa.array([1, None]), 8, r"lengths\[1\]"),
    ],
)
def test_what_cannot_be_packed_is_named(lengths, capacity, hint):
    with pytest.raises(ArgumentError, match=hint):
        pack(lengths, capacity)


def test_many_items():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 2049, 100_000)
    packing = pack(lengths, 2048)
    used = np.bincount(packing.row_of, weights=lengths, minlength=packing.rows)
    assert used.max() <= 2048
    assert lengths.sum() / (packing.rows * 2048) > 0.99
