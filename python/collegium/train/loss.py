"""From a micro-batch to its share of the total loss; the head sees edge positions only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from collegium.batch import PackedBatch
from collegium.errors import ArgumentError
from collegium.kernels import DistillLoss, LiveTeacher, linear_distill_loss
from collegium.train.models import Head, hidden_states, output_head

KernelTeacher = Any
"""One of `collegium.kernels`' teachers over the E edges of a batch."""


@dataclass(frozen=True)
class LossOptions:
    """How distributions are compared: as `collegium.kernels.linear_distill_loss` takes it."""

    divergence: str = "forward_kl"
    temperature: float = 1.0
    beta: float = 0.5
    implementation: str = "auto"


@dataclass
class LossParts:
    """A micro-batch's share of the total loss, and the same by part.

    `loss` is the differentiable scalar. `ce` and `kd` [O] are its detached parts by objective;
    they sum to it. `divergence` [S]: sum over edges of the unweighted D_k; `signals` [S]: the
    number of these edges.
    """

    loss: Tensor
    ce: Tensor
    kd: Tensor
    divergence: Tensor
    signals: Tensor


def edge_mix(batch: PackedBatch, mix: Sequence[float]) -> list[Tensor]:
    """Return the mixture weight float32[E] of each signal source.

    An edge's weights are those of the sources that it has a signal of, scaled to sum to 1, so that
    kappa keeps its meaning however many sources there are; 0 where an edge has none.
    """
    if len(mix) != batch.edge_signal.shape[1]:
        raise ArgumentError(
            f"{len(mix)} mixture weights for {batch.edge_signal.shape[1]} signal sources"
        )
    raw = torch.tensor(mix, dtype=torch.float32, device=batch.edge_signal.device)
    present = (batch.edge_signal >= 0) * raw
    share = present / present.sum(1, keepdim=True).clamp(min=1e-30)
    return list(share.unbind(1))


def match_width(teacher: KernelTeacher, width: int) -> KernelTeacher:
    """Give a same-tokenizer teacher whose head is padded to another width its `columns`."""
    dense = isinstance(teacher, LiveTeacher) and teacher.columns is None
    if not dense or teacher.weight.shape[0] == width:
        return teacher
    index = torch.arange(width, device=teacher.weight.device)
    return replace(teacher, columns=torch.where(index < teacher.weight.shape[0], index, -1))


@torch.no_grad()
def live_teachers(
    models: Mapping[str, nn.Module], mix: Mapping[str, float], batch: PackedBatch
) -> list[KernelTeacher]:
    """Run live teachers on the batch's own ids and return them for the kernel, restricted to edges.

    Args:
        models: same-tokenizer models, in the order of the columns of `edge_signal`.
        mix: mixture weight of each.
        batch: the student's batch.
    """
    if not models or not batch.edge_src.numel() or not bool((batch.edge_signal >= 0).any()):
        return []
    shares = edge_mix(batch, [mix[name] for name in models])
    teachers = []
    for column, (model, share) in enumerate(zip(models.values(), shares, strict=True)):
        head = output_head(model)
        hidden = hidden_states(model, batch).flatten(0, 1)
        rows = hidden.index_select(0, batch.edge_signal[:, column].clamp(min=0))
        teachers.append(
            LiveTeacher(
                rows,
                head.weight.detach(),
                mix=share,
                bias=None if head.bias is None else head.bias.detach(),
                softcap=head.softcap,
                logit_scale=head.logit_scale,
            )
        )
    return teachers


def edge_loss(
    hidden: Tensor,
    head: Head,
    batch: PackedBatch,
    ce_weight: Tensor,
    kd_weight: Tensor,
    teachers: Sequence[KernelTeacher] = (),
    options: LossOptions | None = None,
) -> LossParts:
    """Return the loss of `batch`'s edges from the student's hidden states [B,T,D].

    ``sum_e ce_weight_e CE_e + kd_weight_e T^2 sum_k mix_ke D_k(e)`` with the weights of
    `normalise.edge_weights`, so that micro-batches and ranks add up to the total loss.

    Args:
        hidden: last hidden states; only those at `edge_src` are used.
        head: the student's head.
        batch: the batch.
        ce_weight: float32[E].
        kd_weight: float32[E], 0 where an edge has no signal.
        teachers: `LiveTeacher`, `TopKTeacher`, ... over the E edges, in the order of the columns.
        options: divergence, temperature, beta.
    """
    options = options if options is not None else LossOptions()
    teachers = [match_width(teacher, head.weight.shape[0]) for teacher in teachers]
    rows = hidden.flatten(0, 1).index_select(0, batch.edge_src)
    count = len(batch.objectives)
    zeros = torch.zeros(2 * count + 2 * len(teachers), device=rows.device)
    ce, kd, divergence, signals = zeros.split([count, count, len(teachers), len(teachers)])
    if not rows.shape[0]:
        # Nothing to learn here, but every parameter takes part in the backward pass (DDP).
        bias = 0.0 if head.bias is None else head.bias.sum()
        zero = 0.0 * (hidden.sum() + head.weight.sum() + bias)
        return LossParts(zero, ce, kd, divergence, signals)
    if not teachers:
        out = _kernel(rows, head, batch.edge_target, (), ce_weight, 0.0, options)
        ce.index_add_(0, batch.edge_objective, out.per_token.detach().float())
        return LossParts(out.loss, ce, kd, divergence, signals)
    parts = []
    for number in range(count):
        own = (batch.edge_objective == number).nonzero().view(-1)
        if not own.numel():
            continue
        chosen = [select_edges(teacher, own, rows.shape[0]) for teacher in teachers]
        target = batch.edge_target[own]
        out = _kernel(
            rows.index_select(0, own), head, target, chosen, ce_weight[own], kd_weight[own], options
        )
        parts.append(out.loss)
        ce[number] = out.ce
        kd[number] = out.kd
        used = torch.stack([(_mix(teacher) > 0).sum() for teacher in chosen])
        divergence += out.per_teacher.float() * used
        signals += used
    return LossParts(torch.stack(parts).sum(), ce, kd, divergence, signals)


def _kernel(
    rows: Tensor,
    head: Head,
    target: Tensor,
    teachers: Sequence[KernelTeacher],
    ce_weight: Tensor,
    kd_weight: Tensor | float,
    options: LossOptions,
) -> DistillLoss:
    return linear_distill_loss(
        rows,
        head.weight,
        target,
        teachers,
        divergence=options.divergence,
        temperature=options.temperature,
        beta=options.beta,
        kd_weight=kd_weight,
        ce_weight=ce_weight,
        normalizer=1.0,
        student_bias=head.bias,
        softcap=head.softcap,
        logit_scale=head.logit_scale,
        implementation=options.implementation,
    )


def _mix(teacher: KernelTeacher) -> Tensor:
    return torch.as_tensor(teacher.mix)


def select_edges(teacher: KernelTeacher, index: Tensor, edges: int) -> KernelTeacher:
    """Return a kernel teacher restricted to the edges `index` [n] of `edges`."""
    shared = ("weight", "bias", "columns")
    rows = {
        entry.name: value.index_select(0, index)
        for entry in fields(teacher)
        if entry.name not in shared
        and isinstance(value := getattr(teacher, entry.name), Tensor)
        and value.ndim
        and value.shape[0] == edges
    }
    return replace(teacher, **rows)


class StudentWithLoss(nn.Module):
    """A student whose forward pass ends with the loss.

    Wrappers of data-parallel training (DDP, FSDP) see one module whose output is the loss, and the
    head's weight is only touched inside its forward pass.

    Args:
        student: a Hugging Face language model, decoder-only or encoder-decoder.
        options: how distributions are compared.
    """

    def __init__(self, student: nn.Module, options: LossOptions | None = None) -> None:
        super().__init__()
        self.student = student
        self.options = options if options is not None else LossOptions()

    def forward(
        self,
        batch: PackedBatch,
        ce_weight: Tensor,
        kd_weight: Tensor,
        teachers: Sequence[KernelTeacher] = (),
    ) -> dict[str, Tensor]:
        """Return the fields of `LossParts` for `batch` (see `edge_loss`)."""
        hidden = hidden_states(self.student, batch)
        head = output_head(self.student)
        return vars(edge_loss(hidden, head, batch, ce_weight, kd_weight, teachers, self.options))

    def activation_checkpointing_enable(self, **kwargs: Any) -> None:
        """Recompute activations in the backward pass (passed on to the student)."""
        enable = getattr(self.student, "activation_checkpointing_enable", None)
        if enable is not None:
            enable(**kwargs)
        else:  # transformers before 5.20
            self.student.gradient_checkpointing_enable(  # type: ignore[operator]
                gradient_checkpointing_kwargs=kwargs.get("activation_checkpointing_kwargs")
            )
