"""Is this machine's arithmetic right: small problems of every kind against float64.

The tests run these on a GPU where there is one; `--self-check` runs them where there are no tests.
Each check raises `AssertionError` with what was found.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import SampledTeacher, TopKTeacher, implementations, linear_distill_loss
from . import gate, inputs
from .cases import Case
from .rivals import ours

_CASE = Case(160, 4000, 96, 160)
_DTYPES = ("float32", "bfloat16", "float16")
_KINDS = ("forward_kl", "reverse_kl", "jsd")


def available(device: str) -> list[str]:
    """Return the names of the implementations that can run on a device."""
    names = ["torch"]
    given = inputs.build(replace(_CASE, tokens=8, vocabulary=64), device)
    try:
        ours("triton")(replace(_CASE, tokens=8, vocabulary=64), given)()
        names.append("triton")
    except ValueError:
        pass
    return names


def gradients(device: str, implementation: str) -> None:
    """Every divergence, dtype, temperature and kind of teacher, with and without masks."""
    variants = [
        {},
        {"temperature": 2.0, "softcap": 20.0, "masked": 0.4, "ce_weight": 0.5},
        {"teachers": 3, "temperature": 0.7},
        {"top_k": 16, "ce_weight": 1.0},
        {"frozen_head": True, "masked": 0.1, "teachers": 2},
        {"vocabulary": 4001, "tokens": 1, "logit_std": 3.0, "difference": 1.3},
    ]
    for kind, dtype, variant in itertools.product(_KINDS, _DTYPES, variants):
        case = replace(_CASE, divergence=kind, dtype=dtype, **variant)
        given = inputs.build(case, device)
        ours(implementation)(case, given)()
        found = gate.errors(case, given, ce_only=False)
        limit = gate.LIMIT_OURS[case.torch_dtype]
        assert all(value <= limit for value in found.values()), (kind, dtype, variant, found)


def repeated(device: str, implementation: str) -> None:
    """A race would show as a result that changes: twenty runs are bit for bit the same."""
    large = {"tokens": 1024, "vocabulary": 32_000} if device == "cuda" else {}
    for kind in _KINDS:
        case = replace(_CASE, divergence=kind, ce_weight=0.5, **large)
        given = inputs.build(case, device)
        step = ours(implementation)(case, given)
        first: list[Tensor] = []
        for _ in range(20):
            given.forget_gradients()
            step()
            now = [g for g in (given.hidden.grad, given.weight.grad) if g is not None]
            first = first or now
            assert all(torch.equal(a, b) for a, b in zip(first, now, strict=True)), kind


def peak_memory(device: str, implementation: str) -> None:
    """No [N, V]: beyond inputs and gradients little more than the workspace is taken."""
    if device != "cuda":
        return
    case = replace(_CASE, tokens=4096, vocabulary=64_000)
    given, workspace = inputs.build(case, device), 64 << 20
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    linear_distill_loss(
        given.hidden,
        given.weight,
        given.labels,
        given.teachers(case),
        workspace_bytes=workspace,
        implementation=implementation,
    ).loss.backward()
    extra = torch.cuda.max_memory_allocated() - before
    # dX, dW in its own dtype and in float32, and as much again for the workspaces of the products.
    heads = given.weight.numel() * (4 + 2) + given.hidden.numel() * (4 + 2)
    assert extra <= heads + workspace + (96 << 20), f"{extra >> 20} MB"
    assert extra < case.tokens * case.vocabulary * 4, f"{extra >> 20} MB"


def edges(device: str, implementation: str) -> None:
    """No tokens, none with a label, one id, logits of -inf and of 1e4: finite and right."""
    for tokens, label in ((0, 0), (5, -100), (5, 0)):
        hidden = torch.randn(tokens, 8, device=device, requires_grad=True)
        weight = torch.randn(1, 8, device=device, requires_grad=True)
        labels = torch.full((tokens,), label, device=device)
        sampled = SampledTeacher(
            torch.zeros(tokens, 2, dtype=torch.long, device=device),
            torch.full((tokens, 2), 0.5, device=device),
        )
        out = linear_distill_loss(hidden, weight, labels, [sampled], implementation=implementation)
        out.loss.backward()
        assert out.loss.item() == 0.0 and out.per_token.isfinite().all()
    case = replace(_CASE, dtype="float32", logit_std=10_000.0, ce_weight=1.0)
    given = inputs.build(case, device)
    ours(implementation)(case, given)()
    assert given.hidden.grad is not None and given.hidden.grad.isfinite().all()
    ids = torch.arange(4, device=device).expand(case.tokens, 4)
    listed = TopKTeacher(ids, torch.full((case.tokens, 4), -torch.inf, device=device))
    out = linear_distill_loss(
        given.hidden, given.weight, given.labels, [listed], implementation=implementation
    )
    assert out.loss.isfinite()


CHECKS: dict[str, Callable[[str, str], None]] = {
    "gradients": gradients,
    "repeated": repeated,
    "peak memory": peak_memory,
    "edges": edges,
}


def run(device: str) -> dict[str, Any]:
    """Run every check with every implementation; return {"checks": {...}, "passed": bool}."""
    found: dict[str, str] = {}
    for implementation in available(device):
        for name, check in CHECKS.items():
            try:
                check(device, implementation)
                found[f"{implementation}: {name}"] = "passed"
            except Exception as error:
                found[f"{implementation}: {name}"] = f"{type(error).__name__}: {error}"
                traceback.print_exc()
    return {
        "implementations": implementations(),
        "checks": found,
        "passed": all(value == "passed" for value in found.values()),
    }
