"""The public losses: check the arguments, fill in the defaults, choose an implementation."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Sequence

import torch
from torch import Tensor

from . import checks, value_checks
from .autograd import chunked_loss
from .problem import Problem
from .reference import reference_loss
from .result import DistillLoss
from .teachers import Teacher


def linear_distill_loss(
    student_hidden: Tensor,
    student_weight: Tensor,
    labels: Tensor,
    teachers: Sequence[Teacher],
    *,
    divergence: str = "forward_kl",
    beta: float = 0.5,
    temperature: float = 1.0,
    kd_weight: float | Tensor = 1.0,
    ce_weight: float | Tensor = 1.0,
    normalizer: float | Tensor | None = None,
    student_bias: Tensor | None = None,
    softcap: float | None = None,
    logit_scale: float = 1.0,
    ignore_index: int = -100,
    workspace_bytes: int | None = None,
    implementation: str = "auto",
) -> DistillLoss:
    r"""Distillation plus cross-entropy from hidden states, without a logits tensor.

    With student logits ``z = cap(logit_scale * (student_hidden @ student_weight.T +
    student_bias))`` the loss is the sum over the tokens n with ``labels[n] != ignore_index`` of::

        ce_weight[n] * CE(z_n, labels[n]) + kd_weight[n] * T^2 * sum_k mix[k, n] * D_k(n)

    divided by `normalizer`. With p = softmax(teacher logits / T), q = softmax(z / T):

    - ``forward_kl``: D = KL(teacher || student) = sum p log(p/q); the student covers all that
      the teacher deems possible (Hinton et al. 2015, also for the factor T^2).
    - ``reverse_kl``: D = KL(student || teacher) = sum q log(q/p); the student keeps to what the
      teacher deems likely (Gu et al. 2023, "MiniLLM").
    - ``jsd``: D = beta KL(teacher || m) + (1 - beta) KL(student || m) with
      m = beta p + (1 - beta) q, 0 < beta < 1 (Agarwal et al. 2023, "GKD").

    The gradient is exact and computed in this call; backward only scales it. Tokens without a
    label or without weight cost nothing, nor does a teacher on tokens where its mix is 0, nor a
    gradient that nothing asks for (frozen head, frozen body, `torch.no_grad`). Logits are float32
    (float64 for float64 inputs), also from half-precision operands and under autocast; the head's
    gradient is summed in float32. Weights, mixes and the normalizer are constants.

    Teachers of another vocabulary need `columns`: the divergence runs over the shared ids plus one
    bucket for all others if both sides have others; where only one side has, these are masked
    and that side renormalised. Cross-entropy keeps the student's whole vocabulary.

    Args:
        student_hidden: [N, Ds] floating.
        student_weight: [V, Ds] of the same dtype, unless autocast is on.
        labels: int64[N]; `ignore_index` leaves the token out of both parts.
        teachers: `LiveTeacher`, `LogitsTeacher`, `TopKTeacher` or `SampledTeacher`, any number
            and any mixture; none leaves the cross-entropy.
        divergence: ``forward_kl``, ``reverse_kl`` or ``jsd``.
        beta: weight of the teacher in ``jsd``.
        temperature: T > 0, of both sides, in D only.
        kd_weight: one number or [N].
        ce_weight: one number or [N].
        normalizer: a number or a 0-d tensor; None counts the tokens with a label (1 if none has).
        student_bias: [V].
        softcap: ``cap(x) = softcap * tanh(x / softcap)``; None: no cap.
        logit_scale: multiplies the logits before the cap.
        ignore_index: label of tokens to leave out.
        workspace_bytes: bound of the temporary logits; None: 256 MiB on a CPU, on a GPU a
            quarter of its free memory up to 2 GiB. At least one token is worked on at a time.
        implementation: ``triton``, ``torch``, ``reference`` or ``auto``; see `implementations`.

    Returns:
        A `DistillLoss`; only its `loss` is differentiable.

    Raises:
        ValueError: an argument does not fit; the message says which, what was expected and
            what was given. Values inside tensors are checked under ``COLLEGIUM_CHECKS=1``.
    """
    checks.tensor("student_hidden", student_hidden, ["N", "Ds"])
    checks.tensor("student_weight", student_weight, ["V", student_hidden.shape[1]], student_hidden)
    checks.same_dtype("student_weight", student_weight, "student_hidden", student_hidden)
    problem = build_problem(
        student_hidden,
        student_weight,
        labels,
        teachers,
        divergence=divergence,
        beta=beta,
        temperature=temperature,
        kd_weight=kd_weight,
        ce_weight=ce_weight,
        normalizer=normalizer,
        student_bias=student_bias,
        softcap=softcap,
        logit_scale=logit_scale,
        ignore_index=ignore_index,
    )
    return evaluate(problem, implementation, workspace_bytes)


def distill_loss(
    student_logits: Tensor,
    labels: Tensor,
    teachers: Sequence[Teacher],
    *,
    divergence: str = "forward_kl",
    beta: float = 0.5,
    temperature: float = 1.0,
    kd_weight: float | Tensor = 1.0,
    ce_weight: float | Tensor = 1.0,
    normalizer: float | Tensor | None = None,
    student_bias: Tensor | None = None,
    softcap: float | None = None,
    logit_scale: float = 1.0,
    ignore_index: int = -100,
    workspace_bytes: int | None = None,
    implementation: str = "auto",
) -> DistillLoss:
    """Distillation plus cross-entropy from logits that exist already.

    The same loss as `linear_distill_loss` with ``z = cap(logit_scale * (student_logits +
    student_bias))`` and student_logits [N, V] floating; all other arguments, the result and the
    errors are the same: ``forward_kl`` is KL(teacher || student), ``reverse_kl`` is
    KL(student || teacher), ``jsd`` is beta KL(teacher || m) + (1 - beta) KL(student || m). The
    gradient in the logits is [N, V], so where memory counts give hidden states and head instead.
    """
    checks.tensor("student_logits", student_logits, ["N", "V"])
    problem = build_problem(
        student_logits,
        None,
        labels,
        teachers,
        divergence=divergence,
        beta=beta,
        temperature=temperature,
        kd_weight=kd_weight,
        ce_weight=ce_weight,
        normalizer=normalizer,
        student_bias=student_bias,
        softcap=softcap,
        logit_scale=logit_scale,
        ignore_index=ignore_index,
    )
    return evaluate(problem, implementation, workspace_bytes)


def build_problem(
    student: Tensor,
    weight: Tensor | None,
    labels: Tensor,
    teachers: Sequence[Teacher],
    *,
    divergence: str = "forward_kl",
    beta: float = 0.5,
    temperature: float = 1.0,
    kd_weight: float | Tensor = 1.0,
    ce_weight: float | Tensor = 1.0,
    normalizer: float | Tensor | None = None,
    student_bias: Tensor | None = None,
    softcap: float | None = None,
    logit_scale: float = 1.0,
    ignore_index: int = -100,
) -> Problem:
    """Check the arguments of a loss and return them with their defaults filled in.

    `student` are hidden states, or logits where `weight` is None.
    """
    checks.check_options(divergence, beta, temperature, softcap)
    tokens = student.shape[0]
    vocabulary = student.shape[1] if weight is None else weight.shape[0]
    if vocabulary < 1:
        raise checks.refuse("student_weight", "at least one id in the vocabulary", vocabulary)
    checks.tensor("labels", labels, [tokens], student, integer=True)
    if student_bias is not None:
        checks.tensor("student_bias", student_bias, [vocabulary], student)
    checks.check_weight("kd_weight", kd_weight, tokens, student)
    checks.check_weight("ce_weight", ce_weight, tokens, student)
    checks.check_normalizer(normalizer, student)
    checks.check_teachers(teachers)
    for k, teacher in enumerate(teachers):
        checks.check_teacher(f"teachers[{k}]", teacher, student, vocabulary, divergence)
    checks.check_mix(teachers, kd_weight)
    return Problem(
        student=student,
        weight=weight,
        bias=student_bias,
        labels=labels.long(),
        teachers=tuple(teachers),
        mix=_mixes(teachers, student),
        kd_weight=_per_token(kd_weight, student),
        ce_weight=_per_token(ce_weight, student),
        normalizer=_number(normalizer, student),
        divergence=divergence,
        beta=float(beta),
        temperature=float(temperature),
        softcap=None if softcap is None else float(softcap),
        logit_scale=float(logit_scale),
        ignore_index=ignore_index,
        operands=autocast_operands(student),
    )


def evaluate(problem: Problem, implementation: str, workspace_bytes: int | None) -> DistillLoss:
    """Evaluate a problem with the implementation of that name."""
    chosen = choose_implementation(implementation, problem.student)
    checks.check_workspace(workspace_bytes)
    if chosen == "reference":
        value_checks.check_values(problem)
        return reference_loss(problem)
    return chunked_loss(problem, workspace_bytes, fused=chosen == "triton")


def implementations() -> dict[str, str]:
    """Return the implementations and what each is; ``auto`` names the one that is used."""
    return {
        "auto": "triton on a CUDA device where triton is installed (not for float64), else torch",
        "triton": "chunked, gradient in the forward pass, fused row kernels, CUDA devices",
        "torch": "chunked, gradient in the forward pass, any device",
        "reference": "dense autograd, the oracle",
    }


def choose_implementation(name: str, student: Tensor) -> str:
    """Return which implementation evaluates a loss of `student`; refuse one that cannot."""
    checks.one_of("implementation", name, checks.IMPLEMENTATIONS)
    if name not in ("auto", "triton"):
        return name
    missing = _why_no_triton(student)
    if name == "auto":
        return "triton" if missing is None and student.is_cuda else "torch"
    if missing is not None:
        raise checks.refuse("implementation", "'auto' or 'torch' here", f"'triton', {missing}")
    return name


def _why_no_triton(student: Tensor) -> str | None:
    """Say what keeps the row kernels from running, None if nothing does."""
    if student.dtype == torch.float64:
        return "which computes in float32, for float64 inputs"
    if not (student.is_cuda or os.environ.get("TRITON_INTERPRET") == "1"):
        return f"which needs a CUDA device, on {student.device}"
    if not _triton_is_installed():
        return "which is not installed"
    return None


@functools.cache
def _triton_is_installed() -> bool:
    return importlib.util.find_spec("triton") is not None


def autocast_operands(like: Tensor) -> torch.dtype | None:
    """Return the dtype that autocast wants matrix products in on a GPU, None elsewhere.

    On a CPU products of widened operands are as fast and exact, so autocast changes nothing.
    """
    kind = like.device.type
    if kind == "cuda" and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return None


def _wide(like: Tensor) -> torch.dtype:
    return torch.float64 if like.dtype == torch.float64 else torch.float32


def _number(value: float | Tensor | None, like: Tensor) -> Tensor | None:
    if value is None or isinstance(value, Tensor):
        return value
    return torch.full((), float(value), dtype=_wide(like), device=like.device)


def _per_token(value: float | Tensor, like: Tensor) -> Tensor:
    """Return [N] weights in the compute dtype."""
    tokens = like.shape[0]
    if isinstance(value, Tensor):
        return value.detach().to(_wide(like)).expand(tokens)
    return torch.full((tokens,), float(value), dtype=_wide(like), device=like.device)


def _mixes(teachers: Sequence[Teacher], like: Tensor) -> Tensor:
    """Return [K, N] mixes."""
    if not teachers:
        return torch.zeros((0, like.shape[0]), dtype=_wide(like), device=like.device)
    return torch.stack([_per_token(teacher.mix, like) for teacher in teachers])
