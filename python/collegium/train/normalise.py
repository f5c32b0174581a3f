"""The normalisers of the loss, counted over the whole optimizer step before the first backward.

``total = sum_o [ lambda_o / W_o * sum_{e in o} w_e CE_e
               + kappa_o / K_o * sum_{e in o with a signal} w_e KD_e ]``

W_o is the sum of w_e over o's edges, K_o the same over those with a signal, both over all
micro-batches and ranks. Every edge gets its ``ce_weight = lambda_o w_e / W_o`` and
``kd_weight = kappa_o w_e / K_o``; the loss then uses ``normalizer=1.0`` and micro-batches add up.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from collegium.batch import PackedBatch


def count_totals(
    batches: Iterable[PackedBatch],
    objectives: int,
    *,
    device: torch.device | str = "cpu",
    reduce: bool = False,
) -> Tensor:
    """Return float64[2,O] on `device`: W_o and K_o over `batches`, with `reduce` over all ranks.

    Args:
        batches: the micro-batches of one optimizer step on this rank; where they still lie on the
            CPU, counting does not wait for the device.
        objectives: O, the number of objectives.
        device: where the totals go, and are summed over the ranks.
        reduce: sum over the ranks of the default process group (all ranks must call it).
    """
    totals = torch.zeros(2, objectives, dtype=torch.float64)
    for batch in batches:
        weight = batch.edge_weight.double()
        totals = totals.to(weight.device)
        totals[0].index_add_(0, batch.edge_objective, weight)
        if batch.edge_signal.shape[1]:
            signal = (batch.edge_signal >= 0).any(1)
            totals[1].index_add_(0, batch.edge_objective, weight * signal)
    totals = totals.to(device)
    if reduce:
        torch.distributed.all_reduce(totals)
    return totals


def edge_weights(
    batch: PackedBatch, totals: Tensor, weight: Tensor, distill: Tensor
) -> tuple[Tensor, Tensor]:
    """Return float32[E] ``ce_weight`` and float32[E] ``kd_weight`` of a micro-batch's edges.

    Args:
        batch: a micro-batch of the optimizer step that `totals` was counted over.
        totals: float64[2,O] of `count_totals`.
        weight: float64[O], lambda of each objective.
        distill: float64[O], kappa of each objective.
    """
    totals = totals.to(batch.edge_src.device)
    per_unit = torch.where(
        totals > 0, torch.stack([weight, distill]) / totals.clamp(min=1e-300), 0.0
    )
    own = per_unit[:, batch.edge_objective] * batch.edge_weight.double()
    if batch.edge_signal.shape[1]:
        kd = own[1] * (batch.edge_signal >= 0).any(1)
    else:
        kd = torch.zeros_like(own[1])
    return own[0].float(), kd.float()
