"""`TrainingRows`: encoded sequences in flat arrays, made in one pass in Rust."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from collegium._rust import encode_prompts as _encode_prompts
from collegium._rust import encode_rows as _encode_rows
from collegium._rust import encode_rows_file as _encode_rows_file
from collegium.objectives.sequences import EncodedSequence, schema, write_table

if TYPE_CHECKING:
    from collegium.tokenizer import Tokenizer

EMPTY_TARGET, EMPTY_PROMPT, PROMPT_CUT, TARGET_CUT, MISSING = 1, 2, 4, 8, 16
"""Flags in `Encodings.fates`: why a target got no row, or what was cut of it."""


@dataclass(frozen=True)
class Layout:
    """How prompts and targets become rows; one form for each objective."""

    forms: list[tuple[str, str, str, int]]
    """Text before the question, text after it, the prompt of an empty question, and how many
    tokens at the front of a prompt stay when it is cut."""
    head: list[int]
    """Tokens in front of every prompt."""
    tail: list[int]
    """Tokens at the end of every prompt."""
    eos: int
    decoder_start: int | None
    """What the decoder reads first; None for decoder-only students."""
    max_prompt_tokens: int
    max_target_tokens: int


@dataclass(frozen=True)
class TrainingRows(Sequence[EncodedSequence]):
    """n encoded sequences in flat arrays; as a sequence it gives them one by one.

    Row i belongs to example ``example_of[i]`` and objective ``objective_of[i]``; it has the tokens
    ``input_ids[input_offsets[i]:input_offsets[i + 1]]`` and, likewise with `edge_offsets`, the loss
    edges ``edge_src -> edge_target``, all of weight 1 (see `EncodedSequence`).
    """

    example_ids: Any
    """Names of the examples: a list of strings or an Arrow array."""
    objectives: tuple[str, ...]
    example_of: NDArray[np.int64]
    objective_of: NDArray[np.int64]
    input_ids: NDArray[np.int32]
    input_offsets: NDArray[np.int64]
    """int64[n + 1]."""
    edge_src: NDArray[np.int32]
    edge_target: NDArray[np.int32]
    edge_offsets: NDArray[np.int64]
    """int64[n + 1]."""
    encoder_ids: NDArray[np.int32] | None = None
    """What the encoder reads; None for decoder-only students."""
    encoder_offsets: NDArray[np.int64] | None = None
    """int64[n + 1]."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.example_of)

    @overload
    def __getitem__(self, index: SupportsIndex) -> EncodedSequence: ...
    @overload
    def __getitem__(self, index: slice) -> list[EncodedSequence]: ...
    def __getitem__(self, index: Any) -> EncodedSequence | list[EncodedSequence]:
        """Return one row, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        tokens = slice(self.input_offsets[row], self.input_offsets[row + 1])
        edges = slice(self.edge_offsets[row], self.edge_offsets[row + 1])
        encoder = None
        if self.encoder_ids is not None and self.encoder_offsets is not None:
            encoder = self.encoder_ids[
                self.encoder_offsets[row] : self.encoder_offsets[row + 1]
            ].tolist()
        return EncodedSequence(
            str(self.example_ids[int(self.example_of[row])]),
            self.objectives[self.objective_of[row]],
            self.input_ids[tokens].tolist(),
            self.edge_src[edges].tolist(),
            self.edge_target[edges].tolist(),
            [1.0] * int(edges.stop - edges.start),
            encoder,
        )

    def to_table(self) -> Any:
        """Return the rows as an Arrow table with the columns of `EncodedSequence`."""
        import pyarrow as pa

        ids = self.example_ids
        names = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.large_string())
        ones = np.ones(len(self.edge_src), dtype=np.float32)
        encoder: Any = pa.nulls(len(self), pa.list_(pa.int32()))
        if self.encoder_ids is not None and self.encoder_offsets is not None:
            encoder = _lists(self.encoder_offsets, self.encoder_ids)
        columns = {
            "example_id": names.take(pa.array(self.example_of)).cast(pa.string()),
            "objective": pa.array(self.objectives, pa.string()).take(pa.array(self.objective_of)),
            "input_ids": _lists(self.input_offsets, self.input_ids),
            "edge_src": _lists(self.edge_offsets, self.edge_src),
            "edge_target": _lists(self.edge_offsets, self.edge_target),
            "edge_weight": _lists(self.edge_offsets, ones),
            "encoder_ids": encoder,
        }
        fields = schema()
        return pa.table(
            [columns[name].cast(fields.field(name).type) for name in fields.names], schema=fields
        )

    def write(self, path: Path, metadata: Mapping[str, Any] | None = None) -> None:
        """Write the rows as `write_sequences` does."""
        write_table(path, self.to_table(), metadata)


@dataclass(frozen=True)
class Encodings:
    """Rows, and what became of every target in the order given."""

    rows: TrainingRows
    fates: NDArray[np.uint8]
    """uint8[m] flags: `EMPTY_TARGET`, `EMPTY_PROMPT`, `PROMPT_CUT`, `TARGET_CUT`, `MISSING`."""


def encode_rows(
    tokenizer: Tokenizer,
    example_ids: Sequence[str],
    objectives: Sequence[str],
    questions: Any,
    targets: Any,
    question_of: NDArray[np.int64],
    objective_of: NDArray[np.int64],
    layout: Layout,
) -> Encodings:
    """Make a row of each of m targets, for question ``question_of[t]`` in its objective's form.

    Raises:
        ArgumentError: A text is null, no string, or has a lone surrogate.
        DataError: A text cannot be encoded.
    """
    found = _encode_rows(tokenizer._core, questions, targets, question_of, objective_of, layout)
    target_of = found[1]
    of = (question_of[target_of], objective_of[target_of])
    return _encodings(found, example_ids, objectives, of, layout)


def encode_rows_file(
    tokenizer: Tokenizer,
    path: str | os.PathLike[str],
    question: str,
    targets: Mapping[str, str],
    id: str | None,
    layout: Layout,
) -> Encodings:
    """Make rows of a file's columns; `targets` maps objectives, in the layout's order, to columns.

    Raises:
        DataError: As `Tokenizer.encode_file`.
    """
    import pyarrow as pa

    columns = list(targets.values())
    found, text, ends = _encode_rows_file(
        tokenizer._core, os.fspath(path), question, columns, id, layout
    )
    names = pa.Array.from_buffers(
        pa.large_string(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(text)]
    )
    of = (found[1] // max(len(columns), 1), found[1] % max(len(columns), 1))
    return _encodings(found, names, list(targets), of, layout)


def encode_prompts(
    tokenizer: Tokenizer, questions: Any, form: int, layout: Layout
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.bool_]]:
    """Return ids and offsets of the questions' prompts in one form, and which of them were cut."""
    return _encode_prompts(tokenizer._core, questions, form, layout)


def _encodings(
    found: Any,
    example_ids: Any,
    objectives: Sequence[str],
    of: tuple[NDArray[np.int64], NDArray[np.int64]],
    layout: Layout,
) -> Encodings:
    fates, _, (ids, id_ends), (src, target, edge_ends), (encoder, encoder_ends) = found
    with_encoder = layout.decoder_start is not None
    rows = TrainingRows(
        example_ids,
        tuple(objectives),
        *of,
        ids.view(np.int32),
        id_ends,
        src.view(np.int32),
        target.view(np.int32),
        edge_ends,
        encoder.view(np.int32) if with_encoder else None,
        encoder_ends if with_encoder else None,
    )
    return Encodings(rows, fates)


def _lists(offsets: NDArray[np.int64], values: NDArray[Any]) -> Any:
    import pyarrow as pa

    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
