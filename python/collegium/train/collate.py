"""Sequences and trees to `PackedBatch`: one a row with padding, or several packed ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from collegium.batch import PackedBatch, checks_enabled
from collegium.errors import ArgumentError
from collegium.objectives.sequences import EncodedSequence
from collegium.objectives.trees import TrainingItem, describe

_NO_EDGES = tuple(np.zeros(0, kind) for kind in (np.int64, np.int64, np.float32, np.int64))


class _Columns(NamedTuple):
    position_ids: Any
    node_id: Any
    subtree_end: Any
    nodes: int
    edge_src: Any
    edges: tuple[Any, ...]
    """Target, weight and number of the objective."""


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
        self, sequences: Sequence[TrainingItem], rows: Sequence[Sequence[int]]
    ) -> PackedBatch:
        """Return the batch of `rows`, each a list of indices into `sequences`.

        Edges of a tree whose objective is none of ours are left out.

        Without rows: one row of one pad token and no edges, whose loss is exactly 0.

        Raises:
            ArgumentError: several encoder-decoder sequences share a row, or a sequence is of the
                other kind.
        """
        chosen = [[sequences[index] for index in row] for row in rows]
        for sequence in (sequence for row in chosen for sequence in row):
            if (sequence.encoder_ids is not None) != self.encoder:
                raise ArgumentError(
                    f"{describe(sequence)} was "
                    f"encoded for {'a decoder-only' if self.encoder else 'an encoder-decoder'} "
                    "student, this student is of the other kind: encode the data again for it"
                )
        lengths = [sum(map(len, row)) for row in chosen]
        width = max(-(-max(lengths, default=1) // self.multiple_of) * self.multiple_of, 1)
        shape = (max(len(chosen), 1), width)
        ids = np.full(shape, self.pad, dtype=np.int64)
        positions = np.zeros(shape, dtype=np.int64)
        nodes = np.tile(np.arange(width, dtype=np.int64), (shape[0], 1))
        ends = nodes + 1
        edges: list[tuple[Any, ...]] = []
        segments = []
        for number, row in enumerate(chosen):
            start = node = 0
            for item in row:
                columns = self._columns(item)
                n = len(item)
                own = slice(start, start + n)
                ids[number, own], positions[number, own] = item.input_ids, columns.position_ids
                nodes[number, own] = columns.node_id + node
                ends[number, own] = columns.subtree_end + start
                offset = number * width + start
                edges.append((columns.edge_src + offset, *columns.edges))
                segments.append((offset, n))
                start += n
                node += columns.nodes
            nodes[number, start:] = np.arange(node, node + width - start)
        src, target, weight, objective = (
            np.concatenate(parts) for parts in zip(_NO_EDGES, *edges, strict=True)
        )
        edge_src = torch.from_numpy(src.astype(np.int64))
        edge_objective = torch.from_numpy(objective.astype(np.int64))
        batch = PackedBatch(
            input_ids=torch.from_numpy(ids),
            position_ids=torch.from_numpy(positions),
            node_id=torch.from_numpy(nodes),
            subtree_end=torch.from_numpy(ends),
            edge_src=edge_src,
            edge_target=torch.from_numpy(target.astype(np.int64)),
            edge_weight=torch.from_numpy(weight.astype(np.float32)),
            edge_objective=edge_objective,
            edge_signal=self._signals(edge_src, edge_objective),
            objectives=self.objectives,
            **self._encoder(chosen),
        )
        batch.__dict__["padded_rows_only"] = all(
            len(row) == 1 and (isinstance(row[0], EncodedSequence) or row[0].is_path)
            for row in chosen
        )
        if segments:
            batch.__dict__["segments"] = segments
        return batch.validate() if checks_enabled() else batch

    def _columns(self, item: TrainingItem) -> _Columns:
        n = len(item)
        if isinstance(item, EncodedSequence):
            objective = np.full(len(item.edge_src), self.objectives.index(item.objective))
            edges = (np.array(item.edge_target), np.array(item.edge_weight, np.float32), objective)
            one = np.zeros(n, np.int64)
            return _Columns(np.arange(n), one, one + n, 1, np.array(item.edge_src), edges)
        place = {name: index for index, name in enumerate(self.objectives)}
        number = np.array([place.get(name, -1) for name in item.objectives])
        objective = number[item.edge_objective]
        used = objective >= 0
        edges = (item.edge_target[used], item.edge_weight[used], objective[used])
        return _Columns(
            item.position_ids,
            item.node_id,
            item.subtree_end,
            int(item.node_id.max()) + 1,
            item.edge_src[used],
            edges,
        )

    def _signals(self, src: torch.Tensor, objective: torch.Tensor) -> torch.Tensor:
        if not self.signals:
            return torch.empty(len(src), 0, dtype=torch.int64)
        wanted = torch.tensor([name in self.signal_objectives for name in self.objectives])
        column = torch.where(wanted[objective], src, -1)
        return column[:, None].repeat(1, self.signals)

    def _encoder(self, chosen: list[list[TrainingItem]]) -> dict[str, torch.Tensor]:
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
