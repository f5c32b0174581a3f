"""The chunk loop with the row kernels in it.

Per chunk of C tokens: the student's product and those of up to `MOST_TEACHERS` teachers in float32,
one launch that measures and writes dz, then dX and dW as everywhere. More teachers are folded into
a gradient buffer first, so memory does not grow with their number. Logits that are given (and not
computed) are read where they lie. Teachers with `columns` gather and scatter whole columns, which
torch does as well: tokens on which such a teacher is live go through `collegium.kernels.tiles`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..chunked import ChunkedLoss
from ..heads import Head, Rows, take
from ..planning import Group, chunk_sizes, chunks
from ..tiles import gradient_slopes, take_columns
from . import configurations, patch, pieces
from . import rows as row_kernel
from .merged import ListGradient, MergedLists

KINDS = {
    "forward_kl": pieces.FORWARD_KL.value,
    "reverse_kl": pieces.REVERSE_KL.value,
    "jsd": pieces.JSD.value,
}
_PADDING = 16


def _padded(width: int) -> int:
    return -(-width // _PADDING) * _PADDING


@dataclass(eq=False)
class _Logits:
    """Logits as the kernels read them: a chunk buffer, or a tensor indexed by token."""

    tensor: Tensor
    head: Head
    gathered: bool


@dataclass(eq=False)
class _Chunk:
    """What all launches of one chunk share."""

    rows: Rows
    count: int
    numbers: Tensor
    z: _Logits
    labels: Tensor
    label_logits: Tensor
    ce_slope: Tensor
    kd_slope: Tensor
    earlier: Tensor
    dz: Tensor
    top: Tensor


class FusedLoss(ChunkedLoss):
    """One evaluation of a problem with the row kernels; `run` does it."""

    def _run_group(self, group: Group) -> None:
        if any(self.dense[k].columns is not None for k in group.dense):
            super()._run_group(group)
            return
        launches = self._launches(group)
        sizes = chunk_sizes(
            len(group.rows), self._row_bytes(group, launches), 1, self.budget, self.device
        )
        for rows in chunks(group.rows, sizes.chunk, self.device):
            self._fused_chunk(rows, group, launches)

    def _launches(self, group: Group) -> list[tuple[int, ...]]:
        """Divide the dense teachers evenly among as few launches as possible."""
        count = max(1, math.ceil(len(group.dense) / configurations.MOST_TEACHERS))
        size = math.ceil(len(group.dense) / count)
        return [group.dense[i * size : (i + 1) * size] for i in range(count)]

    def _student_in_place(self, group: Group) -> bool:
        return _readable(self.student) and not group.listed

    def _row_bytes(self, group: Group, launches: Sequence[tuple[int, ...]]) -> int:
        width = _padded(self.problem.vocabulary)
        buffers = max(sum(not _readable(self.dense[k].head) for k in part) for part in launches)
        buffers += not self._student_in_place(group)
        buffers += len(launches) > 1 and self.wanted.any
        total = 4 * width * buffers
        if self.wanted.any and not (self._student_in_place(group) and self.wanted.student):
            total += width * torch.finfo(self._product_dtype()).bits // 8
        if self.wanted.student and self.student.weight is not None:
            total += 4 * self.student.weight.shape[1]
        return max(1, total)

    def _padded_buffer(self, name: str, rows: int, dtype: torch.dtype) -> Tensor:
        shape = (rows, _padded(self.problem.vocabulary))
        return self.buffers.shaped(name, shape, dtype, self.device)[:, : self.problem.vocabulary]

    def _logits(self, name: str, head: Head, rows: Rows, count: int, in_place: bool) -> _Logits:
        if in_place:
            return _Logits(head.rows, head, True)
        buffer = self._padded_buffer(name, count, torch.float32)
        head.fill(rows, buffer)
        return _Logits(buffer, head, False)

    def _open_chunk(self, rows: Rows, group: Group, launches: Sequence[tuple[int, ...]]) -> _Chunk:
        problem = self.problem
        if isinstance(rows, slice):
            numbers = torch.arange(rows.start, rows.stop, device=self.device)
        else:
            numbers = rows
        count = len(numbers)
        in_place = self._student_in_place(group)
        z = self._logits("student", self.student, rows, count, in_place)
        labels = take(problem.labels, rows).contiguous()
        row = numbers if in_place else torch.arange(count, device=self.device)
        dz = earlier = z.tensor
        if self.wanted.any:
            if in_place and self.d_student is not None:
                dz = self.d_student
            else:
                dz = self._padded_buffer("dz", count, self._product_dtype())
            if len(launches) > 1:
                earlier = self._padded_buffer("earlier", count, torch.float32)
        ce_slope, kd_slope = gradient_slopes(problem, rows, self.inverse * self.student.scale)
        return _Chunk(
            rows=rows,
            count=count,
            numbers=numbers,
            z=z,
            labels=labels,
            label_logits=z.tensor[row, labels].float(),
            ce_slope=ce_slope,
            kd_slope=kd_slope,
            earlier=earlier,
            dz=dz,
            top=torch.empty(count, dtype=torch.int64, device=self.device),
        )

    def _fused_chunk(self, rows: Rows, group: Group, launches: list[tuple[int, ...]]) -> None:
        chunk = self._open_chunk(rows, group, launches)
        mix = take_columns(self.problem.mix, rows).float()
        statistics = None
        for number, dense in enumerate(launches):
            launch = _Launch(self, chunk, dense, mix, add=number > 0)
            if number < len(launches) - 1:
                statistics = launch.measure_and_write(pieces.FOLD.value)
            elif group.listed:
                statistics = self._finish_with_lists(launch, group, mix)
            else:
                statistics = launch.measure_and_write(pieces.FINISH.value)
            self._note_dense(rows, dense, statistics)
        if statistics is None:
            return
        self.ce_of[rows] = statistics[pieces.CE.value]
        self.entropy_of[rows] = statistics[pieces.ENTROPY.value]
        if chunk.dz is not self.d_student:
            if self.wanted.any:
                self._gradients(rows, chunk.dz)
        elif self.d_bias is not None:
            self.d_bias += take(chunk.dz, rows).sum(0, dtype=self.dtype)

    def _note_dense(self, rows: Rows, dense: tuple[int, ...], statistics: Tensor) -> None:
        for place, k in enumerate(dense):
            own = statistics[
                pieces.STUDENT_STATISTICS.value + place * pieces.TEACHER_STATISTICS.value :
            ]
            one = torch.ones_like(own[0])
            self._note(k, rows, own[pieces.T_VALUE.value], own[pieces.T_AGREES.value], one)

    def _note(self, k: int, rows: Rows, value: Tensor, agree: Tensor, mass: Tensor) -> None:
        live = take(self.live[k], rows)
        value = torch.where(live, value, 0.0)
        self.value_of[k, rows] = value
        self.agreement_of[k, rows] = torch.where(live, agree.float(), 0.0)
        self.mass_of[k, rows] = torch.where(live, mass.float(), 0.0)
        self.kd_of[rows] += torch.where(live, value * take(self.problem.mix[k], rows), 0.0)

    def _finish_with_lists(self, launch: _Launch, group: Group, mix: Tensor) -> Tensor:
        chunk = launch.chunk
        lists = MergedLists(
            {k: self.listed[k] for k in group.listed},
            self.student,
            chunk.rows,
            take_columns(self.live, chunk.rows),
            chunk.z.tensor,
            pieces.LISTED.value,
        )
        statistics = launch.measure(lists)
        terms = lists.compare(
            1.0 / self.problem.temperature,
            statistics[pieces.MAX_T.value],
            statistics[pieces.LOG_SUM_T.value],
            statistics[pieces.TAIL.value],
            chunk.top,
            self.wanted.any,
        )
        for k, term in terms.items():
            self._note(k, chunk.rows, term.value, term.agree, term.mass)
        if self.wanted.any:
            gradient = lists.gradient(terms, mix)
            launch.write_off_lists(lists, gradient, statistics)
            launch.write_at_lists(lists, gradient, statistics)
        return statistics


def _readable(head: Head) -> bool:
    """Whether the kernels can read a head's logits where they lie."""
    return head.weight is None and head.rows.stride(1) == 1


class _Launch:
    """Launches over one chunk with some of the dense teachers."""

    def __init__(
        self, loss: FusedLoss, chunk: _Chunk, dense: tuple[int, ...], mix: Tensor, add: bool
    ) -> None:
        problem = loss.problem
        self.chunk, self.add, self.gradient = chunk, add, loss.wanted.any
        self.kind = KINDS[problem.divergence]
        self.temperature, self.beta = problem.temperature, problem.beta
        self.vocabulary, self.student = problem.vocabulary, loss.student
        self.mix = mix[list(dense)].contiguous()
        self.teachers = []
        for place, k in enumerate(dense):
            head = loss.dense[k].head
            self.teachers.append(
                loss._logits(f"teacher{place}", head, chunk.rows, chunk.count, _readable(head))
            )
        self.configuration = configurations.for_rows(self.vocabulary, len(dense))

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
            KIND=self.kind,
            NT=len(self.teachers),
            SAME=self.temperature == 1.0,
            S_HAS_BIAS=self.student.bias is not None,
            S_CAPPED=self.student.softcap is not None,
            **self._teacher_flags(),
            ADD=self.add,
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

    def _teacher_flags(self) -> dict[str, int]:
        return {
            "T_HAS_BIAS": _bits(t.head.bias is not None for t in self.teachers),
            "T_CAPPED": _bits(t.head.softcap is not None for t in self.teachers),
            "T_GATHERED": _bits(t.gathered for t in self.teachers),
        }

    def _numbers(self) -> tuple[int | float, ...]:
        return (
            self.chunk.count,
            self.vocabulary,
            _padded(self.vocabulary),
            1.0 / self.temperature,
            self.beta,
            math.log(self.beta) - math.log1p(-self.beta),
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
            KIND=self.kind,
            NT=len(self.teachers),
            NL=0 if list_gradient is None else len(list_gradient.slope),
            SAME=self.temperature == 1.0,
            S_HAS_BIAS=self.student.bias is not None,
            S_CAPPED=self.student.softcap is not None,
            S_GATHERED=chunk.z.gathered,
            **self._teacher_flags(),
            EXCLUDE=lists is not None,
            MEASURE=measure,
            WRITE=write,
            ADD=self.add,
            BLOCK=self.configuration.block,
            LIST_BLOCK=list_configuration.block,
            num_warps=self.configuration.warps,
            enable_fp_fusion=False,
        )


def _bits(flags) -> int:
    return sum(int(flag) << place for place, flag in enumerate(flags))
