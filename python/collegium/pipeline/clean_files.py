"""`collegium clean` on files: examples with rationales, or a task's folder with recorded ones.

parse -> verify against the label -> clean the texts -> de-duplicate -> count, table, overlap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collegium.atomic import atomic_path
from collegium.errors import ArgumentError, DataError, RecipeError
from collegium.example import Example, Rationale
from collegium.example_io import read_jsonl, read_parquet, write_jsonl
from collegium.pipeline.clean import clean_split, removed_lines
from collegium.pipeline.counts import Removed, overlaps
from collegium.pipeline.labels import check_label_source
from collegium.recipe import CleanSection
from collegium.registry import lookup
from collegium.tasks import TASKS, Task, open_task
from collegium.teachers.base import prompt_hash

Splits = Mapping[str, Sequence[Example]]


def clean_files(
    source: Path,
    out: Path | None,
    section: CleanSection,
    *,
    task_name: str | None = None,
    label_source: str = "gold",
    keep_removed: bool = False,
    skip_bad_rows: bool = False,
) -> dict[str, Any]:
    """Clean a JSONL or Parquet file of examples, or a task's folder with recorded rationales.

    Writes to the folder `out`, if given: `<split>.jsonl` for each split, `cleaning.json` (what is
    returned) and with `keep_removed` `removed.jsonl`. Each file replaces an earlier one whole.

    Returns:
        Counts of each split by teacher and reason, overlap of the splits, rows left out.

    Raises:
        DataError: the source cannot be read, holds no rationale, or a row does not fit.
        RecipeError: no such task or source of labels.
        ArgumentError: `keep_removed` without `out`.
    """
    if keep_removed and out is None:
        raise ArgumentError("--keep-removed writes removed.jsonl: give its folder with --out")
    bad: list[str] = []
    if source.is_dir():
        task = open_task(task_name, source)
        splits = _recorded(task)
    else:
        examples, bad = _read(source, skip_bad_rows)
        task = _task(task_name or examples[0].task, source)
        splits = _by_split([_parsed(example, task) for example in examples])
    rationales = [r for examples in splits.values() for e in examples for r in e.rationales]
    if not rationales:
        raise DataError(f"{source}: no example has a rationale, so there is nothing to clean")
    forced: dict[str, bool] = {}
    for rationale in rationales:
        forced[rationale.teacher] = forced.get(rationale.teacher, True) and rationale.gold_in_prompt
    check_label_source(label_source, forced)
    teachers = list(forced)

    summary: dict[str, Any] = {"source": str(source), "task": task.name}
    summary |= {"label_source": label_source, "options": section.model_dump(), "splits": {}}
    kept: dict[str, list[Example]] = {}
    gone: list[Removed] = []
    for split, examples in splits.items():
        kept[split], removed, counts = clean_split(examples, task, section, label_source, teachers)
        gone += removed
        summary["splits"][split] = counts
    summary["overlap"] = overlaps(splits, section.overlap_threshold)
    summary["rows_left_out"] = bad
    if out is not None:
        _write(out, kept, gone if keep_removed else None, summary)
    return summary


def _read(source: Path, skip_bad_rows: bool) -> tuple[list[Example], list[str]]:
    if source.suffix == ".parquet":
        examples, left_out = read_parquet(source), []
    else:
        examples, rows = read_jsonl(source, skip_bad_rows=skip_bad_rows)
        left_out = [str(row) for row in rows]
    if not examples:
        raise DataError(f"{source}: the file holds no rows that can be used")
    return examples, left_out


def _task(name: str, source: Path) -> Task:
    """Return the task that parses and compares the answers of a file's examples."""
    if name not in TASKS:
        raise RecipeError(
            f"{source}: its examples are of task {name!r}, which is none of {', '.join(TASKS)}; "
            "say with --task which task's answers they hold"
        )
    return lookup(TASKS, name, "task")(None)


def _parsed(example: Example, task: Task) -> Example:
    """Return the example with those rationales parsed that are raw completions."""
    rationales = []
    for rationale in example.rationales:
        raw = not rationale.parsed and rationale.answer is None and not rationale.gold_in_prompt
        found = task.parse(rationale.text, example) if raw else None
        if found is not None and found.parsed:
            update = {"text": found.rationale, "answer": found.answer, "parsed": True}
            rationale = rationale.model_copy(update=update)
        rationales.append(rationale)
    return example.model_copy(update={"rationales": rationales})


def _by_split(examples: Sequence[Example]) -> dict[str, list[Example]]:
    splits: dict[str, list[Example]] = {}
    for example in examples:
        splits.setdefault(example.split, []).append(example)
    return splits


def _recorded(task: Task) -> dict[str, list[Example]]:
    """Return a task's examples with all recorded rationales."""
    found: dict[str, list[Rationale]] = {}
    splits = {name: list(examples) for name, examples in task.load().items()}
    asked = {e.id: prompt_hash(task.input_text(e)) for part in splits.values() for e in part}
    for recording in task.recordings():
        if recording.id not in asked:
            continue
        earlier = found.setdefault(recording.id, [])
        sample = sum(r.teacher == recording.teacher for r in earlier)
        earlier.append(
            Rationale(
                teacher=recording.teacher,
                sample=sample,
                text=recording.text,
                answer=recording.answer,
                parsed=recording.parsed,
                gold_in_prompt=task.saw_gold(recording.teacher),
                prompt_hash=asked[recording.id],
            )
        )
    return {
        name: [e.model_copy(update={"rationales": found.get(e.id, [])}) for e in examples]
        for name, examples in splits.items()
    }


def _write(
    out: Path, kept: Splits, gone: Sequence[Removed] | None, summary: Mapping[str, Any]
) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: the folder cannot be made: {error.strerror}") from error
    for split, examples in kept.items():
        write_jsonl(out / f"{split}.jsonl", examples)
    if gone is not None:
        with atomic_path(out / "removed.jsonl") as partial:
            partial.write_text("".join(removed_lines(gone)), "utf-8")
    with atomic_path(out / "cleaning.json") as partial:
        partial.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", "utf-8")
