"""Which sequences form which micro-batch, as a pure function of (seed, epoch, step, rank).

An optimizer step takes `batch_size` questions with all their sequences. The questions are dealt
out to ``world_size * accumulation`` shards; each rank works through its shards one after another.
A shard is one micro-batch (``mixed``) or one per objective (``separate``, the published form: one
objective's graph is alive at a time). Micro-batches without sequences are legal: every rank runs
the same number of them. Nothing is stored but lengths, so that resuming skips at no cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np

from collegium.errors import ArgumentError, DataError
from collegium.objectives.sequences import EncodedSequence
from collegium.objectives.trees import TrainingItem, describe

Row = list[int]
"""Indices of the sequences that share a row, in order."""
MicroBatch = list[Row]
ObjectiveBatches = Literal["separate", "mixed"]


@dataclass(frozen=True)
class Plan:
    """The order of training over `sequences`.

    Args:
        sequences: all training sequences or trees; those of one `example_id` are one question.
        batch_size: questions per optimizer step, over all ranks.
        objectives: the objectives trained, in the recipe's order; others are left out.
        accumulation: shards (backward passes) per optimizer step and rank.
        objective_batches: ``separate`` or ``mixed`` micro-batches; trees hold all objectives of a
            question and are always mixed.
        packing: put several sequences into a row of up to `row_tokens` tokens.
        row_tokens: capacity of a packed row.
        seed: together with the epoch, the only source of the order.
        drop_last: leave out the last, smaller step of an epoch.
        rank: which of the `world_size` processes this is.
        world_size: number of processes that share each step.

    Raises:
        ArgumentError: a number out of range.
        DataError: no sequence has one of `objectives`, or one is longer than a packed row.
    """

    sequences: Sequence[TrainingItem]
    batch_size: int
    objectives: tuple[str, ...]
    accumulation: int = 1
    objective_batches: ObjectiveBatches = "separate"
    packing: bool = False
    row_tokens: int = 1024
    seed: int = 0
    drop_last: bool = False
    rank: int = 0
    world_size: int = 1
    _questions: list[list[int]] = field(init=False, repr=False)
    _trees: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Group the sequences by question and check the numbers."""
        for name in ("batch_size", "accumulation", "row_tokens", "world_size"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name}: expected 1 or more, found {getattr(self, name)}")
        if not 0 <= self.rank < self.world_size:
            raise ArgumentError(f"rank: expected 0..{self.world_size - 1}, found {self.rank}")
        groups: dict[str, list[int]] = {}
        for index, sequence in enumerate(self.sequences):
            if any(name in self.objectives for name in sequence.objectives):
                groups.setdefault(sequence.example_id, []).append(index)
                if self.packing and len(sequence) > self.row_tokens:
                    raise DataError(
                        f"{describe(sequence)} has "
                        f"{len(sequence)} tokens, a packed row {self.row_tokens}: raise "
                        "train.row_tokens, or lower the token limits of the pack stage"
                    )
        if not groups:
            found = sorted({name for sequence in self.sequences for name in sequence.objectives})
            raise DataError(
                f"no training sequence for the objectives {list(self.objectives)}; the data has "
                f"{found or 'no sequences at all'}"
            )
        object.__setattr__(self, "_questions", list(groups.values()))
        trees = any(not isinstance(sequence, EncodedSequence) for sequence in self.sequences)
        object.__setattr__(self, "_trees", trees)
        object.__setattr__(self, "_order", lru_cache(maxsize=2)(self._permutation))

    @property
    def questions(self) -> int:
        """Number of questions in an epoch."""
        return len(self._questions)

    @property
    def steps_per_epoch(self) -> int:
        """Number of optimizer steps in an epoch."""
        if self.drop_last and self.questions >= self.batch_size:
            return self.questions // self.batch_size
        return math.ceil(self.questions / self.batch_size)

    def _permutation(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, epoch]).permutation(self.questions)

    def step_questions(self, epoch: int, step: int) -> list[list[int]]:
        """Return the sequence indices of each question of an optimizer step (all ranks)."""
        order: np.ndarray = self._order(epoch)  # type: ignore[attr-defined]
        chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
        return [self._questions[question] for question in chosen.tolist()]

    def shard(self, epoch: int, step: int, part: int) -> list[MicroBatch]:
        """Return the micro-batches of this rank's `part` (0..accumulation-1) of a step."""
        dealt = self.rank * self.accumulation + part
        questions = self.step_questions(epoch, step)[dealt :: self.world_size * self.accumulation]
        indices = [index for question in questions for index in question]
        if self.objective_batches == "mixed" or self._trees:
            return [self.rows(indices)]
        return [
            self.rows([i for i in indices if self.sequences[i].objectives == (objective,)])
            for objective in self.objectives
        ]

    def rows(self, indices: Sequence[int]) -> MicroBatch:
        """Put sequences into rows: packed up to `row_tokens`, or one each."""
        if not self.packing or not indices:
            return [[index] for index in indices]
        from collegium.packing import pack  # the compiled extension is needed for packed rows only

        lengths = np.array([len(self.sequences[index]) for index in indices], dtype=np.int64)
        packing = pack(lengths, self.row_tokens)
        rows: list[list[tuple[int, int]]] = [[] for _ in range(int(packing.rows))]
        places = zip(packing.row_of.tolist(), packing.start_of.tolist(), indices, strict=True)
        for row, start, index in places:
            rows[row].append((start, index))
        return [[index for _, index in sorted(row)] for row in rows]


def evaluation_batches(
    sequences: Sequence[TrainingItem],
    objectives: Sequence[str],
    per_batch: int,
    *,
    rank: int = 0,
    world_size: int = 1,
) -> list[MicroBatch]:
    """Cut sequences into this rank's micro-batches of one sequence a row, ordered by length.

    Every rank gets the same number of micro-batches; some may be empty.
    """
    known = set(objectives)
    wanted = [i for i, sequence in enumerate(sequences) if known & set(sequence.objectives)]
    wanted.sort(
        key=lambda i: (len(sequences[i]) + len(sequences[i].encoder_ids or ()), i), reverse=True
    )
    batches = [
        [[index] for index in wanted[start : start + per_batch]]
        for start in range(0, len(wanted), per_batch)
    ]
    batches += [[] for _ in range(-len(batches) % world_size)]
    return batches[rank::world_size]
