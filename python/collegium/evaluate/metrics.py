"""Accuracy with bootstrap intervals, paired comparison, and what guessing would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from collegium.errors import ArgumentError
from collegium.example import Example
from collegium.tasks.base import Task

RESAMPLES = 10_000
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Interval:
    """A mean with its percentile interval."""

    mean: float
    low: float
    high: float
    n: int
    level: float = 0.95


@dataclass(frozen=True)
class Difference:
    """Mean of ``first - second`` over the same questions, its interval, and a two-sided p-value.

    `p_value` = 2 min(P(d <= 0), P(d >= 0)) over the resamples, at most 1: how often chance in the
    choice of questions would turn the sign.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    level: float = 0.95

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return asdict(self)


def bootstrap_interval(
    values: Iterable[float], *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the mean of `values` [n] and its percentile bootstrap interval (Efron 1979).

    The questions are resampled with replacement; the interval says how much the mean depends on
    which questions were asked, and nothing about other training seeds. With 0/1 values the
    resampled mean is Binomial(n, mean) / n, which is drawn directly. Where all values are the same
    the interval is a point, although n questions leave room for about 3 / n.

    Raises:
        ArgumentError: no values, or a level outside (0, 1).
    """
    array = np.asarray(list(values), dtype=np.float64)
    if not array.size:
        raise ArgumentError("bootstrap_interval: expected at least one value")
    means = _resampled_means(array, level, resamples, seed)
    low, high = _percentiles(means, level)
    return Interval(float(array.mean()), low, high, int(array.size), level)


def paired_bootstrap(
    first: Mapping[str, float],
    second: Mapping[str, float],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare two results on the same questions: question id to correctness, 0 .. 1 in both.

    Both are resampled together, question by question, so that easy and hard questions count the
    same on both sides. With several seeds give each question's mean over them.

    Raises:
        ArgumentError: the question ids differ, or there are none.
    """
    if first.keys() != second.keys():
        odd = sorted(first.keys() ^ second.keys())
        raise ArgumentError(
            f"paired_bootstrap: expected the same questions on both sides, found {len(odd)} on one "
            f"side only (e.g. {odd[0]!r})"
        )
    array = np.asarray([float(first[key]) - float(second[key]) for key in sorted(first)])
    if not array.size:
        raise ArgumentError("paired_bootstrap: expected at least one question")
    means = _resampled_means(array, level, resamples, seed)
    low, high = _percentiles(means, level)
    # Sums of the same values in another order differ in the last bits.
    eps = 1e-12
    p_value = min(1.0, 2 * min(float((means <= eps).mean()), float((means >= -eps).mean())))
    return Difference(float(array.mean()), low, high, p_value, int(array.size), level)


def _resampled_means(array: np.ndarray, level: float, resamples: int, seed: int) -> np.ndarray:
    if not 0 < level < 1:
        raise ArgumentError(f"level: expected between 0 and 1, found {level}")
    if resamples < 1:
        raise ArgumentError(f"resamples: expected 1 or more, found {resamples}")
    rng = np.random.default_rng(seed)
    n = array.size
    values, counts = np.unique(array, return_counts=True)
    if len(values) <= 3:
        draws = rng.multinomial(n, counts / n, size=resamples)
        return draws @ values / n
    block = max(1, _BLOCK // n)
    return np.concatenate(
        [
            array[rng.integers(n, size=(min(block, resamples - start), n))].mean(axis=1)
            for start in range(0, resamples, block)
        ]
    )


def _percentiles(means: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Majority:
    """What answering every question with the most frequent training answer would give."""

    answer: str
    accuracy: float
    n: int


def majority_baseline(task: Task, train: Sequence[Example], test: Sequence[Example]) -> Majority:
    """Return the accuracy on `test` of the most frequent answer in `train`.

    Ties go to the answer that comes first. Judged by the task's own checker.

    Raises:
        ArgumentError: no gold answer on one of the sides.
    """
    counts = Counter(e.answer for e in train if e.answer is not None)
    labelled = [e for e in test if e.answer is not None]
    if not counts or not labelled:
        raise ArgumentError("majority_baseline: expected gold answers in train and in test")
    answer = counts.most_common(1)[0][0]
    right = sum(task.check(answer, e) for e in labelled)
    return Majority(answer, right / len(labelled), len(labelled))


def chance_level(examples: Sequence[Example]) -> float | None:
    """Return the mean of 1 / number of choices, None where a question has no choices."""
    if not examples or not all(e.choices for e in examples):
        return None
    return sum(1 / len(e.choices or ()) for e in examples) / len(examples)


def distinct_trigrams(text: str) -> float | None:
    """Return the share of different word trigrams, None below three words; loops bring it down."""
    words = text.split()
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    return len(set(trigrams)) / len(trigrams) if trigrams else None


def token_f1(text: str, reference: str) -> float:
    """Return the F1 of the bags of lower-cased words of two texts (0 where they share none)."""
    ours, theirs = Counter(text.lower().split()), Counter(reference.lower().split())
    shared = sum((ours & theirs).values())
    total = sum(ours.values()) + sum(theirs.values())
    return 2 * shared / total if total else 0.0
