"""Deduplication against a join that compares every pair."""

from __future__ import annotations

import re
import string

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium import Dedup, Reason, deduplicate

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


def by_pairs(rows, ids, threshold) -> list[tuple[int, float]]:
    """(kept_by, similarity) of each row, every pair compared."""
    sets = [shingles(text) for text, _, _ in rows]
    result = [(row, 1.0) for row in range(len(rows))]
    centres: list[int] = []
    for row in sorted(range(len(rows)), key=lambda r: ids[r]):
        mine = sets[row]
        if mine is None:
            continue
        near = []
        for rank, other in enumerate(centres):
            theirs = sets[other]
            if rows[other][1:] == rows[row][1:] and theirs is not None:
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


@settings(max_examples=200)
@given(ROWS, THRESHOLD, st.randoms(use_true_random=False))
def test_the_join_is_exact(rows, threshold, random):
    ids = list(range(len(rows)))
    random.shuffle(ids)
    found = run(rows, ids=ids, threshold=threshold)
    expected = by_pairs(rows, ids, threshold)
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
        "ids": [f"row {random.random()}" for _ in rows],
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


@settings(max_examples=15)
@given(st.integers(0, 2**32), THRESHOLD)
def test_large_groups_with_common_phrases(seed, threshold):
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(150):
        words = ["the", "answer", "is", "that", "we", "add", *random.choice(list("abcdef"), 9)]
        rows.append((" ".join(words), 0, "a"))
    found = run(rows, threshold=threshold)
    expected = by_pairs(rows, range(len(rows)), threshold)
    assert found.kept_by.tolist() == [keeper for keeper, _ in expected]
