"""What finished arms leave behind: their outputs, the delivered student, how the teachers did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collegium.example_io import read_parquet
from collegium.pipeline.deliver import deliver
from collegium.pipeline.graph import Pipeline
from collegium.pipeline.report import ArmOutputs
from collegium.recipe import Recipe
from collegium.report.results import TeacherResult, modes_from_metrics


def arm_outputs(pipeline: Pipeline, recipe: Recipe, arm: str, label: str) -> ArmOutputs:
    """Return all stages of one arm and seed."""
    return ArmOutputs(
        arm,
        recipe.seed,
        recipe,
        pipeline.annotated(recipe),
        pipeline.cleaned(recipe),
        pipeline.trained(recipe, label),
        pipeline.evaluated(recipe, label),
    )


def deliver_arm(pipeline: Pipeline, arm: ArmOutputs, target: Path) -> Path:
    """Put a trained student, its card telling how it was measured, to `target`."""
    task = pipeline.task(arm.recipe)
    first = read_parquet(arm.annotated.path / "test.parquet")[0]
    return deliver(
        arm.trained.path / "student",
        target,
        recipe=arm.recipe,
        source=pipeline.student_source(arm.recipe),
        roster=pipeline.roster(arm.recipe),
        task=task,
        question=task.input_text(first),
        training=arm.trained.summary,
        metrics=arm.evaluated.summary,
    )


def teacher_results(pipeline: Pipeline, arms: Sequence[ArmOutputs]) -> list[TeacherResult]:
    """Return every teacher of the arms; those trained here are measured like a student."""
    found: dict[str, TeacherResult] = {}
    for arm in arms:
        used = arm.recipe.train.distributions.teachers
        children = pipeline.teacher_runs(arm.recipe)
        for name, config in pipeline.roster(arm.recipe).configs.items():
            if name in found or not (config.annotate or name in used):
                continue
            facts = _measured(pipeline, children[name], name) if name in children else {}
            licence = getattr(config, "licence", None)
            found[name] = TeacherResult(name=name, kind=config.kind, licence=licence, **facts)
    return list(found.values())


def _measured(pipeline: Pipeline, child: Recipe, name: str) -> dict[str, Any]:
    label = f"teacher {name}"
    trained, measured = pipeline.trained(child, label), pipeline.evaluated(child, label)
    questions = pipeline.cleaned(child).summary["splits"]["train"]["questions"]
    source = child.train.label_source
    return {
        "note": f"trained here on {questions} questions, labels from {source}",
        "parameters": trained.summary["parameters"],
        "seconds": trained.summary["seconds"],
        "modes": modes_from_metrics(measured.summary),
    }
