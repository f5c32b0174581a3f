"""Stage `annotate`: questions in, questions with every teacher's rationales out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collegium.digest import digest_json
from collegium.errors import RecipeError
from collegium.example import Example, Rationale
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
        Row counts by split, rationale counts by teacher, and `graph_counts` by teacher for those
        that write thought graphs.
    """
    splits = task.load()
    counts: dict[str, Any] = {"questions": {}, "rationales": dict.fromkeys(teachers, 0)}
    graphs: dict[str, Counter[str]] = {name: Counter() for name in teachers}
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
                for name, teacher in teachers.items():
                    own = [r for r in example.rationales if r.teacher == name]
                    graphs[name] += graph_counts(own, teacher.graphs_due(own))
        counts["questions"][split] = len(examples)
        write_parquet(work / f"{split}.parquet", examples)
    if not counts["questions"]["train"]:
        raise RecipeError(f"task {task.name}: no training questions")
    total = sum(counts["rationales"].values())
    counts["note"] = f"{counts['questions']['train']} training questions, {total} rationales"
    counts["graphs"] = {
        name: dict(sorted(found.items())) for name, found in graphs.items() if found
    }
    for name, found in counts["graphs"].items():
        written, rejected = found.get("written", 0), found.get("rejected", 0)
        counts["note"] += f"; {name}: {written} graphs" + (
            f", {rejected} rejected" if rejected else ""
        )
    return counts


def graph_counts(rationales: Sequence[Rationale], due: int) -> Counter[str]:
    """Return how many thought graphs came, how many of those due did not, and repairs by code.

    ``rejected``: what the teacher wrote held no graph, or one that its policy could not accept.
    """
    texts = [r.graph for r in rationales if r.graph is not None]
    counts = Counter({"written": len(texts), "rejected": max(0, due - len(texts))})
    for text in texts:
        counts.update((json.loads(text).get("teacher") or {}).get("repairs") or {})
    return +counts


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
