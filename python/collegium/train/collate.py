"""Sequences to `PackedBatch`: rows of one sequence with padding, or of several packed ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from collegium.batch import PackedBatch, checks_enabled
from collegium.errors import ArgumentError
from collegium.objectives.sequences import EncodedSequence


@dataclass(frozen=True)
class Collator:
    """Builds batches over fixed `objectives`.

    Args:
        objectives: the recipe's objectives; `edge_objective` indexes them.
        pad: token id that fills rows up.
        signals: number of live teachers. Each gets one column of `edge_signal`: the flattened
            position of the edge's source, since a live teacher reads the very same ids.
        signal_objectives: objectives that receive distributions; the others' edges have -1.
        encoder: the sequences are an encoder-decoder student's.
        multiple_of: rows are padded to a multiple of this many positions.
    """

    objectives: tuple[str, ...]
    pad: int
    signals: int = 0
    signal_objectives: Collection[str] = ()
    encoder: bool = False
    multiple_of: int = 1

    def __call__(
        self, sequences: Sequence[EncodedSequence], rows: Sequence[Sequence[int]]
    ) -> PackedBatch:
        """Return the batch of `rows`, each a list of indices into `sequences`.

        Without rows: one row of one pad token and no edges, whose loss is exactly 0.

        Raises:
            ArgumentError: several encoder-decoder sequences share a row, or a sequence is of the
                other kind.
        """
        chosen = [[sequences[index] for index in row] for row in rows]
        for sequence in (sequence for row in chosen for sequence in row):
            if (sequence.encoder_ids is not None) != self.encoder:
                raise ArgumentError(
                    f"sequence {sequence.objective!r} of example {sequence.example_id!r} was "
                    f"encoded for {'a decoder-only' if self.encoder else 'an encoder-decoder'} "
                    "student, this student is of the other kind: encode the data again for it"
                )
        lengths = [sum(len(sequence.input_ids) for sequence in row) for row in chosen]
        width = -(-max(lengths, default=1) // self.multiple_of) * self.multiple_of
        ids: list[int] = []
        positions: list[int] = []
        nodes: list[int] = []
        ends: list[int] = []
        src: list[int] = []
        target: list[int] = []
        weight: list[float] = []
        objective: list[int] = []
        number = {name: index for index, name in enumerate(self.objectives)}
        for row, length in zip(chosen, lengths, strict=True):
            start = len(ids)
            for node, sequence in enumerate(row):
                n = len(sequence.input_ids)
                offset = len(ids)
                ids += sequence.input_ids
                positions += range(n)
                nodes += [node] * n
                ends += [offset - start + n] * n
                src += [offset + edge for edge in sequence.edge_src]
                target += sequence.edge_target
                weight += sequence.edge_weight
                objective += [number[sequence.objective]] * len(sequence.edge_src)
            padding = width - length
            ids += [self.pad] * padding
            positions += [0] * padding
            nodes += range(len(row), len(row) + padding)
            ends += range(length + 1, width + 1)
        if not chosen:
            ids, positions, nodes = [self.pad] * width, [0] * width, list(range(width))
            ends = list(range(1, width + 1))
        shape = (max(len(chosen), 1), width)
        edge_src = torch.tensor(src, dtype=torch.int64)
        edge_objective = torch.tensor(objective, dtype=torch.int64)
        batch = PackedBatch(
            input_ids=torch.tensor(ids, dtype=torch.int64).view(shape),
            position_ids=torch.tensor(positions, dtype=torch.int64).view(shape),
            node_id=torch.tensor(nodes, dtype=torch.int64).view(shape),
            subtree_end=torch.tensor(ends, dtype=torch.int64).view(shape),
            edge_src=edge_src,
            edge_target=torch.tensor(target, dtype=torch.int64),
            edge_weight=torch.tensor(weight, dtype=torch.float32),
            edge_objective=edge_objective,
            edge_signal=self._signals(edge_src, edge_objective),
            objectives=self.objectives,
            **self._encoder(chosen),
        )
        batch.__dict__["padded_rows_only"] = all(len(row) == 1 for row in chosen)
        return batch.validate() if checks_enabled() else batch

    def _signals(self, src: torch.Tensor, objective: torch.Tensor) -> torch.Tensor:
        if not self.signals:
            return torch.empty(len(src), 0, dtype=torch.int64)
        wanted = torch.tensor([name in self.signal_objectives for name in self.objectives])
        column = torch.where(wanted[objective], src, -1)
        return column[:, None].repeat(1, self.signals)

    def _encoder(self, chosen: list[list[EncodedSequence]]) -> dict[str, torch.Tensor]:
        if not self.encoder:
            return {}
        if any(len(row) > 1 for row in chosen):
            raise ArgumentError("rows of encoder-decoder students hold one sequence: packing=False")
        prompts = [row[0].encoder_ids or [] for row in chosen] or [[self.pad]]
        width = max(map(len, prompts))
        filled = [prompt + [self.pad] * (width - len(prompt)) for prompt in prompts]
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        return {
            "encoder_input_ids": torch.tensor(filled, dtype=torch.int64),
            "encoder_mask": torch.arange(width)[None, :] < lengths[:, None],
        }
