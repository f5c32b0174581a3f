"""Distillation in a plain PyTorch loop: one call takes the place of logits, KL and cross-entropy.

The teacher's and the student's hidden states go in, no logits tensor comes into being. The loss is
KL(teacher || student) at T = 2 plus cross-entropy, half each, over the tokens with a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from collegium.kernels import LiveTeacher, linear_distill_loss

Batch = tuple[Tensor, Tensor]
"""Token ids and labels, int64[B, T] each; label -100 leaves a token out."""


def train(
    student: nn.Module,
    student_head: nn.Linear,
    teacher: Callable[[Tensor], Tensor],
    teacher_head: nn.Linear,
    batches: Iterable[Batch],
    lr: float = 1e-3,
) -> list[float]:
    """Train `student` and its head; both bodies map ids [B, T] to hidden states [B, T, D]."""
    optimizer = torch.optim.AdamW([*student.parameters(), *student_head.parameters()], lr=lr)
    losses = []
    for ids, labels in batches:
        with torch.no_grad():
            known = LiveTeacher(teacher(ids).flatten(0, 1), teacher_head.weight.detach())
        hidden = student(ids).flatten(0, 1)
        out = linear_distill_loss(
            hidden, student_head.weight, labels.flatten(), [known],
            temperature=2.0, kd_weight=0.5, ce_weight=0.5,
        )  # fmt: skip
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(out.loss.item())
    return losses
