"""Rows of thought graphs: trees with `pack.rows: graphs`, their paths with `pack.rows: paths`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collegium.errors import DataError
from collegium.example import Example
from collegium.objectives.formats import PromptFormat
from collegium.objectives.graph_rows import GraphChoice, graph_nodes, path_sequences
from collegium.objectives.sequences import write_sequences
from collegium.objectives.tree_files import write_trees
from collegium.objectives.trees import encode_trees, encoder_paths
from collegium.pipeline.students import StudentSource
from collegium.recipe import GraphSection, PackSection
from collegium.tasks.base import Task
from collegium.tokenizer import Tokenizer
from collegium.unrolling import GraphTokens, TokenNode

NO_TREES = "an encoder-decoder student has no tree rows: the paths of each graph are written out"


def graph_choice(section: GraphSection) -> GraphChoice:
    """Return which thoughts a recipe uses."""
    weights = {str(kind): weight for kind, weight in section.weights.items()}
    keep_apart = section.apart == "keep"
    return GraphChoice(tuple(section.leave_out), section.max_paths, weights, keep_apart)


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
) -> dict[str, Any]:
    """Write the rows of one split and return their counts.

    An encoder-decoder student reads no trees: each graph is written as its paths, every loss edge
    once, and the counts say so (`note`).

    Raises:
        DataError: no rationale of the training split carries a graph, or a path is longer than a
            row or the student's positions.
    """
    ids, rows, counts = graph_nodes(
        examples,
        tokenizer,
        form,
        names,
        student.special,
        input_text=task.input_text,
        kind=student.kind,
        choice=graph_choice(section.graph),
        max_prompt_tokens=section.max_prompt_tokens,
    )
    if not counts.graphs and metadata["split"] == "train":
        raise DataError(
            f"task {task.name}: no rationale carries a thought graph; let a teacher write them "
            f"(teachers.<name>.graph), or use pack.rows: sequences. Counts: {counts.to_dict()}"
        )
    start = student.special.decoder_first if student.kind == "encoder-decoder" else None
    if section.rows == "paths":
        sequences = list(path_sequences(ids, rows, names, decoder_start=start))
        write_sequences(path, sequences, metadata)
        tokens = sum(len(s) + len(s.encoder_ids or ()) for s in sequences)
        made: dict[str, Any] = {"sequences": len(sequences), "input_tokens": tokens}
    else:
        made = _write_trees(path, ids, rows, names, student, section, row_tokens, start, metadata)
    dropped = {**made.get("dropped", {}), **counts.dropped}
    return {**made, **counts.to_dict(), "dropped": dropped}


def _write_trees(
    path: Path,
    ids: Sequence[str],
    rows: Sequence[Sequence[TokenNode]],
    names: Sequence[str],
    student: StudentSource,
    section: PackSection,
    row_tokens: int,
    decoder_start: int | None,
    metadata: dict[str, Any],
) -> dict[str, Any]:
    trees, counts = encode_trees(
        ids,
        GraphTokens.from_nodes(rows),
        tuple(names),
        mode=section.graph.mode,
        count=section.graph.count,
        capacity=row_tokens if decoder_start is None else None,
        max_depth=student.positions,
    )
    made = counts.to_dict()
    if decoder_start is not None:
        trees = [p for t in trees for p in encoder_paths(t, decoder_start=decoder_start)]
        made["trees"] = len(trees)
        made["input_tokens"] = sum(len(t) + len(t.encoder_ids or ()) for t in trees)
        made["note"] = NO_TREES
    write_trees(path, trees, metadata)
    return made
