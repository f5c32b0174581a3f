"""Deduplication against a join that compares every pair."""

from __future__ import annotations

import re
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium import Dedup, Reason, deduplicate
from collegium.dedup import nearest

WORDS = st.sampled_from(["Apple", "pear", "and", "is", "naïve", "ΣΑΣ", "日本", "x_1", "the"])
SENTENCE = st.lists(WORDS, max_size=9).map(" ".join)
TEXT = st.one_of(
    SENTENCE,
    SENTENCE,
    st.text(max_size=12),
    st.text(string.punctuation + " \n", max_size=4),
    st.none(),
)
ROW = st.tuples(TEXT, st.integers(0, 2), st.sampled_from(["a", "b"]))
ROWS = st.lists(ROW, max_size=24)
THRESHOLD = st.sampled_from([0.2, 1 / 3, 0.5, 0.6, 0.7, 0.75, 0.9, 1.0])


def shingles(text: str | None) -> set[tuple[str, ...]] | None:
    """Word 3-grams as the definition says; None where there is nothing to compare."""
    if text is None or not text.strip():
        return None
    words = re.findall(r"\w+", text.lower()) or [text.strip().lower()]
    if len(words) < 3:
        return {tuple(words)}
    return set(zip(words, words[1:], words[2:], strict=False))


def jaccard(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b)


def ordinary(text: str | None) -> bool:
    return text is not None and 32 <= len(text.encode()) <= 4096


def by_pairs(rows, ids, threshold, across=False) -> list[tuple[int, float]]:
    """(kept_by, similarity) of each row, every pair compared."""
    sets = [shingles(text) for text, _, _ in rows]
    first = 2 if across else 1
    result = [(row, 1.0) for row in range(len(rows))]
    centres: list[int] = []
    for row in sorted(range(len(rows)), key=lambda r: (not ordinary(rows[r][0]), ids[r])):
        mine = sets[row]
        if mine is None:
            continue
        near = []
        for rank, other in enumerate(centres):
            theirs = sets[other]
            if rows[other][first:] == rows[row][first:] and theirs is not None:
                similarity = jaccard(mine, theirs)
                if similarity >= threshold:
                    near.append((-similarity, rank, other))
        if near:
            similarity, _, other = min(near)
            result[row] = (other, -similarity)
        else:
            centres.append(row)
    return result


def run(rows, **options) -> Dedup:
    texts, groups, answers = zip(*rows, strict=True) if rows else ((), (), ())
    return deduplicate(list(texts), list(groups), list(answers), **options)


SCOPE = st.sampled_from(["group", "all"])
MEMORY = st.sampled_from([None, 1, "1MiB"])


@settings(max_examples=200)
@given(ROWS, THRESHOLD, SCOPE, MEMORY, st.randoms(use_true_random=False))
def test_the_join_is_exact(rows, threshold, scope, memory, random):
    ids = list(range(len(rows)))
    random.shuffle(ids)
    found = run(rows, ids=ids, threshold=threshold, scope=scope, memory=memory)
    expected = by_pairs(rows, ids, threshold, across=scope == "all")
    assert found.kept_by.tolist() == [keeper for keeper, _ in expected]
    assert found.similarity.tolist() == [np.float32(s) for _, s in expected]
    assert found.keep.tolist() == [keeper == row for row, (keeper, _) in enumerate(expected)]
    words = [re.findall(r"\w+", (text or "").lower()) for text, _, _ in rows]
    for row, (keeper, _) in enumerate(expected):
        same = words[row] == words[keeper]
        wanted = Reason.KEPT if keeper == row else Reason.EXACT if same else Reason.NEAR
        assert found.reason[row] == wanted


@given(ROWS, THRESHOLD, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_is_nothing(rows, threshold, random):
    columns = {
        "ids": [f"row {random.random()} {number}" for number in range(len(rows))],
        "verified": [random.random() < 0.5 for _ in rows],
        "quality": [random.choice([0.0, 1.0, None]) for _ in rows],
        "teacher_rank": [random.randrange(2) for _ in rows],
    }
    options = {
        "threshold": threshold,
        "keep": random.randrange(1, 3),
        "diverse": random.randrange(4),
    }
    found = run(rows, **columns, **options)
    order = list(range(len(rows)))
    random.shuffle(order)
    turned = {name: [values[i] for i in order] for name, values in columns.items()}
    other = run([rows[i] for i in order], **turned, **options)
    assert other.keep.tolist() == [found.keep[i] for i in order]
    assert [order[i] for i in other.kept_by] == [found.kept_by[i] for i in order]
    assert other.similarity.tolist() == [found.similarity[i] for i in order]
    assert other.reason.tolist() == [found.reason[i] for i in order]


@given(ROWS, THRESHOLD, st.integers(1, 3), st.integers(0, 3))
def test_what_always_holds(rows, threshold, keep, diverse):
    found = run(rows, threshold=threshold, keep=keep, diverse=diverse)
    sets = [shingles(text) for text, _, _ in rows]
    for row, keeper in enumerate(found.kept_by.tolist()):
        assert found.keep[keeper]
        assert rows[keeper][1:] == rows[row][1:]
        assert found.keep[row] == (keeper == row) == (found.reason[row] == Reason.KEPT)
        mine, theirs = sets[row], sets[keeper]
        if mine is None or theirs is None:
            assert keeper == row
        else:
            assert found.similarity[row] == np.float32(jaccard(mine, theirs))
            merged = found.reason[row] in (Reason.EXACT, Reason.NEAR)
            assert not merged or jaccard(mine, theirs) >= threshold
    left = {}
    for row in np.flatnonzero(found.keep).tolist():
        if sets[row] is not None:
            left.setdefault(rows[row][1:], []).append(sets[row])
    for kept in left.values():
        assert not diverse or len(kept) <= diverse
        if keep == 1:
            pairs = [(a, b) for i, a in enumerate(kept) for b in kept[:i]]
            assert all(jaccard(a, b) < threshold for a, b in pairs)


@given(ROWS, THRESHOLD)
def test_a_second_time_changes_nothing(rows, threshold):
    found = run(rows, threshold=threshold)
    again = run(
        [row for row, keep in zip(rows, found.keep, strict=True) if keep], threshold=threshold
    )
    assert again.keep.all()


def phrases(seed, count):
    random = np.random.default_rng(seed)
    rows = []
    for row in range(count):
        words = ["the", "answer", "is", "that", "we", "add", *random.choice(list("abcdef"), 9)]
        rows.append((" ".join(words), row % 2, "a"))
    return rows


def check_large_groups(seed, threshold, scope):
    """Above 32 rows of a class an index is used, with little memory block by block."""
    rows = phrases(seed, 150)
    expected = by_pairs(rows, range(len(rows)), threshold, across=scope == "all")
    sets = [shingles(text) for text, _, _ in rows]
    for memory in (None, 1):
        found = run(rows, threshold=threshold, scope=scope, memory=memory)
        assert found.kept_by.tolist() == [keeper for keeper, _ in expected]
        assert found.similarity.tolist() == [np.float32(s) for _, s in expected]
    first, second = (
        run(rows, threshold=threshold, scope=scope, mode="lsh", memory=m) for m in (None, 1)
    )
    assert first.kept_by.tolist() == second.kept_by.tolist()
    for row, keeper in enumerate(first.kept_by.tolist()):
        similarity = jaccard(sets[row], sets[keeper])
        assert similarity >= threshold and first.similarity[row] == np.float32(similarity)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), THRESHOLD, SCOPE)
def test_large_groups_with_common_phrases(seed, threshold, scope):
    check_large_groups(seed, threshold, scope)


@pytest.mark.ci
@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32), THRESHOLD, SCOPE)
def test_many_large_groups(seed, threshold, scope):
    check_large_groups(seed, threshold, scope)


@pytest.mark.ci
@settings(max_examples=3000, deadline=None)
@given(ROWS, THRESHOLD, SCOPE, MEMORY, st.sampled_from(["exact", "lsh"]))
def test_thousands_of_small_corpora(rows, threshold, scope, memory, mode):
    # Classes this small are exact in LSH mode too.
    found = run(rows, threshold=threshold, scope=scope, memory=memory, mode=mode)
    expected = by_pairs(rows, range(len(rows)), threshold, across=scope == "all")
    assert found.kept_by.tolist() == [keeper for keeper, _ in expected]
    assert found.similarity.tolist() == [np.float32(s) for _, s in expected]


@settings(max_examples=60)
@given(ROWS, ROWS, THRESHOLD)
def test_nearest_overlooks_nothing(rows, others, threshold):
    texts, candidates = [text for text, _, _ in rows], [text for text, _, _ in others]
    found = nearest(texts, candidates, threshold=threshold)
    for row, text in enumerate(texts):
        mine = shingles(text)
        similar = [
            (-jaccard(mine, theirs), other)
            for other, theirs in enumerate(map(shingles, candidates))
            if mine is not None and theirs is not None and jaccard(mine, theirs) >= threshold
        ]
        expected = min(similar, default=(0, -1))
        assert (found.row[row], found.similarity[row]) == (expected[1], np.float32(-expected[0]))
