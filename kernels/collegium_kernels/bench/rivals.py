"""What is measured: this package, and what can be written with torch alone.

An implementation takes (case, inputs) and returns a step: a function that runs forward and
backward once. It raises `Unsupported` for a job that it has no answer to, `ImportError` where a
library is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .. import linear_distill_loss
from .cases import Case
from .inputs import Inputs, cap

Step = Callable[[], None]


class Unsupported(Exception):
    """The implementation has no such job; the message says what it lacks."""


@dataclass(frozen=True)
class Implementation:
    """One way to do the job."""

    prepare: Callable[[Case, Inputs], Step]
    note: str
    devices: tuple[str, ...] = ("cpu", "cuda")
    ours: bool = False
    ce_only: bool = False
    """Cross-entropy alone: another, smaller job, for orientation."""
    floor: bool = False
    """No loss at all: what the job's parts cost on their own."""
    library: str = ""
    """The module that it needs beside torch."""


def need(condition: bool, lack: str) -> None:
    """Raise `Unsupported` unless the condition holds."""
    if not condition:
        raise Unsupported(lack)


def ours(implementation: str) -> Callable[[Case, Inputs], Step]:
    """All teachers in one call."""

    def prepare(case: Case, given: Inputs) -> Step:
        teachers = given.teachers(case)

        def step() -> None:
            linear_distill_loss(
                given.hidden,
                given.weight,
                given.labels,
                teachers,
                divergence=case.divergence,
                beta=case.beta,
                temperature=case.temperature,
                kd_weight=case.kd_weight,
                ce_weight=case.ce_weight,
                softcap=case.softcap,
                implementation=implementation,
            ).loss.backward()

        return step

    return prepare


def call_by_call(case: Case, given: Inputs) -> Step:
    """One call of ours per teacher, gradients accumulated."""
    need(case.teachers > 1, "one teacher")
    teachers = given.teachers(case)

    def step() -> None:
        for teacher in teachers:
            linear_distill_loss(
                given.hidden,
                given.weight,
                given.labels,
                [teacher],
                divergence=case.divergence,
                beta=case.beta,
                temperature=case.temperature,
                kd_weight=case.kd_weight,
                ce_weight=case.ce_weight / len(teachers),
                softcap=case.softcap,
            ).loss.backward()

    return step


def divergence(case: Case, lq: Tensor, lp: Tensor) -> Tensor:
    """D per row from log-probabilities of student and teacher, as usually written."""
    if case.divergence == "forward_kl":
        return F.kl_div(lq, lp, log_target=True, reduction="none").sum(-1)
    if case.divergence == "reverse_kl":
        return F.kl_div(lp, lq, log_target=True, reduction="none").sum(-1)
    beta = torch.tensor(case.beta, device=lq.device)
    mixture = torch.logaddexp(lp + beta.log(), lq + (1 - beta).log())
    teacher = F.kl_div(mixture, lp, log_target=True, reduction="none").sum(-1)
    student = F.kl_div(mixture, lq, log_target=True, reduction="none").sum(-1)
    return case.beta * teacher + (1 - case.beta) * student


def dense_loss(
    case: Case, hidden: Tensor, weight: Tensor, labels: Tensor, pairs: list[tuple[Tensor, Tensor]]
) -> Tensor:
    """Sum over tokens of the loss, every tensor in full size, logits widened after rounding."""
    counted = labels != -100
    z = cap((hidden @ weight.T).float(), case.softcap)
    total = z.new_zeros(())
    lq = F.log_softmax(z / case.temperature if case.temperature != 1.0 else z, -1)
    for other, other_weight in pairs:
        with torch.no_grad():
            v = cap((other @ other_weight.T).float(), case.softcap)
            lp = F.log_softmax(v / case.temperature if case.temperature != 1.0 else v, -1)
        value = (divergence(case, lq, lp) * counted).sum()
        total = total + value * (case.kd_weight * case.temperature**2 / len(pairs))
    if case.ce_weight:
        ce = F.cross_entropy(z, labels, ignore_index=-100, reduction="sum")
        total = total + case.ce_weight * ce
    return total


def eager(case: Case, given: Inputs) -> Step:
    """The formula in plain torch, as usually written."""
    need(not case.top_k, "written for live teachers")
    pairs = list(zip(given.teacher_hidden, given.teacher_weight, strict=True))

    def step() -> None:
        count = (given.labels != -100).sum()
        (dense_loss(case, given.hidden, given.weight, given.labels, pairs) / count).backward()

    return step


def lean(case: Case, given: Inputs) -> Step:
    """The formula with one shared log-softmax, masked rows cut out, tensors freed early."""
    need(case.divergence == "forward_kl", "written for forward_kl")
    need(case.temperature == 1.0 and not case.softcap, "T = 1 and no soft-cap share a log-softmax")
    need(case.teachers == 1 and not case.top_k, "written for one live teacher")

    def step() -> None:
        rows = (given.labels != -100).nonzero()[:, 0]
        everything = len(rows) == len(given.labels)
        hidden = given.hidden if everything else given.hidden[rows]
        other = given.teacher_hidden[0] if everything else given.teacher_hidden[0][rows]
        logits = (hidden @ given.weight.T).float()
        with torch.no_grad():
            target = (other @ given.teacher_weight[0].T).float()
            target = F.log_softmax(target, -1)
        logprobs = F.log_softmax(logits, -1)
        del logits
        loss = F.kl_div(logprobs, target, log_target=True, reduction="batchmean") * case.kd_weight
        if case.ce_weight:
            loss = loss + case.ce_weight * F.nll_loss(logprobs, given.labels[rows])
        loss.backward()

    return step


def compiled(case: Case, given: Inputs) -> Step:
    """The eager formula through torch.compile."""
    need(not case.top_k, "written for live teachers")
    pairs = list(zip(given.teacher_hidden, given.teacher_weight, strict=True))
    loss = torch.compile(dense_loss, dynamic=False)

    def step() -> None:
        count = (given.labels != -100).sum()
        (loss(case, given.hidden, given.weight, given.labels, pairs) / count).backward()

    return step


CHECKPOINT_ROWS = 256


def checkpointed(case: Case, given: Inputs) -> Step:
    """Rows with labels, 256 at a time, each chunk computed again in backward (TRL 1.0's form)."""
    need(not case.top_k, "written for live teachers")

    def chunk(hidden: Tensor, weight: Tensor, labels: Tensor, *flat: Tensor) -> Tensor:
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        return dense_loss(case, hidden, weight, labels, pairs)

    def step() -> None:
        rows = (given.labels != -100).nonzero()[:, 0]
        total = given.hidden.new_zeros((), dtype=torch.float32)
        for part in rows.split(CHECKPOINT_ROWS):
            flat = [
                tensor
                for h, w in zip(given.teacher_hidden, given.teacher_weight, strict=True)
                for tensor in (h[part], w)
            ]
            total = total + checkpoint(
                chunk,
                given.hidden[part],
                given.weight,
                given.labels[part],
                *flat,
                use_reentrant=False,
            )
        (total / len(rows)).backward()

    return step


def products(case: Case, given: Inputs) -> Step:
    """The matrix products that cannot be avoided, in the best chunks, and nothing else."""
    device = given.hidden.device
    rows = case.counted if device.type == "cuda" else 208
    rows = min(rows, 4096)
    z = torch.empty(rows, case.vocabulary, dtype=case.torch_dtype, device=device)
    v = torch.empty_like(z)
    hidden, weight = given.hidden.detach(), given.weight.detach()
    out = torch.empty(rows, case.student_size, dtype=case.torch_dtype, device=device)

    def step() -> None:
        given.hidden.grad = torch.empty_like(hidden)
        gradient = None if case.frozen_head else torch.zeros_like(weight)
        for start in range(0, case.counted, rows):
            part = hidden[start : min(start + rows, case.counted)]
            n = len(part)
            torch.mm(part, weight.T, out=z[:n])
            for other, other_weight in zip(given.teacher_hidden, given.teacher_weight, strict=True):
                torch.mm(other[start : start + n], other_weight.T, out=v[:n])
            torch.mm(z[:n], weight, out=out[:n])
            if gradient is not None:
                gradient.addmm_(z[:n].T, part)
        given.weight.grad = gradient

    return step


_COPY_BYTES = 1 << 30


def traffic(case: Case, given: Inputs) -> Step:
    """Copies that move as many bytes as a row kernel must, at the card's own copying speed."""
    source = torch.empty(_COPY_BYTES // 4, dtype=torch.float32, device=given.hidden.device)
    target = torch.empty_like(source)
    whole, rest = divmod(case.row_traffic, 2 * _COPY_BYTES)
    last = rest // 8

    def step() -> None:
        for _ in range(whole):
            target.copy_(source)
        target[:last].copy_(source[:last])

    return step


TORCH_ONLY: dict[str, Implementation] = {
    "ours": Implementation(ours("auto"), "collegium.kernels, its own choice", ours=True),
    "ours (torch)": Implementation(
        ours("torch"), "its torch implementation", devices=("cuda",), ours=True
    ),
    "ours, call by call": Implementation(call_by_call, "one call per teacher", ours=True),
    "matrix products": Implementation(products, "the floor: products alone", floor=True),
    "row traffic": Implementation(
        traffic, "copies of the row kernel's bytes", devices=("cuda",), floor=True
    ),
    "eager": Implementation(eager, "plain torch, as usually written"),
    "lean eager": Implementation(lean, "shared log-softmax, frees early"),
    "torch.compile": Implementation(compiled, "the eager formula compiled", devices=("cuda",)),
    "checkpointed 256": Implementation(
        checkpointed, "256 rows at a time, recomputed in backward", devices=("cuda",)
    ),
}
