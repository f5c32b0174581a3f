"""The ``reference`` implementation: dense, plain autograd, written to be obviously right.

Everything else is measured against it. `compute_dtype` widens all operands before the first
matrix product, so with float64 nothing is ever rounded to the inputs' own dtype.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .lists import TAIL_FLOOR, topk_target
from .problem import Problem
from .result import DistillLoss
from .teachers import LiveTeacher, SampledTeacher, Teacher, TopKTeacher


def reference_loss(problem: Problem, compute_dtype: torch.dtype | None = None) -> DistillLoss:
    """Evaluate `problem` densely in `compute_dtype` (None: float32, float64 for float64)."""
    dtype = compute_dtype or problem.compute_dtype
    with torch.autocast(problem.student.device.type, enabled=False):
        return _loss(problem, dtype)


def head_logits(
    rows: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    softcap: float | None,
    scale: float,
    dtype: torch.dtype,
) -> Tensor:
    """``cap(scale * (rows @ weight.T + bias))``; `rows` are logits where `weight` is None."""
    z = rows.to(dtype)
    if weight is not None:
        z = z @ weight.to(dtype).T
    if bias is not None:
        z = z + bias.to(dtype)
    z = z * scale
    return z if softcap is None else softcap * torch.tanh(z / softcap)


def expectation(weights: Tensor, values: Tensor) -> Tensor:
    """``sum_j weights_j * values_j`` over the last axis, where 0 * infinity is 0."""
    return (weights * values.masked_fill(weights == 0, 0.0)).sum(-1)


def log_sum_exp(logits: Tensor) -> Tensor:
    """[n, 1] log of the summed exponentials; -inf, with gradient 0, where all logits are."""
    nothing = (logits == -torch.inf).all(-1, keepdim=True)
    finite = torch.logsumexp(logits.masked_fill(nothing, 0.0), -1, keepdim=True)
    return finite.masked_fill(nothing, -torch.inf)


def divergence_of(kind: str, beta: float, lp: Tensor, lq: Tensor) -> Tensor:
    """D per row from log-probabilities of the teacher (`lp`) and the student (`lq`)."""
    p, q = lp.exp(), lq.exp()
    if kind == "forward_kl":
        return expectation(p, lp - lq)
    if kind == "reverse_kl":
        return expectation(q, lq - lp)
    tiny = torch.finfo(p.dtype).tiny
    log_m = (beta * p + (1 - beta) * q).clamp(min=tiny).log()
    return beta * expectation(p, lp - log_m) + (1 - beta) * expectation(q, lq - log_m)


def _loss(problem: Problem, dtype: torch.dtype) -> DistillLoss:
    labeled = problem.labels != problem.ignore_index
    # Rows without a label are cut out first: what they hold must not matter, NaN included.
    kept = labeled.nonzero()[:, 0]
    z = head_logits(
        problem.student[kept],
        problem.weight,
        problem.bias,
        problem.softcap,
        problem.logit_scale,
        dtype,
    )
    labels = problem.labels[kept]
    ce_weight = problem.ce_weight[kept].to(dtype)
    kd_weight = problem.kd_weight[kept].to(dtype)
    mix = problem.mix[:, kept].to(dtype)
    live = (mix > 0) & (kd_weight != 0)
    seen = (ce_weight != 0) | live.any(0)

    log_q1 = torch.log_softmax(z, -1)
    ce = -log_q1.gather(1, labels[:, None])[:, 0]
    ce_tokens = torch.where(ce_weight != 0, ce_weight * ce, 0.0)
    kd_tokens = torch.zeros_like(ce_tokens)
    per_teacher, agreement, covered = [], [], []
    top = z.argmax(-1)
    for k, teacher in enumerate(problem.teachers):
        on = live[k].nonzero()[:, 0]
        value, agree, mass = _teacher(problem, teacher, z[on], kept[on], top[on], dtype)
        part = problem.temperature**2 * kd_weight[on] * mix[k, on] * value
        kd_tokens = kd_tokens.index_add(0, on, part)
        count = max(1, len(on))
        per_teacher.append(value.detach().sum() / count)
        unknown = isinstance(teacher, SampledTeacher)
        agreement.append(z.new_tensor(math.nan) if unknown else agree.to(dtype).sum() / count)
        covered.append(mass.detach().sum() / count)

    denominator = problem.denominator().to(dtype)
    ce_total, kd_total = ce_tokens.sum() / denominator, kd_tokens.sum() / denominator
    entropy = -expectation(log_q1.exp(), log_q1)[seen].detach().sum() / seen.sum().clamp(min=1)
    per_token = z.new_zeros(len(problem.labels))
    per_token[kept] = (ce_tokens + kd_tokens).detach()
    return DistillLoss(
        loss=ce_total + kd_total,
        ce=ce_total.detach(),
        kd=kd_total.detach(),
        per_token=per_token.detach(),
        per_teacher=_stack(per_teacher, z),
        student_entropy=entropy,
        top1_agreement=_stack(agreement, z),
        covered_mass=_stack(covered, z),
    )


def _stack(values: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(values).detach() if values else like.new_zeros(0).detach()


def _teacher(
    problem: Problem, teacher: Teacher, z: Tensor, rows: Tensor, top: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Return D [n], top-1 agreement [n] and covered mass [n] on the rows where it is live."""
    temperature = problem.temperature
    u = z / temperature
    if isinstance(teacher, SampledTeacher):
        weights = teacher.weights[rows].to(dtype)
        listed = torch.log_softmax(u, -1).gather(1, teacher.ids[rows].long())
        return -expectation(weights, listed), top == top, weights.sum(-1)
    if isinstance(teacher, TopKTeacher):
        return _topk(problem, teacher, u, rows, top, dtype)
    if isinstance(teacher, LiveTeacher):
        raw = head_logits(
            teacher.hidden[rows],
            teacher.weight,
            teacher.bias,
            teacher.softcap,
            teacher.logit_scale,
            dtype,
        )
    else:
        raw = teacher.logits[rows].to(dtype)
    raw = raw.detach()
    v = raw / temperature
    columns = teacher.columns
    if columns is None:
        lp, lq = torch.log_softmax(v, -1), torch.log_softmax(u, -1)
        agree = raw.gather(1, top[:, None])[:, 0] >= raw.amax(-1)
        value = divergence_of(problem.divergence, problem.beta, lp, lq)
        return value, agree, torch.ones_like(value)
    return _shared(problem, columns.long(), raw, v, u, top)


def _shared(
    problem: Problem, columns: Tensor, raw: Tensor, v: Tensor, u: Tensor, top: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compare over the shared columns, with a tail bucket where both sides have more."""
    matched = columns >= 0
    unmatched = torch.ones(v.shape[1], dtype=torch.bool, device=v.device)
    unmatched[columns[matched]] = False
    student, teacher = u[:, matched], v[:, columns[matched]]
    mass = torch.softmax(v, -1)[:, columns[matched]].sum(-1)
    if bool(unmatched.any()) and not bool(matched.all()):
        student_tail = log_sum_exp(u[:, ~matched])
        teacher_tail = log_sum_exp(v[:, unmatched])
        student = torch.cat([student, student_tail], 1)
        teacher = torch.cat([teacher, teacher_tail], 1)
    value = divergence_of(
        problem.divergence,
        problem.beta,
        torch.log_softmax(teacher, -1),
        torch.log_softmax(student, -1),
    )
    column = columns[top]
    found = raw.gather(1, column.clamp(min=0)[:, None])[:, 0] >= raw.amax(-1)
    return value, (column >= 0) & found, mass


def _topk(
    problem: Problem, teacher: TopKTeacher, u: Tensor, rows: Tensor, top: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Compare over the list and the outcome "none of these"."""
    ids = teacher.ids[rows].long()
    raw = teacher.logprobs[rows]
    floor = TAIL_FLOOR if problem.divergence == "reverse_kl" else 0.0
    complete = ids.shape[1] == u.shape[1]
    lp, mass = topk_target(raw, teacher.tail, problem.temperature, floor, complete)
    lq = torch.log_softmax(u, -1)
    student = lq.gather(1, ids)
    if not complete:
        inside = torch.zeros_like(u, dtype=torch.bool).scatter(1, ids, True)
        rest = log_sum_exp(lq.masked_fill(inside, -torch.inf))
        student = torch.cat([student, rest], 1)
    value = divergence_of(problem.divergence, problem.beta, lp.to(dtype), student)
    agree = ids.gather(1, raw.argmax(-1, keepdim=True))[:, 0] == top
    return value, agree, mass.to(dtype)
