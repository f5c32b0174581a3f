"""Removal of near-duplicates among rationales with one answer: exact, and safe across answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from collegium._arrays import booleans, floats, integer, integers, keys, token_ids
from collegium._rust import DedupStream as _Stream
from collegium._rust import deduplicate as _deduplicate
from collegium._rust import nearest as _nearest
from collegium.errors import ArgumentError

if TYPE_CHECKING:
    from collegium._rust import _DedupColumns, _DedupOptions


class Reason(IntEnum):
    """Why a row was kept or dropped."""

    KEPT = 0
    """Kept."""
    EXACT = 1
    """Dropped: it has the kept row's units (words, characters, tokens) in the same order."""
    NEAR = 2
    """Dropped: its similarity with the kept row reaches the threshold."""
    DIVERSE = 3
    """Dropped by `diverse`, in favour of rows that differ more."""


@runtime_checkable
class FlatTokens(Protocol):
    """Token ids of n texts, end to end, such as `collegium.Encoded`."""

    @property
    def ids(self) -> NDArray[np.uint32]:
        """uint32[total]."""
        ...

    @property
    def offsets(self) -> NDArray[np.int64]:
        """int64[n + 1]: text i has ``ids[offsets[i]:offsets[i + 1]]``."""
        ...


@dataclass(frozen=True, slots=True)
class Dedup:
    """One entry for each of n rows."""

    keep: NDArray[np.bool_]
    """bool[n] whether the row stays."""
    kept_by: NDArray[np.int64]
    """int64[n] the kept row that stands for this one; itself if kept."""
    similarity: NDArray[np.float32]
    """float32[n] similarity with that row; 1 if kept."""
    reason: NDArray[np.uint8]
    """uint8[n] a `Reason`."""

    @staticmethod
    def reason_name(code: int) -> str:
        """Return a reason's name in lower case, such as ``near``."""
        return Reason(int(code)).name.lower()


View = Literal["words", "chars", "tokens", "canonical"]
TokenRows = FlatTokens | Sequence[Sequence[int] | NDArray[np.integer] | None]


def deduplicate(
    texts: Any,
    groups: Any,
    answers: Any,
    *,
    ids: Any = None,
    verified: Sequence[bool | None] | NDArray[np.bool_] | None = None,
    quality: Sequence[float | None] | NDArray[Any] | None = None,
    teacher_rank: Sequence[int] | NDArray[np.integer] | None = None,
    token_ids: TokenRows | None = None,
    threshold: float = 0.7,
    scope: Literal["group", "all"] = "group",
    mode: Literal["exact", "lsh"] = "exact",
    keep: int = 1,
    diverse: int = 0,
    view: View = "words",
    memory: int | str | None = None,
) -> Dedup:
    r"""Drop near-duplicates among rows of the same group and answer.

    The similarity of two texts is the Jaccard index ``|A & B| / |A | B|`` of their sets of
    3-grams, computed exactly (on 64-bit hashes of the 3-grams):

    * ``view="words"``: of the lower-cased words ``\w+``; fewer than three words are one 3-gram, a
      text of punctuation alone is one word;
    * ``view="chars"``: of the lower-cased characters, runs of white space read as one space;
    * ``view="tokens"``: of the given `token_ids`;
    * ``view="canonical"``: as ``words``, but every number in one spelling (``1,000.0`` is
      ``1000``), the signs of equations as words, markers of lists left out.

    Rows are taken from the best to the worst: verified first, then by higher quality (NaN and
    None last), texts of ordinary length (32 to 4,096 bytes of UTF-8) before others, lower teacher
    rank, lower id. A row whose similarity with a kept row reaches the threshold joins the most
    similar such row and is dropped. So every dropped row is a near-duplicate of the row named in
    `Dedup.kept_by`, and with ``keep=1`` no two kept rows of a group and answer reach the
    threshold. Neither the number of threads, nor `memory`, nor, given distinct `ids`, the order of
    the rows changes what is kept.

    Null and blank texts are kept and never merged. A null answer equals only a null answer; among
    such rows only texts with the same numbers, equally often, can be near-duplicates (numbers of
    steps and list items, ``Step 1:`` or ``1.``, do not count).

    Args:
        texts: n texts: a list of ``str | None``, or an Arrow array or column of strings.
        groups: n questions' names or numbers; rows of different groups meet only with
            ``scope="all"``.
        answers: n answers, compared as they are; or None if no row has one.
        ids: n stable names or numbers, to break ties. Without them the earlier row wins.
        verified: n truth values.
        quality: n numbers, higher is better.
        teacher_rank: n numbers, lower is better.
        token_ids: Ids of each text, for ``view="tokens"`` only.
        threshold: Similarity from which a row is a near-duplicate, above 0 and at most 1.
        scope: ``"group"``, or ``"all"`` to seek duplicates across groups too. Across answers they
            are never sought: where answers are letters of choices, give the choices' texts.
        mode: ``"exact"`` finds all pairs. ``"lsh"`` finds a pair at the threshold with a
            probability of at least 0.998, one above it with a higher one, and computes its
            similarity exactly; it is meant for long texts and low thresholds across groups.
            Classes of up to 32 rows are exact in both.
        keep: Rows kept of each cluster: the centre and the best of those it stands for.
        diverse: If above 0, of each group and answer at most this many rows with text are kept:
            the best, then repeatedly the one whose greatest similarity with those chosen is
            least. This is a choice, no merging: a row it drops may be less similar to `kept_by`
            than the threshold, and then has the reason ``DIVERSE``.
        view: What is compared.
        memory: Bytes, or a size such as ``"2GiB"``, that may be held beside the columns given;
            what goes beyond lies in temporary files (`TMPDIR`). About 90 bytes a row are always
            held. None: no bound.

    Raises:
        ArgumentError: An option or a column does not fit; the message names it.
        DataError: Arrow data that is not valid.
        RunError: Temporary files cannot be written.
    """
    columns = _columns(texts, groups, answers, ids, verified, quality, teacher_rank, token_ids)
    options = _options(threshold, scope, mode, keep, diverse, view, memory)
    return Dedup(*_deduplicate(columns, options))


class DedupStream:
    """`deduplicate` for rows that come part by part, such as the batches of a Parquet file.

    The parts are written to temporary files; `finish` returns what `deduplicate` returns for all
    rows together. Options are those of `deduplicate`.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.7,
        scope: Literal["group", "all"] = "group",
        mode: Literal["exact", "lsh"] = "exact",
        keep: int = 1,
        diverse: int = 0,
        view: View = "words",
        memory: int | str | None = None,
    ) -> None:
        self._stream = _Stream(_options(threshold, scope, mode, keep, diverse, view, memory))
        self._given: tuple[bool, ...] | None = None

    def add(
        self,
        texts: Any,
        groups: Any,
        answers: Any,
        *,
        ids: Any = None,
        verified: Sequence[bool | None] | NDArray[np.bool_] | None = None,
        quality: Sequence[float | None] | NDArray[Any] | None = None,
        teacher_rank: Sequence[int] | NDArray[np.integer] | None = None,
        token_ids: TokenRows | None = None,
    ) -> None:
        """Add rows; every part has the same columns of the same kinds.

        Raises:
            ArgumentError: A column does not fit the others, or differs in kind from the first part.
        """
        columns = _columns(texts, groups, answers, ids, verified, quality, teacher_rank, token_ids)
        given = (
            isinstance(columns["groups"], np.ndarray),
            ids is None,
            isinstance(columns["ids"], np.ndarray),
        )
        if self._given is not None and given != self._given:
            raise ArgumentError(
                "groups and ids must be of one kind in all parts: numbers, strings or (ids) absent"
            )
        self._given = given
        self._stream.add(columns)

    def finish(self) -> Dedup:
        """Return the decisions on all rows, in the order in which they were added."""
        return Dedup(*self._stream.finish())


@dataclass(frozen=True, slots=True)
class Nearest:
    """One entry for each of n texts."""

    row: NDArray[np.int64]
    """int64[n] the most similar other text; -1 where none reaches the threshold."""
    similarity: NDArray[np.float32]
    """float32[n] similarity with it; 0 where there is none."""
    same: NDArray[np.bool_]
    """bool[n] whether both have the same words in the same order."""


def nearest(texts: Any, others: Any, *, threshold: float = 0.7) -> Nearest:
    """Find for each text the most similar one of others, exactly, by the join of `deduplicate`.

    Used for the overlap of a training split with a test split. Similarity is that of
    ``view="words"``; among equals the first; null and blank texts are like nothing.

    Raises:
        ArgumentError: A column or the threshold does not fit.
        DataError: Arrow data that is not valid.
    """
    return Nearest(*_nearest(texts, others, _threshold(threshold)))


def _threshold(threshold: Any) -> float:
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number):
        raise ArgumentError(f"threshold={threshold!r}: expected a number above 0 and at most 1")
    return float(threshold)


def _options(
    threshold: Any, scope: str, mode: str, keep: Any, diverse: Any, view: str, memory: Any
) -> _DedupOptions:
    return {
        "threshold": _threshold(threshold),
        "scope": scope,
        "mode": mode,
        "keep": integer("keep", keep),
        "diverse": integer("diverse", diverse),
        "view": view,
        "memory": None if memory is None else parse_bytes("memory", memory),
    }


def _columns(
    texts: Any,
    groups: Any,
    answers: Any,
    ids: Any,
    verified: Any,
    quality: Any,
    teacher_rank: Any,
    tokens: Any,
) -> _DedupColumns:
    flat, offsets = _flat(tokens)
    return {
        "texts": texts,
        "groups": keys("groups", groups),
        "answers": answers,
        "ids": None if ids is None else keys("ids", ids),
        "verified": None if verified is None else booleans("verified", verified),
        "quality": None if quality is None else floats("quality", quality),
        "teacher_rank": None if teacher_rank is None else integers("teacher_rank", teacher_rank),
        "token_ids": flat,
        "token_offsets": offsets,
    }


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def parse_bytes(name: str, size: int | str) -> int:
    """Return a number of bytes above 0, given as such or as a size like ``2GiB`` or ``500MB``.

    Raises:
        ArgumentError: It is none; the message names the argument.
    """
    if isinstance(size, str):
        match = _SIZE.fullmatch(size.strip())
        if match is None:
            raise ArgumentError(f"{name}={size!r}: expected bytes or a size such as '2GiB'")
        power = " kmgt".index(match[2].lower() or " ")
        size = int(float(match[1]) * (1024 if match[3] else 1000) ** power)
    number = integer(name, size)
    if number < 1:
        raise ArgumentError(f"{name}={number} is out of range: expected a number of bytes above 0")
    return number


def _flat(
    rows: FlatTokens | Sequence[Any] | None,
) -> tuple[NDArray[np.uint32] | None, NDArray[np.int64] | None]:
    """Return token ids end to end with their offsets."""
    if rows is None:
        return None, None
    if isinstance(rows, FlatTokens):
        return token_ids("token_ids", rows.ids), integers("token_ids.offsets", rows.offsets)
    parts = [
        token_ids(f"token_ids[{row}]", () if ids is None else ids) for row, ids in enumerate(rows)
    ]
    offsets = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    return (np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint32)), offsets
