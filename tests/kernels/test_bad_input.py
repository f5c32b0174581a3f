"""Every bad argument is refused by name, with what was expected and what was given."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from collegium.kernels import (
    LiveTeacher,
    LogitsTeacher,
    SampledTeacher,
    TopKTeacher,
    distill_loss,
    linear_distill_loss,
)

N, V, D = 6, 20, 4


def arguments(**change):
    given = {
        "student_hidden": torch.randn(N, D),
        "student_weight": torch.randn(V, D),
        "labels": torch.zeros(N, dtype=torch.long),
        "teachers": [live()],
    }
    return {**given, **change}


def live(**change):
    return replace(LiveTeacher(torch.randn(N, 3), torch.randn(V, 3)), **change)


def listed(**change):
    best = torch.log_softmax(torch.randn(N, V), -1).topk(3, -1)
    return replace(TopKTeacher(best.indices, best.values), **change)


def columns(*head: int):
    out = torch.full((V,), -1)
    out[: len(head)] = torch.tensor(head)
    return out


def labels(value: int):
    out = torch.zeros(N, dtype=torch.long)
    out[2] = value
    return out


REFUSED = [
    # shapes
    ({"student_hidden": torch.randn(2, N, D)}, r"student_hidden: .*\[N, Ds\], got \[2, 6, 4\]"),
    ({"student_weight": torch.randn(V, D + 1)}, r"student_weight: .*\[V, 4\], got \[20, 5\]"),
    ({"student_weight": torch.randn(0, D), "teachers": []}, "student_weight: .*at least one id"),
    ({"labels": torch.zeros(N + 1).long()}, r"labels: expected shape \[6\], got \[7\]"),
    ({"student_bias": torch.randn(V + 1)}, r"student_bias: .*\[20\], got \[21\]"),
    ({"kd_weight": torch.ones(N, 1)}, r"kd_weight: .*\[6\], got \[6, 1\]"),
    ({"ce_weight": torch.ones(2)}, r"ce_weight: .*\[6\], got \[2\]"),
    ({"normalizer": torch.ones(1)}, r"normalizer: .*0-d tensor, got shape \[1\]"),
    ({"teachers": [live(hidden=torch.randn(N + 1, 3))]}, r"teachers\[0\].hidden: .*\[6, Dt\]"),
    ({"teachers": [live(weight=torch.randn(V, 4))]}, r"teachers\[0\].weight: .*\[Vt, 3\]"),
    ({"teachers": [live(bias=torch.randn(3))]}, r"teachers\[0\].bias: .*\[20\], got \[3\]"),
    ({"teachers": [live(weight=torch.randn(V + 2, 3))]}, r"columns: .*22 logits.*20.*got None"),
    ({"teachers": [live(columns=torch.zeros(3).long())]}, r"teachers\[0\].columns: .*\[20\]"),
    ({"teachers": [LogitsTeacher(torch.randn(N, 3))]}, r"columns: .*has 3 logits"),
    ({"teachers": [live(), listed(logprobs=torch.randn(N, 2))]}, r"teachers\[1\].logprobs: .*3"),
    ({"teachers": [listed(ids=torch.zeros(N, 0).long(), logprobs=torch.zeros(N, 0))]}, "k between"),
    ({"teachers": [live(mix=torch.ones(3))]}, r"teachers\[0\].mix: .*\[6\], got \[3\]"),
    # types, dtypes
    ({"student_hidden": [[1.0]]}, "student_hidden: expected a tensor .*got list"),
    ({"student_hidden": torch.zeros(N, D).long()}, "student_hidden: expected a floating dtype"),
    ({"student_weight": torch.randn(V, D).bfloat16()}, "student_weight: .*float32.*autocast"),
    ({"labels": torch.zeros(N)}, "labels: expected int64 or int32 ids, got torch.float32"),
    ({"teachers": [live(hidden=torch.randn(N, 3).half())]}, r"teachers\[0\].weight: .*float16"),
    ({"teachers": [listed(ids=torch.zeros(N, 3))]}, r"teachers\[0\].ids: expected int64"),
    ({"teachers": live()}, "teachers: expected a list of teachers.*got LiveTeacher"),
    ({"teachers": [live(mix=float("nan"))]}, r"teachers\[0\].mix: expected a number >= 0, got nan"),
    ({"teachers": [live(hidden=torch.randn(N, 3, device="meta"))]}, r"\[0\].hidden: .*device cpu"),
    ({"teachers": ["gpt"]}, r"teachers\[0\]: expected a LiveTeacher.*got str"),
    ({"kd_weight": "much"}, "kd_weight: expected a number or a tensor"),
    ({"labels": torch.zeros(N, device="meta").long()}, "labels: expected device cpu"),
    ({"normalizer": torch.zeros((), device="meta")}, "normalizer: expected device cpu"),
    # numbers
    ({"temperature": 0.0}, "temperature: expected a number above 0, got 0.0"),
    ({"temperature": -1.0}, "temperature: "),
    ({"temperature": float("nan")}, "temperature: "),
    ({"divergence": "jsd", "beta": 0.0}, r"beta: .*\(0, 1\).*forward_kl"),
    ({"divergence": "jsd", "beta": 1.0}, r"beta: .*\(0, 1\).*reverse_kl"),
    ({"divergence": "jsd", "beta": 1.5}, r"beta: .*got 1.5"),
    ({"softcap": 0.0}, "softcap: expected None or a number above 0, got 0.0"),
    ({"normalizer": 0.0}, "normalizer: "),
    ({"workspace_bytes": 0}, "workspace_bytes: expected None or a number of bytes, got 0"),
    ({"teachers": [live(mix=-0.5)]}, r"teachers\[0\].mix: expected a number >= 0, got -0.5"),
    ({"teachers": [live(mix=0.0), live(mix=0)]}, "mix: .*at least one teacher, got 0 for all"),
    ({"teachers": [live(softcap=-1.0)]}, r"teachers\[0\].softcap: "),
    # names
    ({"divergence": "foward_kl"}, "divergence: .*got 'foward_kl' .did you mean 'forward_kl'"),
    ({"implementation": "pytorch"}, "implementation: .*did you mean 'torch'"),
    ({"implementation": "triton"}, "implementation: .*'triton', which needs a CUDA"),
    ({"teachers": [listed(tail="buckets")]}, r"teachers\[0\].tail: .*did you mean 'bucket'"),
    # combinations
    ({"teachers": [listed(tail="zero")], "divergence": "reverse_kl"}, "tail: .*'bucket' with rev"),
    (
        {
            "teachers": [SampledTeacher(torch.zeros(N, 2).long(), torch.ones(N, 2))],
            "divergence": "jsd",
        },
        "divergence: expected 'forward_kl' with a SampledTeacher",
    ),
    # values, under COLLEGIUM_CHECKS=1
    ({"labels": labels(V)}, r"labels\[2\]: expected an id in \[0, 20\) or -100, got 20"),
    ({"labels": labels(-1)}, r"labels\[2\]: .*got -1"),
    ({"kd_weight": torch.full((N,), torch.nan)}, "kd_weight: expected finite"),
    ({"normalizer": torch.tensor(0.0)}, "normalizer: expected a number above 0, got 0.0"),
    ({"teachers": [live(mix=-torch.ones(N))]}, r"teachers\[0\].mix\[0\]: .*>= 0, got -1.0"),
    ({"teachers": [live(mix=torch.zeros(N))]}, "mix: .*got 0 everywhere"),
    (
        {"teachers": [listed(ids=torch.full((N, 3), 4))]},
        r"ids\[0\]: expected unique ids, got 4 twice",
    ),
    ({"teachers": [listed(ids=torch.full((N, 3), V))]}, r"teachers\[0\].ids: .*\[0, 20\), got 20"),
    ({"teachers": [listed(logprobs=torch.zeros(N, 3))]}, "logprobs: .*a sum of 3"),
    (
        {"teachers": [SampledTeacher(torch.zeros(N, 2).long(), -torch.ones(N, 2))]},
        r"teachers\[0\].weights: expected numbers >= 0",
    ),
    (
        {"teachers": [live(columns=columns(0, 0))]},
        "columns: expected each column at most once, got 0",
    ),
    ({"teachers": [live(columns=columns(V))]}, r"columns: expected -1 or columns in \[0, 20\)"),
    ({"teachers": [live(columns=columns())]}, "columns: expected at least one shared column"),
    (
        {
            "teachers": [live(bias=torch.tensor([0.0] * 7 + [-torch.inf] * 13))],
            "divergence": "reverse_kl",
        },
        r"teachers\[0\]: expected finite logits .*-inf for student id 7",
    ),
]


@pytest.mark.parametrize("implementation", ["torch", "reference"])
@pytest.mark.parametrize("change, message", REFUSED, ids=[m for _, m in REFUSED])
def test_refused(change, message, implementation):
    with pytest.raises(ValueError, match=message):
        linear_distill_loss(**{"implementation": implementation, **arguments(**change)})


def test_values_are_not_read_unless_asked(monkeypatch):
    """Without COLLEGIUM_CHECKS=1 no value is looked at, so that a GPU need not wait."""
    monkeypatch.delenv("COLLEGIUM_CHECKS")
    negative = live(mix=-torch.ones(N))
    out = linear_distill_loss(**arguments(teachers=[negative]))
    assert out.kd.item() == 0.0


def test_logits_are_checked_too():
    with pytest.raises(ValueError, match=r"student_logits: expected shape \[N, V\]"):
        distill_loss(torch.randn(N), torch.zeros(N).long(), [])
    with pytest.raises(ValueError, match=r"columns: .*20 logits and the student 5"):
        distill_loss(torch.randn(N, 5), torch.zeros(N).long(), [live()])


def test_masking_both_sides_makes_reverse_kl_finite():
    bias = torch.tensor([0.0] * 7 + [-torch.inf] * 13)
    out = linear_distill_loss(
        **arguments(teachers=[live(bias=bias)], divergence="reverse_kl", student_bias=bias)
    )
    assert out.loss.isfinite()


def test_support_is_compared_token_by_token():
    """What a teacher rules out on one token does not count on another."""
    student, teacher = torch.randn(N, V), torch.randn(N, V)
    student[0, 3] = teacher[0, 3] = -torch.inf
    labels = torch.zeros(N, dtype=torch.long)
    options = {"divergence": "reverse_kl", "ce_weight": 0.0}
    for implementation in ("torch", "reference"):
        out = distill_loss(
            student, labels, [LogitsTeacher(teacher)], implementation=implementation, **options
        )
        assert out.loss.isfinite()
    student[0, 3] = 0.0
    with pytest.raises(ValueError, match="-inf for student id 3"):
        distill_loss(student, labels, [LogitsTeacher(teacher)], **options)


def test_a_soft_cap_leaves_nothing_infinite():
    bias = torch.tensor([0.0] * 7 + [-torch.inf] * 13)
    capped = live(bias=bias, softcap=5.0)
    out = linear_distill_loss(**arguments(teachers=[capped], divergence="reverse_kl"))
    assert out.loss.isfinite()
    with pytest.raises(ValueError, match="-inf for student id 7"):
        linear_distill_loss(
            **arguments(teachers=[live(bias=bias)], divergence="reverse_kl"),
            student_bias=bias,
            softcap=5.0,
        )
