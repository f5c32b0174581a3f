"""Stage `annotate`: questions in, questions with every teacher's rationales out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collegium.digest import digest_json
from collegium.errors import RecipeError
from collegium.example import Example
from collegium.example_io import write_parquet
from collegium.pipeline.progress import Progress
from collegium.pipeline.responses import ResponseStore
from collegium.tasks.base import Task
from collegium.teachers.base import Teacher

VERSION = 1
CHUNK = 16
SPLITS = ("train", "validation", "test")


def annotate(
    task: Task,
    teachers: Mapping[str, Teacher],
    work: Path,
    responses: Path,
    *,
    limits: Mapping[str, int | None],
    gold_visible: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Write `train`, `validation` and `test` Parquet files of examples with rationales.

    With `gold_visible` false the gold answers of the training and validation questions are put
    aside before any teacher is asked: nothing downstream can read them.

    Returns:
        Row counts by split and rationale counts by teacher.
    """
    splits = task.load()
    counts: dict[str, Any] = {"questions": {}, "rationales": dict.fromkeys(teachers, 0)}
    for split in SPLITS:
        examples = list(splits[split])
        if split != "test":
            examples = examples[: limits[split]]
            if not gold_visible:
                examples = [e.model_copy(update={"answer": None}) for e in examples]
            examples = ask_all(examples, teachers, responses, split=split, progress=progress)
            for example in examples:
                for rationale in example.rationales:
                    counts["rationales"][rationale.teacher] += 1
        counts["questions"][split] = len(examples)
        write_parquet(work / f"{split}.parquet", examples)
    if not counts["questions"]["train"]:
        raise RecipeError(f"task {task.name}: no training questions")
    total = sum(counts["rationales"].values())
    counts["note"] = f"{counts['questions']['train']} training questions, {total} rationales"
    return counts


def ask_all(
    examples: Sequence[Example],
    teachers: Mapping[str, Teacher],
    responses: Path,
    *,
    split: str,
    progress: Progress,
) -> list[Example]:
    """Return the examples with the rationales of all teachers, in the teachers' order."""
    collected: list[list[Any]] = [[] for _ in examples]
    for name, teacher in teachers.items():
        if not teacher.costly:
            answers = teacher.annotate(examples)
        else:
            answers = _ask_costly(examples, teacher, responses, name, split, progress)
        for rationales, new in zip(collected, answers, strict=True):
            rationales.extend(new)
    return [
        e.model_copy(update={"rationales": [*e.rationales, *new]})
        for e, new in zip(examples, collected, strict=True)
    ]


def _ask_costly(
    examples: Sequence[Example],
    teacher: Teacher,
    responses: Path,
    name: str,
    split: str,
    progress: Progress,
) -> list[list[Any]]:
    fingerprint = teacher.fingerprint()
    store = ResponseStore(responses / f"{name}-{digest_json(fingerprint)[:12]}.jsonl", fingerprint)
    todo = [e for e in examples if store.get(e) is None]
    for start in range(0, len(todo), CHUNK):
        chunk = todo[start : start + CHUNK]
        store.add(chunk, teacher.annotate(chunk))
        progress.advance("annotate", start + len(chunk), len(todo), f"{name}, {split}")
    return [store.get(e) or [] for e in examples]
