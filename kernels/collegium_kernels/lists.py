"""Teachers known by a few ids per token: top-k lists with a tail, and weighted samples."""

from __future__ import annotations

import torch
from torch import Tensor

from .formulas import DIVERGENCES, Scratch
from .heads import Rows, take
from .teachers import SampledTeacher, TopKTeacher

TAIL_FLOOR = 2.0**-24
"""Least tail mass of a top-k teacher under reverse_kl: float32's spacing below one."""


def topk_target(
    logprobs: Tensor, tail: str, temperature: float, floor: float, complete: bool
) -> tuple[Tensor, Tensor]:
    """Return the teacher's tempered log-probabilities and the list's mass [R].

    [R, k+1], the tail last; [R, k] if the list is the `complete` vocabulary, which has no tail.
    Computed in float64 on k values a row, for the tail is one minus a sum close to one.
    """
    wide = logprobs.double() if logprobs.device.type != "mps" else logprobs
    if complete:
        listed = torch.log_softmax(wide / temperature, -1)
        return listed, torch.ones_like(listed[:, 0])
    rest = 1.0 - wide.exp().sum(-1, keepdim=True)
    both = torch.cat([wide, rest.clamp(min=floor).log()], 1)
    if temperature != 1.0:
        both = torch.log_softmax(both / temperature, -1)
    listed = both[:, :-1]
    mass = listed.exp().sum(-1)
    if tail == "bucket":
        return both, mass
    if tail == "renormalize":
        listed = torch.log_softmax(listed, -1)
    nothing = torch.full_like(both[:, -1:], -torch.inf)
    return torch.cat([listed, nothing], 1), mass


class ListedTeacher:
    """A `TopKTeacher` or `SampledTeacher` as the chunk loop sees it, tile by tile."""

    def __init__(
        self,
        teacher: TopKTeacher | SampledTeacher,
        divergence: str,
        beta: float,
        temperature: float,
    ) -> None:
        self.teacher = teacher
        self.divergence = divergence
        self.beta = beta
        self.temperature = temperature

    def ids(self, rows: Rows, live: Tensor) -> Tensor:
        """Return the ids of `rows`; rows that are not live get any valid ids instead."""
        ids = take(self.teacher.ids, rows).long()
        harmless = torch.arange(ids.shape[1], device=ids.device)
        if isinstance(self.teacher, SampledTeacher):
            harmless = harmless.zero_()
        return torch.where(live[:, None], ids, harmless)

    def tile(
        self,
        rows: Rows,
        live: Tensor,
        lq: Tensor,
        top: Tensor,
        scratch: Scratch,
        gradient: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """Return D [R], dD/du [R, V], top-1 agreement [R] and covered mass [R] of a tile.

        `lq` [R, V] is the student's log-softmax at T and is left as it was; `live` [R] says which
        rows count, the others only need to stay finite.
        """
        if isinstance(self.teacher, SampledTeacher):
            return self._samples(self.teacher, rows, live, lq, scratch, gradient)
        return self._topk(self.teacher, rows, live, lq, top, scratch, gradient)

    def _topk(
        self,
        teacher: TopKTeacher,
        rows: Rows,
        live: Tensor,
        lq: Tensor,
        top: Tensor,
        scratch: Scratch,
        gradient: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        ids = self.ids(rows, live)
        raw = take(teacher.logprobs, rows)
        raw = torch.where(live[:, None], raw, raw.new_full((), -20.0))
        floor = TAIL_FLOOR if self.divergence == "reverse_kl" else 0.0
        complete = ids.shape[1] == lq.shape[1]
        lp, mass = topk_target(raw, teacher.tail, self.temperature, floor, complete)
        listed = shared = lq.gather(1, ids)
        tail = None
        if not complete:
            lq.scatter_(1, ids, -torch.inf)
            tail = torch.logsumexp(lq, -1, keepdim=True)
            lq.scatter_(1, ids, listed)
            shared = torch.cat([listed, tail], 1)
        value, small = DIVERGENCES[self.divergence](
            shared,
            shared.exp(),
            lp.to(lq.dtype, copy=True),
            self.beta,
            Scratch(),
            zeros=True,
            normalized=False,
            gradient=gradient,
        )
        agree = ids.gather(1, raw.argmax(-1, keepdim=True))[:, 0] == top
        if small is None:
            return value, None, agree, mass
        full = scratch.like("listed", lq)
        if tail is None:
            full.zero_()
        else:
            finite = tail.masked_fill(tail == -torch.inf, 0.0)
            torch.sub(lq, finite, out=full).exp_().mul_(small[:, -1:])
            small = small[:, :-1]
        return value, full.scatter_(1, ids, small), agree, mass

    def _samples(
        self,
        teacher: SampledTeacher,
        rows: Rows,
        live: Tensor,
        lq: Tensor,
        scratch: Scratch,
        gradient: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        ids = self.ids(rows, live)
        weights = take(teacher.weights, rows).to(lq.dtype)
        weights = torch.where(live[:, None], weights, weights.new_zeros(()))
        listed = lq.gather(1, ids).masked_fill_(weights == 0, 0.0)
        value = -(listed * weights).sum(-1)
        mass = weights.sum(-1)
        unknown = torch.full_like(value, torch.nan)
        if not gradient:
            return value, None, unknown, mass
        full = torch.exp(lq, out=scratch.like("listed", lq)).mul_(mass[:, None])
        return value, full.scatter_add_(1, ids, -weights), unknown, mass
