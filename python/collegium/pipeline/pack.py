"""Stage `pack`: cleaned examples become encoded sequences with their loss edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from collegium.errors import DataError
from collegium.example_io import read_parquet
from collegium.objectives.branches import branch_graphs
from collegium.objectives.encode import encode_examples
from collegium.objectives.formats import LABEL, RATIONALE_PREFIX, PromptFormat
from collegium.objectives.graph_texts import with_graph_texts
from collegium.objectives.rows import TrainingRows
from collegium.objectives.tree_files import write_trees
from collegium.objectives.trees import encode_trees
from collegium.pipeline.pack_graphs import graph_choice, write_graphs
from collegium.pipeline.students import StudentSource
from collegium.recipe import PackSection, Recipe
from collegium.tasks.base import Task
from collegium.tokenizer import Tokenizer

VERSION = 1


def objective_names(teachers: Sequence[str]) -> list[str]:
    """Return the names of all objectives there can be: label, and one for each teacher."""
    return [LABEL, *(f"{RATIONALE_PREFIX}{teacher}" for teacher in teachers)]


def prompt_format(
    recipe: Recipe, teachers: Sequence[str], student: StudentSource | None = None
) -> PromptFormat:
    """Return how questions are put to the student, a marker for every objective.

    Without `student` the turn of a chat template around them is left out.
    """
    chat = student.chat() if student is not None and recipe.pack.chat_template else None
    return PromptFormat(
        marker_position=recipe.pack.marker_position,
        markers=recipe.pack.markers,
        conclusion=recipe.pack.conclusion,
        chat=chat,
    ).resolve(objective_names(teachers))


def _branches(
    path: Path,
    sequences: TrainingRows,
    names: list[str],
    student: StudentSource,
    row_tokens: int,
    metadata: dict[str, Any],
) -> dict[str, Any]:
    if student.kind == "encoder-decoder":
        written = _sequences(path, sequences, names, student, row_tokens, metadata)
        return {**written, "note": "an encoder-decoder student has no tree rows: sequences written"}
    trees, counts = encode_trees(
        *branch_graphs(sequences, names),
        tuple(names),
        capacity=row_tokens,
        max_depth=student.positions,
    )
    write_trees(path, trees, metadata)
    return counts.to_dict()


def _sequences(
    path: Path,
    sequences: TrainingRows,
    names: list[str],
    student: StudentSource,
    row_tokens: int,
    metadata: dict[str, Any],
) -> dict[str, Any]:
    sequences.write(path, metadata)
    return {"input_tokens": len(sequences.input_ids)}


ROWS: dict[str, Callable[..., dict[str, Any]]] = {"sequences": _sequences, "branches": _branches}
"""How encoded sequences are written, by `pack.rows` (`pack_graphs` writes graphs and paths)."""


def pack(
    source: Path,
    work: Path,
    task: Task,
    student: StudentSource,
    form: PromptFormat,
    section: PackSection,
    teachers: Sequence[str],
    row_tokens: int,
) -> dict[str, Any]:
    """Write `train` and `validation` Parquet files of encoded sequences or trees.

    Returns:
        Counts by split and objective: sequences, tokens, what was cut, what was left out and why.

    Raises:
        DataError: nothing could be encoded, or a path of a tree is longer than `row_tokens` or the
            student's positions.
    """
    tokenizer = Tokenizer.from_pretrained(student.tokenizer_path)
    names = objective_names(teachers)
    chat = {} if form.chat is None else {"chat_template": form.chat.template}
    summary: dict[str, Any] = {"engine": tokenizer.engine, **chat, "splits": {}}
    total = 0
    for split in ("train", "validation"):
        examples = read_parquet(source / f"{split}.parquet")
        if form.chat is not None:
            plain = form.model_copy(update={"chat": None})
            texts = (
                (example.id, plain.prompt(name, task.input_text(example)))
                for example in examples
                for name in names
            )
            student.check_chat(form.chat, texts)
        metadata = {"tokenizer": tokenizer.fingerprint, "split": split, **chat}
        if section.rows in ("graphs", "paths"):
            written = write_graphs(
                work / f"{split}.parquet",
                examples,
                tokenizer,
                form,
                names,
                student,
                section,
                task,
                row_tokens,
                metadata,
            )
            summary["splits"][split] = {}
            summary.setdefault("rows", {})[split] = written
            total += written["input_tokens"]
            continue
        if section.graph.texts:
            examples, told = with_graph_texts(
                examples,
                section.graph.texts,
                choice=graph_choice(section.graph),
                budget=section.graph.budget,
            )
            summary.setdefault("texts", {})[split] = dict(told)
        sequences, counts = encode_examples(
            examples,
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
        written = ROWS[section.rows](
            work / f"{split}.parquet",
            sequences,
            names,
            student,
            row_tokens,
            metadata,
        )
        summary["splits"][split] = counts.to_dict()
        summary.setdefault("rows", {})[split] = written
        total += written["input_tokens"]
    cut = sum(
        c["prompts_truncated"] + c["targets_truncated"]
        for split in summary["splits"].values()
        for c in split.values()
    )
    notes = [f"{total} tokens", f"{cut} prompts or targets cut" if cut else ""]
    notes.append(summary["rows"]["train"].get("note", ""))
    summary["note"] = ", ".join(filter(None, notes))
    return summary
