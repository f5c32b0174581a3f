"""Rivals that come as libraries; each joins in where it is installed.

Directions differ: Liger's and TRL's beta = 0 is KL(teacher || student), beta = 1 is
KL(student || teacher), and neither multiplies by T^2, which is done here. Several teachers are
several calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .cases import Case
from .inputs import Inputs
from .rivals import Implementation, Step, need

CHUNKS = (512, 1024, 2048, 4096, 8192)
"""Rows per chunk that a rival with such a setting is tuned over."""


def _beta(case: Case) -> float:
    return {"forward_kl": 0.0, "reverse_kl": 1.0}.get(case.divergence, case.beta)


def _plain(case: Case) -> None:
    need(not case.top_k, "no top-k teachers")
    need(case.softcap is None, "no soft-cap")


def _scaled(case: Case) -> float:
    return case.kd_weight * case.temperature**2 / case.teachers


def _sum(case: Case, given: Inputs, one: Callable[[Tensor, Tensor], Tensor]) -> Step:
    """Return a step that adds up one loss per teacher."""

    def step() -> None:
        total = None
        for hidden, weight in zip(given.teacher_hidden, given.teacher_weight, strict=True):
            part = one(hidden, weight)
            total = part if total is None else total + part
        if total is not None:
            total.backward()

    return step


def liger_fused(case: Case, given: Inputs) -> Step:
    """`LigerFusedLinearJSD`, float32 accumulation of the head's gradient."""
    _plain(case)
    need(case.ce_weight == 0.0, "no cross-entropy")
    from liger_kernel.transformers.fused_linear_jsd import LigerFusedLinearJSD

    loss = LigerFusedLinearJSD(
        jsd_beta=_beta(case),
        ignore_index=-100,
        temperature=case.temperature,
        accum_dtype=torch.float32,
    )
    labels = given.labels if case.masked else None

    def one(hidden: Tensor, weight: Tensor) -> Tensor:
        value = loss(given.hidden, given.weight, hidden, weight, labels)
        return value if _scaled(case) == 1.0 else value * _scaled(case)

    return _sum(case, given, one)


def liger_chunked(compile_it: bool) -> Callable[[Case, Inputs], Step]:
    """`LigerFusedLinearJSDLoss`, with its fastest chunk size."""

    def prepare(case: Case, given: Inputs) -> Step:
        _plain(case)
        from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

        def with_chunk(rows: int) -> Step:
            loss = LigerFusedLinearJSDLoss(
                weight_hard_loss=case.ce_weight / case.teachers,
                weight_soft_loss=_scaled(case),
                beta=_beta(case),
                ignore_index=-100,
                temperature=case.temperature,
                compiled=compile_it,
                chunk_size=rows,
            )

            def one(hidden: Tensor, weight: Tensor) -> Tensor:
                return loss(given.hidden, given.weight, hidden, weight, given.labels)

            return _sum(case, given, one)

        return tuned(given, with_chunk, len(given.labels))

    return prepare


def tuned(given: Inputs, with_chunk: Callable[[int], Step], tokens: int) -> Step:
    """Return the step with the fastest chunk size; the choice is its attribute `chunk`."""
    best: tuple[float, int, Step] | None = None
    sizes = [rows for rows in CHUNKS if rows <= tokens] or [tokens]
    for rows in sizes:
        step = with_chunk(rows)
        try:
            seconds = min(_seconds(given, step) for _ in range(3))
        except torch.OutOfMemoryError:
            continue
        if best is None or seconds < best[0]:
            best = (seconds, rows, step)
    if best is None:
        raise torch.OutOfMemoryError("out of memory with every chunk size")
    best[2].chunk = best[1]  # type: ignore[attr-defined]
    return best[2]


def _seconds(given: Inputs, step: Step) -> float:
    given.forget_gradients()
    on_gpu = given.hidden.is_cuda
    if on_gpu:
        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def liger_dense(case: Case, given: Inputs) -> Step:
    """`LigerFusedLinearKLDivLoss` with the teacher's probabilities made on the spot."""
    _plain(case)
    need(case.divergence == "forward_kl", "forward_kl only")
    need(case.ce_weight == 0.0, "no cross-entropy")
    from liger_kernel.transformers.fused_linear_kl_div import LigerFusedLinearKLDivLoss

    loss = LigerFusedLinearKLDivLoss(
        ignore_index=-100, temperature=case.temperature, accum_dtype=torch.float32
    )
    labels = given.labels if case.masked else None

    def one(hidden: Tensor, weight: Tensor) -> Tensor:
        with torch.no_grad():
            logits = hidden @ weight.T
            target = torch.softmax(logits.float().div_(case.temperature), -1)
            del logits
        value = loss(given.hidden, given.weight, target, labels)
        return value if _scaled(case) == 1.0 else value * _scaled(case)

    return _sum(case, given, one)


def trl_gkd(case: Case, given: Inputs) -> Step:
    """TRL's `GKDTrainer.generalized_jsd_loss` on the two logits tensors."""
    _plain(case)
    from trl.experimental.gkd import GKDTrainer

    jsd = GKDTrainer.generalized_jsd_loss

    def step() -> None:
        z = given.hidden @ given.weight.T
        total = z.new_zeros((), dtype=torch.float32)
        for hidden, weight in zip(given.teacher_hidden, given.teacher_weight, strict=True):
            with torch.no_grad():
                v = hidden @ weight.T
            total = total + _scaled(case) * jsd(
                z[None], v[None], given.labels[None], _beta(case), case.temperature
            )
        if case.ce_weight:
            total = total + case.ce_weight * F.cross_entropy(z.float(), given.labels)
        total.backward()

    return step


def trl_chunked(case: Case, given: Inputs) -> Step:
    """TRL's `ChunkedDivergenceFunction` on the rows with labels."""
    need(not case.top_k, "no top-k teachers")
    need(case.ce_weight == 0.0, "no cross-entropy")
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    def step() -> None:
        rows = (given.labels != -100).nonzero()[:, 0]
        total = None
        for hidden, weight in zip(given.teacher_hidden, given.teacher_weight, strict=True):
            values, _ = ChunkedDivergenceFunction.apply(
                given.hidden[rows],
                given.weight,
                None,
                hidden[rows],
                weight,
                None,
                _beta(case),
                case.temperature,
                1.0,
                case.softcap,
                1.0,
                case.softcap,
            )
            part = values.sum() * (_scaled(case) / len(rows))
            total = part if total is None else total + part
        if total is not None:
            total.backward()

    return step


def cce(case: Case, given: Inputs) -> Step:
    """cut-cross-entropy: the cross-entropy alone."""
    from cut_cross_entropy import linear_cross_entropy

    def step() -> None:
        linear_cross_entropy(
            given.hidden, given.weight, given.labels, softcap=case.softcap
        ).backward()

    return step


def torch_ce(case: Case, given: Inputs) -> Step:
    """Torch's chunked `linear_cross_entropy`: the cross-entropy alone."""
    need(case.softcap is None, "no soft-cap")
    if not hasattr(F, "linear_cross_entropy") or not hasattr(torch.nn, "LinearCrossEntropyOptions"):
        raise ImportError("torch has no chunked linear_cross_entropy")
    options = torch.nn.LinearCrossEntropyOptions()

    def step() -> None:
        F.linear_cross_entropy(
            given.hidden, given.weight, given.labels, ignore_index=-100, options=options
        ).backward()

    return step


_GPU = ("cuda",)

LIBRARIES: dict[str, Implementation] = {
    "Liger fused JSD": Implementation(
        liger_fused, "LigerFusedLinearJSD, fp32 dW", _GPU, library="liger_kernel"
    ),
    "Liger chunked JSD, compiled": Implementation(
        liger_chunked(True),
        "LigerFusedLinearJSDLoss, compiled, best chunk",
        _GPU,
        library="liger_kernel",
    ),
    "Liger chunked JSD": Implementation(
        liger_chunked(False),
        "LigerFusedLinearJSDLoss, not compiled, best chunk",
        library="liger_kernel",
    ),
    "Liger dense-target KL": Implementation(
        liger_dense,
        "LigerFusedLinearKLDivLoss, target made on the spot",
        _GPU,
        library="liger_kernel",
    ),
    "TRL GKD": Implementation(trl_gkd, "generalized_jsd_loss on full logits", library="trl"),
    "TRL chunked": Implementation(trl_chunked, "ChunkedDivergenceFunction", library="trl"),
    "cut-cross-entropy": Implementation(
        cce, "CE only", _GPU, ce_only=True, library="cut_cross_entropy"
    ),
    "torch linear_cross_entropy": Implementation(torch_ce, "CE only, chunked", ce_only=True),
}
