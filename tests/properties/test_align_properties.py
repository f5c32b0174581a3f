"""Alignment against brute force, on random tokenizations and on real tokenizers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from collegium import Encoded, Tokenizer, align
from collegium.errors import ArgumentError

Span = tuple[int, int, int, int, float]


def side(texts: list[list[int]], uncertain: list[int] = []) -> Encoded:  # noqa: B006
    """An encoding of texts given by the byte lengths of their tokens."""
    lengths = np.array([n for text in texts for n in text], np.uint32)
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    changed = np.zeros(len(texts), np.bool_)
    return Encoded(
        np.arange(len(lengths), dtype=np.uint32), offsets, lengths, changed,
        np.array(uncertain, np.int64),
    )  # fmt: skip


def groups(lengths: list[int], first: int, doubtful: set[int]) -> dict[int, tuple[int, bool]]:
    """Byte position of each boundary -> number of tokens up to it, and whether it is certain.

    Tokens without bytes stand before the boundary at whose position they are; those at the start of
    a text are within the first span.
    """
    found: dict[int, tuple[int, bool]] = {}
    end, certain = 0, True
    for place, length in enumerate(lengths):
        if length:
            certain = True
        end += length
        certain = certain and first + place not in doubtful
        if end:
            found[end] = (place + 1, certain)
    return found


def reference(student: Encoded, teacher: Encoded, text: int) -> list[Span]:
    """Spans between the common certain boundaries of one text."""
    sides = []
    for encoded in (student, teacher):
        assert encoded.byte_lengths is not None and encoded.uncertain is not None
        a, b = encoded.offsets[text : text + 2].tolist()
        lengths = encoded.byte_lengths[a:b].tolist()
        sides.append((a, lengths, groups(lengths, a, set(encoded.uncertain.tolist()))))
    (a, mine, left), (b, theirs, right) = sides
    whole = sum(mine)
    if not whole or not sum(theirs):
        return []
    cuts = [p for p in sorted(left.keys() & right.keys()) if left[p][1] and right[p][1]]
    cuts = sorted({*cuts, whole})
    found = []
    for start, end in itertools.pairwise([0, *cuts]):
        i, j = (0, 0) if start == 0 else (left[start][0], right[start][0])
        m, n = left[end][0] - i, right[end][0] - j
        first = next(x for x in mine[i:] if x)
        other = next(x for x in theirs[j:] if x)
        found.append((a + i, b + j, m, n, float(np.float32(min(first, other) / max(first, other)))))
    return found


def spans(student: Encoded, teacher: Encoded) -> list[list[Span]]:
    found = align(student, teacher)
    rows = list(
        zip(
            found.student_edges.tolist(), found.teacher_rows.tolist(),
            found.student_tokens.tolist(), found.teacher_tokens.tolist(), found.weight.tolist(),
            strict=True,
        )
    )  # fmt: skip
    return [rows[a:b] for a, b in itertools.pairwise(found.offsets.tolist())]


def check(student: Encoded, teacher: Encoded) -> None:
    found = spans(student, teacher)
    for text in range(len(student)):
        assert found[text] == reference(student, teacher, text), text


def cut(chance: random.Random, whole: int) -> list[int]:
    """Token lengths that sum to `whole`, some of them 0."""
    lengths = [0] * chance.choice([0, 0, 1])
    while whole:
        lengths.append(chance.randint(1, min(whole, chance.choice([1, 3, 8]))))
        whole -= lengths[-1]
        lengths += [0] * chance.choice([0, 0, 0, 1, 2])
    return lengths


def test_random_tokenizations() -> None:
    for seed in range(300):
        chance = random.Random(seed)
        sizes = [chance.choice([0, 1, 5, 40]) for _ in range(chance.randint(0, 8))]
        made = []
        for _ in range(2):
            texts = [cut(chance, size) for size in sizes]
            total = sum(map(len, texts))
            made.append(side(texts, sorted(i for i in range(total) if chance.random() < 0.2)))
        check(*made)


def test_dtypes_and_tokens_outside() -> None:
    student, teacher = side([[0, 2, 1, 0], [0, 0]]), side([[1, 1, 1], []])
    found = align(student, teacher, student_outside={0, 3, 4, 5})
    assert found.student_edges.tolist() == [1, 2]
    assert found.teacher_rows.tolist() == [0, 2]
    assert found.weight.tolist() == [0.5, 1.0]
    assert found.offsets.tolist() == [0, 2, 2]
    assert len(found) == 2
    kinds = [
        (found.student_edges, np.int64), (found.teacher_rows, np.int64), (found.offsets, np.int64),
        (found.weight, np.float32), (found.student_tokens, np.uint32),
        (found.teacher_tokens, np.uint32), (found.changed, np.bool_),
    ]  # fmt: skip
    assert all(array.dtype == kind for array, kind in kinds)


def test_what_cannot_be_aligned() -> None:
    with pytest.raises(ArgumentError, match="text 1 has 3 bytes for student and 4"):
        align(side([[1], [3]]), side([[1], [2, 2]]))
    with pytest.raises(ArgumentError, match="teacher has 2 rows"):
        align(side([[1]]), side([[1], [2]]))
    plain = Encoded(np.zeros(1, np.uint32), np.array([0, 1]))
    with pytest.raises(ArgumentError, match="byte_lengths=True"):
        align(plain, plain)


TEXTS = [
    "Tom has 5 apples; he buys 3 more. How many?\n\n5 + 3 = 8.",
    "naïve café – “quoted” … 日本語のテキスト 😀👩‍👩‍👧",
    "cafe\u0301 e\u0301\u0301x \u212b \ufb01sh \ufb03x ½ x² \u0130stanbul ｆｕｌｌ",
    "  two  spaces   three \t tab \r\n line ",
    "",
    " ",
    "aaaaaaaaaaaaaaaaaaaaaaaa" * 5,
    "def f(x):\n    return {'a': [1, 2.50, -3e10]}  # <pad> <|endoftext|>",
    "\u1100\u1161\u11a8 \u0e01\u0e33 \u0915\u094d\u0937\u093f",
]
NAMES = ("pythia", "gpt2", "qwen3", "mistral03", "t5")


@pytest.fixture(scope="module")
def encoded(tokenizer_file: Callable[[str], Path]) -> dict[str, Encoded]:
    return {
        name: Tokenizer.from_file(tokenizer_file(name)).encode_batch(TEXTS, byte_lengths=True)
        for name in NAMES
    }


@pytest.mark.parametrize(("one", "two"), list(itertools.product(NAMES, repeat=2)))
def test_real_tokenizers(encoded: dict[str, Encoded], one: str, two: str) -> None:
    student, teacher = encoded[one], encoded[two]
    check(student, teacher)
    found = align(student, teacher)
    mirrored = align(teacher, student)
    assert found.teacher_rows.tolist() == mirrored.student_edges.tolist()
    assert student.byte_lengths is not None
    for text in range(len(TEXTS)):
        rows = slice(*found.offsets[text : text + 2])
        tokens = slice(*student.offsets[text : text + 2])
        # All tokens of a text are in its spans, in order.
        assert found.student_tokens[rows].sum() == (
            tokens.stop - tokens.start if rows.stop - rows.start else 0
        )
    if one == two:
        certain = np.setdiff1d(np.arange(len(student.ids)), student.uncertain)
        assert len(found.weight) <= len(certain)
        assert (found.weight == 1).all()


def test_changed_texts_are_told(encoded: dict[str, Encoded]) -> None:
    def changed(name: str) -> list[int]:
        flags = encoded[name].changed
        assert flags is not None
        return np.flatnonzero(flags).tolist()

    assert changed("gpt2") == changed("mistral03") == []
    assert changed("pythia") == changed("qwen3") == [2, 8]
    assert {2, 3}.issubset(changed("t5"))
    assert 6 not in changed("t5")
    assert np.flatnonzero(align(encoded["gpt2"], encoded["pythia"]).changed).tolist() == [2, 8]


def test_a_ligature_is_not_cut(tokenizer_file: Callable[[str], Path]) -> None:
    """T5 reads two letters where the text has one character; its parts are not aligned alone."""
    t5 = Tokenizer.from_file(tokenizer_file("t5"))
    gpt2 = Tokenizer.from_file(tokenizer_file("gpt2"))
    texts = ["o\ufb03ce of x", "office of x"]
    found = align(*(t.encode_batch(texts, byte_lengths=True) for t in (t5, gpt2)))
    assert found.changed.tolist() == [True, False]
    first = [int(found.student_tokens[found.offsets[i]]) for i in range(2)]
    ids = t5.encode_batch(texts)
    assert t5.decode(ids[0][: first[0]]) == "office"
    assert t5.decode(ids[1][: first[1]]) == "office"
