"""Exact removal of near-duplicates among the answers to a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from collegium._arrays import booleans, floats, integer, integers, keys, token_ids
from collegium._rust import deduplicate as _deduplicate
from collegium.errors import ArgumentError


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


def deduplicate(
    texts: Any,
    groups: Any,
    answers: Any,
    *,
    ids: Any = None,
    verified: Sequence[bool | None] | NDArray[np.bool_] | None = None,
    quality: Sequence[float | None] | NDArray[Any] | None = None,
    teacher_rank: Sequence[int] | NDArray[np.integer] | None = None,
    token_ids: FlatTokens | Sequence[Sequence[int] | NDArray[np.integer] | None] | None = None,
    threshold: float = 0.7,
    scope: Literal["group", "all"] = "group",
    mode: Literal["exact", "lsh"] = "exact",
    keep: int = 1,
    diverse: int = 0,
    view: Literal["words", "chars", "tokens"] = "words",
    memory: int | None = None,
) -> Dedup:
    r"""Drop near-duplicates among rows of the same group and answer.

    The similarity of two texts is the Jaccard index ``|A & B| / |A | B|`` of their sets of
    3-grams, computed exactly:

    * ``view="words"``: of the lower-cased words ``\w+``; fewer than three words are one 3-gram, a
      text of punctuation alone is one word;
    * ``view="chars"``: of the lower-cased characters, runs of white space read as one space;
    * ``view="tokens"``: of the given `token_ids`.

    Rows are taken from the best to the worst: verified first, then by higher quality (NaN and
    None last), lower teacher rank, lower id. A row whose similarity with a kept row reaches the
    threshold joins the most similar such row and is dropped. So every dropped row is a
    near-duplicate of the row named in `Dedup.kept_by`, and with ``keep=1`` no two kept rows of a
    group and answer reach the threshold. Neither the number of threads nor, given distinct
    `ids`, the order of the rows changes what is kept.

    Null and blank texts are kept and never merged. A null answer equals only a null answer; among
    such rows only texts with the same numbers, equally often, can be near-duplicates (numbers of
    steps and list items, ``Step 1:`` or ``1.``, do not count).

    Args:
        texts: n texts: a list of ``str | None``, or an Arrow array or column of strings.
        groups: n questions' names or numbers; rows of different groups never meet.
        answers: n answers, compared as they are; or None if no row has one.
        ids: n stable names or numbers, to break ties. Without them the earlier row wins.
        verified: n truth values.
        quality: n numbers, higher is better.
        teacher_rank: n numbers, lower is better.
        token_ids: Ids of each text, for ``view="tokens"`` only.
        threshold: Similarity from which a row is a near-duplicate, above 0 and at most 1.
        scope: ``"group"``. Duplicates across groups (``"all"``) are not available yet.
        mode: ``"exact"``. ``"lsh"`` is not available yet.
        keep: Rows kept of each cluster: the centre and the best of those it stands for.
        diverse: If above 0, of each group and answer at most this many rows with text are kept:
            the best, then repeatedly the one whose greatest similarity with those chosen is
            least. This is a choice, no merging: a row it drops may be less similar to `kept_by`
            than the threshold, and then has the reason ``DIVERSE``.
        view: What is compared.
        memory: Must be None; a bound on memory is not available yet.

    Raises:
        ArgumentError: An option or a column does not fit; the message names it.
        DataError: Arrow data that is not valid.
    """
    if memory is not None:
        raise ArgumentError(
            f"memory={memory!r} is not available in this version; leave it out (all rows are held "
            "in memory)"
        )
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number):
        raise ArgumentError(f"threshold={threshold!r}: expected a number above 0 and at most 1")
    tokens, offsets = _flat(token_ids)
    columns = _deduplicate(
        texts,
        keys("groups", groups),
        answers,
        ids=None if ids is None else keys("ids", ids),
        verified=None if verified is None else booleans("verified", verified),
        quality=None if quality is None else floats("quality", quality),
        teacher_rank=None if teacher_rank is None else integers("teacher_rank", teacher_rank),
        token_ids=tokens,
        token_offsets=offsets,
        threshold=float(threshold),
        scope=scope,
        mode=mode,
        keep=integer("keep", keep),
        diverse=integer("diverse", diverse),
        view=view,
    )
    return Dedup(*columns)


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
