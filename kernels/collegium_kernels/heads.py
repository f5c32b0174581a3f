"""From rows to logits, and the matrix products behind it, in float32 whatever comes in.

Logits rounded to bfloat16 cost 2 to 18 % of the gradient (the error grows as the student gets
close to its teacher), so products of half-precision operands are kept in float32: on CUDA by the
matrix product's own output type, elsewhere by widening the weight block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .teachers import LiveTeacher, LogitsTeacher

Rows = slice | Tensor
"""Token numbers: a slice where they are consecutive, else int64 on the tensors' device."""

_BLOCK_BYTES = 32 << 20
"""Of a weight in half precision, widened at a time."""

_CPU_COLUMNS = 1024
"""Of the logits, computed at a time on a CPU: their part of the weight stays in cache."""

_WIDE_PRODUCTS = "dtype_out" in torch.ops.aten.mm.overloads()
"""Whether this torch has products whose result is wider than their operands."""


def take(tensor: Tensor, rows: Rows) -> Tensor:
    """Return ``tensor[rows]``; a view where the rows are consecutive."""
    return tensor[rows] if isinstance(rows, slice) else tensor.index_select(0, rows)


def _product_is_wide(left: Tensor, right: Tensor, out: Tensor) -> bool:
    """Whether the device multiplies half-precision operands into a float32 result."""
    half = left.dtype in (torch.float16, torch.bfloat16)
    same = left.dtype == right.dtype and out.dtype == torch.float32
    return _WIDE_PRODUCTS and left.is_cuda and half and same


def multiply(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """``out = left @ right`` without rounding to the operands' dtype; `out` is at least as wide.

    On a CPU some columns at a time: for few rows and a whole vocabulary the libraries' products
    take 10 to 20 % longer in one piece, and a block in half precision is widened in cache.
    """
    if _product_is_wide(left, right, out):
        return torch.mm(left, right, out_dtype=out.dtype, out=out)
    left = left.to(out.dtype)
    step = _CPU_COLUMNS
    if left.device.type != "cpu":
        if right.dtype == out.dtype:
            return torch.mm(left, right, out=out)
        step = max(1, _BLOCK_BYTES // (right.shape[0] * out.element_size() or 1))
    for start in range(0, right.shape[1], step):
        block = right[:, start : start + step].to(out.dtype)
        torch.mm(left, block, out=out[:, start : start + step])
    return out


def multiply_back(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """``out = left @ right`` for a long inner axis (the vocabulary), widened block by block."""
    if left.dtype == right.dtype == out.dtype:
        return torch.mm(left, right, out=out)
    if _product_is_wide(left, right, out):
        return torch.mm(left, right, out_dtype=out.dtype, out=out)
    if right.dtype == out.dtype:
        return torch.mm(left.to(out.dtype), right, out=out)
    out.zero_()
    step = max(1, _BLOCK_BYTES // (right.shape[1] * out.element_size() or 1))
    for start in range(0, right.shape[0], step):
        block = right[start : start + step].to(out.dtype)
        out.addmm_(left[:, start : start + step].to(out.dtype), block)
    return out


def accumulate(out: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``out += left @ right`` in the dtype of `out`."""
    if left.dtype == right.dtype == out.dtype:
        return torch.addmm(out, left, right, out=out)
    if _product_is_wide(left, right, out):
        return torch.addmm(out, left, right, out_dtype=out.dtype, out=out)
    return torch.addmm(out, left.to(out.dtype), right.to(out.dtype), out=out)


@dataclass(frozen=True, eq=False)
class Head:
    """``cap(scale * (rows @ weight.T + bias))``, or the same of given logits (`weight` None)."""

    rows: Tensor
    weight: Tensor | None
    bias: Tensor | None
    softcap: float | None
    scale: float

    @property
    def width(self) -> int:
        """How many logits a row has."""
        return self.rows.shape[1] if self.weight is None else self.weight.shape[0]

    @cached_property
    def zeros(self) -> bool:
        """Whether a logit can be -inf: not out of a matrix product alone."""
        if self.weight is None:
            return True
        return self.bias is not None and bool(torch.isinf(self.bias).any())

    def fill(self, rows: Rows, out: Tensor) -> None:
        """Write the rows' logits before bias, scale and cap into `out` [len(rows), width]."""
        if self.weight is None:
            out.copy_(take(self.rows, rows))
        else:
            multiply(take(self.rows, rows), self.weight.t(), out)

    def finish_(self, tile: Tensor) -> None:
        """Add the bias to a tile of `fill`'s output, scale it and cap it, in place."""
        if self.bias is not None:
            tile.add_(self.bias.to(tile.dtype))
        if self.scale != 1.0:
            tile.mul_(self.scale)
        if self.softcap is not None:
            tile.div_(self.softcap).tanh_().mul_(self.softcap)

    def finish_at(self, picked: Tensor, ids: Tensor) -> Tensor:
        """Return what `finish_` would make of entries of `fill`'s output at `ids`."""
        if self.bias is not None:
            picked = picked + self.bias[ids].to(picked.dtype)
        picked = picked * self.scale
        return picked if self.softcap is None else (picked / self.softcap).tanh() * self.softcap


def teacher_head(teacher: LiveTeacher | LogitsTeacher, operands: torch.dtype | None) -> Head:
    """Return the head of a teacher with dense logits."""
    if isinstance(teacher, LogitsTeacher):
        return Head(teacher.logits, None, None, None, 1.0)
    return linear_head(
        teacher.hidden,
        teacher.weight,
        teacher.bias,
        teacher.softcap,
        teacher.logit_scale,
        operands,
    )


def linear_head(
    rows: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    softcap: float | None,
    scale: float,
    operands: torch.dtype | None,
) -> Head:
    """Return a head whose matrix products run on `operands` dtype; None: as they come."""
    if operands is not None and weight is not None:
        rows, weight = rows.to(operands), weight.to(operands)
    return Head(rows, weight, bias, softcap, scale)
