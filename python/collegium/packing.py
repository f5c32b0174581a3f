"""Sequences into rows of fixed capacity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collegium._arrays import integer, integers
from collegium._rust import pack as _pack


@dataclass(frozen=True, slots=True)
class Packing:
    """Where each of n items went."""

    row_of: NDArray[np.int64]
    """int64[n] row of each item."""
    start_of: NDArray[np.int64]
    """int64[n] position in that row at which the item begins."""
    rows: int
    """Number of rows."""


def pack(lengths: Sequence[int] | NDArray[np.integer], capacity: int) -> Packing:
    """Put items of `lengths` into rows of `capacity` by global best-fit decreasing.

    Items are taken from the longest to the shortest (the earlier first among equals). Each goes
    to the row with the least room that still holds it (the one filled last among equals), or opens
    a new one. No item is cut, dropped or repeated; the same input gives the same rows. Uses at most
    11/9 OPT + 4 rows (Johnson, 1974); O(n) for capacities up to 4 million.

    Args:
        lengths: n lengths in tokens, each from 1 to `capacity`.
        capacity: Tokens that a row holds.

    Raises:
        ArgumentError: A length below 1 or over the capacity, naming the item; a capacity below 1.
    """
    row_of, start_of, rows = _pack(integers("lengths", lengths), integer("capacity", capacity))
    return Packing(row_of, start_of, rows)
