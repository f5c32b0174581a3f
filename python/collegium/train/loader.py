"""The plan as a PyTorch data loader: one item is one shard of an optimizer step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from collegium.batch import PackedBatch
from collegium.train.collate import Collator
from collegium.train.plan import Plan


class Shards(Dataset[list[PackedBatch]]):
    """Maps (epoch, number of the shard in the epoch) to its micro-batches."""

    def __init__(self, plan: Plan, collate: Collator) -> None:
        self.plan = plan
        self.collate = collate

    def __len__(self) -> int:
        """Return the number of shards in an epoch."""
        return self.plan.steps_per_epoch * self.plan.accumulation

    def __getitem__(self, key: tuple[int, int]) -> list[PackedBatch]:
        """Return the micro-batches of one shard."""
        epoch, number = key
        step, part = divmod(number, self.plan.accumulation)
        shard = self.plan.shard(epoch, step, part)
        return [self.collate(self.plan.sequences, rows) for rows in shard]


class _Keys(Sampler[list[tuple[int, int]]]):
    """Yields the keys of one epoch in order; skipping costs nothing, since nothing is built."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return ([(self.epoch, number)] for number in range(self.length))


def _only(items: list[list[PackedBatch]]) -> list[PackedBatch]:
    return items[0]


class ShardLoader(DataLoader[list[PackedBatch]]):
    """Data loader over `Shards`; draws nothing from the global random state."""

    def __init__(self, plan: Plan, collate: Collator) -> None:
        shards: Any = Shards(plan, collate)
        super().__init__(
            shards,
            batch_sampler=_Keys(len(shards)),
            collate_fn=_only,
            generator=torch.Generator(),
        )

    @property
    def steps(self) -> int:
        """Number of optimizer steps in an epoch."""
        return self.dataset.plan.steps_per_epoch  # type: ignore[attr-defined]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is used."""
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
