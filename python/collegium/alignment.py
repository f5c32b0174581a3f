"""Two tokenizations of the same texts, put side by side by the bytes that they cut out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from collegium._rust import align as _align
from collegium.errors import ArgumentError

if TYPE_CHECKING:
    from collegium.tokenizer import Encoded


@dataclass(frozen=True, slots=True)
class Alignment:
    """The minimal common spans of n texts: S spans in all, in the order of the texts.

    A span is the shortest stretch of bytes that begins and ends at a token boundary on both sides.
    At its start student and teacher have read the same bytes: the student's distribution over
    token ``student_edges[s]`` and the teacher's over token ``teacher_rows[s]`` continue the same
    text. Inside a span the two have no common place.
    """

    student_edges: NDArray[np.int64]
    """int64[S] position in the student's `ids` of the first token of each span: the target of a
    loss edge. The hidden state that predicts it stands one before it in the row."""
    teacher_rows: NDArray[np.int64]
    """int64[S] position in the teacher's `ids` of the first token of the same span."""
    weight: NDArray[np.float32]
    """float32[S] in (0, 1]: the bytes that the two first tokens share, divided by those of the
    longer one; 1 where both sides go on with the same bytes."""
    offsets: NDArray[np.int64]
    """int64[n + 1]: text i has the spans ``offsets[i]:offsets[i + 1]``."""
    student_tokens: NDArray[np.uint32]
    """uint32[S] number of the student's tokens in each span."""
    teacher_tokens: NDArray[np.uint32]
    """uint32[S] number of the teacher's tokens in each span."""
    changed: NDArray[np.bool_]
    """bool[n] whether a normalizer changed the text's characters on either side. Its spans end only
    at boundaries that are certain all the same, and may be longer for it."""

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1


def align(
    student: Encoded,
    teacher: Encoded,
    *,
    student_outside: Collection[int] = (),
    teacher_outside: Collection[int] = (),
) -> Alignment:
    """Align two encodings of the same texts, made with ``byte_lengths=True``.

    A tokenizer's normalizer may make other characters of a text (compose, fold, replace). Byte
    lengths always count the text as given, but there a token may stand for part of a character
    whose bytes went to the token before it. Such a boundary ends no span: of a changed text only
    boundaries between two ASCII characters do, or between any two whose change is known to keep to
    itself, and the end of the text.

    A token of no bytes goes with the bytes before it, at the start of a text with those after it.

    Args:
        student: n texts by the student's tokenizer.
        teacher: the same texts by the teacher's.
        student_outside: ids that stand for no text, such as BOS and EOS, where they were added:
            they are in no span. (An edge that predicts EOS pairs with the teacher's own.)
        teacher_outside: the same of the teacher.

    Raises:
        ArgumentError: An encoding has no byte lengths, or the texts are not the same; the message
            names the first one that differs.
    """
    found = _align(
        _side("student", student, student_outside), _side("teacher", teacher, teacher_outside)
    )
    offsets, edges, rows, student_tokens, teacher_tokens, weight = found
    changed = np.zeros(len(student), dtype=np.bool_)
    for side in (student, teacher):
        if side.changed is not None:
            changed |= side.changed
    return Alignment(edges, rows, weight, offsets, student_tokens, teacher_tokens, changed)


def _side(name: str, encoded: Encoded, outside: Collection[int]) -> tuple[Any, Any, Any, Any]:
    lengths = encoded.byte_lengths
    if lengths is None:
        raise ArgumentError(f"{name}: no byte lengths; encode with byte_lengths=True")
    uncertain = encoded.uncertain
    if uncertain is None:
        uncertain = np.zeros(0, dtype=np.int64)
    without_bytes = np.flatnonzero(lengths == 0)
    apart = without_bytes[np.isin(encoded.ids[without_bytes], np.array(sorted(outside), np.int64))]
    return encoded.offsets, lengths, uncertain, apart.astype(np.int64)
