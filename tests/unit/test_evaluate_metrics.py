"""Intervals against their closed forms, paired comparison, baselines, and prediction files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collegium.errors import ArgumentError, DataError
from collegium.evaluate.compare import compare_arms, correctness
from collegium.evaluate.metrics import (
    bootstrap_interval,
    chance_level,
    distinct_trigrams,
    majority_baseline,
    paired_bootstrap,
    token_f1,
)
from collegium.evaluate.prediction import Prediction, read_predictions, write_predictions
from collegium.example import Example
from collegium.tasks import open_task


def test_binary_interval_is_that_of_the_binomial() -> None:
    n, right = 400, 120
    found = bootstrap_interval([1.0] * right + [0.0] * (n - right), resamples=200_000)
    half = 1.959964 * math.sqrt(0.3 * 0.7 / n)
    assert found.mean == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - half, abs=1.5 / n)
    assert found.high == pytest.approx(0.3 + half, abs=1.5 / n)


def test_interval_of_real_values_is_near_the_normal_one() -> None:
    values = np.random.default_rng(1).exponential(size=500)
    found = bootstrap_interval(values, resamples=20_000)
    half = 1.959964 * values.std() / math.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - half, abs=0.01)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for trial in range(400):
        sample = (rng.random(300) < 0.4).astype(float)
        found = bootstrap_interval(sample, resamples=2000, seed=trial)
        covered += found.low <= 0.4 <= found.high
    assert 0.92 <= covered / 400 <= 0.975


def test_drawing_counts_is_resampling_questions() -> None:
    """The shortcut for few distinct values against plain resampling of the same values."""
    values = np.array([0.0] * 30 + [0.5] * 20 + [1.0] * 50)
    quick = bootstrap_interval(values, resamples=50_000)
    rng = np.random.default_rng(3)
    means = values[rng.integers(100, size=(50_000, 100))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    assert (quick.low, quick.high) == pytest.approx((low, high), abs=0.006)


def test_intervals_are_repeatable_and_degenerate_ones_exact() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    assert bootstrap_interval(values) == bootstrap_interval(values)
    all_right = bootstrap_interval([True, True])
    assert (all_right.mean, all_right.low, all_right.high, all_right.n) == (1, 1, 1, 2)
    wider = bootstrap_interval(list(range(50)), level=0.99)
    assert wider.low < bootstrap_interval(list(range(50)), level=0.5).low


def test_wrong_intervals() -> None:
    with pytest.raises(ArgumentError, match="at least one value"):
        bootstrap_interval([])
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        bootstrap_interval([1.0], level=95)
    with pytest.raises(ArgumentError, match="resamples"):
        bootstrap_interval([1.0], resamples=0)


def test_paired_comparison_sees_what_unpaired_ones_cannot() -> None:
    """One side is right on the same questions and 20 more: certain, small as it is."""
    ids = [str(i) for i in range(400)]
    second = {key: float(int(key) % 2) for key in ids}
    first = {key: 1.0 if int(key) < 40 else second[key] for key in ids}
    found = paired_bootstrap(first, second)
    assert found.difference == pytest.approx(20 / 400)
    half = 1.959964 * math.sqrt(0.05 * 0.95 / 400)
    assert (found.low, found.high) == pytest.approx((0.05 - half, 0.05 + half), abs=0.004)
    assert found.p_value < 1e-3
    same = paired_bootstrap(second, dict(reversed(second.items())))
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_paired_comparison_needs_the_same_questions() -> None:
    with pytest.raises(ArgumentError, match=r"same questions on both sides, found 2 .*'a'"):
        paired_bootstrap({"a": 1.0}, {"b": 1.0})
    with pytest.raises(ArgumentError, match="at least one question"):
        paired_bootstrap({}, {})


def prediction(key: str, mode: str = "label", correct: bool | None = True) -> Prediction:
    return Prediction(
        id=key, mode=mode, raw="7 «é»\n", rationale=None, answer="7", parsed=True, tokens=2,
        finished=True, truncated=False, gold="7", correct=correct,
    )  # fmt: skip


def test_arms_are_compared_on_their_means_over_seeds() -> None:
    weak = [[prediction(str(i), correct=i % 4 == 0) for i in range(100)]] * 2
    strong = [
        [prediction(str(i), correct=i % 4 == 0 or i % 2 == seed) for i in range(100)]
        for seed in range(2)
    ]
    assert correctness(strong, "label")["1"] == 0.5
    found = compare_arms({"weak": weak, "strong": strong, "mute": [[]]}, against="weak")
    assert list(found) == ["strong"]
    assert found["strong"].difference == pytest.approx(0.375)
    assert found["strong"].low > 0.3
    assert compare_arms({"weak": weak, "strong": strong}, against="weak", mode="rationale") == {}
    with pytest.raises(ArgumentError, match="against"):
        compare_arms({"weak": weak}, against="none")


def test_pooled_rationales_count_a_question_once() -> None:
    rows = [
        prediction("q", "rationale:a", True),
        prediction("q", "rationale:b", False),
        prediction("q", "label", False),
        prediction("open", "rationale:a", None),
    ]
    assert correctness([rows], "rationale") == {"q": 0.5}
    assert correctness([rows], "rationale:a") == {"q": 1.0}


def test_majority_baseline_is_judged_by_the_task() -> None:
    task = open_task("svamp", Path("."), {})

    def example(key: str, answer: str | None) -> Example:
        return Example(id=key, task="svamp", split="x", question="?", answer=answer)

    train = [
        example(str(i), a) for i, a in enumerate(["( 3 + 4 )", "( 1 + 1 )", "( 3 + 4 )", None])
    ]
    test = [example("a", "( 8 - 1 )"), example("b", "( 9 - 1 )"), example("c", None)]
    found = majority_baseline(task, train, test)
    assert (found.answer, found.accuracy, found.n) == ("( 3 + 4 )", 0.5, 2)
    with pytest.raises(ArgumentError, match="gold answers"):
        majority_baseline(task, train[3:], test)


def test_chance_needs_choices() -> None:
    def example(choices: list[str] | None) -> Example:
        return Example(id="1", task="t", split="x", question="?", choices=choices)

    assert chance_level([example(["a", "b"]), example(["a", "b", "c", "d"])]) == 0.375
    assert chance_level([example(["a", "b"]), example(None)]) is None
    assert chance_level([]) is None


def test_rationale_measures() -> None:
    assert distinct_trigrams("a b a b a b a b") == 2 / 6
    assert distinct_trigrams("a b") is None
    assert token_f1("The cat sat", "the dog sat") == pytest.approx(2 / 3)
    assert token_f1("", "") == 0.0


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_predictions_survive_their_file(tmp_path: Path, suffix: str) -> None:
    rows = [prediction("1"), prediction("2", "rationale:a", None), prediction("3", correct=False)]
    path = tmp_path / f"predictions{suffix}"
    write_predictions(path, rows)
    assert read_predictions(path) == rows
    write_predictions(path, [])
    assert read_predictions(path) == []
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_foreign_and_damaged_prediction_files(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"\.jsonl or \.parquet"):
        write_predictions(tmp_path / "x.csv", [])
    with pytest.raises(DataError, match="no such file"):
        read_predictions(tmp_path / "x.jsonl")
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "1"}\n')
    with pytest.raises(DataError, match=r"row 1: fields missing or not known: .*answer"):
        read_predictions(path)
    path.write_text('{"id": \n')
    with pytest.raises(DataError, match="line 1"):
        read_predictions(path)
    cut = tmp_path / "p.parquet"
    write_predictions(cut, [prediction("1")])
    cut.write_bytes(cut.read_bytes()[:-30])
    with pytest.raises(DataError, match="cut off"):
        read_predictions(cut)
    pq.write_table(pa.table({"id": ["1"]}), cut)
    with pytest.raises(DataError, match="expected predictions"):
        read_predictions(cut)
