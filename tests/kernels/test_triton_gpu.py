"""The row kernels on a real GPU: races, half precision, peak memory, large offsets.

Needs torch, triton, pytest and a checkout:
``PYTHONPATH=python python -m pytest -m gpu tests/kernels/test_triton_gpu.py``.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from collegium.kernels import (
    DistillLoss,
    LiveTeacher,
    LogitsTeacher,
    TopKTeacher,
    distill_loss,
    linear_distill_loss,
)
from collegium.kernels.dispatch import build_problem
from collegium.kernels.reference import reference_loss

pytestmark = [pytest.mark.gpu, pytest.mark.unpoisoned]

KINDS = ["forward_kl", "reverse_kl", "jsd"]
CARD = "cuda"


def inputs(tokens: int, vocabulary: int, size: int = 256, dtype: torch.dtype = torch.bfloat16):
    """Return (hidden, weight, labels, teachers): logits of standard deviation 4, teachers near."""
    generator = torch.Generator(CARD).manual_seed(0)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=generator, device=CARD) * scale).to(dtype)

    hidden = normal(tokens, size)
    weight = normal(vocabulary, size, scale=4 / size**0.5)
    labels = torch.randint(0, vocabulary, (tokens,), generator=generator, device=CARD)
    labels[::7] = -100
    teachers = []
    for _ in range(2):
        near = (weight + normal(vocabulary, size, scale=0.4 / size**0.5)).to(dtype)
        teachers.append(LiveTeacher(hidden.clone(), near, mix=0.5))
    return hidden.requires_grad_(), weight.requires_grad_(), labels, teachers


def top_k(teacher: LiveTeacher, k: int) -> TopKTeacher:
    rows = []
    for part in teacher.hidden.split(256):
        best = torch.log_softmax(part.float() @ teacher.weight.float().T, -1).topk(k, -1)
        rows.append((best.indices, best.values))
    ids, logprobs = (torch.cat(parts) for parts in zip(*rows, strict=True))
    return TopKTeacher(ids, logprobs, mix=0.5)


def gradients(
    hidden: Tensor, weight: Tensor, *rest, **options
) -> tuple[Tensor, Tensor, DistillLoss]:
    hidden.grad = weight.grad = None
    out = linear_distill_loss(hidden, weight, *rest, **options)
    out.loss.backward()
    assert hidden.grad is not None and weight.grad is not None
    return hidden.grad, weight.grad, out


def relative(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact.double()).norm() / exact.double().norm())


@pytest.mark.parametrize("kind", KINDS)
def test_repeated_runs_agree_bit_for_bit(kind):
    hidden, weight, labels, teachers = inputs(512, 50_257)
    teachers = [*teachers, top_k(teachers[0], 64)]
    options = {"divergence": kind, "temperature": 2.0, "softcap": 30.0, "implementation": "triton"}
    first = gradients(hidden, weight, labels, teachers, **options)
    first = (first[0].clone(), first[1].clone(), first[2])
    for _ in range(20):
        again = gradients(hidden, weight, labels, teachers, **options)
        assert torch.equal(again[0], first[0]) and torch.equal(again[1], first[1])
        assert torch.equal(again[2].per_token, first[2].per_token)
        assert torch.equal(again[2].per_teacher, first[2].per_teacher)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("listed", [False, True])
def test_gradient_error_in_bfloat16(kind, temperature, listed):
    hidden, weight, labels, teachers = inputs(256, 8_000)
    if listed:
        teachers = [teachers[0], top_k(teachers[1], 32)]
    options = {"divergence": kind, "temperature": temperature, "softcap": 20.0}
    found = gradients(hidden, weight, labels, teachers, implementation="triton", **options)
    problem = build_problem(hidden, weight, labels, teachers, **options)
    hidden.grad = weight.grad = None
    exact = reference_loss(problem, torch.float64)
    exact.loss.backward()
    assert relative(found[0], hidden.grad) < 3e-3
    assert relative(found[1], weight.grad) < 3e-3
    assert relative(found[2].per_token, exact.per_token) < 1e-4
    assert relative(found[2].per_teacher, exact.per_teacher) < 1e-4
    assert torch.allclose(found[2].top1_agreement, exact.top1_agreement.float(), atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_in_float32_it_agrees_with_the_torch_path(kind):
    hidden, weight, labels, teachers = inputs(200, 3_001, dtype=torch.float32)
    teachers = [*teachers, teachers[0], teachers[1], top_k(teachers[0], 20)]
    options = {"divergence": kind, "temperature": 0.7, "student_bias": torch.randn(3_001).to(CARD)}
    found = gradients(hidden, weight, labels, teachers, implementation="triton", **options)
    other = gradients(hidden, weight, labels, teachers, implementation="torch", **options)
    assert relative(found[0], other[0]) < 1e-5
    assert relative(found[1], other[1]) < 1e-5
    assert relative(found[2].per_token, other[2].per_token) < 1e-5


def test_auto_means_triton_here():
    hidden, weight, labels, teachers = inputs(64, 1_000)
    a = gradients(hidden, weight, labels, teachers)[0].clone()
    assert torch.equal(a, gradients(hidden, weight, labels, teachers, implementation="triton")[0])


def test_peak_memory():
    """Workspace and one head's gradient in float32, not the 10 GB of two logits tensors."""
    tokens, vocabulary = 8_192, 151_936
    hidden, weight, labels, teachers = inputs(tokens, vocabulary)
    workspace = 512 << 20
    gradients(hidden[:64].detach().requires_grad_(), weight, labels[:64], [])
    hidden.grad = weight.grad = None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    gradients(hidden, weight, labels, teachers[:1], workspace_bytes=workspace)
    extra = torch.cuda.max_memory_allocated() - before
    results = weight.numel() * (4 + 2) + hidden.numel() * 4
    assert extra <= workspace + results + (128 << 20)


def test_more_logits_than_int32_counts():
    """[N, V] of 2.2 billion elements: offsets of the last rows need 64 bits."""
    tokens, vocabulary = 17_000, 131_072
    free, _ = torch.cuda.mem_get_info()
    if free < 16 << 30:
        pytest.skip("needs 16 GiB of free memory")
    logits = torch.zeros(tokens, vocabulary, dtype=torch.bfloat16, device=CARD)
    logits[-1, 5], logits[-1, -1] = 3.0, 2.0
    teacher = torch.zeros(1, vocabulary, dtype=torch.bfloat16, device=CARD)
    teacher[0, 7] = 4.0
    labels = torch.full((tokens,), -100, device=CARD)
    labels[-1] = 5
    out = distill_loss(
        logits.requires_grad_(),
        labels,
        [LogitsTeacher(teacher.expand(tokens, -1))],
        implementation="triton",
    )
    out.loss.backward()
    assert logits.grad is not None
    small = logits.detach()[-1:].double().requires_grad_()
    exact = distill_loss(small, labels[-1:], [LogitsTeacher(teacher)], implementation="reference")
    exact.loss.backward()
    assert small.grad is not None
    assert relative(out.per_token[-1:], exact.per_token) < 1e-5
    assert relative(logits.grad[-1], small.grad[0]) < 3e-3
    assert not logits.grad[:-1].any()
