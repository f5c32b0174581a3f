"""Rows of thought graphs: trees with `pack.rows: graphs`, their paths with `pack.rows: paths`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collegium.errors import DataError, RecipeError
from collegium.example import Example
from collegium.objectives.formats import PromptFormat
from collegium.objectives.graph_rows import GraphChoice, graph_nodes, path_sequences
from collegium.objectives.sequences import write_sequences
from collegium.objectives.tree_files import write_trees
from collegium.objectives.trees import encode_trees
from collegium.pipeline.students import StudentSource
from collegium.recipe import GraphSection, PackSection
from collegium.tasks.base import Task
from collegium.tokenizer import Tokenizer
from collegium.unrolling import GraphTokens


def graph_choice(section: GraphSection) -> GraphChoice:
    """Return which thoughts a recipe uses."""
    weights = {str(kind): weight for kind, weight in section.weights.items()}
    return GraphChoice(tuple(section.leave_out), section.max_paths, weights)


def write_graphs(
    path: Path,
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    form: PromptFormat,
    names: Sequence[str],
    student: StudentSource,
    section: PackSection,
    task: Task,
    row_tokens: int,
    metadata: dict[str, Any],
) -> tuple[dict[str, Any], int]:
    """Write the rows of one split; return counts and how many rows there are.

    Raises:
        RecipeError: the student is an encoder-decoder.
        DataError: no rationale of the training split carries a graph, or a path is longer than a
            row or the student's positions.
    """
    if student.kind != "decoder":
        raise RecipeError(
            f"pack.rows: {section.rows} needs a decoder-only student (an encoder-decoder has no "
            "positions along a tree); use pack.rows: sequences with pack.graph.texts"
        )
    ids, rows, counts = graph_nodes(
        examples,
        tokenizer,
        form,
        names,
        student.special,
        input_text=task.input_text,
        choice=graph_choice(section.graph),
        max_prompt_tokens=section.max_prompt_tokens,
    )
    if not counts.graphs and metadata["split"] == "train":
        raise DataError(
            f"task {task.name}: no rationale carries a thought graph; let a teacher write them "
            f"(teachers.<name>.graph), or use pack.rows: sequences. Counts: {counts.to_dict()}"
        )
    if section.rows == "paths":
        sequences = list(path_sequences(ids, rows, names))
        write_sequences(path, sequences, metadata)
        tokens = sum(map(len, sequences))
        return {**counts.to_dict(), "sequences": len(sequences), "input_tokens": tokens}, len(
            sequences
        )
    trees, made = encode_trees(
        ids,
        GraphTokens.from_nodes(rows),
        tuple(names),
        mode=section.graph.mode,
        count=section.graph.count,
        capacity=row_tokens,
        max_depth=student.positions,
    )
    write_trees(path, trees, metadata)
    return {**counts.to_dict(), **made.to_dict()}, len(trees)
