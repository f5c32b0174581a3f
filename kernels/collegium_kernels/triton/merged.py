"""The lists of one chunk merged into one: unique ids, and what each list adds to their gradient.

All work here is on [C, k] numbers; the vocabulary is swept by the row kernel alone, which leaves
out the merged ids (they are marked in z) and takes them from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..heads import Head, Rows
from ..lists import ListedTeacher, ListTerms


@dataclass(frozen=True, eq=False)
class ListGradient:
    """The lists' share of ``sum_k mix_k dD_k/du``."""

    at_ids: Tensor
    """[C, k] at the merged ids."""
    slope: Tensor
    """[L, C]; list j has ``slope_j * exp(log q - tail_j)`` at all other ids."""
    tail: Tensor
    """[L, C]."""


class MergedLists:
    """The ids of all lists that are live in a chunk of C rows."""

    def __init__(
        self,
        listed: Mapping[int, ListedTeacher],
        student: Head,
        rows: Rows,
        live: Tensor,
        z: Tensor,
        marker: float,
    ) -> None:
        """Read z [C, V] at the ids, then overwrite it there with `marker`.

        `listed` are the teachers by number, `live` is bool[K, C].
        """
        self.listed, self.student, self.rows, self.live = listed, student, rows, live
        self.vocabulary = z.shape[1]
        self.ids_of = {k: teacher.ids(rows, live[k]) for k, teacher in listed.items()}
        merged = torch.cat(list(self.ids_of.values()), 1).sort(-1).values
        self.logits = z.gather(1, merged)
        self.logits_of = {k: z.gather(1, ids) for k, ids in self.ids_of.items()}
        z.scatter_(1, merged, marker)
        self.merged = merged
        self.first = torch.ones_like(merged, dtype=torch.bool)
        self.first[:, 1:] = merged[:, 1:] != merged[:, :-1]
        self.ids = torch.where(self.first, merged, -1)
        """int64[C, k] ascending, -1 for repetitions."""

    def compare(
        self,
        inverse_temperature: float,
        max_t: Tensor,
        log_sum_t: Tensor,
        tail: Tensor,
        top: Tensor,
        gradient: bool,
    ) -> dict[int, ListTerms]:
        """Return each list's terms.

        `max_t` and `log_sum_t` [C] normalise the student's logits at T, `tail` [C] is the log of
        its mass off the merged ids, `top` its most probable ids.
        """

        def log_q(logits: Tensor, ids: Tensor) -> Tensor:
            x = self.student.finish_at(logits, ids)
            return (x * inverse_temperature - max_t[:, None]) - log_sum_t[:, None]

        self.log_q = log_q(self.logits, self.merged)
        terms = {}
        for k, teacher in self.listed.items():
            ids = self.ids_of[k]
            own_tail = None
            if teacher.has_tail(self.vocabulary):
                others = self.log_q.masked_fill(~self.first | self._members(k), -torch.inf)
                own_tail = torch.logaddexp(tail, torch.logsumexp(others, -1))
            listed = log_q(self.logits_of[k], ids)
            terms[k] = teacher.compare(
                self.rows, self.live[k], ids, listed, own_tail, top, gradient
            )
        return terms

    def gradient(self, terms: Mapping[int, ListTerms], mix: Tensor) -> ListGradient:
        """Sum the lists' gradients, weighted with `mix` [K, C] where they are live."""
        at_ids = torch.zeros_like(self.log_q)
        slopes, tails = [], []
        for k, term in terms.items():
            if term.at_ids is None or term.slope is None or term.tail is None:
                raise ValueError(f"teachers[{k}]: compared without a gradient")
            share = torch.where(self.live[k], mix[k], 0.0)
            slope = share * term.slope
            everywhere = slope[:, None] * (self.log_q - term.tail[:, None]).exp()
            if term.replaces:
                everywhere = everywhere.masked_fill(self._members(k), 0.0)
            at_ids += everywhere
            at_ids.scatter_add_(1, self._places(k), share[:, None] * term.at_ids)
            slopes.append(slope)
            tails.append(term.tail)
        return ListGradient(at_ids, torch.stack(slopes), torch.stack(tails))

    def _places(self, k: int) -> Tensor:
        """Return where list k's ids are first among the merged ones."""
        return torch.searchsorted(self.merged, self.ids_of[k].contiguous())

    def _members(self, k: int) -> Tensor:
        """Return which of the merged ids list k holds."""
        return torch.zeros_like(self.first).scatter_(1, self._places(k), True)
