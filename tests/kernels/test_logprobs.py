"""Per-token log-probabilities and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from collegium.kernels import linear_token_logprobs


def run(made, upstream, implementation, **options):
    leaves = [made.student.clone().requires_grad_(), made.weight.clone().requires_grad_()]
    bias = options.pop("bias", None)
    if bias is not None:
        leaves.append(bias.clone().requires_grad_())
        options["bias"] = leaves[-1]
    values = linear_token_logprobs(
        leaves[0], leaves[1], made.labels, implementation=implementation, **options
    )
    (values * upstream).sum().backward()
    return [values.detach(), *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("workspace", [None, 1, 3000])
@pytest.mark.parametrize("labels", ["none", "some", "all"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 2.0, "softcap": 3.0, "logit_scale": 0.7, "bias": torch.randn(37).double()},
    ],
    ids=["plain", "all"],
)
def test_against_the_reference(case, error, workspace, labels, options):
    made = case(labels=labels)
    upstream = torch.randn(11, dtype=torch.float64)
    upstream[1] = 0.0
    found = run(made, upstream, "torch", workspace_bytes=workspace, **dict(options))
    expected = run(made, upstream, "reference", **dict(options))
    for value, right in zip(found, expected, strict=True):
        assert error(value, right) < 1e-12
    assert not found[0][made.labels == -100].any()


@pytest.mark.parametrize("dtype, limit", [(torch.float32, 1e-6), (torch.bfloat16, 4e-3)])
def test_precision(case, error, dtype, limit):
    made = case(40, 700, 16, labels="some", dtype=dtype)
    upstream = torch.randn(40)
    found = run(made, upstream, "torch", workspace_bytes=50_000)
    expected = run(made.to(torch.float64), upstream.double(), "reference")
    assert found[0].dtype == torch.float32
    assert error(found[0], expected[0]) < 1e-6
    for value, right in zip(found[1:], expected[1:], strict=True):
        assert value.dtype == dtype
        assert error(value, right) < limit


def test_finite_differences(case):
    made = case(4, 7, 3, labels="none")
    inputs = [made.student.requires_grad_(), made.weight.requires_grad_()]
    assert torch.autograd.gradcheck(
        lambda hidden, weight: linear_token_logprobs(
            hidden, weight, made.labels, softcap=2.0, temperature=1.5
        ),
        inputs,
    )


def test_agrees_with_the_cross_entropy(case, error):
    from collegium.kernels import linear_distill_loss

    made = case(labels="some")
    values = linear_token_logprobs(made.student, made.weight, made.labels)
    out = linear_distill_loss(made.student, made.weight, made.labels, [])
    assert error(-values, out.per_token) < 1e-12


def test_tokens_without_gradient_cost_backward_nothing(case):
    made = case(20, labels="none")
    hidden = made.student.requires_grad_()
    for upstream, share in ((torch.ones(20), 1.0), ((torch.arange(20) < 5).float(), 0.25)):
        values = linear_token_logprobs(hidden, made.weight, made.labels)
        node = values.grad_fn
        args = (upstream.double(), values.grad_fn.saved_tensors[4], hidden, made.weight, None)
        options = (0.0, 1.0, 1.0, -100, 0, None, True, False, False)
        del node
        from collegium.kernels import logprobs

        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            logprobs._logprobs_backward(*args, made.labels, *options)
        assert counter.get_total_flops() == share * 2 * (2 * 20 * 37 * 8)


def test_no_tokens(case):
    made = case(0)
    values = linear_token_logprobs(made.student.requires_grad_(), made.weight, made.labels)
    values.sum().backward()
    assert values.shape == (0,)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"labels": torch.tensor([37] * 11)}, r"labels\[0\]: expected an id in \[0, 37\)"),
        ({"labels": torch.zeros(11)}, "labels: expected int64 or int32 ids"),
        ({"hidden": torch.zeros(11, 9).double()}, r"weight: expected shape \[V, 9\]"),
        ({"temperature": 0.0}, "temperature: expected a number above 0"),
        ({"workspace_bytes": 0}, "workspace_bytes: expected None or a number of bytes, got 0"),
        (
            {"implementation": "triton"},
            "implementation: expected one of 'auto', 'torch', 'reference'",
        ),
    ],
)
def test_bad_input(case, change, message):
    made = case(labels="none")
    given = {"hidden": made.student, "weight": made.weight, "labels": made.labels, **change}
    with pytest.raises(ValueError, match=message):
        linear_token_logprobs(**given)
