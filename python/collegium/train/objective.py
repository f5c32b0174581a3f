"""`TotalLoss`: weights, teachers and normalisers of the whole objective, without any trainer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from collegium.batch import PackedBatch
from collegium.train.config import ObjectiveWeight
from collegium.train.loss import live_teachers
from collegium.train.meter import LossMeter
from collegium.train.normalise import count_totals, edge_weights


class TotalLoss:
    """The total loss of an optimizer step over its micro-batches.

    ``totals = total_loss.count(batches)``, then for each batch
    ``total_loss(model, batch, totals)["loss"].backward()`` with `model` a `StudentWithLoss`.

    Args:
        weights: lambda and kappa by objective, in the order of the batches' `objectives`.
        teachers: live teachers by name, in the order of the columns of `edge_signal`. They are
            moved to `device`, put into evaluation mode and frozen.
        mix: mixture weight by teacher; default: all the same.
        device: where the student is.
        reduce: the step is shared by all ranks of the default process group.
    """

    def __init__(
        self,
        weights: Mapping[str, ObjectiveWeight],
        teachers: Mapping[str, nn.Module] | None = None,
        mix: Mapping[str, float] | None = None,
        *,
        device: torch.device | str = "cpu",
        reduce: bool = False,
    ) -> None:
        self.weights = dict(weights)
        self.device = torch.device(device)
        self.reduce = reduce
        self.teachers = {
            name: teacher.to(self.device).eval().requires_grad_(False)
            for name, teacher in (teachers or {}).items()
        }
        self.mix = {name: (mix or {}).get(name, 1.0) for name in self.teachers}
        self.scales = torch.tensor(
            [[w.weight for w in self.weights.values()], [w.distill for w in self.weights.values()]],
            dtype=torch.float64,
            device=self.device,
        )

    def count(self, batches: Iterable[PackedBatch]) -> Tensor:
        """Return float64[2,O], W_o and K_o of a step's micro-batches on all ranks."""
        return count_totals(batches, len(self.weights), device=self.device, reduce=self.reduce)

    def __call__(self, model: nn.Module, batch: PackedBatch, totals: Tensor) -> dict[str, Tensor]:
        """Return the `LossParts` fields of a micro-batch of the step that `totals` counts."""
        batch = batch.to(self.device)
        ce_weight, kd_weight = edge_weights(batch, totals, self.scales[0], self.scales[1])
        return model(batch, ce_weight, kd_weight, live_teachers(self.teachers, self.mix, batch))

    def meter(self) -> LossMeter:
        """Return an empty meter for this loss."""
        weight, distill = self.scales.tolist()
        return LossMeter(tuple(self.weights), weight, distill, tuple(self.teachers), self.device)

    @torch.no_grad()
    def validate(
        self, model: nn.Module, batches: Iterable[PackedBatch], *, step: int = 0
    ) -> dict[str, float]:
        """Return the total loss over all `batches` as one step, and its parts, without dropout.

        Raises:
            RunError: it is not finite.
        """
        batches = list(batches)
        training = model.training
        model.eval()
        meter = self.meter()
        totals = self.count(batches)
        meter.begin_step(totals)
        for batch in batches:
            if self.reduce or batch.edge_src.numel():
                meter.add(self(model, batch, totals))
        model.train(training)
        return meter.pop(step, reduce=self.reduce)
