"""Results of a run: their file, merging, tables, and the choice of cases."""

from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from collegium.errors import ArgumentError, RunError
from collegium.example import Example
from collegium.report.cases import choose_cases
from collegium.report.results import (
    ArmRun,
    Baseline,
    CleaningCount,
    Comparison,
    ModeResult,
    RunResults,
    TeacherResult,
    merge,
    modes_from_metrics,
)
from collegium.report.table import amount, as_rich, as_text, spread, table


def run(arm: str, seed: int, label: float, rationale: float | None = None) -> ArmRun:
    modes = {"label": ModeResult(accuracy=label, low=label - 0.03, high=label + 0.03, n=1000,
                                 mean_tokens=2.0, seconds=0.5)}  # fmt: skip
    if rationale is not None:
        modes["rationale:equations"] = ModeResult(accuracy=rationale, n=200, seconds=1.5)
        modes["rationale"] = ModeResult(accuracy=rationale, n=200, seconds=1.5)
    return ArmRun(
        arm=arm, seed=seed, modes=modes, steps=600, tokens=190_000, seconds=8.0 + seed,
        parameters=100_608,
    )  # fmt: skip


def results(**changes: Any) -> RunResults:
    values: dict[str, Any] = {
        "title": "Trial",
        "recipe": "trial",
        "task": "wordproblems",
        "runs": [
            run("label only", 1, 0.30),
            run("label only", 2, 0.34),
            run("all [teachers]", 1, 0.36, 0.9),
            run("all [teachers]", 2, 0.40, 0.7),
        ],
        "arms": {"label only": {}, "all [teachers]": {"train.objectives.rationale": 2.0}},
        "settings": {"task": {"name": "wordproblems"}},
        "teachers": [TeacherResult(name="neural", kind="local", note="saw 20000 gold labels")],
        "baselines": [Baseline(name="most frequent answer", accuracy=0.126)],
        "notes": ["Few labels were chosen."],
    }
    return RunResults(**{**values, **changes})


def test_results_survive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    written = results(cleaning=[CleaningCount(teacher="t", came=9, removed={"empty": 2})])
    written.save(path)
    assert RunResults.read(path) == written
    assert written.cleaning[0].kept == 7
    written.runs[0].curve = [{"step": 1.0, "loss": math.nan}]
    written.save(path)
    assert math.isnan(RunResults.read(path).runs[0].curve[0]["loss"])


def test_unreadable_results_say_so(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(RunError, match="has the run finished"):
        RunResults.read(path)
    results().save(path)
    path.write_text(path.read_text().replace('"recipe"', '"receipt"'))
    with pytest.raises(RunError, match="unknown key 'receipt'"):
        RunResults.read(path)
    path.write_text("{")
    with pytest.raises(RunError, match=r"results\.json"):
        RunResults.read(path)


def test_spread_over_seeds() -> None:
    found = spread([0.2, None, 0.4])
    assert found is not None
    assert (found.mean, found.min, found.max, found.n) == (pytest.approx(0.3), 0.2, 0.4, 2)
    assert found.std == pytest.approx(0.1414, abs=1e-4)
    single = spread([1.0])
    assert single is not None and single.std is None
    assert spread([None]) is None


def test_table_as_json() -> None:
    found = table(results())
    assert json.loads(json.dumps(found)) == found
    first, second = found["rows"]
    assert (first["arm"], first["seeds"]) == ("label only", [1, 2])
    assert first["modes"]["label"]["accuracy"]["mean"] == pytest.approx(0.32)
    assert "rationale:equations" not in first["modes"]
    assert second["modes"]["rationale:equations"]["accuracy"]["min"] == 0.7
    assert second["modes"]["rationale"]["n"] == 200
    assert second["train_seconds"]["mean"] == 9.5
    # What is pooled was not answered twice.
    assert second["answer_seconds"]["mean"] == 2.0


def test_table_as_text() -> None:
    text = as_text(results())
    lines = text.splitlines()
    row = next(line for line in lines if line.startswith("all [teachers]"))
    shown = "all [teachers] 38.0 [36.0-40.0] 80.0 [70.0-90.0] 600 190k 9.5 2.0"
    assert " ".join(row.split()) == shown
    only = next(line for line in lines if line.startswith("label only"))
    assert " - " in only
    assert len({len(line) for line in (row, only)}) == 1
    assert "Mean [min-max] accuracy in %, 2 seeds an arm" in text
    assert "most frequent answer 12.6" in text
    assert "saw 20000 gold labels" in text
    assert text.endswith("Few labels were chosen.")


def test_single_seed_shows_no_range_but_the_interval() -> None:
    text = as_text(results(runs=[run("a", 0, 0.5)]))
    assert "[" not in text
    assert "by up to 3.0 (95 % bootstrap)" in text
    wrong = run("a", 0, 0.0)
    wrong.modes["label"].low = wrong.modes["label"].high = 0.0
    assert "bootstrap" not in as_text(results(runs=[wrong]))


def test_long_arm_names_are_broken() -> None:
    name = "a rather long name of an arm that needs a second line"
    lines = as_text(results(runs=[run(name, 0, 0.5)])).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("a rather long"))
    assert lines[at + 1].startswith("  ")
    assert max(map(len, lines)) <= 110


def test_unmeasured_accuracy_is_a_dash() -> None:
    bare = ArmRun(arm="a", seed=0, modes={"label": ModeResult(accuracy=None)})
    assert as_text(results(runs=[bare], teachers=[], baselines=[])).count(" -") >= 1
    assert table(results(runs=[bare]))["rows"][0]["train_tokens"] is None


def test_rich_table_takes_no_markup_from_data() -> None:
    out = StringIO()
    Console(file=out, width=160).print(as_rich(results()))
    assert "all [teachers]" in out.getvalue()
    assert "[min-max]" in out.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (600, "600"), (1800, "1800"), (190_000, "190k"), (4.56e6, "4.56M"), (0.5, "0.5")],
)
def test_amounts(value: float | None, text: str) -> None:
    assert amount(value) == text


def test_modes_from_the_metrics_of_an_evaluation() -> None:
    metrics = {
        "modes": {
            "label": {"accuracy": 0.5, "low": 0.4, "high": 0.6, "level": 0.95, "n": 9,
                      "parsed": 1.0, "finished": 1.0, "truncated": 0, "tokens": 18,
                      "mean_tokens": 2.0, "seconds": 0.1},
            "rationale:t": {"accuracy": None, "low": None, "high": None, "n": 0, "tokens": 5,
                            "distinct_trigrams": 1.0, "seconds": 0.2},
        },
        "consistency": {"rationale:t": {"same": 0.25, "n": 4}},
    }  # fmt: skip
    found = modes_from_metrics(metrics)
    assert found["label"].accuracy == 0.5
    assert found["label"].same_as_label is None
    assert found["rationale:t"].same_as_label == 0.25


def test_merging_seeds_of_one_recipe_keeps_the_arms() -> None:
    first = results(runs=[run("a", 1, 0.3)], arms={"a": {}})
    second = results(runs=[run("a", 2, 0.5)], arms={"a": {}})
    merged = merge([first, second])
    assert merged.arm_names() == ["a"]
    assert [r.seed for r in merged.runs] == [1, 2]
    assert merged.notes == first.notes
    assert len(merged.teachers) == 1
    assert merge([first]) is first


def test_merging_runs_that_clash_names_the_run() -> None:
    comparison = Comparison(
        arm="a", against="b", mode="label", difference=0.1, low=0, high=0.2, p_value=0.04, n=5
    )
    first = results(
        runs=[run("a", 1, 0.3), run("b", 1, 0.2)],
        arms={"a": {"x": 1}, "b": {}},
        comparisons=[comparison],
        cleaning=[CleaningCount(teacher="t", came=3)],
    )
    merged = merge([first, first.model_copy(deep=True)])
    assert merged.arm_names() == ["trial 1: a", "trial 1: b", "trial 2: a", "trial 2: b"]
    assert merged.arms["trial 2: a"] == {"x": 1}
    assert merged.comparisons[1].against == "trial 2: b"
    assert merged.cleaning[0].arms == ["trial 1: a", "trial 1: b"]
    assert first.arm_names() == ["a", "b"]
    assert as_text(merged)


def test_merging_other_tasks_warns() -> None:
    other = results(recipe="other", task="svamp", runs=[run("other", 1, 0.3)], arms={})
    merged = merge([results(), other])
    assert "other" in merged.arm_names()
    assert "trial: label only" in merged.arm_names()
    assert "different tasks (wordproblems, svamp)" in merged.notes[0]
    with pytest.raises(ArgumentError, match="at least one run"):
        merge([])


def test_other_settings_are_no_further_seeds() -> None:
    first = results(runs=[run("a", 1, 0.3)], arms={"a": {}})
    second = results(runs=[run("a", 2, 0.5)], arms={"a": {}}, settings={"task": {"name": "other"}})
    assert merge([first, second]).arm_names() == ["trial 1: a", "trial 2: a"]


def test_cases_are_those_on_which_answers_divide() -> None:
    examples = [
        Example(id=key, task="t", split="test", question=f"question {key}", answer="1")
        for key in ("same", "divided", "half-asked", "never")
    ]

    def row(key: str, mode: str, correct: bool) -> dict[str, Any]:
        return {"id": key, "mode": mode, "answer": "1", "rationale": None, "correct": correct}

    both = ("label", "rationale:t")
    answers = {
        ("a", 1): [row(k, m, True) for k in ("same", "divided") for m in both]
        + [row("half-asked", "label", True)],
        ("b", 1): [row(k, m, k == "same") for k in ("same", "divided") for m in both]
        + [row("half-asked", "label", False)],
        ("a", 2): [row("never", "label", True)],
    }
    cases = choose_cases(examples, answers, 3)
    assert [case.id for case in cases] == ["divided", "same", "half-asked"]
    assert [(a.arm, a.mode) for a in cases[0].answers] == [
        ("a", "label"), ("a", "rationale:t"), ("b", "label"), ("b", "rationale:t"),
    ]  # fmt: skip
    assert all(answer.seed == 1 for answer in cases[0].answers)
    assert choose_cases(examples, answers, 0) == []
