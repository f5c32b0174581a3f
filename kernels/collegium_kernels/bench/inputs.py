"""Hidden states, heads and labels with logits like real ones, the student close to its teachers.

Uniform random inputs make every distribution flat, which hides rounding errors: there nothing
cancels. Here the logits have a given standard deviation and student and teacher differ by a
given one. Both sides share most of their hidden dimensions and have some of their own::

    std(z)^2 = std(v)^2 = logit_std^2,   std(z - v) = difference
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .. import LiveTeacher, TopKTeacher
from .cases import Case

_WEIGHT_STD = 0.02
BLOCK = 16_384
"""Ids of the vocabulary that are widened at a time."""


@dataclass(eq=False)
class Inputs:
    """What every implementation gets; gradients end up in `hidden` and `weight`."""

    hidden: Tensor
    weight: Tensor
    teacher_hidden: list[Tensor]
    teacher_weight: list[Tensor]
    labels: Tensor
    lists: list[TopKTeacher]

    def forget_gradients(self) -> None:
        """Drop the gradients, so that the next step allocates its own."""
        self.hidden.grad = self.weight.grad = None

    def teachers(self, case: Case) -> list[LiveTeacher | TopKTeacher]:
        """Return the teachers, each with an equal share."""
        share = 1.0 / case.teachers
        if case.top_k:
            return [replace(listed, mix=share) for listed in self.lists]
        pairs = zip(self.teacher_hidden, self.teacher_weight, strict=True)
        return [LiveTeacher(h, w, share, softcap=case.softcap) for h, w in pairs]

    def first(self, tokens: int) -> Inputs:
        """Return the first tokens with their labels; heads are shared, gradients are not."""
        labels = self.labels[:tokens].clone()
        labels[0] = labels[labels >= 0][0] if bool((labels >= 0).any()) else 0
        return Inputs(
            self.hidden.detach()[:tokens].clone().requires_grad_(),
            self.weight.detach().requires_grad_(self.weight.requires_grad),
            [h[:tokens] for h in self.teacher_hidden],
            self.teacher_weight,
            labels,
            [replace(t, ids=t.ids[:tokens], logprobs=t.logprobs[:tokens]) for t in self.lists],
        )


def build(case: Case, device: str) -> Inputs:
    """Make the inputs of a case, the same ones for the same case and device."""
    torch.manual_seed(0)
    own = max(8, min(case.student_size, case.teacher_size) // 8)
    shared = min(case.student_size, case.teacher_size) - own
    apart = case.difference / 2**0.5
    together = (case.logit_std**2 - apart**2) ** 0.5

    def block(rows: int, columns: int, std: float) -> Tensor:
        return torch.empty(rows, columns, device=device).normal_(0, std)

    def hidden(columns: int, logit_std: float) -> Tensor:
        return block(case.tokens, columns, logit_std / (_WEIGHT_STD * columns**0.5))

    common_hidden = hidden(shared, together)
    common_weight = block(case.vocabulary, shared, _WEIGHT_STD)

    def side(size: int) -> tuple[Tensor, Tensor]:
        rest = size - shared
        own_weight = block(case.vocabulary, rest, _WEIGHT_STD)
        return (
            torch.cat([common_hidden, hidden(rest, apart)], 1).to(case.torch_dtype),
            torch.cat([common_weight, own_weight], 1).to(case.torch_dtype),
        )

    student_hidden, student_weight = side(case.student_size)
    sides = [side(case.teacher_size) for _ in range(case.teachers)]
    teacher_hidden, teacher_weight = [h for h, _ in sides], [w for _, w in sides]
    given = Inputs(
        student_hidden.requires_grad_(),
        student_weight.requires_grad_(not case.frozen_head),
        teacher_hidden,
        teacher_weight,
        _labels(case, teacher_hidden[0], teacher_weight[0]),
        [],
    )
    if case.top_k:
        given.lists = [_listed(case, h, w) for h, w in sides]
        given.teacher_hidden, given.teacher_weight = [], []
    return given


def _labels(case: Case, hidden: Tensor, weight: Tensor) -> Tensor:
    """Return per token the likeliest of a thousand random ids, -100 where masked."""
    ids = torch.randperm(case.vocabulary, device=hidden.device)[:1000]
    labels = ids[(hidden @ weight[ids].T).argmax(-1)]
    masked = torch.randperm(case.tokens, device=hidden.device)[: case.tokens - case.counted]
    labels[masked] = -100
    return labels


def _listed(case: Case, hidden: Tensor, weight: Tensor) -> TopKTeacher:
    best = []
    for rows in hidden.split(256):
        logits = cap(rows.float() @ weight.float().T, case.softcap)
        best.append(torch.log_softmax(logits, -1).topk(case.top_k, -1))
    return TopKTeacher(torch.cat([b.indices for b in best]), torch.cat([b.values for b in best]))


def cap(logits: Tensor, softcap: float | None) -> Tensor:
    """Return ``softcap * tanh(logits / softcap)``, or the logits."""
    return logits if softcap is None else softcap * torch.tanh(logits / softcap)


def blocks(vocabulary: int) -> Iterator[slice]:
    """Yield the vocabulary in blocks."""
    for start in range(0, vocabulary, BLOCK):
        yield slice(start, min(start + BLOCK, vocabulary))
