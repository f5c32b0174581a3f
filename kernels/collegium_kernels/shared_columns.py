"""Comparing distributions over two vocabularies that share some of their ids.

The loss runs over the M shared columns. Where both sides have unmatched ids, one more column
holds the log-sum-exp of each side's unmatched logits; where only one side has, they are masked
and that side is renormalised. The gradient of the bucket's logit goes back to the unmatched
logits in proportion to their probabilities.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _pick(tile: Tensor, ids: slice | Tensor) -> Tensor:
    return tile[:, ids] if isinstance(ids, slice) else tile.index_select(1, ids)


class SharedColumns:
    """The column map of one teacher, prepared for tiles."""

    def __init__(self, columns: Tensor, width: int) -> None:
        """Take int64[V] (student id -> teacher column or -1) and the teacher's width Vt."""
        self.columns = columns
        matched = columns >= 0
        student_ids = matched.nonzero()[:, 0]
        teacher_ids = columns[student_ids]
        self.count = len(student_ids)
        unmatched = torch.ones(width, dtype=torch.bool, device=columns.device)
        unmatched[teacher_ids] = False
        student_rest = (~matched).nonzero()[:, 0]
        teacher_rest = unmatched.nonzero()[:, 0]
        self.bucket = len(student_rest) > 0 and len(teacher_rest) > 0
        self.student_partial = len(student_rest) > 0
        prefix = torch.arange(self.count, device=columns.device)
        aligned = bool(torch.equal(student_ids, prefix) and torch.equal(teacher_ids, prefix))
        # Padded or extended vocabularies share a prefix: then no column is gathered one by one.
        self.student_ids = slice(0, self.count) if aligned else student_ids
        self.teacher_ids = slice(0, self.count) if aligned else teacher_ids
        self.student_rest = slice(self.count, len(columns)) if aligned else student_rest
        self.teacher_rest = slice(self.count, width) if aligned else teacher_rest

    def student(self, logits: Tensor) -> Tensor:
        """Return [R, M or M+1] log-probabilities of the student's [R, V] logits at T."""
        shared = _pick(logits, self.student_ids)
        if self.bucket:
            rest = torch.logsumexp(_pick(logits, self.student_rest), -1, keepdim=True)
            shared = torch.cat([shared, rest], 1)
        return torch.log_softmax(shared, -1)

    def teacher(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the teacher's [R, M or M+1] log-probabilities and its mass on shared columns."""
        shared = _pick(logits, self.teacher_ids)
        mass = (torch.logsumexp(shared, -1) - torch.logsumexp(logits, -1)).exp()
        if self.bucket:
            rest = torch.logsumexp(_pick(logits, self.teacher_rest), -1, keepdim=True)
            shared = torch.cat([shared, rest], 1)
        return torch.log_softmax(shared, -1), mass

    def expand(self, gradient: Tensor, logits: Tensor) -> Tensor:
        """Return the gradient in the student's [R, V] logits of one in `student`'s columns."""
        full = torch.zeros_like(logits)
        shared = gradient[:, : self.count]
        if isinstance(self.student_ids, slice):
            full[:, self.student_ids] = shared
        else:
            full.index_copy_(1, self.student_ids, shared)
        if self.bucket:
            share = torch.softmax(_pick(logits, self.student_rest), -1).nan_to_num_(nan=0.0)
            share.mul_(gradient[:, self.count :])
            if isinstance(self.student_rest, slice):
                full[:, self.student_rest] = share
            else:
                full.index_copy_(1, self.student_rest, share)
        return full

    def agreement(self, top: Tensor, logits: Tensor) -> Tensor:
        """Say per row whether the student's id `top` [R] is the teacher's most probable one."""
        column = self.columns[top]
        value = logits.gather(1, column.clamp(min=0)[:, None])[:, 0]
        return (column >= 0) & (value >= logits.amax(-1))
