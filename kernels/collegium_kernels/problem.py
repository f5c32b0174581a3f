"""`Problem`: one checked call with its defaults filled in, as the implementations read it.

An operator's arguments are tensors and scalars only, so a problem can also be taken apart into
flat lists and put together again; that is what keeps `torch.compile` free of graph breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .teachers import TAILS, LiveTeacher, LogitsTeacher, SampledTeacher, Teacher, TopKTeacher

_LIVE, _LOGITS, _TOPK, _SAMPLED = range(4)
_SLOTS = 4
"""Tensors per teacher in the flat list: two of its own, bias, columns."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that decides the loss; see `linear_distill_loss` for the meaning."""

    student: Tensor
    """[N, Ds] hidden states, or [N, V] logits where `weight` is None."""
    weight: Tensor | None
    bias: Tensor | None
    labels: Tensor
    """int64[N]."""
    teachers: tuple[Teacher, ...]
    mix: Tensor
    """[K, N] in the compute dtype."""
    kd_weight: Tensor
    """[N]."""
    ce_weight: Tensor
    """[N]."""
    normalizer: Tensor | None
    """[] or None: the number of tokens with a label."""
    divergence: str
    beta: float
    temperature: float
    softcap: float | None
    logit_scale: float
    ignore_index: int
    operands: torch.dtype | None = None
    """What autocast wants the matrix products' operands in; their sums stay in float32."""

    @property
    def vocabulary(self) -> int:
        """V, the student's."""
        return self.student.shape[1] if self.weight is None else self.weight.shape[0]

    @property
    def compute_dtype(self) -> torch.dtype:
        """float64 for float64 students, float32 for all others."""
        return torch.float64 if self.student.dtype == torch.float64 else torch.float32

    def denominator(self) -> Tensor:
        """Return the 0-d number that the summed loss is divided by."""
        if self.normalizer is not None:
            return self.normalizer.detach().to(self.compute_dtype)
        count = (self.labels != self.ignore_index).sum()
        return count.clamp(min=1).to(self.compute_dtype)


def flatten_teachers(
    teachers: tuple[Teacher, ...],
) -> tuple[list[Tensor], list[int], list[float]]:
    """Return the teachers as (tensors, codes, numbers) of fixed counts per teacher.

    An empty tensor stands for an absent one: a list with gaps has no gradient structure.
    """
    tensors: list[Any] = []
    codes: list[int] = []
    numbers: list[float] = []
    for teacher in teachers:
        if isinstance(teacher, LiveTeacher):
            tensors += [teacher.hidden, teacher.weight, teacher.bias, teacher.columns]
            codes += [_LIVE, 0]
            numbers += [teacher.softcap or 0.0, teacher.logit_scale]
        elif isinstance(teacher, LogitsTeacher):
            tensors += [teacher.logits, None, None, teacher.columns]
            codes += [_LOGITS, 0]
            numbers += [0.0, 1.0]
        elif isinstance(teacher, TopKTeacher):
            tensors += [teacher.ids, teacher.logprobs, None, None]
            codes += [_TOPK, TAILS.index(teacher.tail)]
            numbers += [0.0, 1.0]
        else:
            tensors += [teacher.ids, teacher.weights, None, None]
            codes += [_SAMPLED, 0]
            numbers += [0.0, 1.0]
    gap = tensors[0].new_empty(0) if tensors else torch.empty(0)
    flat = [gap if part is None else part.detach() for part in tensors]
    # One entry more than there are teachers: autograd takes an empty list for a list of tensors.
    return [*flat, gap], [*codes, 0], [*numbers, 0.0]


def unflatten_teachers(
    tensors: list[Tensor], codes: list[int], numbers: list[float]
) -> tuple[Teacher, ...]:
    """Undo `flatten_teachers`; `mix` is not part of it and stays at its default."""
    teachers: list[Teacher] = []
    for k in range(len(tensors) // _SLOTS):
        first, second, bias, columns = tensors[_SLOTS * k : _SLOTS * (k + 1)]
        bias = bias if bias.numel() else None
        columns = columns.long() if columns.numel() else None
        kind, option = codes[2 * k : 2 * k + 2]
        softcap, scale = numbers[2 * k : 2 * k + 2]
        if kind == _LOGITS:
            teachers.append(LogitsTeacher(first, columns=columns))
            continue
        if kind == _LIVE:
            teachers.append(
                LiveTeacher(
                    first,
                    second,
                    bias=bias,
                    softcap=softcap or None,
                    logit_scale=scale,
                    columns=columns,
                )
            )
        elif kind == _TOPK:
            teachers.append(TopKTeacher(first, second, tail=TAILS[option]))
        else:
            teachers.append(SampledTeacher(first, second))
    return tuple(teachers)
