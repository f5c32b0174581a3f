"""The chunked loss as one opaque operator with a gradient, so that compilers see a single node.

The operator returns the gradients beside the loss and autograd only scales them: they exist before
backward starts. That is why per-token losses come out detached, a gradient of theirs would need
the logits again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import value_checks
from .chunked import ChunkedLoss, Wanted, student_gradient_dtype
from .operators import implement
from .problem import Problem, flatten_teachers, unflatten_teachers
from .result import DistillLoss

_SCHEMA = (
    "(Tensor student, Tensor? weight, Tensor? bias, Tensor labels, Tensor[] teachers,"
    " Tensor mix, Tensor kd_weight, Tensor ce_weight, Tensor? normalizer,"
    " int[] codes, float[] numbers, str divergence, float beta, float temperature,"
    " float softcap, float logit_scale, int ignore_index, int workspace_bytes,"
    " ScalarType? operands, bool fused, bool want_student, bool want_weight, bool want_bias)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)"
)
_METRICS = 7
"""Outputs before the three gradients."""


def _outputs(ordered: list[Tensor | None], like: Tensor) -> tuple[Tensor, ...]:
    return tuple(like.new_empty(0) if part is None else part for part in ordered)


def _evaluation(fused: bool) -> type[ChunkedLoss]:
    if not fused:
        return ChunkedLoss
    from .triton.fused import FusedLoss

    return FusedLoss


@implement("distill_loss", _SCHEMA)
def _distill(
    student,
    weight,
    bias,
    labels,
    teachers,
    mix,
    kd_weight,
    ce_weight,
    normalizer,
    codes,
    numbers,
    divergence,
    beta,
    temperature,
    softcap,
    logit_scale,
    ignore_index,
    workspace_bytes,
    operands,
    fused,
    want_student,
    want_weight,
    want_bias,
):
    problem = Problem(
        student=student,
        weight=weight,
        bias=bias,
        labels=labels,
        teachers=unflatten_teachers(teachers, codes, numbers),
        mix=mix,
        kd_weight=kd_weight,
        ce_weight=ce_weight,
        normalizer=normalizer,
        divergence=divergence,
        beta=beta,
        temperature=temperature,
        softcap=softcap or None,
        logit_scale=logit_scale,
        ignore_index=ignore_index,
        operands=operands,
    )
    value_checks.check_values(problem)
    wanted = Wanted(want_student, want_weight, want_bias)
    with torch.no_grad(), torch.autocast(student.device.type, enabled=False):
        out = _evaluation(fused)(problem, wanted, workspace_bytes).run()
    return _outputs(
        [
            out.ce,
            out.kd,
            out.per_token,
            out.per_teacher,
            out.student_entropy,
            out.top1_agreement,
            out.covered_mass,
            out.d_student,
            out.d_weight,
            out.d_bias,
        ],
        out.ce,
    )


@torch.library.register_fake("collegium::distill_loss")
def _distill_fake(student, weight, bias, labels, teachers, mix, *rest):
    want_student, want_weight, want_bias = rest[-3:]
    teachers_count, tokens = mix.shape
    dtype = torch.float64 if student.dtype == torch.float64 else torch.float32

    def vector(*shape: int) -> Tensor:
        return student.new_empty(shape, dtype=dtype)

    shapes: list[tuple[int, ...]] = [(), (), (tokens,), (teachers_count,), ()]
    shapes += [(teachers_count,), (teachers_count,)]
    return _outputs(
        [
            *(vector(*shape) for shape in shapes),
            student.new_empty(student.shape, dtype=student_gradient_dtype(student, weight))
            if want_student
            else None,
            weight.new_empty(weight.shape) if want_weight else None,
            bias.new_empty(bias.shape) if want_bias else None,
        ],
        vector(),
    )


def _keep_for_backward(ctx, inputs, output) -> None:
    # Else autograd would make up a zero gradient of the head's gradient, as large as the head.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[_METRICS:])
    ctx.wanted = inputs[-3:]
    ctx.student_dtype = inputs[0].dtype
    ctx.teachers = len(inputs[4])


def _backward(ctx, d_ce, d_kd, *_):
    # The loss is ce + kd, and both carry the same gradient from it.
    scaled: list[Tensor | None] = [None, None, None]
    if d_ce is not None:
        scaled = [
            scale(gradient, d_ce) if wanted else None
            for gradient, wanted in zip(ctx.saved_tensors, ctx.wanted, strict=True)
        ]
    if scaled[0] is not None:
        scaled[0] = scaled[0].to(ctx.student_dtype)
    return (*scaled, None, [None] * ctx.teachers, *[None] * 18)


def scale(gradient: Tensor, factor: Tensor) -> Tensor:
    """Return ``gradient * factor``, in place where nobody can look at `gradient` again.

    A gradient of the head is as large as the head: a copy of it would be the biggest tensor of
    the whole loss.
    """
    if torch.compiler.is_compiling() or type(factor) is not Tensor or _graph_is_kept():
        return gradient * factor.to(gradient.dtype)
    if factor.device.type == "cpu" and factor.item() == 1.0:
        return gradient
    return gradient.mul_(factor)


def _graph_is_kept() -> bool:
    """Whether this backward may run again (retain_graph=True); yes where torch cannot tell."""
    autograd = getattr(torch._C, "_autograd", None)
    ask = getattr(autograd, "_get_current_graph_task_keep_graph", None)
    return True if ask is None else ask()


torch.library.register_autograd(
    "collegium::distill_loss", _backward, setup_context=_keep_for_backward
)


def chunked_loss(
    problem: Problem, workspace_bytes: int | None, *, fused: bool = False
) -> DistillLoss:
    """Evaluate a problem with the ``torch`` implementation, or with ``triton`` if `fused`."""
    student, weight, bias = problem.student, problem.weight, problem.bias
    grad = torch.is_grad_enabled()
    tensors, codes, numbers = flatten_teachers(problem.teachers)
    outputs = torch.ops.collegium.distill_loss(
        student,
        weight,
        bias,
        problem.labels,
        tensors,
        problem.mix,
        problem.kd_weight,
        problem.ce_weight,
        problem.normalizer,
        codes,
        numbers,
        problem.divergence,
        problem.beta,
        problem.temperature,
        problem.softcap or 0.0,
        problem.logit_scale,
        problem.ignore_index,
        workspace_bytes or 0,
        problem.operands,
        fused,
        grad and student.requires_grad,
        grad and weight is not None and weight.requires_grad,
        grad and bias is not None and bias.requires_grad,
    )
    ce, kd, *metrics = outputs[:_METRICS]
    return DistillLoss(ce + kd, ce.detach(), kd.detach(), *(part.detach() for part in metrics))
