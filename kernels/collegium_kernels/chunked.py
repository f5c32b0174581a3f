"""The ``torch`` implementation: chunks of tokens, analytic gradient computed in the forward pass.

Per chunk of C tokens: student logits by one matrix product, each dense teacher's by another, the
divergences tile by tile in cache, the logits overwritten by dz, then dX = dz W and dW += dz^T X.
That is three products for the student and one per teacher, the least there can be, and O(C V)
memory: no [N, V] tensor exists. Only the rows that count are touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .formulas import Scratch
from .heads import Rows, accumulate, linear_head, multiply_back, take, teacher_head
from .lists import ListedTeacher
from .planning import Group, chunk_sizes, chunks, group_rows, workspace_budget
from .problem import Problem
from .teachers import LiveTeacher, LogitsTeacher, SampledTeacher
from .tiles import ChunkWork, DenseTeacher, take_columns


@dataclass(frozen=True)
class Wanted:
    """Which gradients to compute; what is not wanted costs no matrix product."""

    student: bool
    weight: bool
    bias: bool

    @property
    def any(self) -> bool:
        """Whether dz is needed at all."""
        return self.student or self.weight or self.bias


@dataclass(eq=False)
class Outcome:
    """Sums and gradients of one call; the gradients are already divided by the normalizer."""

    ce: Tensor
    kd: Tensor
    per_token: Tensor
    per_teacher: Tensor
    student_entropy: Tensor
    top1_agreement: Tensor
    covered_mass: Tensor
    d_student: Tensor | None
    d_weight: Tensor | None
    d_bias: Tensor | None


def student_gradient_dtype(student: Tensor, weight: Tensor | None) -> torch.dtype:
    """Return the dtype that dX is kept in until backward, when a loss scale may come on top.

    A float16 gradient would lose to underflow what a gradient scaler exists to save.
    """
    half = student.dtype == torch.float16 and weight is not None
    return torch.float32 if half else student.dtype


class ChunkedLoss:
    """One evaluation of a problem; `run` does it."""

    def __init__(self, problem: Problem, wanted: Wanted, workspace_bytes: int | None) -> None:
        self.problem = problem
        self.wanted = wanted
        self.device = problem.student.device
        self.dtype = problem.compute_dtype
        self.student = linear_head(
            problem.student,
            problem.weight,
            problem.bias,
            problem.softcap,
            problem.logit_scale,
            problem.operands,
        )
        self.dense: dict[int, DenseTeacher] = {}
        self.listed: dict[int, ListedTeacher] = {}
        for k, teacher in enumerate(problem.teachers):
            if isinstance(teacher, LiveTeacher | LogitsTeacher):
                self.dense[k] = DenseTeacher(
                    teacher_head(teacher, problem.operands), teacher.columns
                )
            else:
                self.listed[k] = ListedTeacher(
                    teacher, problem.divergence, problem.beta, problem.temperature
                )
        self.budget = workspace_budget(workspace_bytes, self.device)
        self.scratch = Scratch()
        self.buffers = Scratch()
        self._allocate_results()

    def _allocate_results(self) -> None:
        problem, wanted = self.problem, self.wanted
        tokens, teachers = len(problem.labels), len(problem.teachers)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=self.dtype, device=self.device)

        self.inverse = 1.0 / problem.denominator()
        # float16 ends at 6e-8: dz of a mean over many tokens would vanish in its products, so
        # there the products are divided.
        self.lifted = self._product_dtype() == torch.float16
        self.dz_factor = torch.ones_like(self.inverse) if self.lifted else self.inverse
        self.ce_of, self.kd_of, self.entropy_of = zeros(tokens), zeros(tokens), zeros(tokens)
        self.value_of = zeros(teachers, tokens)
        self.agreement_of = zeros(teachers, tokens)
        self.mass_of = zeros(teachers, tokens)
        self.d_student = None
        if wanted.student:
            dtype = student_gradient_dtype(problem.student, problem.weight)
            self.d_student = problem.student.new_zeros(problem.student.shape, dtype=dtype)
        self.d_weight = None
        if wanted.weight and problem.weight is not None:
            self.d_weight = zeros(*problem.weight.shape)
        self.d_bias = None
        if wanted.bias and problem.bias is not None:
            self.d_bias = zeros(*problem.bias.shape)

    def run(self) -> Outcome:
        """Compute the loss, the metrics and the wanted gradients."""
        problem = self.problem
        labeled = problem.labels != problem.ignore_index
        self.live = (problem.mix > 0) & labeled & (problem.kd_weight != 0)
        seen = labeled & (problem.ce_weight != 0)
        if len(problem.teachers):
            seen = seen | self.live.any(0)
        on_host = torch.cat([seen[None], self.live]).cpu()
        dense = [isinstance(t, LiveTeacher | LogitsTeacher) for t in problem.teachers]
        for group in group_rows(on_host[0], on_host[1:], dense):
            self._run_group(group)
        return self._outcome(seen)

    def _outcome(self, seen: Tensor) -> Outcome:
        problem = self.problem
        ce_weight, kd_weight = problem.ce_weight.to(self.dtype), problem.kd_weight.to(self.dtype)
        # A weight may be anything where the token does not count, and 0 outweighs an infinity.
        ce = torch.where(seen & (ce_weight != 0), ce_weight * self.ce_of, 0.0)
        kd = torch.where(seen & (kd_weight != 0), kd_weight * self.kd_of, 0.0)
        kd = kd * problem.temperature**2
        counts = self.live.sum(1).clamp(min=1)
        agreement = self.agreement_of.sum(1) / counts
        for k, teacher in enumerate(problem.teachers):
            if isinstance(teacher, SampledTeacher):
                agreement[k] = torch.nan
        d_weight, d_bias = self.d_weight, self.d_bias
        if self.lifted:
            for total in (d_weight, d_bias):
                if total is not None:
                    total *= self.inverse
        if d_weight is not None and problem.weight is not None:
            d_weight = d_weight.to(problem.weight.dtype)
        if d_bias is not None and problem.bias is not None:
            d_bias = d_bias.to(problem.bias.dtype)
        return Outcome(
            ce=ce.sum() * self.inverse,
            kd=kd.sum() * self.inverse,
            per_token=ce + kd,
            per_teacher=self.value_of.sum(1) / counts,
            student_entropy=self.entropy_of.sum() / seen.sum().clamp(min=1),
            top1_agreement=agreement,
            covered_mass=self.mass_of.sum(1) / counts,
            d_student=self.d_student,
            d_weight=d_weight,
            d_bias=d_bias,
        )

    def _run_group(self, group: Group) -> None:
        vocabulary = self.problem.vocabulary
        widths = [self.dense[k].head.width for k in group.dense]
        itemsize = torch.finfo(self.dtype).bits // 8
        columns = vocabulary + max(widths, default=0)
        if len(widths) > 1:
            columns += vocabulary
        row_bytes = columns * itemsize
        if self.wanted.any and self._product_dtype() != self.dtype:
            row_bytes += vocabulary * 2
        if self.wanted.student and self.student.weight is not None:
            row_bytes += self.student.weight.shape[1] * itemsize
        widest = max([vocabulary, *widths])
        sizes = chunk_sizes(
            len(group.rows),
            row_bytes,
            widest * itemsize * self._tile_buffers(group),
            self.budget,
            self.device,
        )
        for rows in chunks(group.rows, sizes.chunk, self.device):
            self._run_chunk(rows, group, sizes.tile)

    def _tile_buffers(self, group: Group) -> int:
        """How many [R, V] buffers the work on a tile holds at most."""
        problem = self.problem
        several = len(group.dense) + len(group.listed) > 1
        return (
            3
            + (problem.temperature != 1.0 or len(group.dense) > 1)
            + 2 * (problem.divergence == "jsd")
            + (problem.softcap is not None)
            + 2 * bool(group.listed)
            + 2 * any(self.dense[k].columns is not None for k in group.dense)
            + several
        )

    def _product_dtype(self) -> torch.dtype:
        """The dtype of dz in its matrix products; half precision costs 0.2 % of its length."""
        weight = self.student.weight
        if weight is not None and weight.is_cuda:
            return weight.dtype
        return self.dtype

    def _buffer(self, name: str, rows: int, width: int) -> Tensor:
        return self.buffers.shaped(name, (rows, width), self.dtype, self.device)

    def _run_chunk(self, rows: Rows, group: Group, tile: int) -> None:
        problem, wanted = self.problem, self.wanted
        count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        z = self._buffer("student", count, problem.vocabulary)
        self.student.fill(rows, z)
        several = len(group.dense) > 1 and wanted.any
        work = ChunkWork(
            problem,
            student=self.student,
            dense=self.dense,
            listed={k: self.listed[k] for k in group.listed},
            scratch=self.scratch,
            rows=rows,
            z=z,
            earlier=self._buffer("earlier", count, problem.vocabulary) if several else None,
            live=take_columns(self.live, rows),
            inverse=self.dz_factor,
            tile=tile,
            gradient=wanted.any,
        )
        for position, k in enumerate(group.dense):
            v = self._buffer("teacher", count, self.dense[k].head.width)
            self.dense[k].head.fill(rows, v)
            if position < len(group.dense) - 1:
                work.fold(k, v)
            else:
                work.finish(k, v)
        if not group.dense:
            work.finish()
        self.ce_of[rows], self.kd_of[rows], self.entropy_of[rows] = work.ce, work.kd, work.entropy
        self.value_of[:, rows] = work.value
        self.agreement_of[:, rows] = work.agreement
        self.mass_of[:, rows] = work.mass
        if wanted.any:
            self._gradients(rows, z)

    def _gradients(self, rows: Rows, dz: Tensor) -> None:
        weight = self.student.weight
        if self.d_bias is not None:
            self.d_bias += dz.sum(0, dtype=self.dtype)
        if weight is None:
            if self.d_student is not None:
                self.d_student[rows] = dz.to(self.d_student.dtype)
            return
        narrow = dz.to(self._product_dtype())
        if self.d_student is not None:
            part = self._buffer("d_student", len(dz), weight.shape[1])
            multiply_back(narrow, weight, part)
            if self.lifted:
                part *= self.inverse
            self.d_student[rows] = part.to(self.d_student.dtype)
        if self.d_weight is not None:
            accumulate(self.d_weight, narrow.t(), take(self.student.rows, rows))
