"""The three divergences on a tile of log-probabilities, with their gradients in the logits.

Notation: u are the student's logits divided by T, q = softmax(u), p the teacher's probabilities;
`lq`, `lp` their logarithms. Every function returns D per row and g = dD/du::

    forward_kl  KL(teacher || student)  D = sum p (lp - lq)              g = q sum(p) - p
    reverse_kl  KL(student || teacher)  D = sum q (lq - lp)              g = q (lq - lp - D)
    jsd         with m = beta p + (1 - beta) q, r = lq - log m, c = sum q r
                D = beta sum p (lp - log m) + (1 - beta) c               g = (1 - beta) q (r - c)

None of the gradients needs sum(p) = 1, so a top-k list with its tail cut off is served as well.
The loss multiplies by T^2 (Hinton et al. 2015: gradients keep their size as T changes), and
du/dz = 1/T, hence dz = T g. Log-ratios are formed before summing: the sums of separate entropies
would lose all digits where student and teacher agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


class Scratch:
    """Named buffers that are allocated once and handed out again and again."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def shaped(
        self, name: str, shape: tuple[int, int], dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Return the buffer `name`, contiguous in `shape`; what it holds is left from before."""
        size = shape[0] * shape[1]
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            self._buffers.pop(name, None)
            buffer = torch.empty(size, dtype=dtype, device=device)
            self._buffers[name] = buffer
        return buffer[:size].view(shape)

    def like(self, name: str, tensor: Tensor) -> Tensor:
        """Return the buffer `name` in the shape, dtype and device of `tensor` [R, M]."""
        return self.shaped(name, (tensor.shape[0], tensor.shape[1]), tensor.dtype, tensor.device)


def forward_kl(
    lq: Tensor,
    q: Tensor,
    lp: Tensor,
    beta: float,
    scratch: Scratch,
    *,
    zeros: bool,
    normalized: bool,
    gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """KL(teacher || student) of [R, M] tiles; overwrites `lp`.

    `zeros` says that probabilities may be exactly 0 (logits of -inf): they then count nothing
    instead of 0 * inf. `normalized` says that the teacher's rows sum to one.
    """
    p = torch.exp(lp, out=scratch.like("p", lp))
    difference = lp.sub_(lq)
    if zeros:
        difference.masked_fill_(p == 0, 0.0)
    value = difference.mul_(p).sum(-1)
    if not gradient:
        return value, None
    if normalized:
        return value, torch.sub(q, p, out=p)
    return value, torch.addcmul(-p, q, p.sum(-1, keepdim=True), out=p)


def reverse_kl(
    lq: Tensor,
    q: Tensor,
    lp: Tensor,
    beta: float,
    scratch: Scratch,
    *,
    zeros: bool,
    normalized: bool,
    gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """KL(student || teacher) of [R, M] tiles; overwrites `lp`. Arguments as in `forward_kl`."""
    difference = torch.sub(lq, lp, out=lp)
    if zeros:
        difference.masked_fill_(q == 0, 0.0)
    value = torch.mul(difference, q, out=scratch.like("p", lp)).sum(-1)
    if not gradient:
        return value, None
    return value, difference.sub_(value[:, None]).mul_(q)


def jsd(
    lq: Tensor,
    q: Tensor,
    lp: Tensor,
    beta: float,
    scratch: Scratch,
    *,
    zeros: bool,
    normalized: bool,
    gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Generalised Jensen-Shannon divergence of [R, M] tiles; overwrites `lp`.

    With y = lp - lq + log(beta / (1 - beta)) and s(y) = log(1 + e^y)::

        log q/m = -log(1 - beta) - s(y)        log p/m = -log(beta) - s(-y)

    and s(y) = max(y, 0) + log1p(e^-|y|), so nothing overflows and no probability that has
    underflowed is ever taken the logarithm of.
    """
    p = torch.exp(lp, out=scratch.like("p", lp))
    y = lp.sub_(lq)
    if zeros:
        y.nan_to_num_(nan=0.0, posinf=1e30, neginf=-1e30)
    y.add_(math.log(beta) - math.log1p(-beta))
    both = torch.abs(y, out=scratch.like("both", lp)).neg_().exp_().log1p_()
    side = torch.neg(y, out=scratch.like("side", lp)).clamp_(min=0.0)
    side.add_(both).add_(math.log(beta)).mul_(p)
    teacher_part = -side.sum(-1)
    ratio = y.clamp_(min=0.0).add_(both).add_(math.log1p(-beta)).neg_()
    student_part = torch.mul(ratio, q, out=side).sum(-1)
    value = beta * teacher_part + (1.0 - beta) * student_part
    if not gradient:
        return value, None
    return value, ratio.sub_(student_part[:, None]).mul_(q).mul_(1.0 - beta)


Divergence = Callable[..., tuple[Tensor, "Tensor | None"]]

DIVERGENCES: dict[str, Divergence] = {
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jsd": jsd,
}
