"""The work between the matrix products of one chunk, in row tiles that stay in cache.

`ChunkWork.fold` adds a teacher's gradient to the sum of the earlier ones; `ChunkWork.finish`
takes the last teacher with dense logits and those known by lists, and turns the student's logits
into dz. Per tile of R rows: z [R, V] student logits, v [R, Vt] teacher logits, u = z / T.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from .formulas import DIVERGENCES, Scratch
from .heads import Head, Rows, take
from .lists import ListedTeacher
from .problem import Problem
from .shared_columns import SharedColumns


class DenseTeacher:
    """A teacher with logits over a whole vocabulary, its own or the student's."""

    def __init__(self, head: Head, columns: Tensor | None) -> None:
        self.head = head
        self.columns = None if columns is None else SharedColumns(columns, head.width)


class ChunkWork:
    """One chunk of C tokens; vectors over its rows are filled tile by tile."""

    def __init__(
        self,
        problem: Problem,
        student: Head,
        dense: Mapping[int, DenseTeacher],
        listed: Mapping[int, ListedTeacher],
        scratch: Scratch,
        rows: Rows,
        z: Tensor,
        earlier: Tensor | None,
        live: Tensor,
        inverse: Tensor,
        tile: int,
        gradient: bool,
    ) -> None:
        """Prepare a chunk.

        Args:
            problem: the call.
            student: its head; bias, scale and cap are applied here.
            dense: teachers with logits, by number.
            listed: teachers with lists that are live here, by number.
            scratch: tile buffers.
            rows: the chunk's token numbers.
            z: [C, V] the student's matrix product; holds dz afterwards if `gradient`.
            earlier: [C, V] for the gradients of all dense teachers but the last.
            live: bool[K, C].
            inverse: [] one over the normalizer.
            tile: rows per tile.
            gradient: whether dz is wanted.
        """
        self.problem, self.student, self.dense = problem, student, dense
        self.scratch, self.rows, self.z, self.earlier = scratch, rows, z, earlier
        self.live, self.size, self.gradient = live, tile, gradient
        self.divergence = DIVERGENCES[problem.divergence]
        self.listed = listed
        self.labels = take(problem.labels, rows)
        self.mix = take_columns(problem.mix, rows)
        self.ce_slope, self.kd_slope = gradient_slopes(problem, rows, inverse * student.scale)
        self.ce, self.kd, self.entropy = (z.new_zeros(len(z)) for _ in range(3))
        self.value, self.agreement, self.mass = (z.new_zeros(live.shape) for _ in range(3))
        self.top = torch.zeros_like(self.labels)
        self.fresh = True

    def _tiles(self) -> Iterator[slice]:
        for start in range(0, len(self.z), self.size):
            yield slice(start, min(start + self.size, len(self.z)))

    def _open(self, part: slice) -> Tensor:
        """Return a tile of z, with bias, scale and cap applied the first time."""
        z = self.z[part]
        if self.fresh:
            self.student.finish_(z)
            self.top[part] = z.max(-1).indices
        return z

    def fold(self, k: int, v: Tensor) -> None:
        """Take in dense teacher `k`, whose matrix product is `v` [C, Vt], before the last one."""
        for part in self._tiles():
            lq, q = self._tempered(self._open(part))
            gradient = self._dense(k, part, v[part], lq, q)
            if gradient is None or self.earlier is None:
                continue
            share = self.mix[k, part, None]
            if self.fresh:
                torch.mul(gradient, share, out=self.earlier[part])
            else:
                self.earlier[part].addcmul_(gradient, share)
        self.fresh = False

    def finish(self, k: int | None = None, v: Tensor | None = None) -> None:
        """Take in the last dense teacher, if any, and the lists; turn z into dz."""
        for part in self._tiles():
            self._finish_tile(part, self._open(part), k, None if v is None else v[part])

    def _finish_tile(self, part: slice, z: Tensor, k: int | None, v: Tensor | None) -> None:
        softcap, scratch = self.problem.softcap, self.scratch
        cap_slope = None
        if softcap is not None and self.gradient:
            cap_slope = torch.div(z, softcap, out=scratch.like("cap", z))
            cap_slope.square_().neg_().add_(1.0)
        lq1 = torch.log_softmax(z, -1, out=scratch.like("lq", z))
        q1 = torch.exp(lq1, out=z)
        label = self.labels[part, None]
        self.ce[part] = -lq1.gather(1, label)[:, 0]
        self.entropy[part] = self._entropy(lq1, q1)
        total = self._distill(part, lq1, q1, k, v)
        if not self.gradient:
            return
        ce_slope = self.ce_slope[part, None]
        dz = q1.mul_(ce_slope).scatter_add_(1, label, -ce_slope)
        if total is not None:
            dz.addcmul_(total, self.kd_slope[part, None])
        if cap_slope is not None:
            dz.mul_(cap_slope)

    def _entropy(self, lq: Tensor, q: Tensor) -> Tensor:
        product = torch.mul(lq, q, out=self.scratch.like("p", q))
        if self.student.zeros:
            product.masked_fill_(q == 0, 0.0)
        return -product.sum(-1)

    def _distill(
        self,
        part: slice,
        lq1: Tensor,
        q1: Tensor,
        k: int | None,
        v: Tensor | None,
    ) -> Tensor | None:
        """Return ``sum_k mix_k dD_k/du`` [R, V] of a tile, None where there is nothing."""
        earlier = None if self.earlier is None or self.fresh else self.earlier[part]
        if k is None and not self.listed:
            return earlier
        if self.problem.temperature == 1.0:
            lq, q = lq1, q1
        else:
            lq, q = self._tempered(lq1)
        total = earlier
        left = len(self.listed) + (k is not None)
        if k is not None and v is not None:
            gradient, left = self._dense(k, part, v, lq, q), left - 1
            total = self._add(total, gradient, self.mix[k, part, None], left)
        for number, teacher in self.listed.items():
            live, left = self.live[number, part], left - 1
            value, gradient, agree, mass = teacher.tile(
                self._rows(part), live, lq, self.top[part], self.scratch, self.gradient
            )
            self._note(number, part, value, agree, mass)
            share = torch.where(live, self.mix[number, part], 0.0)[:, None]
            total = self._add(total, gradient, share, left)
        return total

    def _rows(self, part: slice) -> Rows:
        if isinstance(self.rows, slice):
            return slice(self.rows.start + part.start, self.rows.start + part.stop)
        return self.rows[part]

    def _add(
        self, total: Tensor | None, gradient: Tensor | None, share: Tensor, left: int
    ) -> Tensor | None:
        if gradient is None:
            return total
        if total is not None:
            return total.addcmul_(gradient, share)
        # The next teacher would overwrite the buffer that this gradient lies in.
        out = self.scratch.like("total", gradient) if left else gradient
        return torch.mul(gradient, share, out=out)

    def _tempered(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the student's log-probabilities and probabilities at T.

        `logits` may be the buffer that the log-probabilities are written to.
        """
        scratch, temperature = self.scratch, self.problem.temperature
        lq = scratch.like("lq", logits)
        if temperature == 1.0:
            torch.log_softmax(logits, -1, out=lq)
        else:
            scaled = torch.mul(logits, 1.0 / temperature, out=scratch.like("q", logits))
            torch.log_softmax(scaled, -1, out=lq)
        return lq, torch.exp(lq, out=scratch.like("q", logits))

    def _dense(self, k: int, part: slice, v: Tensor, lq: Tensor, q: Tensor) -> Tensor | None:
        """Note teacher `k`'s values on a tile and return dD/du [R, V]; overwrites `v`."""
        problem, scratch = self.problem, self.scratch
        head, columns = self.dense[k].head, self.dense[k].columns
        head.finish_(v)
        if columns is not None:
            agree = columns.agreement(self.top[part], v)
        else:
            agree = v.gather(1, self.top[part, None])[:, 0] >= v.amax(-1)
        if problem.temperature != 1.0:
            v.mul_(1.0 / problem.temperature)
        options = {"zeros": self.student.zeros or head.zeros, "gradient": self.gradient}
        if columns is None:
            lp = torch.log_softmax(v, -1, out=scratch.like("lp", v))
            value, gradient = self.divergence(
                lq, q, lp, problem.beta, scratch, normalized=True, **options
            )
            self._note(k, part, value, agree, value.new_ones(()))
            return gradient
        shared = columns.student(lq)
        lp, mass = columns.teacher(v)
        options["zeros"] = True
        value, gradient = self.divergence(
            shared, shared.exp(), lp, problem.beta, Scratch(), normalized=True, **options
        )
        self._note(k, part, value, agree, mass)
        return None if gradient is None else columns.expand(gradient, lq)

    def _note(self, k: int, part: slice, value: Tensor, agree: Tensor, mass: Tensor) -> None:
        live = self.live[k, part]
        self.value[k, part] = torch.where(live, value, 0.0)
        self.agreement[k, part] = torch.where(live, agree.to(value.dtype), 0.0)
        self.mass[k, part] = torch.where(live, mass.to(value.dtype), 0.0)
        self.kd[part] += torch.where(live, value * self.mix[k, part], 0.0)


def gradient_slopes(problem: Problem, rows: Rows, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Return what multiplies dCE/dz and dD/du [R] of `rows` in the gradient; du/dz = 1/T."""
    ce_weight = take(problem.ce_weight, rows).to(problem.compute_dtype)
    kd_weight = take(problem.kd_weight, rows).to(problem.compute_dtype)
    return ce_weight * factor, kd_weight * problem.temperature * factor


def take_columns(matrix: Tensor, rows: Rows) -> Tensor:
    """Return ``matrix[:, rows]``."""
    return matrix[:, rows] if isinstance(rows, slice) else matrix.index_select(1, rows)
