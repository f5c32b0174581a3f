"""Stage `report`: the results of all arms and seeds as one table and one page."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from collegium.errors import RunError
from collegium.evaluate.compare import compare_arms
from collegium.evaluate.evaluate import Evaluation
from collegium.evaluate.metrics import majority_baseline
from collegium.example_io import read_parquet
from collegium.pipeline.store import Output
from collegium.recipe import Recipe
from collegium.report.cases import choose_cases
from collegium.report.page import write_page
from collegium.report.results import (
    ArmRun,
    Baseline,
    CleaningCount,
    Comparison,
    RunResults,
    TeacherResult,
    modes_from_metrics,
)
from collegium.tasks.base import Task

RESULTS = "results.json"
PAGE = "report.html"


@dataclass(frozen=True)
class ArmOutputs:
    """The stages of one arm and seed."""

    arm: str
    seed: int
    recipe: Recipe
    annotated: Output
    cleaned: Output
    trained: Output
    evaluated: Output


def arm_run(outputs: ArmOutputs) -> ArmRun:
    """Return one arm and seed as a row of results."""
    trained = outputs.trained.summary
    log = json.loads((outputs.trained.path / "log.json").read_text("utf-8"))
    curve = [{k: float(v) for k, v in entry.items() if isinstance(v, int | float)} for entry in log]
    return ArmRun(
        arm=outputs.arm,
        seed=outputs.seed,
        modes=modes_from_metrics(outputs.evaluated.summary),
        steps=trained["steps"],
        tokens=trained["tokens"],
        seconds=trained["seconds"],
        parameters=trained["parameters"],
        curve=[entry for entry in curve if "step" in entry],
    )


def collect(
    recipe: Recipe, arms: Sequence[ArmOutputs], teachers: Sequence[TeacherResult], task: Task
) -> RunResults:
    """Return the results of a recipe's arms and seeds, read from their stages' outputs."""
    first = arms[0]
    test = read_parquet(first.annotated.path / "test.parquet")[: first.recipe.evaluate.limit]
    evaluations = [(a, Evaluation.read(a.evaluated.path)) for a in arms]
    labelled = read_parquet(first.cleaned.path / "train.parquet")
    baselines = []
    if any(e.answer is not None for e in test):
        majority = majority_baseline(task, labelled, test)
        baselines.append(Baseline(name=f"always {majority.answer!r}", accuracy=majority.accuracy))
    return RunResults(
        title=recipe.report.title or recipe.name,
        recipe=recipe.name,
        task=task.name,
        description=recipe.description,
        runs=[arm_run(a) for a in arms],
        arms={name: dict(overrides) for name, overrides in recipe.arms.items()},
        settings=recipe.model_dump(
            exclude_unset=True, exclude={"arms", "description", "name", "report", "seed"}
        ),
        teachers=list(teachers),
        baselines=baselines,
        comparisons=_comparisons(evaluations),
        cleaning=_cleaning(arms),
        cases=choose_cases(
            test,
            {(a.arm, a.seed): [p.to_json() for p in e.predictions] for a, e in evaluations},
            recipe.report.cases,
        ),
        provenance=_provenance(arms),
    )


def write_report(results: RunResults, root: Path) -> Path:
    """Write ``results.json`` and ``report.html`` into a run directory; return the page."""
    results.save(root / RESULTS)
    return write_page(results, root / PAGE)


def read_results(root: Path) -> RunResults:
    """Read the results of a finished run.

    Raises:
        RunError: the directory is no finished run.
    """
    if not (root / "run.json").is_file():
        raise RunError(f"{root}: no run directory; expected one that `collegium run` has made")
    return RunResults.read(root / RESULTS)


def _comparisons(evaluations: Sequence[tuple[ArmOutputs, Evaluation]]) -> list[Comparison]:
    """Compare every arm with the first one, answering directly, on the same questions."""
    by_arm: dict[str, list[Any]] = {}
    for outputs, evaluation in evaluations:
        by_arm.setdefault(outputs.arm, []).append(evaluation.predictions)
    if len(by_arm) < 2:
        return []
    against = next(iter(by_arm))
    found = compare_arms(by_arm, against=against, mode="label")
    return [
        Comparison(arm=arm, against=against, mode="label", **asdict(difference))
        for arm, difference in found.items()
    ]


def _cleaning(arms: Sequence[ArmOutputs]) -> list[CleaningCount]:
    """Return what cleaning removed in training; arms with the same clean stage share a row."""
    stages: dict[str, tuple[Output, list[str]]] = {}
    for a in arms:
        names = stages.setdefault(a.cleaned.path.name, (a.cleaned, []))[1]
        if a.arm not in names:
            names.append(a.arm)
    return [
        CleaningCount(
            teacher=teacher,
            came=count["rationales"],
            removed=count["removed"],
            arms=[] if len(stages) == 1 else names,
        )
        for output, names in stages.values()
        for teacher, count in output.summary["splits"]["train"]["teachers"].items()
    ]


def _provenance(arms: Sequence[ArmOutputs]) -> dict[str, Any]:
    packages = ("collegium", "torch", "transformers", "tokenizers")
    return {
        "made": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "stages": sorted(
            {
                f"{output.path.name}: {output.digest}"
                for a in arms
                for output in (a.annotated, a.cleaned, a.trained, a.evaluated)
            }
        ),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
