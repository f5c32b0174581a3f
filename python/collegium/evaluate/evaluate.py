"""Asking a student a set of questions, directly and through rationales, and measuring it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from collegium.atomic import atomic_path
from collegium.errors import ArgumentError, DataError
from collegium.evaluate.metrics import (
    bootstrap_interval,
    chance_level,
    distinct_trigrams,
    token_f1,
)
from collegium.evaluate.prediction import Prediction, read_predictions, write_predictions
from collegium.evaluate.student import Student
from collegium.example import Example
from collegium.objectives.formats import LABEL, RATIONALE_PREFIX, teacher_of
from collegium.tasks.base import Task

Mode = Literal["label", "rationale"]
Tell = Callable[[str, int, int], None]
"""Called with (mode, done, total)."""

PREDICTIONS = "predictions.jsonl"
METRICS = "metrics.json"
POOLED = "rationale"
VERSION = 1


@dataclass(frozen=True)
class Evaluation:
    """Every prediction, and the metrics over them.

    `metrics`: ``questions``, ``unlabelled`` (without gold, not measured), ``parameters``,
    ``chance``, ``skipped`` (modes that the student was not taught), ``modes`` (mode to accuracy
    with interval, n, parse rate, tokens, seconds, ...; ``rationale`` pools several teachers, its
    interval resampled by question) and ``consistency`` (mode to the share of questions on which it
    gives the same answer as ``label``).
    """

    predictions: list[Prediction]
    metrics: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: str | Path) -> None:
        """Write ``predictions.jsonl`` and ``metrics.json``, each atomically."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_predictions(folder / PREDICTIONS, self.predictions)
        text = json.dumps(self.metrics, indent=1, ensure_ascii=False)
        with atomic_path(folder / METRICS) as partial:
            partial.write_text(text + "\n", "utf-8")

    @classmethod
    def read(cls, folder: str | Path) -> Evaluation:
        """Read what `save` wrote.

        Raises:
            DataError: a file is missing or damaged.
        """
        path = Path(folder) / METRICS
        try:
            metrics = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error})") from None
        return cls(read_predictions(Path(folder) / PREDICTIONS), metrics)


def evaluate_student(
    student: Student,
    examples: Sequence[Example],
    task: Task | None = None,
    *,
    modes: Iterable[Mode] = ("label", "rationale"),
    limit: int | None = None,
    rationale_limit: int | None = None,
    batch_size: int = 64,
    max_label_tokens: int | None = None,
    max_rationale_tokens: int | None = None,
    progress: Tell | None = None,
) -> Evaluation:
    """Ask `student` every question in every mode and measure the answers.

    ``rationale`` stands for rationale-then-answer in the way of each teacher whose rationales the
    student learnt. A mode that it did not learn is skipped and listed.

    Args:
        student: a loaded student.
        examples: questions; those without gold answer are asked but not measured.
        task: reads questions and checks answers; default: the student's own.
        modes: ``label``, ``rationale``.
        limit: ask only the first questions.
        rationale_limit: the same for rationales; default: `limit`.
        batch_size: questions generated together.
        max_label_tokens: default: the longest target of the training.
        max_rationale_tokens: default: the longest target of the training.
        progress: called with (mode, done, total).

    Raises:
        ArgumentError: no questions, or an unknown mode.
    """
    if task is not None and task is not student.task:
        student = student.with_task(task)
    modes = tuple(dict.fromkeys(modes))
    unknown = sorted(set(modes) - {"label", "rationale"})
    if unknown:
        raise ArgumentError(f"modes: expected 'label' or 'rationale', found {unknown[0]!r}")
    if not examples:
        raise ArgumentError("evaluate_student: expected at least one question")
    asked = list(examples[:limit])
    explained = asked[: rationale_limit if rationale_limit is not None else limit]
    plan: list[tuple[str, list[Example], int | None]] = []
    if "label" in modes and student.info.answers_directly:
        plan.append((LABEL, asked, max_label_tokens))
    if "rationale" in modes:
        plan += [
            (f"{RATIONALE_PREFIX}{teacher}", explained, max_rationale_tokens)
            for teacher in student.info.teachers
        ]
    predictions: list[Prediction] = []
    measured: dict[str, dict[str, Any]] = {}
    for objective, questions, max_new_tokens in plan:
        started = time.perf_counter()
        rows = student.answer(
            questions,
            objective,
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            progress=_bound(progress, objective),
        )
        measured[objective] = {
            **measure(rows, {e.id: e for e in questions}),
            "seconds": round(time.perf_counter() - started, 3),
        }
        predictions += rows
    if len(explained_in := [m for m in measured if m != LABEL]) > 1:
        measured[POOLED] = _pool(
            [row for row in predictions if row.mode != LABEL], [measured[m] for m in explained_in]
        )
    done = {"label" if m == LABEL else "rationale" for m in measured}
    metrics = {
        "v": VERSION,
        "task": student.task.name,
        "questions": len(asked),
        "unlabelled": sum(e.answer is None for e in asked),
        "parameters": student.parameters,
        "chance": chance_level(asked),
        "skipped": [mode for mode in modes if mode not in done],
        "modes": measured,
        "consistency": consistency(predictions, student.task),
    }
    return Evaluation(predictions, metrics)


def _bound(progress: Tell | None, objective: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(objective, done, total)


def measure(rows: Sequence[Prediction], examples: Mapping[str, Example]) -> dict[str, Any]:
    """Return the metrics of one mode.

    Args:
        rows: predictions of one mode.
        examples: the questions by id; their own rationales of the mode's teacher, where they have
            any, are what `overlap` (mean word F1) compares with.
    """
    right = [row.correct for row in rows if row.correct is not None]
    tokens = sum(row.tokens for row in rows)
    out: dict[str, Any] = {
        **_accuracy(right),
        "parsed": _mean(row.parsed for row in rows),
        "finished": _mean(row.finished for row in rows),
        "truncated": sum(row.truncated for row in rows),
        "tokens": tokens,
        "mean_tokens": tokens / len(rows) if rows else None,
    }
    teacher = teacher_of(rows[0].mode) if rows else None
    if teacher is not None:
        shares = (distinct_trigrams(row.rationale or "") for row in rows)
        out["distinct_trigrams"] = _mean(share for share in shares if share is not None)
        overlaps = [
            max(token_f1(row.rationale or "", text) for text in texts)
            for row in rows
            if (texts := [r.text for r in examples[row.id].rationales if r.teacher == teacher])
        ]
        if overlaps:
            out["overlap"] = _mean(overlaps)
    return out


def _accuracy(values: Sequence[float]) -> dict[str, Any]:
    if not values:
        return {"accuracy": None, "low": None, "high": None, "level": None, "n": 0}
    found = bootstrap_interval(values)
    return {
        "accuracy": found.mean,
        "low": found.low,
        "high": found.high,
        "level": found.level,
        "n": found.n,
    }


def _pool(rows: Sequence[Prediction], modes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Pool several teachers' modes; a question counts with its mean over them."""
    by_question: dict[str, list[float]] = {}
    for row in rows:
        if row.correct is not None:
            by_question.setdefault(row.id, []).append(float(row.correct))
    tokens = sum(m["tokens"] for m in modes)
    return {
        **_accuracy([sum(v) / len(v) for v in by_question.values()]),
        "parsed": _mean(row.parsed for row in rows),
        "finished": _mean(row.finished for row in rows),
        "truncated": sum(m["truncated"] for m in modes),
        "tokens": tokens,
        "mean_tokens": tokens / len(rows) if rows else None,
        "seconds": round(sum(m["seconds"] for m in modes), 3),
    }


def consistency(predictions: Sequence[Prediction], task: Task) -> dict[str, dict[str, Any]]:
    """Return for each rationale mode how often it gives the answer that ``label`` gives.

    `same` is the share of the questions asked in both modes; one without a parsed answer in either
    is not the same. `n` is the number of these questions.
    """
    direct = {row.id: row for row in predictions if row.mode == LABEL}
    pairs: dict[str, list[bool]] = {}
    for row in predictions:
        other = direct.get(row.id)
        if row.mode == LABEL or other is None:
            continue
        both = row.parsed and other.parsed
        pairs.setdefault(row.mode, []).append(both and task.same_answer(other.answer, row.answer))
    if len(pairs) > 1:
        pairs[POOLED] = [same for values in list(pairs.values()) for same in values]
    return {mode: {"same": _mean(same), "n": len(same)} for mode, same in pairs.items()}


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None
