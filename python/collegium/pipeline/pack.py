"""Stage `pack`: cleaned examples become encoded sequences with their loss edges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collegium.errors import DataError
from collegium.example_io import read_parquet
from collegium.objectives.encode import encode_examples
from collegium.objectives.formats import LABEL, RATIONALE_PREFIX, PromptFormat
from collegium.objectives.sequences import write_sequences
from collegium.pipeline.students import StudentSource
from collegium.recipe import PackSection, Recipe
from collegium.tasks.base import Task
from collegium.tokenizer import Tokenizer

VERSION = 1


def objective_names(teachers: Sequence[str]) -> list[str]:
    """Return the names of all objectives there can be: label, and one for each teacher."""
    return [LABEL, *(f"{RATIONALE_PREFIX}{teacher}" for teacher in teachers)]


def prompt_format(recipe: Recipe, teachers: Sequence[str]) -> PromptFormat:
    """Return how questions are put to the student, a marker for every objective."""
    return PromptFormat(
        marker_position=recipe.pack.marker_position,
        markers=recipe.pack.markers,
        conclusion=recipe.pack.conclusion,
    ).resolve(objective_names(teachers))


def pack(
    source: Path,
    work: Path,
    task: Task,
    student: StudentSource,
    form: PromptFormat,
    section: PackSection,
    teachers: Sequence[str],
) -> dict[str, Any]:
    """Write `train` and `validation` Parquet files of encoded sequences.

    Returns:
        Counts by split and objective: sequences, tokens, what was cut, what was left out and why.

    Raises:
        DataError: nothing could be encoded.
    """
    tokenizer = Tokenizer.from_pretrained(student.tokenizer_path)
    names = objective_names(teachers)
    summary: dict[str, Any] = {"engine": tokenizer.engine, "splits": {}}
    total = 0
    for split in ("train", "validation"):
        sequences, counts = encode_examples(
            read_parquet(source / f"{split}.parquet"),
            tokenizer,
            form,
            names,
            student.special,
            input_text=task.input_text,
            kind=student.kind,
            conclusion=lambda example, answer: task.conclusion(answer),
            max_prompt_tokens=section.max_prompt_tokens,
            max_target_tokens=section.max_target_tokens,
        )
        if not sequences and split == "train":
            raise DataError(f"task {task.name}: no training sequence could be made: {counts}")
        write_sequences(
            work / f"{split}.parquet",
            sequences,
            {"tokenizer": tokenizer.fingerprint, "split": split},
        )
        summary["splits"][split] = counts.to_dict()
        total += sum(len(s) for s in sequences)
    cut = sum(
        c["prompts_truncated"] + c["targets_truncated"]
        for split in summary["splits"].values()
        for c in split.values()
    )
    summary["note"] = f"{total} tokens" + (f", {cut} prompts or targets cut" if cut else "")
    return summary
