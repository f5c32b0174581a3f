"""Stage `evaluate`: a trained student is asked the test questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from collegium.evaluate.evaluate import evaluate_student
from collegium.evaluate.student import Student
from collegium.example_io import read_parquet
from collegium.pipeline.progress import Progress
from collegium.recipe import EvaluateSection
from collegium.tasks.base import Task

VERSION = 1


def evaluate(
    checkpoint: Path,
    test: Path,
    work: Path,
    task: Task,
    section: EvaluateSection,
    progress: Progress,
) -> dict[str, Any]:
    """Write every prediction and the metrics over them; return the metrics."""
    found = evaluate_student(
        Student.load(checkpoint),
        read_parquet(test),
        task,
        modes=section.modes,
        limit=section.limit,
        rationale_limit=section.rationale_limit,
        batch_size=section.batch_size,
        max_label_tokens=section.max_label_tokens,
        max_rationale_tokens=section.max_rationale_tokens,
        progress=lambda mode, done, total: progress.advance("evaluate", done, total, mode),
    )
    found.save(work)
    shares = (
        f"{mode} {100 * m['accuracy']:.1f} %"
        for mode, m in found.metrics["modes"].items()
        if m["accuracy"] is not None
    )
    return {**found.metrics, "note": ", ".join(shares)}
