"""Is it right: gradients of one step against float64, before any time is taken.

The exact gradient comes from the dense `reference` in float64, with logits from widened operands:
logits rounded first would hide the very error that is looked for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .. import LogitsTeacher
from ..dispatch import build_problem
from ..reference import reference_loss
from .cases import Case
from .inputs import Inputs, blocks, cap

TOKENS = {"cpu": 32, "cuda": 256}
LIMIT_OURS = {torch.float32: 2e-5, torch.bfloat16: 6e-3, torch.float16: 2e-2}
"""float16: the head's gradient, divided by the number of tokens, reaches its subnormals."""
LIMIT_RIVALS = 0.5
"""Relative. Generous: logits rounded to bfloat16 cost up to a fifth of the gradient, and that is
to be shown, not refused; what is further off computes something else."""


def errors(case: Case, given: Inputs, *, ce_only: bool) -> dict[str, float]:
    """Return the relative errors of the gradients in `given`, Frobenius norms over all entries."""
    dz = _exact(case, given, ce_only)
    hidden, weight = given.hidden.detach(), given.weight.detach()
    d_hidden = torch.zeros(hidden.shape, dtype=torch.float64, device=hidden.device)
    off = scale = 0.0
    for part in blocks(case.vocabulary):
        d_hidden += dz[:, part] @ weight[part].double()
        if given.weight.grad is not None:
            exact = dz[:, part].T @ hidden.double()
            off += float((given.weight.grad[part].double() - exact).square().sum())
            scale += float(exact.square().sum())
    found = {"error_dx": _relative(given.hidden.grad, d_hidden)}
    if given.weight.grad is not None:
        found["error_dw"] = (off / scale) ** 0.5
    return found


def _relative(found: Tensor | None, exact: Tensor) -> float:
    if found is None:
        return float("inf")
    return float((found.double() - exact).norm() / exact.norm())


def _logits(hidden: Tensor, weight: Tensor) -> Tensor:
    out = hidden.new_empty((len(hidden), len(weight)), dtype=torch.float64)
    for part in blocks(len(weight)):
        torch.mm(hidden.double(), weight[part].double().T, out=out[:, part])
    return out


@torch.enable_grad()
def _exact(case: Case, given: Inputs, ce_only: bool) -> Tensor:
    z = _logits(given.hidden.detach(), given.weight.detach()).requires_grad_()
    share = 1.0 / case.teachers
    teachers = []
    if not ce_only and case.top_k:
        teachers = given.teachers(case)
    elif not ce_only:
        pairs = zip(given.teacher_hidden, given.teacher_weight, strict=True)
        teachers = [LogitsTeacher(cap(_logits(h, w), case.softcap), share) for h, w in pairs]
    problem = build_problem(
        z,
        None,
        given.labels,
        teachers,
        divergence=case.divergence,
        beta=case.beta,
        temperature=case.temperature,
        kd_weight=case.kd_weight,
        ce_weight=1.0 if ce_only else case.ce_weight,
        softcap=case.softcap,
    )
    reference_loss(problem, torch.float64).loss.backward()
    return z.grad if z.grad is not None else torch.zeros_like(z)
