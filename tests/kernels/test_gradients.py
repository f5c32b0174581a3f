"""Gradients: against finite differences, in tied and frozen parts, in half precision."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from collegium.kernels import LiveTeacher, linear_distill_loss
from collegium.kernels.chunked import ChunkedLoss

KINDS = ["forward_kl", "reverse_kl", "jsd"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "teachers", [("live", "capped"), ("both_columns",), ("student_columns", "bucket")], ids=str
)
def test_finite_differences(case, kind, teachers):
    made = case(5, 9, 3, teachers=teachers, divergence=kind, beta=0.3, temperature=1.5)
    bias = torch.randn(9, dtype=torch.float64)

    def loss(hidden, weight, bias):
        return linear_distill_loss(
            hidden,
            weight,
            made.labels,
            made.teachers,
            student_bias=bias,
            softcap=4.0,
            logit_scale=0.8,
            **made.options,
        ).loss

    inputs = [t.requires_grad_() for t in (made.student, made.weight, bias)]
    assert torch.autograd.gradcheck(loss, inputs, fast_mode=True)


def test_a_graph_may_be_walked_twice(case):
    made = case(teachers=("live",))
    hidden, weight = made.student.requires_grad_(), made.weight.requires_grad_()
    loss = linear_distill_loss(hidden, weight, made.labels, made.teachers).loss
    first = torch.autograd.grad(2 * loss, [hidden, weight], retain_graph=True)
    first = [g.clone() for g in first]
    second = torch.autograd.grad(3 * loss, [hidden, weight])
    for a, b in zip(first, second, strict=True):
        assert torch.allclose(a * 1.5, b)


def test_gradients_accumulate_over_two_backwards(case):
    made = case(teachers=("live",))
    weight = made.weight.requires_grad_()
    loss = linear_distill_loss(made.student, weight, made.labels, made.teachers).loss
    loss.backward(retain_graph=True)
    once = weight.grad.clone()
    loss.backward()
    assert torch.allclose(weight.grad, 2 * once)


def test_frozen_parts_get_no_gradient(case, error):
    made = case(teachers=("live", "bucket"))
    full = made.run("torch")
    for frozen in ("student", "weight"):
        parts = {"student": made.student.clone(), "weight": made.weight.clone()}
        for name, part in parts.items():
            part.requires_grad_(name != frozen)
        out = linear_distill_loss(
            parts["student"], parts["weight"], made.labels, made.teachers, **made.options
        )
        (1.7 * out.loss).backward()
        for name, part in parts.items():
            if name == frozen:
                assert part.grad is None
            else:
                assert error(part.grad, full[f"d_{name}"]) < 1e-12
    with torch.no_grad():
        out = linear_distill_loss(made.student, made.weight, made.labels, made.teachers)
    assert not out.loss.requires_grad
    assert error(out.loss, full["loss"]) < 1e-12


@pytest.mark.parametrize("implementation", ["torch", "reference"])
def test_a_tied_weight_gets_both_gradients(case, implementation):
    """The embedding is the head: its gradient is the sum of the two uses."""
    made = case(teachers=("live",))
    ids = torch.randint(0, 37, (11,))

    def gradient(embedding, head):
        hidden = torch.tanh(F.embedding(ids, embedding))
        linear_distill_loss(
            hidden, head, made.labels, made.teachers, implementation=implementation
        ).loss.backward()

    tied = made.weight.clone().requires_grad_()
    gradient(tied, tied)
    embedding, head = (made.weight.clone().requires_grad_() for _ in range(2))
    gradient(embedding, head)
    assert torch.allclose(tied.grad, embedding.grad + head.grad)


def test_only_the_loss_is_differentiable(case):
    made = case(teachers=("live",))
    out = linear_distill_loss(
        made.student.requires_grad_(), made.weight, made.labels, made.teachers
    )
    for name, value in vars(out).items():
        assert value.requires_grad == (name == "loss"), name


def test_teachers_and_weights_are_constants(case):
    made = case(teachers=("live",))
    hidden = made.teachers[0].hidden.requires_grad_()
    ce_weight = torch.ones(11, dtype=torch.float64, requires_grad=True)
    for implementation in ("torch", "reference"):
        linear_distill_loss(
            made.student.requires_grad_(),
            made.weight,
            made.labels,
            made.teachers,
            ce_weight=ce_weight,
            implementation=implementation,
        ).loss.backward()
        assert hidden.grad is None and ce_weight.grad is None


def near_teacher(tokens: int, vocabulary: int, spread: float, difference: float):
    """Return a student and a teacher with realistic logits, the student close to its teacher."""
    size = 64
    weight = torch.randn(vocabulary, size)
    hidden = torch.randn(tokens, size) * spread / size**0.5
    other = hidden + torch.randn(tokens, size) * difference / size**0.5
    return hidden, weight, LiveTeacher(other, weight), torch.randint(0, vocabulary, (tokens,))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spread, difference", [(3.0, 1.3), (10.0, 0.7)])
def test_error_budget_in_single_precision(case, error, kind, spread, difference):
    """Not further from float64 than dense autograd in the same precision."""
    hidden, weight, teacher, labels = near_teacher(48, 2500, spread, difference)
    made = replace(
        case(teachers=()),
        student=hidden,
        weight=weight,
        labels=labels,
        teachers=[teacher],
        options={"divergence": kind, "ce_weight": 0.0},
    )
    exact = made.to(torch.float64).run("reference")
    eager, found = made.run("reference"), made.run("torch", workspace_bytes=1 << 18)
    for name in ("loss", "d_student", "d_weight", "per_token"):
        assert error(found[name], exact[name]) <= error(eager[name], exact[name]) + 1e-6, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype, limit", [(torch.bfloat16, 3e-3), (torch.float16, 4e-4)])
def test_half_precision_inputs_keep_their_logits_exact(case, error, kind, dtype, limit):
    """Only the returned gradients are rounded, to the inputs' own dtype; logits never are."""
    hidden, weight, teacher, labels = near_teacher(48, 2500, 10.0, 0.7)
    made = replace(
        case(teachers=()),
        student=hidden,
        weight=weight,
        labels=labels,
        teachers=[teacher],
        options={"divergence": kind, "ce_weight": 0.0, "normalizer": 1.0},
    ).to(dtype)
    exact = made.to(torch.float64).run("reference")
    found = made.run("torch", workspace_bytes=1 << 18)
    assert found["loss"].dtype == torch.float32
    assert error(found["loss"], exact["loss"]) < 1e-5
    for name in ("d_student", "d_weight"):
        assert found[name].dtype == dtype
        assert error(found[name], exact[name]) < limit, name
    rounded = _rounded_eager(made, kind)
    assert error(rounded, exact["d_student"]) > 10 * error(found["d_student"], exact["d_student"])


def _rounded_eager(made, kind: str) -> torch.Tensor:
    """Return the hidden states' gradient when the logits are rounded to the inputs' dtype."""
    student = made.student.clone().requires_grad_()
    teacher = made.teachers[0]
    logits = (student @ made.weight.T).float()
    other = (teacher.hidden @ teacher.weight.T).float()
    lq, lp = torch.log_softmax(logits, -1), torch.log_softmax(other, -1)
    log_m = torch.logaddexp(lq, lp) - torch.log(torch.tensor(2.0))
    loss = {
        "forward_kl": lambda: (lp.exp() * (lp - lq)).sum(),
        "reverse_kl": lambda: (lq.exp() * (lq - lp)).sum(),
        "jsd": lambda: 0.5 * (lp.exp() * (lp - log_m) + lq.exp() * (lq - log_m)).sum(),
    }[kind]()
    (1.7 * loss).backward()
    return student.grad


def test_bfloat16_autocast(case, error):
    """Under autocast a float32 head and bfloat16 hidden states work, in float32 precision."""
    made = case(64, 500, 32, teachers=("live",), dtype=torch.float32)
    linear = torch.nn.Linear(32, 32)
    results = {}
    for implementation in ("torch", "reference"):
        linear.zero_grad()
        weight = made.weight.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = linear(made.student)
            assert hidden.dtype == torch.bfloat16
            out = linear_distill_loss(
                hidden, weight, made.labels, made.teachers, implementation=implementation
            )
        out.loss.backward()
        assert out.loss.dtype == weight.grad.dtype == torch.float32
        results[implementation] = (out.loss.detach(), weight.grad, linear.weight.grad.clone())
    for found, expected in zip(results["torch"], results["reference"], strict=True):
        assert error(found, expected) < 5e-3
    assert error(results["torch"][1], results["reference"][1]) < 1e-5


@pytest.mark.parametrize("on_card", [False, True])
def test_float16_gradients_survive_a_long_mean_under_a_loss_scale(
    case, error, monkeypatch, on_card
):
    """One over 2^23 tokens is nothing in float16; a gradient scaler's factor comes in backward."""
    if on_card:  # There dz enters its products in float16.
        monkeypatch.setattr(ChunkedLoss, "_product_dtype", lambda self: torch.float16)
    made = case(24, 300, 32, teachers=("live",)).to(torch.float16)
    gradients = {}
    for dtype in (torch.float16, torch.float64):
        problem = made.to(dtype)
        student = problem.student.requires_grad_()
        out = linear_distill_loss(
            student,
            problem.weight.requires_grad_(),
            problem.labels,
            problem.teachers,
            normalizer=2.0**23,
            implementation="torch" if dtype == torch.float16 else "reference",
        )
        (out.loss * 2.0**20).backward()
        gradients[dtype] = student.grad
    assert gradients[torch.float16].dtype == torch.float16
    assert error(gradients[torch.float16], gradients[torch.float64]) < 1e-3
