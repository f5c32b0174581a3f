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

import torch
from torch import Tensor

from ..chunked import ChunkedLoss
from ..heads import Head, Rows, take
from ..planning import Group, chunk_sizes, chunks
from ..tiles import gradient_slopes, take_columns
from . import configurations, pieces
from .launch import Chunk, Launch, Logits, padded
from .merged import MergedLists


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
        to_tokens = self.d_student is not None or not self.wanted.any
        return _readable(self.student) and not group.listed and to_tokens

    def _row_bytes(self, group: Group, launches: Sequence[tuple[int, ...]]) -> int:
        width = padded(self.problem.vocabulary)
        buffers = max(sum(not _readable(self.dense[k].head) for k in part) for part in launches)
        buffers += not self._student_in_place(group)
        buffers += len(launches) > 1 and self.wanted.any
        total = 4 * width * buffers
        if self.wanted.any and not self._student_in_place(group):
            total += width * torch.finfo(self._product_dtype()).bits // 8
        if self.wanted.student and self.student.weight is not None:
            total += 4 * self.student.weight.shape[1]
        return max(1, total)

    def _padded_buffer(self, name: str, rows: int, dtype: torch.dtype) -> Tensor:
        shape = (rows, padded(self.problem.vocabulary))
        return self.buffers.shaped(name, shape, dtype, self.device)[:, : self.problem.vocabulary]

    def _logits(self, name: str, head: Head, rows: Rows, count: int, in_place: bool) -> Logits:
        if in_place:
            return Logits(head.rows, head, True)
        buffer = self._padded_buffer(name, count, torch.float32)
        head.fill(rows, buffer)
        return Logits(buffer, head, False)

    def _open_chunk(self, rows: Rows, group: Group, launches: Sequence[tuple[int, ...]]) -> Chunk:
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
        ce_slope, kd_slope = gradient_slopes(problem, rows, self.dz_factor * self.student.scale)
        return Chunk(
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
            teachers = [self._teacher(chunk, place, k) for place, k in enumerate(dense)]
            launch = Launch(
                self.problem, chunk, teachers, mix[list(dense)], number > 0, self.wanted.any
            )
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

    def _teacher(self, chunk: Chunk, place: int, k: int) -> Logits:
        head = self.dense[k].head
        return self._logits(f"teacher{place}", head, chunk.rows, chunk.count, _readable(head))

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

    def _finish_with_lists(self, launch: Launch, group: Group, mix: Tensor) -> Tensor:
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
