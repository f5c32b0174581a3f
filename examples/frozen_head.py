"""A student whose head is frozen, as with LoRA: its gradient and that matrix product are skipped.

Nothing has to be said: the head does not require a gradient. The loss is KL(student || teacher),
which keeps the student to what its teacher deems likely, from a cache of the teacher's hidden
states, which is smaller than one of its logits by V / Dt.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from collegium.kernels import LiveTeacher, linear_distill_loss

Batch = tuple[Tensor, Tensor, Tensor]
"""Ids and labels, int64[B, T] each, and the teacher's cached hidden states [B, T, Dt]."""


class LowRank(nn.Module):
    """``linear(x) + x A B`` with a frozen `linear` and trained A, B (Hu et al. 2021, "LoRA")."""

    def __init__(self, linear: nn.Linear, rank: int = 8) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(linear.in_features, rank) * linear.in_features**-0.5)
        self.b = nn.Parameter(torch.zeros(rank, linear.out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer and its low-rank change."""
        return self.linear(x) + x @ self.a @ self.b


def train(
    student: nn.Module,
    student_head: nn.Linear,
    teacher_head: nn.Linear,
    batches: Iterable[Batch],
    lr: float = 1e-2,
) -> list[float]:
    """Train what requires a gradient in `student`; the heads stay as they are."""
    student_head.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=lr)
    losses = []
    for ids, labels, cached in batches:
        out = linear_distill_loss(
            student(ids).flatten(0, 1), student_head.weight, labels.flatten(),
            [LiveTeacher(cached.flatten(0, 1), teacher_head.weight.detach())],
            divergence="reverse_kl", ce_weight=0.1,
        )  # fmt: skip
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(out.loss.item())
    return losses
