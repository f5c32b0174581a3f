"""Fixtures of the kernel tests: poisoned allocations and ready-made problems."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from collegium.kernels import (
    LiveTeacher,
    LogitsTeacher,
    SampledTeacher,
    TopKTeacher,
    distill_loss,
    linear_distill_loss,
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "unpoisoned: leave torch.empty alone, e.g. to be compiled")


@pytest.fixture(autouse=True)
def poisoned(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill what the package allocates without initialising with NaN: reading it shows."""
    if request.node.get_closest_marker("unpoisoned"):
        return

    def patch(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def allocate(*args: Any, **kwargs: Any) -> Tensor:
            out = original(*args, **kwargs)
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if caller.startswith("collegium.kernels") and out.is_floating_point():
                out.fill_(torch.nan)
            return out

        monkeypatch.setattr(owner, name, allocate)

    patch(torch, "empty")
    patch(torch, "empty_like")
    patch(torch.Tensor, "new_empty")


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@dataclass
class Case:
    """Arguments of one call and how to make it."""

    student: Tensor
    weight: Tensor | None
    labels: Tensor
    teachers: list[Any]
    options: dict[str, Any] = field(default_factory=dict)

    def to(self, dtype: torch.dtype) -> Case:
        """Return the case with every floating tensor in `dtype`."""

        def cast(value: Any) -> Any:
            if isinstance(value, Tensor) and value.is_floating_point():
                return value.detach().to(dtype)
            return value

        return Case(
            cast(self.student),
            cast(self.weight),
            self.labels,
            [replace(t, **{k: cast(v) for k, v in vars(t).items()}) for t in self.teachers],
            {name: cast(value) for name, value in self.options.items()},
        )

    def with_rubbish(self) -> Case:
        """Ignore token 0, turn a live, a top-k and a sampled teacher off in the second half.

        What lies there is NaN, infinite or out of range.
        """
        live, listed, sampled = self.teachers
        tokens, middle = len(self.labels), len(self.labels) // 2
        hidden = torch.zeros(tokens, dtype=torch.bool)
        hidden[0] = hidden[middle:] = True
        mix = torch.ones(tokens)
        mix[middle:] = 0.0

        def spoil(tensor: Tensor, rubbish: float) -> Tensor:
            return tensor.masked_fill(hidden[:, None], rubbish)

        student, labels = self.student.clone(), self.labels.clone()
        student[0], labels[0] = torch.nan, -100
        teachers = [
            replace(live, hidden=spoil(live.hidden, torch.nan), mix=mix),
            replace(
                listed,
                ids=spoil(listed.ids, -1),
                logprobs=spoil(listed.logprobs, torch.nan),
                mix=mix,
            ),
            replace(
                sampled,
                ids=spoil(sampled.ids, 10**6),
                weights=spoil(sampled.weights, torch.inf),
                mix=mix,
            ),
        ]
        options = {**self.options, "kd_weight": torch.ones(tokens)}
        options["kd_weight"][0] = torch.nan
        return replace(self, student=student, labels=labels, teachers=teachers, options=options)

    def run(self, implementation: str, **more: Any) -> dict[str, Tensor]:
        """Return every output, and the gradients of 1.7 times the loss."""
        student = self.student.detach().clone().requires_grad_()
        options = {**self.options, **more}
        bias = options.get("student_bias")
        if bias is not None:
            options["student_bias"] = bias = bias.detach().clone().requires_grad_()
        if self.weight is None:
            out = distill_loss(
                student, self.labels, self.teachers, implementation=implementation, **options
            )
            weight = None
        else:
            weight = self.weight.detach().clone().requires_grad_()
            out = linear_distill_loss(
                student,
                weight,
                self.labels,
                self.teachers,
                implementation=implementation,
                **options,
            )
        (out.loss * 1.7).backward()
        results = {name: value.detach() for name, value in vars(out).items()}
        results["d_student"] = student.grad
        if weight is not None:
            results["d_weight"] = weight.grad
        if bias is not None:
            results["d_bias"] = bias.grad
        return results


def make_case(
    tokens: int = 11,
    vocabulary: int = 37,
    size: int = 8,
    teachers: tuple[str, ...] = ("live",),
    labels: str = "some",
    logits: bool = False,
    dtype: torch.dtype = torch.float64,
    sharpness: float = 1.0,
    **options: Any,
) -> Case:
    """Build a case with random tensors; `teachers` are names of the builders below."""
    student = torch.randn(tokens, vocabulary if logits else size, dtype=dtype)
    weight = None if logits else sharpness * torch.randn(vocabulary, size, dtype=dtype)
    ids = torch.randint(0, vocabulary, (tokens,))
    if labels == "all":
        ids[:] = -100
    elif labels == "some":
        ids[::3] = -100
    build = {
        "live": _live,
        "live_half": lambda *a: replace(_live(*a), mix=0.5),
        "capped": lambda *a: replace(
            _live(*a), softcap=4.0, logit_scale=1.3, bias=torch.randn(a[1], dtype=a[2])
        ),
        "masked": _masked,
        "logits": lambda n, v, d: LogitsTeacher(2 * torch.randn(n, v, dtype=d), mix=0.4),
        "token_mix": lambda *a: replace(_live(*a), mix=_sparse_mix(a[0], a[2])),
        "both_columns": lambda *a: _columns(*a, extra=5, dropped=3),
        "student_columns": lambda *a: _columns(*a, extra=0, dropped=3),
        "teacher_columns": lambda *a: _columns(*a, extra=5, dropped=0),
        "prefix_columns": _prefix_columns,
        "bucket": lambda *a: _topk(*a, tail="bucket"),
        "zero": lambda *a: _topk(*a, tail="zero"),
        "renormalize": lambda *a: _topk(*a, tail="renormalize"),
        "sparse_bucket": lambda *a: replace(_topk(*a, tail="bucket"), mix=_sparse_mix(a[0], a[2])),
        "sampled": lambda n, v, d: SampledTeacher(
            torch.randint(0, v, (n, 5)), torch.rand(n, 5, dtype=d) / 2.5, mix=0.7
        ),
    }
    made = [build[name](tokens, vocabulary, dtype) for name in teachers]
    return Case(student, weight, ids, made, options)


def _live(tokens: int, vocabulary: int, dtype: torch.dtype) -> LiveTeacher:
    return LiveTeacher(torch.randn(tokens, 6, dtype=dtype), torch.randn(vocabulary, 6, dtype=dtype))


def _masked(tokens: int, vocabulary: int, dtype: torch.dtype) -> LogitsTeacher:
    logits = 2 * torch.randn(tokens, vocabulary, dtype=dtype)
    logits[:, 1::4] = -torch.inf
    return LogitsTeacher(logits)


def _sparse_mix(tokens: int, dtype: torch.dtype) -> Tensor:
    mix = torch.rand(tokens, dtype=dtype)
    mix[1::2] = 0.0
    return mix


def _columns(
    tokens: int, vocabulary: int, dtype: torch.dtype, extra: int, dropped: int
) -> LiveTeacher:
    width = max(1, vocabulary - dropped) + extra
    columns = torch.full((vocabulary,), -1)
    shared = min(vocabulary, max(1, vocabulary - dropped))
    columns[torch.randperm(vocabulary)[:shared]] = torch.randperm(width)[:shared]
    return replace(_live(tokens, width, dtype), columns=columns)


def _prefix_columns(tokens: int, vocabulary: int, dtype: torch.dtype) -> LiveTeacher:
    return replace(_live(tokens, vocabulary + 3, dtype), columns=torch.arange(vocabulary))


def _topk(tokens: int, vocabulary: int, dtype: torch.dtype, tail: str) -> TopKTeacher:
    dense = torch.log_softmax(3 * torch.randn(tokens, vocabulary, dtype=dtype), -1)
    best = dense.topk(min(4, vocabulary), -1)
    return TopKTeacher(best.indices, best.values, mix=0.6, tail=tail)


@pytest.fixture
def case() -> Callable[..., Case]:
    """Return the builder of cases."""
    return make_case


def error(found: Tensor, expected: Tensor) -> float:
    """Return the length of the difference relative to the expected length, or to 0.3 if less."""
    found, expected = found.double(), expected.double()
    assert found.shape == expected.shape
    assert torch.equal(found.isnan(), expected.isnan())
    difference = (found - expected).nan_to_num(nan=0.0)
    scale = expected.nan_to_num(nan=0.0).norm().clamp(min=0.3)
    return float(difference.norm() / scale)


@pytest.fixture(name="error")
def error_fixture() -> Callable[[Tensor, Tensor], float]:
    return error
