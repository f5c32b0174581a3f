"""Columns of numbers from the caller as the arrays that the Rust core takes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collegium.errors import ArgumentError

_INT64 = np.iinfo(np.int64)


def integer(name: str, value: Any) -> int:
    """Return `value` as an int of 64 bits.

    Raises:
        ArgumentError: It is none.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentError(f"{name}={value!r}: expected an integer") from None
    if not _INT64.min <= number <= _INT64.max:
        raise ArgumentError(f"{name}={number} is out of range: expected an integer of 64 bits")
    return number


def integers(name: str, values: Any) -> NDArray[np.int64]:
    """Return a sequence of integers as ``int64[n]``.

    Raises:
        ArgumentError: A value is no integer or too large; the message names its position.
    """
    array = _array(name, values)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    fits = array.dtype.kind == "i" or (array.dtype.kind == "u" and array.max() <= _INT64.max)
    if not fits:
        for place, value in enumerate(_plain(values, array)):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not _INT64.min <= value <= _INT64.max:
                raise ArgumentError(
                    f"{name}[{place}] = {value!r}: expected an integer of at most 64 bits"
                )
    return np.ascontiguousarray(array, dtype=np.int64)


def token_ids(name: str, values: Any) -> NDArray[np.uint32]:
    """Return a sequence of token ids as ``uint32[n]``.

    Raises:
        ArgumentError: A value cannot be a token id; the message names its position.
    """
    if isinstance(values, np.ndarray) and values.dtype == np.uint32 and values.ndim == 1:
        return np.ascontiguousarray(values)
    array = integers(name, values)
    wrong = np.flatnonzero((array < 0) | (array > np.iinfo(np.uint32).max))
    if wrong.size:
        place = int(wrong[0])
        raise ArgumentError(f"{name}[{place}] = {array[place]} cannot be a token id")
    return array.astype(np.uint32)


def floats(name: str, values: Any) -> NDArray[np.float64]:
    """Return a sequence of numbers as ``float64[n]``; None becomes NaN.

    Raises:
        ArgumentError: A value is no number; the message names its position.
    """
    array = _array(name, values)
    if array.dtype.kind not in "fiu":
        for place, value in enumerate(_plain(values, array)):
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float)
            ):
                raise ArgumentError(f"{name}[{place}] = {value!r}: expected a number or None")
    return np.ascontiguousarray(array, dtype=np.float64)


def booleans(name: str, values: Any) -> NDArray[np.bool_]:
    """Return a sequence of truth values as ``bool[n]``; None becomes False.

    Raises:
        ArgumentError: A value is no truth value; the message names its position.
    """
    array = _array(name, values)
    if array.dtype.kind != "b":
        for place, value in enumerate(_plain(values, array)):
            if value is not None and not isinstance(value, bool):
                raise ArgumentError(f"{name}[{place}] = {value!r}: expected True, False or None")
    return np.ascontiguousarray(array, dtype=np.bool_)


def keys(name: str, values: Any) -> Any:
    """Return integers as ``int64[n]`` and leave anything else to be read as strings."""
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    arrow = str(getattr(values, "type", "")).startswith(("int", "uint"))
    listed = isinstance(values, list | tuple) and values and not isinstance(values[0], str)
    if kind in ("i", "u") or arrow or (listed and isinstance(values[0], int | np.integer)):
        return integers(name, values)
    return values


def strings(values: Any) -> Any:
    """Return a column of a `datasets.Dataset` as its Arrow column, and leave anything else."""
    kind = type(values)
    if (kind.__module__, kind.__name__) != ("datasets.arrow_dataset", "Column"):
        return values
    source, name = values.source, values.column_name
    # A column within a column, and one that a function of the caller's makes, are not in Arrow.
    if not hasattr(source, "select_columns") or source.format["type"] == "custom":
        return values[:]
    return source.select_columns([name]).with_format("arrow")[:][name]


def _plain(values: Any, array: NDArray[Any]) -> Sequence[Any]:
    """The values as the caller wrote them, for messages."""
    if isinstance(values, list | tuple):
        return values
    # An Arrow column with nulls would come as floats.
    return values.to_pylist() if hasattr(values, "to_pylist") else array.tolist()


def _array(name: str, values: Any) -> NDArray[Any]:
    if isinstance(values, str | bytes):
        raise ArgumentError(f"{name}: expected a sequence of numbers, found a single string")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ArgumentError(f"{name}: expected a flat sequence: {error}") from None
    if array.ndim != 1:
        found = type(values).__name__ if array.ndim == 0 else f"{array.ndim} dimensions"
        raise ArgumentError(f"{name}: expected a flat sequence, found {found}")
    return array
