"""Launching the row kernels over one chunk: which arguments, flags and sizes they get."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..heads import Head, Rows
from ..problem import Problem
from . import configurations, patch, pieces
from . import rows as row_kernel
from .merged import ListGradient, MergedLists

KINDS = {
    "forward_kl": pieces.FORWARD_KL.value,
    "reverse_kl": pieces.REVERSE_KL.value,
    "jsd": pieces.JSD.value,
}
_PADDING = 16


def padded(width: int) -> int:
    """Return how many columns a buffer of `width` logits has."""
    return -(-width // _PADDING) * _PADDING


@dataclass(eq=False)
class Logits:
    """Logits as the kernels read them: a chunk buffer, or a tensor indexed by token."""

    tensor: Tensor
    head: Head
    gathered: bool


@dataclass(eq=False)
class Chunk:
    """What all launches of one chunk share."""

    rows: Rows
    count: int
    numbers: Tensor
    z: Logits
    labels: Tensor
    label_logits: Tensor
    ce_slope: Tensor
    kd_slope: Tensor
    earlier: Tensor
    dz: Tensor
    top: Tensor


class Launch:
    """Launches over one chunk with some of the dense teachers."""

    def __init__(
        self,
        problem: Problem,
        chunk: Chunk,
        teachers: list[Logits],
        mix: Tensor,
        add: bool,
        gradient: bool,
    ) -> None:
        """Prepare launches.

        Args:
            problem: the call.
            chunk: its rows.
            teachers: logits that these launches read.
            mix: [len(teachers), C].
            add: whether `chunk.earlier` holds gradients of other teachers.
            gradient: whether any gradient is wanted.
        """
        self.chunk, self.gradient = chunk, gradient
        self.temperature, self.beta, self.log_odds = problem.temperature, problem.beta, 0.0
        if problem.divergence == "jsd":
            self.log_odds = math.log(problem.beta) - math.log1p(-problem.beta)
        self.vocabulary, self.student = problem.vocabulary, chunk.z.head
        self.teachers, self.mix = teachers, mix.contiguous()
        self.flags = {
            "KIND": KINDS[problem.divergence],
            "NT": len(teachers),
            "SAME": problem.temperature == 1.0,
            "S_HAS_BIAS": self.student.bias is not None,
            "S_CAPPED": self.student.softcap is not None,
            "T_HAS_BIAS": _bits(t.head.bias is not None for t in teachers),
            "T_CAPPED": _bits(t.head.softcap is not None for t in teachers),
            "T_GATHERED": _bits(t.gathered for t in self.teachers),
            "ADD": add,
        }

    def measure_and_write(self, write: int) -> Tensor:
        """Measure, and write what `write` says if a gradient is wanted; return the statistics."""
        statistics = self._new_statistics()
        self._rows(statistics, measure=True, write=write if self.gradient else 0)
        return statistics

    def measure(self, lists: MergedLists) -> Tensor:
        """Measure with the lists' ids taken from `lists`; return the statistics."""
        statistics = self._new_statistics()
        self._rows(statistics, measure=True, write=0, lists=lists)
        return statistics

    def write_off_lists(
        self, lists: MergedLists, gradient: ListGradient, statistics: Tensor
    ) -> None:
        """Write dz at all ids that no list holds (and something at the others)."""
        self._rows(
            statistics,
            measure=False,
            write=pieces.FINISH.value,
            lists=lists,
            list_gradient=gradient,
        )

    def write_at_lists(
        self, lists: MergedLists, gradient: ListGradient, statistics: Tensor
    ) -> None:
        """Write dz at the listed ids."""
        chunk = self.chunk
        configuration = configurations.for_lists(lists.ids.shape[1])
        patch.patch_rows[(chunk.count,)](
            chunk.numbers,
            *self._student_arguments(),
            *self._teacher_arguments(),
            chunk.labels,
            chunk.ce_slope,
            chunk.kd_slope,
            self.mix,
            lists.ids,
            lists.logits,
            gradient.at_ids,
            lists.ids.shape[1],
            statistics,
            chunk.earlier,
            chunk.earlier.stride(0),
            chunk.dz,
            chunk.dz.stride(0),
            *self._numbers(),
            **self.flags,
            LIST_BLOCK=configuration.block,
            num_warps=configuration.warps,
            enable_fp_fusion=False,
        )

    def _new_statistics(self) -> Tensor:
        height = pieces.STUDENT_STATISTICS.value
        height += len(self.teachers) * pieces.TEACHER_STATISTICS.value
        shape = (height, self.chunk.count)
        return torch.empty(shape, dtype=torch.float32, device=self.chunk.dz.device)

    def _student_arguments(self) -> tuple[Tensor, float, float]:
        head = self.student
        bias = self.chunk.ce_slope if head.bias is None else head.bias
        return bias, head.scale, head.softcap or 0.0

    def _teacher_arguments(self) -> tuple[tuple, ...]:
        """Return pointers, strides, biases, scales, caps: tuples of at least one entry."""
        teachers = self.teachers or [self.chunk.z]
        heads = [t.head for t in teachers]
        return (
            tuple(t.tensor for t in teachers),
            tuple(t.tensor.stride(0) for t in teachers),
            tuple(self.chunk.ce_slope if h.bias is None else h.bias for h in heads),
            tuple(h.scale for h in heads),
            tuple(h.softcap or 0.0 for h in heads),
        )

    def _numbers(self) -> tuple[int | float, ...]:
        return (
            self.chunk.count,
            self.vocabulary,
            padded(self.vocabulary),
            1.0 / self.temperature,
            self.beta,
            self.log_odds,
        )

    def _rows(
        self,
        statistics: Tensor,
        measure: bool,
        write: int,
        lists: MergedLists | None = None,
        list_gradient: ListGradient | None = None,
    ) -> None:
        chunk = self.chunk
        nothing = chunk.ce_slope
        ids = chunk.labels if lists is None else lists.ids
        configuration = configurations.for_rows(
            self.vocabulary,
            len(self.teachers),
            capped=bool(self.flags["S_CAPPED"] or self.flags["T_CAPPED"]),
            lists=lists is not None,
        )
        list_configuration = configurations.for_lists(1 if lists is None else ids.shape[1])
        row_kernel.distill_rows[(chunk.count,)](
            chunk.z.tensor,
            chunk.z.tensor.stride(0),
            chunk.numbers,
            *self._student_arguments(),
            *self._teacher_arguments(),
            chunk.labels,
            chunk.label_logits,
            chunk.ce_slope,
            chunk.kd_slope,
            self.mix if self.teachers else nothing,
            ids,
            nothing if lists is None else lists.logits,
            0 if lists is None else ids.shape[1],
            nothing if list_gradient is None else list_gradient.tail,
            nothing if list_gradient is None else list_gradient.slope,
            statistics,
            chunk.top,
            chunk.earlier,
            chunk.earlier.stride(0),
            chunk.dz,
            chunk.dz.stride(0),
            *self._numbers(),
            **self.flags,
            NL=0 if list_gradient is None else len(list_gradient.slope),
            S_GATHERED=chunk.z.gathered,
            EXCLUDE=lists is not None,
            MEASURE=measure,
            WRITE=write,
            BLOCK=configuration.block,
            LIST_BLOCK=list_configuration.block,
            num_warps=configuration.warps,
            enable_fp_fusion=False,
        )


def _bits(flags: Iterable[bool]) -> int:
    return sum(int(flag) << place for place, flag in enumerate(flags))
