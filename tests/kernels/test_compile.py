"""The loss under torch.compile: one graph, the same numbers."""

from __future__ import annotations

import functools

import pytest
import torch

from collegium.kernels import (
    LiveTeacher,
    SampledTeacher,
    TopKTeacher,
    linear_distill_loss,
    linear_token_logprobs,
)

pytestmark = pytest.mark.unpoisoned


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def tensors(tokens: int = 12, vocabulary: int = 40):
    best = torch.log_softmax(torch.randn(tokens, vocabulary), -1).topk(4, -1)
    labels = torch.randint(0, vocabulary, (tokens,))
    labels[2] = -100
    return {
        "hidden": torch.randn(tokens, 8),
        "weight": torch.randn(vocabulary, 8),
        "bias": torch.randn(vocabulary),
        "labels": labels,
        "teacher_hidden": torch.randn(tokens, 6),
        "teacher_weight": torch.randn(vocabulary, 6),
        "ids": best.indices,
        "logprobs": best.values,
        "mix": torch.rand(tokens),
        "normalizer": torch.tensor(5.0),
    }


def loss(
    hidden,
    weight,
    bias,
    labels,
    teacher_hidden,
    teacher_weight,
    ids,
    logprobs,
    mix,
    normalizer,
    samples=True,
):
    teachers = [
        LiveTeacher(teacher_hidden, teacher_weight, mix, softcap=5.0),
        TopKTeacher(ids, logprobs, 0.5),
    ]
    if samples:
        teachers.append(SampledTeacher(ids, logprobs.exp(), 0.2))
    out = linear_distill_loss(
        torch.tanh(hidden),
        weight,
        labels,
        teachers,
        temperature=2.0,
        kd_weight=mix,
        student_bias=bias,
        normalizer=normalizer,
    )
    return out.loss, out.per_token, out.per_teacher


def logprobs(hidden, weight, bias, labels, **_):
    values = linear_token_logprobs(torch.tanh(hidden), weight, labels, bias=bias)
    return (values * torch.arange(len(values))).sum(), values


def run(function, given):
    leaves = {name: given[name].clone().requires_grad_() for name in ("hidden", "weight", "bias")}
    out = function(**{**given, **leaves})
    (3.0 * out[0]).backward()
    return [part.detach() for part in out] + [leaf.grad for leaf in leaves.values()]


@pytest.mark.parametrize("function", [loss, logprobs])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_one_graph(function, backend):
    compiled = torch.compile(function, fullgraph=True, backend=backend)
    for tokens in (12, 20):
        given = tensors(tokens)
        for found, expected in zip(run(compiled, given), run(function, given), strict=True):
            assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("function", [loss, logprobs])
def test_default_compiler(function):
    compiled = torch.compile(function, fullgraph=True)
    given = tensors()
    for found, expected in zip(run(compiled, given), run(function, given), strict=True):
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("name", ["distill_loss", "token_logprobs"])
def test_operators_are_what_they_declare(name):
    """The operator's schema, shapes and autograd registration hold for a real call."""
    calls = []
    operator = getattr(torch.ops.collegium, name).default
    given = tensors()

    class Record(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is operator:
                calls.append(args)
            return func(*args, **(kwargs or {}))

    # The samples' agreement is NaN, which the check below cannot compare.
    function = logprobs if name == "token_logprobs" else functools.partial(loss, samples=False)
    with Record():
        run(function, given)
    args = [a.detach().clone() if isinstance(a, torch.Tensor) else a for a in calls[0]]
    for index in (0, 1, 2):
        args[index].requires_grad_()
    torch.library.opcheck(operator, tuple(args), atol=1e-5, rtol=1e-4)
