"""Teachers known by a few ids per token: top-k lists with a tail, and weighted samples."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class ListTerms:
    """What a list contributes to a tile of R rows; g = dD/du.

    Off the ids ``g_i = slope * exp(lq_i - tail)``. At the ids g is `at_ids` if it `replaces` that,
    else `at_ids` comes on top of it, as often as an id occurs.
    """

    value: Tensor
    """[R] D."""
    agree: Tensor
    """[R] top-1 agreement, NaN for samples."""
    mass: Tensor
    """[R] the teacher's mass on the list."""
    at_ids: Tensor | None
    """[R, k]; None without gradient, and `slope` and `tail` with it."""
    slope: Tensor | None
    """[R]."""
    tail: Tensor | None
    """[R] log of the student's mass off the list, 0 where that is not asked for; finite."""
    replaces: bool


class ListedTeacher:
    """A `TopKTeacher` or `SampledTeacher` as the chunk loop sees it."""

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

    def has_tail(self, vocabulary: int) -> bool:
        """Whether the loss asks for the student's mass off the list."""
        return isinstance(self.teacher, TopKTeacher) and self.teacher.ids.shape[1] < vocabulary

    def compare(
        self,
        rows: Rows,
        live: Tensor,
        ids: Tensor,
        listed: Tensor,
        tail: Tensor | None,
        top: Tensor,
        gradient: bool,
    ) -> ListTerms:
        """Return the terms of a tile.

        Args:
            rows: token numbers.
            live: bool[R] which rows count, the others only need to stay finite.
            ids: int64[R, k] of `ids`.
            listed: [R, k] the student's log-probabilities at T of the ids.
            tail: [R] log of its mass off the list, or None without `has_tail`.
            top: int64[R] the student's most probable ids.
            gradient: whether the gradient is wanted.
        """
        if isinstance(self.teacher, SampledTeacher):
            return self._samples(self.teacher, rows, live, listed, gradient)
        return self._topk(self.teacher, rows, live, ids, listed, tail, top, gradient)

    def _topk(
        self,
        teacher: TopKTeacher,
        rows: Rows,
        live: Tensor,
        ids: Tensor,
        listed: Tensor,
        tail: Tensor | None,
        top: Tensor,
        gradient: bool,
    ) -> ListTerms:
        raw = take(teacher.logprobs, rows)
        raw = torch.where(live[:, None], raw, raw.new_full((), -20.0))
        floor = TAIL_FLOOR if self.divergence == "reverse_kl" else 0.0
        lp, mass = topk_target(raw, teacher.tail, self.temperature, floor, tail is None)
        shared = listed if tail is None else torch.cat([listed, tail[:, None]], 1)
        value, small = DIVERGENCES[self.divergence](
            shared,
            shared.exp(),
            lp.to(listed.dtype, copy=True),
            self.beta,
            Scratch(),
            zeros=True,
            normalized=False,
            gradient=gradient,
        )
        agree = ids.gather(1, raw.argmax(-1, keepdim=True))[:, 0] == top
        if small is None:
            return ListTerms(value, agree, mass, None, None, None, True)
        if tail is None:
            nothing = torch.zeros_like(value)
            return ListTerms(value, agree, mass, small, nothing, nothing, True)
        finite = tail.masked_fill(tail == -torch.inf, 0.0)
        return ListTerms(value, agree, mass, small[:, :-1], small[:, -1], finite, True)

    def _samples(
        self,
        teacher: SampledTeacher,
        rows: Rows,
        live: Tensor,
        listed: Tensor,
        gradient: bool,
    ) -> ListTerms:
        weights = take(teacher.weights, rows).to(listed.dtype)
        weights = torch.where(live[:, None], weights, weights.new_zeros(()))
        value = -(listed.masked_fill(weights == 0, 0.0) * weights).sum(-1)
        mass = weights.sum(-1)
        unknown = torch.full_like(value, torch.nan)
        if not gradient:
            return ListTerms(value, unknown, mass, None, None, None, False)
        return ListTerms(value, unknown, mass, -weights, mass, torch.zeros_like(value), False)

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

        `lq` [R, V] is the student's log-softmax at T and is left as it was.
        """
        ids = self.ids(rows, live)
        listed = lq.gather(1, ids)
        tail = None
        if self.has_tail(lq.shape[1]):
            lq.scatter_(1, ids, -torch.inf)
            tail = torch.logsumexp(lq, -1)
            lq.scatter_(1, ids, listed)
        terms = self.compare(rows, live, ids, listed, tail, top, gradient)
        if terms.at_ids is None or terms.slope is None or terms.tail is None:
            return terms.value, None, terms.agree, terms.mass
        full = scratch.like("listed", lq)
        if terms.replaces and tail is None:
            full.zero_()
        elif terms.replaces:
            torch.sub(lq, terms.tail[:, None], out=full).exp_().mul_(terms.slope[:, None])
        else:
            torch.exp(lq, out=full).mul_(terms.slope[:, None])
        if terms.replaces:
            full.scatter_(1, ids, terms.at_ids)
        else:
            full.scatter_add_(1, ids, terms.at_ids)
        return terms.value, full, terms.agree, terms.mass
